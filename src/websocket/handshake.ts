// The opening handshake (RFC 6455 §4), of a server and of a client.

import { createHash, randomBytes } from 'node:crypto';
import { fieldsFrom, type HeadersInit } from '../http/fetch/headers.js';
import { type Request, sourceOf } from '../http/fetch/request.js';
import { Response } from '../http/fetch/response.js';
import { IncomingRequest } from '../http/incoming-request.js';
import { show } from '../util/inspect.js';
import { acceptDeflate, type DeflateParameters, type DeflateSettings, parseExtensions } from './extensions.js';

/** RFC 6455 §1.3: what proves that the other side speaks the protocol. */
const acceptGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const version = '13';
/** 16 bytes in base64. */
const keyPattern = /^[A-Za-z0-9+/]{21}[AQgw]==$/;
const tokenPattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

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
  /** More fields for the response. */
  headers?: HeadersInit | undefined;
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
export function asksForWebSocket(request: Request): boolean {
  const source = sourceOf(request);
  return source !== undefined && hasToken(source.fields, 'upgrade', 'websocket');
}

/**
 * Checks a client's opening handshake (RFC 6455 §4.2.1).
 * @returns what is agreed on, or the response that refuses it: 400, 403 or 426
 * @throws {TypeError} if the request is not one that the server has received, or the options choose what was not offered
 */
export function checkHandshake(
  where: string,
  request: Request,
  options: HandshakeOptions,
  deflate: DeflateSettings | undefined,
): Handshake | Response {
  const source = sourceOf(request);
  if (!(source instanceof IncomingRequest))
    throw new TypeError(`${where}: the request is ${show(request)}; expected the one that the handler has got`);
  const { fields } = source;
  if (!hasToken(fields, 'upgrade', 'websocket'))
    return refused(426, 'this address speaks WebSocket: Upgrade: websocket is missing (RFC 6455 §4.2.1)', {
      upgrade: 'websocket',
    });
  if (!source.mayUpgrade) return refused(400, 'RFC 6455 §4.1: the request has a body, or is not of HTTP/1.1');
  if (source.method !== 'GET') return refused(400, 'RFC 6455 §4.2.1: the method is not GET');
  if (!hasToken(fields, 'connection', 'upgrade')) return refused(400, 'RFC 6455 §4.2.1: no Connection: Upgrade');
  const versions = valuesOf(fields, 'sec-websocket-version');
  if (versions.length > 1) return refused(400, 'RFC 6455 §11.3.5: more than one Sec-WebSocket-Version');
  if (versions[0] !== version)
    return refused(426, 'RFC 6455 §4.2.2: Sec-WebSocket-Version is not 13', {
      upgrade: 'websocket',
      'sec-websocket-version': version,
    });
  const keys = valuesOf(fields, 'sec-websocket-key');
  const [key] = keys;
  if (keys.length !== 1 || key === undefined || !keyPattern.test(key))
    return refused(400, 'RFC 6455 §4.2.1: Sec-WebSocket-Key is not one value of 16 bytes in base64');
  const offered = valuesOf(fields, 'sec-websocket-protocol').flatMap(listOf);
  if (!offered.every((name) => tokenPattern.test(name)) || new Set(offered).size !== offered.length)
    return refused(400, 'RFC 6455 §4.1: Sec-WebSocket-Protocol is not a list of different tokens');
  if (!isAllowed(fields, request, options.origin)) return refused(403, 'RFC 6455 §4.2.2: the origin is not allowed');
  const asked = valuesOf(fields, 'sec-websocket-extensions');
  const extensions = asked.length === 0 ? [] : parseExtensions(asked.join(', '));
  if (extensions === undefined)
    return refused(400, 'RFC 6455 §9.1: Sec-WebSocket-Extensions is not a list of extensions with parameters');
  const accepted = deflate && acceptDeflate(extensions, deflate);
  const protocol = chosenProtocol(where, offered, request, options.protocols);
  const answer = ['upgrade', 'websocket', 'sec-websocket-accept', acceptOf(key)];
  if (protocol !== '') answer.push('sec-websocket-protocol', protocol);
  if (accepted !== undefined) answer.push('sec-websocket-extensions', accepted.response);
  const own = options.headers === undefined ? [] : fieldsFrom(options.headers);
  for (let i = 0; i < own.length; i += 2) {
    const name = own[i] ?? '';
    if (answer.includes(name) && name.startsWith('sec-websocket-'))
      throw new TypeError(`${where}: headers has ${name}, which is for the handshake to say`);
    answer.push(name, own[i + 1] ?? '');
  }
  return { fields: answer, protocol, deflate: accepted?.parameters };
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

function isAllowed(fields: readonly string[], request: Request, rule: OriginRule | undefined): boolean {
  const [origin, ...others] = valuesOf(fields, 'origin');
  if (origin === undefined) return true;
  if (others.length > 0) return false;
  if (rule === '*') return true;
  if (typeof rule === 'function') return rule(origin, request);
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
