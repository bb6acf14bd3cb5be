// The opening handshake (RFC 6455 §4), of a server and of a client.

import { createHash, randomBytes } from 'node:crypto';
import { fieldsOfOption, type HeadersInit } from '../http/fetch/headers.js';
import type { Request } from '../http/fetch/request.js';
import { Response } from '../http/fetch/response.js';
import type { IncomingRequest } from '../http/incoming-request.js';
import { isThenable } from '../threads/task.js';
import { show } from '../util/inspect.js';
import type { OptionRules } from '../util/options.js';
import { acceptDeflate, type DeflateParameters, type DeflateSettings, parseExtensions } from './extensions.js';

/** RFC 6455 §1.3: what proves that the other side speaks the protocol. */
const acceptGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const version = '13';
/** 16 bytes in base64. The last four bits have no meaning. */
const keyPattern = /^[A-Za-z0-9+/]{22}==$/;
const tokenPattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** What looks like a serialised origin (RFC 6454 §6.2): a scheme, a host, and a port that is not the scheme's own. */
const originPattern = /^[a-z][a-z0-9+.-]*:\/\/[^/?#@]+$/i;

/** Which origins may connect: a list of them as `https://example.com`, `*` for any, or a function. */
export type OriginRule = '*' | readonly string[] | ((origin: string, request: Request) => boolean);

/** What a server agrees to in the opening handshake. */
export interface HandshakeOptions {
  /**
   * Sub-protocols that the server speaks, the preferred first (RFC 6455 §1.9); or a function that chooses one of those that the client offers.
   * Where none is chosen the connection has none. Default: none.
   */
  protocols?: readonly string[] | ((offered: readonly string[], request: Request) => string | undefined) | undefined;
  /**
   * The origins whose pages may connect, others being answered with 403 (RFC 6455 §10.2). Clients that are no browsers send no Origin, and are let
   * in. Default: the origin whose host is that of the request.
   */
  origin?: OriginRule | undefined;
  /** More fields for the response. `sec-websocket-protocol` among them chooses the sub-protocol. */
  headers?: HeadersInit | undefined;
}

/** Of `protocols` and `origin`. What is in an array is checked by `checkHandshakeOptions`. */
export const handshakeRules: OptionRules = {
  protocols: {
    accepts: (value) => typeof value === 'function' || Array.isArray(value),
    expected: 'an array of strings, or a function',
  },
  origin: {
    accepts: (value) => value === '*' || typeof value === 'function' || Array.isArray(value),
    expected: "'*', an array of origins, or a function",
  },
};

/** Checks what the rules do not. @throws {TypeError} for what could never match, or may not be sent */
export function checkHandshakeOptions(where: string, { protocols, origin }: HandshakeOptions): void {
  if (Array.isArray(origin))
    origin.forEach((one: unknown, i) => {
      const expected = expectedOrigin(one);
      if (expected !== undefined) throw new TypeError(`${where}: origin[${i}] is ${show(one)}; expected ${expected}`);
    });
  if (Array.isArray(protocols)) checkProtocols(where, protocols);
}

/** What is expected instead of an element of the option `origin`; undefined if it is as browsers send an origin. */
function expectedOrigin(one: unknown): string | undefined {
  if (one === 'null') return undefined;
  if (one === '*') return 'an origin; for any, give "*" instead of the array';
  if (typeof one !== 'string' || !originPattern.test(one))
    return 'an origin such as "https://example.com", without a path';
  if (one.includes('*')) return 'an origin without a wildcard, or a function instead of the array';
  const { origin = 'null' } = URL.canParse(one) ? new URL(one) : {};
  const sent = origin === 'null' ? one.toLowerCase() : origin; // of schemes that the URL standard does not know it says nothing
  return sent === one ? undefined : `${show(sent)}, as browsers send it`;
}

/** @throws {TypeError} if one is no token, or is there twice */
export function checkProtocols(where: string, protocols: readonly string[]): void {
  protocols.forEach((name: unknown, i) => {
    if (typeof name !== 'string' || !tokenPattern.test(name))
      throw new TypeError(`${where}: protocols[${i}] is ${show(name)}; expected a token (RFC 9110 §5.6.2)`);
    if (protocols.indexOf(name) !== i) throw new TypeError(`${where}: protocols has ${show(name)} twice`);
  });
}

/** What has been agreed on. */
export interface Handshake {
  /** Fields of the 101: lowercased names and values in turn. */
  readonly fields: string[];
  /** The sub-protocol; empty if there is none. */
  readonly protocol: string;
  /** How messages are compressed, if they are. */
  readonly deflate: DeflateParameters | undefined;
}

/** The value that answers a key (RFC 6455 §4.2.2, 5.4). */
export function acceptOf(key: string): string {
  return createHash('sha1')
    .update(key + acceptGuid)
    .digest('base64');
}

/** A key for a client (RFC 6455 §4.1, 7). */
export function newKey(): string {
  return randomBytes(16).toString('base64');
}

/** The elements of a list, without the white space around them. */
export function listOf(value: string): string[] {
  return value
    .split(',')
    .map((element) => element.trim())
    .filter((element) => element !== '');
}

/** All values of a field. */
function valuesOf(fields: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) values.push(fields[i + 1] ?? '');
  return values;
}

