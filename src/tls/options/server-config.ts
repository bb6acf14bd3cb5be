// What a listener knows of TLS: the certificates of its names, and those that `sni` has returned. A reload puts others in their place.

import { randomBytes } from 'node:crypto';
import { show } from '../../util/inspect.js';
import {
  defaultHandshakesPerTurn,
  defaultHandshakeTimeout,
  type TlsIdentity,
  type TlsServerConfig,
} from '../config.js';
import { type LoadedIdentity, loadIdentity } from './identity.js';
import { normalName } from './names.js';
import {
  checkCertificateOptions,
  checkServerOptions,
  type TlsCertificateOptions,
  type TlsServerOptions,
} from './options.js';
import { failed, SniCache, type SniChoice } from './sni.js';

/** How long session tickets are encrypted with the same random keys, in milliseconds: with them, what was sent in that time can be read. */
const ticketKeyLife = 12 * 3_600_000;
const ticketKeyBytes = 48;

export interface TlsServerSettings {
  /** Default of the option, which may have no others; if empty, it may have any. */
  readonly alpnProtocols: readonly string[];
  /** Called with what `sni` throws, and with what it returns if that cannot be used. Must not throw. */
  readonly onError: (error: unknown) => void;
}

/** A reload cannot change them: transports have them from the beginning. */
const fixedSettings = ['handshakeTimeout', 'maxHandshakesPerTurn', 'detached'] as const;

/** The checked form of one value of the option. */
interface Loaded {
  readonly handshakeTimeout: number;
  readonly maxHandshakesPerTurn: number;
  readonly detached: boolean;
  readonly sni: SniCache | undefined;
  /** Undefined if only `sni` has certificates. */
  readonly first: LoadedIdentity | undefined;
  readonly byName: ReadonlyMap<string, LoadedIdentity>;
}

export class ServerTls implements TlsServerConfig {
  readonly #settings: TlsServerSettings;
  #loaded: Loaded;
  #ticketKeys: Uint8Array = randomBytes(ticketKeyBytes);
  #ticketKeysUntil = Date.now() + ticketKeyLife;

  /**
   * @param where for messages, such as `serve: tls`
   * @throws {TypeError | RangeError | TlsConfigError} if the option cannot be used
   */
  constructor(where: string, options: TlsServerOptions | readonly TlsServerOptions[], settings: TlsServerSettings) {
    this.#settings = settings;
    this.#loaded = this.#load(where, options);
  }

  get handshakeTimeout(): number {
    return this.#loaded.handshakeTimeout;
  }

  get maxHandshakesPerTurn(): number {
    return this.#loaded.maxHandshakesPerTurn;
  }

  get detached(): boolean {
    return this.#loaded.detached;
  }

  /** Checks everything first: if it throws, nothing has changed. Connections keep what they have. @throws as the constructor does */
  reload(where: string, options: TlsServerOptions | readonly TlsServerOptions[]): void {
    const next = this.#load(where, options);
    for (const name of fixedSettings)
      if (next[name] !== this.#loaded[name])
        throw new TypeError(
          `${where}: ${name} is ${next[name]}; expected ${this.#loaded[name]}, as when the server was started`,
        );
    this.#loaded = next;
  }

  identityFor(serverName: string | undefined): TlsIdentity | undefined | Promise<TlsIdentity | undefined> {
    if (Date.now() > this.#ticketKeysUntil) this.#replaceTicketKeys();
    const { byName, sni, first } = this.#loaded;
    if (serverName === undefined) return first?.identity;
    const name = normalName(serverName);
    const found = byName.get(name) ?? byName.get(withStar(name));
    if (found !== undefined) return found.identity;
    if (sni === undefined) return first?.identity;
    // Only for undefined the one beside it: a client must not get another certificate than the one that the function was about to return.
    const chosen = (choice: SniChoice): TlsIdentity | undefined =>
      choice === failed ? undefined : (choice ?? first?.identity);
    const choice = sni.identityFor(name);
    return choice instanceof Promise ? choice.then(chosen) : chosen(choice);
  }

  #load(where: string, options: TlsServerOptions | readonly TlsServerOptions[]): Loaded {
    const isList = Array.isArray(options);
    const list: readonly TlsServerOptions[] = isList ? options : [options];
    const nameOf = (i: number): string => (isList ? `${where}[${i}]` : where);
    const [main, ...others] = list;
    if (main === undefined) throw new TypeError(`${where} is an empty array; expected at least one certificate`);
    checkServerOptions(nameOf(0), main);
    for (const [i, other] of others.entries()) checkCertificateOptions(nameOf(i + 1), other);
    const { key, cert, pfx, handshakeTimeout = defaultHandshakeTimeout } = main;
    const { maxHandshakesPerTurn = defaultHandshakesPerTurn, detached = true } = main;
    const hasCertificate = key !== undefined || cert !== undefined || pfx !== undefined;
    const isSniAlone = main.sni !== undefined && !hasCertificate && others.length === 0;
    const identities = isSniAlone ? [] : list.map((each, i) => this.#loadIdentity(nameOf(i), each));
    const byName = new Map<string, LoadedIdentity>();
    checkNames(nameOf, list);
    for (const identity of identities)
      for (const name of identity.names) if (!byName.has(name)) byName.set(name, identity);
    const sni = main.sni && new SniCache(main.sni, (returned) => this.#loadReturned(returned), this.#settings.onError);
    return { sni, handshakeTimeout, maxHandshakesPerTurn, detached, first: identities[0], byName };
  }

  #loadReturned(options: TlsCertificateOptions): LoadedIdentity {
    const where = 'the result';
    checkCertificateOptions(where, options);
    return this.#loadIdentity(where, options);
  }

  #loadIdentity(where: string, options: TlsCertificateOptions): LoadedIdentity {
    const { alpnProtocols } = this.#settings;
    return loadIdentity(options, { where, side: 'server', alpnProtocols, ticketKeys: this.#ticketKeys });
  }

  #replaceTicketKeys(): void {
    const keys = randomBytes(ticketKeyBytes);
    this.#ticketKeys = keys;
    this.#ticketKeysUntil = Date.now() + ticketKeyLife;
    const { byName, first, sni } = this.#loaded;
    sni?.clear();
    const made = new Map<LoadedIdentity, LoadedIdentity>();
    const replace = (old: LoadedIdentity): LoadedIdentity => {
      const known = made.get(old) ?? old.withTicketKeys(keys);
      made.set(old, known);
      return known;
    };
    const replaced = new Map([...byName].map(([name, old]) => [name, replace(old)]));
    this.#loaded = { ...this.#loaded, byName: replaced, first: first && replace(first) };
  }
}

/** Names that are in two certificates are for the first; those that two options give are a mistake. @throws {TypeError} */
function checkNames(nameOf: (i: number) => string, list: readonly TlsServerOptions[]): void {
  const owners = new Map<string, number>();
  for (const [i, { serverName = [] }] of list.entries()) {
    for (const name of new Set((typeof serverName === 'string' ? [serverName] : serverName).map(normalName))) {
      const owner = owners.get(name);
      if (owner !== undefined)
        throw new TypeError(
          `${nameOf(i)}: serverName has ${show(name)}, which ${nameOf(owner).replace(/^\w+: /, '')} has too; expected each name once`,
        );
      owners.set(name, i);
    }
  }
}

/** `*.example.com` of `www.example.com`: a star stands for one label (RFC 6125 §6.4.3). */
function withStar(name: string): string {
  const dot = name.indexOf('.');
  return dot === -1 ? '' : `*${name.slice(dot)}`;
}
