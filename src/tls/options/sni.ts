// The certificates that the user's function `sni` has returned, by name.

import { describe, propertyOf, show } from '../../util/inspect.js';
import type { TlsIdentity } from '../config.js';
import { TlsConfigError } from './errors.js';
import type { LoadedIdentity } from './identity.js';
import type { TlsCertificateOptions, TlsServerOptions } from './options.js';

/** How many names are kept: clients may ask for any. */
const maxNames = 1000;

/** The client is refused: the function has failed. */
export const failed = Symbol('sni has failed');
/** Undefined if the function has none for the name. */
export type SniChoice = TlsIdentity | undefined | typeof failed;

export class SniCache {
  readonly #sni: NonNullable<TlsServerOptions['sni']>;
  readonly #load: (options: TlsCertificateOptions) => LoadedIdentity;
  readonly #onError: (error: unknown) => void;
  /** Those that were returned; the one used last at the end. */
  readonly #known = new Map<string, LoadedIdentity>();
  /** Those that are on their way: not more than there are handshakes. */
  readonly #pending = new Map<string, Promise<SniChoice>>();

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

  /** Never throws, never rejects. */
  identityFor(name: string): SniChoice | Promise<SniChoice> {
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
      return this.#refuse(name, error);
    }
  }

  /** Forgets the names that are known: the function is asked again. */
  clear(): void {
    this.#known.clear();
  }

  async #await(name: string, promise: PromiseLike<TlsCertificateOptions | undefined>): Promise<SniChoice> {
    try {
      return this.#accept(name, await promise);
    } catch (error) {
      return this.#refuse(name, error);
    } finally {
      this.#pending.delete(name);
    }
  }

  #refuse(name: string, error: unknown): typeof failed {
    this.#onError(
      new TlsConfigError(
        'ERR_TLS_SNI',
        `sni(${show(name)}) has failed, and the client is refused: ${describe(error)}`,
        {
          cause: error,
        },
      ),
    );
    return failed;
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