function hasToken(fields: readonly string[], name: string, token: string): boolean {
  return valuesOf(fields, name).some((value) => listOf(value).some((element) => element.toLowerCase() === token));
}

/** Whether a request asks for a WebSocket at all. */
export function asksForWebSocket({ fields }: IncomingRequest): boolean {
  return hasToken(fields, 'upgrade', 'websocket');
}

/**
 * Checks a client's opening handshake (RFC 6455 §4.2.1).
 * @param source of the request
 * @returns what is agreed on, or the response that refuses it: 400, 403 or 426
 * @throws {TypeError} if the options choose what was not offered
 */
export function checkHandshake(
  where: string,
  source: IncomingRequest,
  request: Request,
  options: HandshakeOptions,
  deflate: DeflateSettings | undefined,
): Handshake | Response {
  const { fields } = source;
  const upgradeRequired = { upgrade: 'websocket', 'sec-websocket-version': version };
  if (!asksForWebSocket(source))
    return refused(
      426,
      'RFC 6455 §4.2.1: no Upgrade: websocket, and a WebSocket is all there is here',
      upgradeRequired,
    );
  if (source.method !== 'GET') return refused(400, 'RFC 6455 §4.2.1: the method is not GET');
  if (!source.mayUpgrade) return refused(400, 'RFC 6455 §4.2.1: the request has a body, or is not of HTTP/1.1');
  if (!hasToken(fields, 'connection', 'upgrade')) return refused(400, 'RFC 6455 §4.2.1: no Connection: Upgrade');
  const versions = valuesOf(fields, 'sec-websocket-version');
  if (versions.length > 1) return refused(400, 'RFC 6455 §11.3.5: more than one Sec-WebSocket-Version');
  if (versions[0] !== version) return refused(426, 'RFC 6455 §4.2.2: Sec-WebSocket-Version is not 13', upgradeRequired);
  const keys = valuesOf(fields, 'sec-websocket-key');
  const [key] = keys;
  if (keys.length !== 1 || key === undefined || !keyPattern.test(key))
    return refused(400, 'RFC 6455 §4.2.1: Sec-WebSocket-Key is not one value of 16 bytes in base64');
  const offered = valuesOf(fields, 'sec-websocket-protocol').flatMap(listOf);
  if (!offered.every((name) => tokenPattern.test(name)) || new Set(offered).size !== offered.length)
    return refused(400, 'RFC 6455 §4.1: Sec-WebSocket-Protocol is not a list of different tokens');
  if (!isAllowed(where, fields, request, options.origin))
    return refused(403, 'RFC 6455 §4.2.2: the origin is not allowed');
  const asked = valuesOf(fields, 'sec-websocket-extensions');
  const extensions = asked.length === 0 ? [] : parseExtensions(asked.join(', '));
  if (extensions === undefined)
    return refused(400, 'RFC 6455 §9.1: Sec-WebSocket-Extensions is not a list of extensions with parameters');
  const accepted = deflate && acceptDeflate(extensions, deflate);
  const own = fieldsOfOption(where, options.headers);
  const protocol = ownProtocol(where, offered, own) ?? chosenProtocol(where, offered, request, options.protocols);
  const answer = ['upgrade', 'websocket', 'sec-websocket-accept', acceptOf(key)];
  if (protocol !== '') answer.push('sec-websocket-protocol', protocol);
  if (accepted !== undefined) answer.push('sec-websocket-extensions', accepted.response);
  for (let i = 0; i < own.length; i += 2) {
    const name = own[i] ?? '';
    if (handshakeFields.has(name)) throw new TypeError(`${where}: headers has ${name}, which the handshake sets`);
    if (name !== 'sec-websocket-protocol') answer.push(name, own[i + 1] ?? '');
  }
  return { fields: answer, protocol, deflate: accepted?.parameters };
}

