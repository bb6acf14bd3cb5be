// The option `trustProxy`: the client's address, scheme and host from `X-Forwarded-For`, `-Proto` and `-Host`, or from `Forwarded` (RFC 7239). Any client can send
// these fields, so they count only as far as known proxies have added to them.

import { BlockList, isIPv4 } from 'node:net';
import { formatAddress } from '../event-layer/event-layer.js';
import { show } from '../util/inspect.js';
import { usualAddress } from '../util/ip-address.js';
import type { OptionRule } from '../util/options.js';
import { socketAddressOf } from './socket-address.js';

/** See the option `trustProxy` of `serve`. */
export type TrustProxy = boolean | 'loopback' | readonly string[];

export const trustProxyRule: OptionRule = {
  accepts: (value) =>
    typeof value === 'boolean' ||
    value === 'loopback' ||
    (Array.isArray(value) && value.every((each) => typeof each === 'string')),
  expected: 'true, false, "loopback" or an array of addresses and networks such as "10.0.0.0/8"',
};

/** A client as trusted proxies describe it. Members that they do not name are undefined. */
export interface Forwarded {
  /** Address and port as in `RequestInfo.peer`; the port is 0 where the proxy does not name it. */
  peer: string | undefined;
  scheme: 'http' | 'https' | undefined;
  /** With the port, if there is one. */
  host: string | undefined;
}

/** What one proxy has added: how it received the request, and from which address. */
interface Hop {
  readonly from: string | undefined;
  readonly scheme: string | undefined;
  readonly host: string | undefined;
}

export class TrustedProxies {
  readonly #isEach: boolean;
  readonly #list = new BlockList();
  /** Whether proxies that connect to a Unix-domain socket, and so are on this machine, are trusted. */
  readonly #trustsLocal: boolean;

  /** @param where for messages @throws {TypeError} for an entry that is neither an address nor a network */
  constructor(where: string, option: Exclude<TrustProxy, false>) {
    this.#isEach = option === true;
    const entries = typeof option === 'boolean' ? [] : typeof option === 'string' ? [option] : option;
    this.#trustsLocal = this.#isEach || entries.includes('loopback');
    entries.forEach((entry, i) => {
      if (entry === 'loopback') {
        this.#list.addSubnet('127.0.0.0', 8, 'ipv4');
        this.#list.addAddress('::1', 'ipv6');
      } else if (!this.#add(entry)) {
        throw new TypeError(
          `${where}[${i}] is ${show(entry)}; expected an address, a network such as "10.0.0.0/8", or "loopback"`,
        );
      }
    });
  }

