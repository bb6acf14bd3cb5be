// The certificates that the user's function `sni` has returned, by name.

import { propertyOf } from '../../util/inspect.js';
import type { TlsIdentity } from '../config.js';
import type { LoadedIdentity } from './identity.js';
import type { TlsCertificateOptions, TlsServerOptions } from './options.js';

/** How many names are kept: clients may ask for any. */
const maxNames = 1000;

export class SniCache {
  readonly #sni: NonNullable<TlsServerOptions['sni']>;
  readonly #load: (options: TlsCertificateOptions) => LoadedIdentity;
  readonly #onError: (error: unknown) => void;
  /** Those that were returned; the one used last at the end. */
  readonly #known = new Map<string, LoadedIdentity>();
  /** Those that are on their way: not more than there are handshakes. */
  readonly #pending = new Map<string, Promise<TlsIdentity | undefined>>();

  /**
   * @param load checks and loads what the function returns; may throw
   * @param onError called with what the function and `load` throw; must not throw
   */
  constructor(
    sni: NonNullable<TlsServerOptions['sni']>,
    load: (options: TlsCertificateOptions) => LoadedIdentity,
    onError: (error: unknown) => void,
  ) {
    this.#sni = sni;
    this.#load = load;
    this.#onError = onError;
  }

  /** @returns undefined, or a promise of it, if the function has none, or has failed. Never throws, never rejects */
  identityFor(name: string): TlsIdentity | undefined | Promise<TlsIdentity | undefined> {
    const known = this.#known.get(name);
    this.#known.delete(name);
    if (known !== undefined && known.expires > Date.now()) {
      this.#known.set(name, known);
      return known.identity;
    }
    const pending = this.#pending.get(name);
    if (pending !== undefined) return pending;
    try {
      const result = this.#sni(name);
      if (!isPromise(result)) return this.#accept(name, result);
      const promise = this.#await(name, result);
      this.#pending.set(name, promise);
      return promise;
    } catch (error) {
      this.#onError(error);
      return undefined;
    }
  }

  /** Forgets the names that are known: the function is asked again. */
  clear(): void {
    this.#known.clear();
  }

  async #await(name: string, result: PromiseLike<TlsCertificateOptions | undefined>): Promise<TlsIdentity | undefined> {
    try {
      return this.#accept(name, await result);
    } catch (error) {
      this.#onError(error);
      return undefined;
    } finally {
      this.#pending.delete(name);
    }
  }

  #accept(name: string, options: TlsCertificateOptions | undefined): TlsIdentity | undefined {
    if (options === undefined) return undefined;
    const loaded = this.#load(options);
    this.#known.set(name, loaded);
    if (this.#known.size > maxNames) {
      const [oldest] = this.#known.keys();
      this.#known.delete(oldest);
    }
    return loaded.identity;
  }
}

function isPromise<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof propertyOf(value, 'then') === 'function';
}