/** Fields that only the handshake may set. */
export const handshakeFields: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'sec-websocket-key',
  'sec-websocket-version',
  'transfer-encoding',
  'upgrade',
]);

/** The sub-protocol that the handler names among its fields, as handlers for Bun do. @throws {TypeError} if it was not offered */
function ownProtocol(where: string, offered: readonly string[], own: readonly string[]): string | undefined {
  const [named] = valuesOf(own, 'sec-websocket-protocol');
  if (named === undefined || offered.includes(named)) return named;
  const expected = offered.length === 0 ? 'none' : `one of ${offered.join(', ')}`;
  throw new TypeError(
    `${where}: headers has sec-websocket-protocol ${show(named)}; expected ${expected}, which the client has offered`,
  );
}

function chosenProtocol(
  where: string,
  offered: readonly string[],
  request: Request,
  protocols: HandshakeOptions['protocols'],
): string {
  if (protocols === undefined || offered.length === 0) return '';
  if (typeof protocols !== 'function') return protocols.find((name) => offered.includes(name)) ?? '';
  const chosen: unknown = protocols(offered, request);
  if (chosen === undefined) return '';
  if (typeof chosen !== 'string' || !offered.includes(chosen))
    throw new TypeError(
      `${where}: protocols chose ${show(chosen)}; expected one of ${offered.join(', ')}, or undefined`,
    );
  return chosen;
}

function isAllowed(where: string, fields: readonly string[], request: Request, rule: OriginRule | undefined): boolean {
  const [origin, ...others] = valuesOf(fields, 'origin');
  if (origin === undefined) return true;
  if (others.length > 0) return false;
  if (rule === '*') return true;
  if (typeof rule === 'function') {
    const allowed: unknown = rule(origin, request);
    if (typeof allowed === 'boolean') return allowed;
    if (isThenable(allowed)) Promise.resolve(allowed).catch(() => {}); // the error below stands for it
    throw new TypeError(`${where}: origin returned ${show(allowed)}; expected true or false`);
  }
  if (rule !== undefined) return rule.includes(origin);
  // A page of the same host. A proxy in front may have ended TLS, so the scheme does not count.
  if (!URL.canParse(origin)) return false;
  const { host, protocol } = new URL(origin);
  const [own = ''] = valuesOf(fields, 'host');
  return URL.canParse(`${protocol}//${own}`) && new URL(`${protocol}//${own}`).host === host;
}

function refused(status: number, message: string, headers: Record<string, string> = {}): Response {
  return new Response(`${message}\n`, { status, headers });
}