  #add(entry: string): boolean {
    const [text, length, ...rest] = entry.split('/');
    const address = usualAddress(text);
    if (address === undefined || rest.length > 0) return false;
    const family = isIPv4(address) ? 'ipv4' : 'ipv6';
    const most = family === 'ipv4' ? 32 : 128;
    if (length === undefined) {
      this.#list.addAddress(address, family);
      return true;
    }
    if (!/^\d{1,3}$/.test(length) || Number(length) > most || isIPv4(text) !== (family === 'ipv4')) return false;
    this.#list.addSubnet(address, Number(length), family);
    return true;
  }

  /** @param peer address and port; empty if unknown */
  #trusts(peer: string): boolean {
    const address = socketAddressOf(peer)?.address.replace(/%.*/, ''); // lists have no zones; link-local addresses on the portable layer do
    if (address === undefined) return false;
    return this.#isEach || this.#list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
  }

  /**
   * The client behind the connection's peer: the right-most address that is not a trusted proxy's, with scheme and host from the proxy that has added it.
   * @param peer the peer of the connection; empty if unknown
   * @param isLocal whether the connection is to a Unix-domain socket
   * @param fields as received: lowercased names, each followed by its value
   */
  clientOf(peer: string, isLocal: boolean, fields: readonly string[]): Forwarded {
    const found: Forwarded = { peer: undefined, scheme: undefined, host: undefined };
    if (isLocal ? !this.#trustsLocal : !this.#trusts(peer)) return found;
    for (const { from, scheme, host } of hopsOf(fields)) {
      found.scheme = schemeOf(scheme) ?? found.scheme;
      found.host = hostIn(host) ?? found.host;
      const client = from === undefined ? undefined : nodeOf(from);
      if (client === undefined) break; // an unknown or obfuscated client (RFC 7239 §6.2, §6.3): whether it is a trusted proxy cannot be checked
      found.peer = client;
      if (!this.#trusts(client)) break;
    }
    return found;
  }
}

/** The hops, from the nearest proxy on. */
function hopsOf(fields: readonly string[]): Iterable<Hop> {
  const addresses = listIn(fields, 'x-forwarded-for');
  const schemes = listIn(fields, 'x-forwarded-proto');
  const hosts = listIn(fields, 'x-forwarded-host');
  // A proxy writes one of the two kinds. Fields of the other kind may be the client's: see docs/proxies.md.
  const hasOlderKind = addresses.length > 0 || schemes.length > 0 || hosts.length > 0;
  return hasOlderKind ? olderHops(addresses, schemes, hosts) : forwardedHops(fields);
}

/** The hops in `X-Forwarded-…`. */
function* olderHops(addresses: string[], schemes: string[], hosts: string[]): Generator<Hop> {
  // Some proxies replace the list of schemes or hosts where others add to it. Then the list is shorter than that of addresses.
  const at = (list: string[], hop: number) => list[Math.max(0, list.length - 1 - hop)];
  for (let hop = 0; hop < Math.max(1, addresses.length); hop++)
    yield { from: addresses[addresses.length - 1 - hop], scheme: at(schemes, hop), host: at(hosts, hop) };
}

/** The elements of all `Forwarded` fields, from the last one on, up to a malformed field. */
function* forwardedHops(fields: readonly string[]): Generator<Hop> {
  for (let i = fields.length - 2; i >= 0; i -= 2) {
    if (fields[i] !== 'forwarded') continue;
    const hops = parseForwarded(fields[i + 1]);
    if (hops === undefined) return;
    yield* hops.reverse();
  }
}

/**
 * A parameter, whose value is a token or a quoted-string (RFC 9110 §5.6.2, §5.6.4), and the separator after it. Only one part of it matches the whitespace
 * before the separator: with two, the time for a long run of spaces would be the square of its length.
 */
const pair = /[ \t]*(?:([!#$%&'*+.^_`|~\w-]+)=(?:([!#$%&'*+.^_`|~\w-]+)|"((?:[^"\\]|\\.)*)")[ \t]*)?([;,]|$)/y;

/** RFC 7239 §4. @returns undefined if it is malformed */
function parseForwarded(value: string): Hop[] | undefined {
  const hops: Hop[] = [];
  let pairs: Record<string, string> = {};
  let at = 0;
  for (;;) {
    pair.lastIndex = at;
    const match = pair.exec(value);
    if (match === null) return undefined;
    const [whole, name, token, quoted, end] = match;
    if (name !== undefined) {
      const key = name.toLowerCase();
      if (Object.hasOwn(pairs, key)) return undefined; // §4: each parameter at most once
      pairs[key] = token ?? quoted.replace(/\\(.)/g, '$1');
    }
    at += whole.length;
    if (end === ';') continue;
    if (Object.keys(pairs).length > 0) hops.push({ from: pairs.for, scheme: pairs.proto, host: pairs.host });
    pairs = {};
    if (end === '') return hops;
  }
}

/** The elements of a list in all fields of a name, without empty ones. */
function listIn(fields: readonly string[], name: string): string[] {
  const elements: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== name) continue;
    for (const element of fields[i + 1].split(',')) {
      const trimmed = element.trim();
      if (trimmed !== '') elements.push(trimmed);
    }
  }
  return elements;
}

function schemeOf(text: string | undefined): 'http' | 'https' | undefined {
  switch (text?.toLowerCase()) {
    case 'https':
    case 'wss':
      return 'https';
    case 'http':
    case 'ws':
      return 'http';
    default:
      return undefined;
  }
}

const hostFormat = /^(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/i;

function hostIn(text: string | undefined): string | undefined {
  return text !== undefined && hostFormat.test(text) && URL.canParse(`http://${text}/`) ? text : undefined;
}

/** An address, with or without a port, in brackets or quotes or not. @returns it with its port; undefined if it is no IP address */
function nodeOf(text: string): string | undefined {
  const bare = /^"(.*)"$/.exec(text)?.[1] ?? text;
  const [, bracketed, dotted, port] = /^(?:\[(.*)\]|([^:]*))(?::([\w.-]+))?$/.exec(bare) ?? [];
  const hostname = usualAddress(bracketed ?? dotted ?? bare);
  if (hostname === undefined) return undefined;
  const number = port !== undefined && /^\d{1,5}$/.test(port) && Number(port) <= 65_535 ? Number(port) : 0;
  return formatAddress({ hostname, port: number });
}
