// The head of a response: how its body is delimited, and the fields that are the server's to say (RFC 9112 §6, RFC 9110 §6.4 and §8.6).

import { Buffer } from 'node:buffer';
import { show } from '../util/inspect.js';
import type { OutputMemory } from '../util/output-memory.js';
import { isAll, LOWER_TOKEN, VALUE } from './characters.js';
import { reasonPhrases } from './errors.js';
import { type Content, ThreadBody } from './fetch/body.js';
import { getField } from './fetch/headers.js';
import type { Head } from './head.js';

const ZERO = 48;
const CR = 13;
const LF = 10;

/** What is to be sent, whichever class it came in. */
export interface OutgoingResponse {
  status: number;
  statusText: string;
  /** Lowercased names and values in turn. */
  fields: readonly string[];
  content: Content;
  /** Bytes of the content, where that is known before it is read. */
  length: number | undefined;
}

/** What the request says about how its response is framed. */
export interface Framing {
  /** The method is HEAD: the head alone is sent. */
  isHead: boolean;
  /** The client understands chunked (HTTP/1.1). */
  chunked: boolean;
  /** The connection stays open afterwards. Set to false where the response makes that impossible. */
  keepAlive: boolean;
  /** The client has asked for `Connection: keep-alive` in HTTP/1.0, and must be told that it gets it. */
  sendKeepAlive: boolean;
}

/** What the head of a request says about its response (RFC 9112 §9.3 for the connection, RFC 9110 §9.3.2 for HEAD). @param closing the server is */
export function responseFraming(head: Head, closing: boolean, framing: Framing): void {
  framing.isHead = head.isHead;
  framing.chunked = head.minor === 1;
  framing.keepAlive = !head.close && (head.minor === 1 || head.keepAlive) && !closing;
  framing.sendKeepAlive = head.minor === 0;
}

/** A response that cannot be sent: for `onError`. */
export class ResponseError extends Error {
  override readonly name = 'ResponseError';
  readonly code = 'ERR_RESPONSE';
}

/** How a response's body is delimited. */
export type Delimiter = 'length' | 'chunked' | 'close';

/** RFC 9110 §6.4.1: responses that have no body whatever their fields say. 205 is framed as empty (§15.3.6). */
export function isBodiless(status: number): boolean {
  return status === 204 || status === 304 || status === 205;
}

/** What the handler says of the length: all values of content-length, since there may be one only. */
function lengthField({ fields }: OutgoingResponse): string | undefined {
  return getField(fields, 'content-length') ?? undefined;
}

export function delimiterOf(out: OutgoingResponse, framing: Framing, length: number | undefined): Delimiter {
  if (length !== undefined || lengthField(out) !== undefined) return 'length';
  return framing.chunked ? 'chunked' : 'close';
}

/** @throws {ResponseError} if the handler's content-length is malformed, or not that of the content */
export function declaredLength(out: OutgoingResponse, length: number | undefined): number {
  const declared = lengthField(out);
  if (declared === undefined) return length ?? 0;
  if (!/^[0-9]{1,15}$/.test(declared))
    throw new ResponseError(`content-length is ${show(declared)}; expected one number of at most 15 digits`);
  if (length !== undefined && length !== Number(declared)) {
    throw new ResponseError(`content-length is ${declared}, and the body has ${length} bytes`);
  }
  return Number(declared);
}

/** The head of a response as Latin-1; or all of it but the digits of its content-length, with which it goes on, and two CRLF, with which it ends. */
export interface ResponseHead {
  readonly text: string;
  readonly endsInLength: boolean;
  /** The text as bytes, where it has been made for more than one response. */
  readonly bytes: Uint8Array | undefined;
}

/** How many bytes `writeHead` writes at most behind the text of a head. */
export const lengthRoom = `${Number.MAX_SAFE_INTEGER}\r\n\r\n`.length;

/** A head, and what it was made of. */
interface KeptHead extends ResponseHead {
  readonly status: number;
  readonly statusText: string;
  readonly fields: readonly string[];
  readonly length: number;
  readonly date: string;
  readonly framing: number;
}

/** The last one that was made: a server's responses are much alike. */
let last: KeptHead | undefined;

/**
 * The head: status line, the handler's fields, and those that are the server's to say: Date, Connection,
 * Content-Length or Transfer-Encoding. Of these the handler's are taken only where they say the same; `connection: close` is obeyed.
 * @param length bytes of the content, if known
 */
export function responseHead(
  out: OutgoingResponse,
  framing: Framing,
  date: string,
  length: number | undefined,
): ResponseHead {
  const { status, statusText, fields } = out;
  const bits = framingBits(out, framing);
  if (
    last !== undefined &&
    status === last.status &&
    date === last.date &&
    bits === last.framing &&
    length !== undefined
  )
    if (statusText === last.statusText && areSame(fields, last.fields) && (last.endsInLength || length === last.length))
      return last;
  const wasKept = framing.keepAlive;
  const head = makeHead(out, framing, date, length);
  // One that has changed the framing is made anew each time.
  if (length === undefined || framing.keepAlive !== wasKept) return head;
  const bytes = Buffer.from(head.text, 'latin1');
  last = { ...head, bytes, status, statusText, fields: fields.slice(), length, date, framing: bits };
  return last;
}

/** The whole text of a head. */
export function wholeText({ text, endsInLength }: ResponseHead, length: number | undefined): string {
  return endsInLength ? `${text}${length}\r\n\r\n` : text;
}

/** Writes a head. @param length bytes of the content, less than 2 GiB @returns where it ends */
export function writeHead(
  output: OutputMemory,
  at: number,
  { text, endsInLength, bytes }: ResponseHead,
  length: number,
): number {
  if (bytes === undefined) output.latin1Write(text, at, text.length);
  else output.set(bytes, at);
  let end = at + text.length;
  if (!endsInLength) return end;
  let digits = 1;
  for (let limit = 10; limit <= length; limit *= 10) digits++;
  let rest = length | 0;
  for (let place = end + digits - 1; place >= end; place--) {
    const next = (rest / 10) | 0;
    output[place] = ZERO + rest - next * 10;
    rest = next;
  }
  end += digits;
  output[end] = CR;
  output[end + 1] = LF;
  output[end + 2] = CR;
  output[end + 3] = LF;
  return end + 4;
}

/** All that a head depends on besides status, fields, date and length. */
function framingBits(out: OutgoingResponse, { isHead, chunked, keepAlive, sendKeepAlive }: Framing): number {
  return (
    (isHead ? 1 : 0) |
    (chunked ? 2 : 0) |
    (keepAlive ? 4 : 0) |
    (sendKeepAlive ? 8 : 0) |
    (out.content === null ? 16 : 0)
  );
}

function areSame(fields: readonly string[], others: readonly string[]): boolean {
  if (fields.length !== others.length) return false;
  for (let i = 0; i < fields.length; i++) if (fields[i] !== others[i]) return false;
  return true;
}

/** @throws {ResponseError} for anything that may not stand in a head, wherever the response came from: here it is written */
function makeHead(out: OutgoingResponse, framing: Framing, date: string, length: number | undefined): ResponseHead {
  const { status, fields } = out;
  let head = statusLine(out);
  // The body of `stream()` may be left out: it is started and unwound.
  if (isBodiless(status) && out.content !== null && !(out.content instanceof ThreadBody)) {
    throw new ResponseError(`the response has the status ${status} and a body; expected none (RFC 9110 §6.4.1)`);
  }
  let hasDate = false;
  let upgrades = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i];
    const value = fields[i + 1];
    checkField(name, value);
    switch (name) {
      case 'connection':
        if (/(?:^|,)[ \t]*close[ \t]*(?:,|$)/i.test(value)) framing.keepAlive = false;
        continue;
      case 'transfer-encoding': // hop-by-hop: those of a response that is passed on belong to the connection it came from
      case 'keep-alive':
      case 'proxy-connection':
        continue;
      case 'upgrade': // likewise; only a 426 has to say what to upgrade to (RFC 9110 §15.5.22)
        if (status !== 426) continue;
        upgrades = true;
        break;
      case 'content-length':
        continue;
      case 'date':
        if (hasDate) throw new ResponseError(`the field date is given twice; expected one (RFC 9110 §6.6.1)`);
        hasDate = true;
    }
    head += `${name}: ${value}\r\n`;
  }
  if (!hasDate) head += `date: ${date}\r\n`;
  const declared = lengthField(out) === undefined ? undefined : declaredLength(out, undefined);
  let framed = '';
  let endsInLength = false;
  if (status === 204 || (framing.isHead && out.content === null && status !== 205 && declared === undefined)) {
    // RFC 9110 §8.6: no Content-Length; and none where it is not known what a GET would have got
  } else if (status === 205) {
    framed = 'content-length: 0\r\n';
  } else if (status === 304 || (framing.isHead && declared !== undefined)) {
    // What a GET would have got, if the handler says it; it is not compared with a body that is not sent.
    if (declared !== undefined) framed = `content-length: ${declared}\r\n`;
  } else {
    switch (delimiterOf(out, framing, length)) {
      case 'length':
        endsInLength = declared === undefined;
        if (declared !== undefined) framed = `content-length: ${declaredLength(out, length)}\r\n`;
        break;
      case 'chunked':
        framed = 'transfer-encoding: chunked\r\n';
        break;
      default:
        framing.keepAlive = false;
    }
  }
  const option = framing.keepAlive ? (framing.sendKeepAlive ? 'keep-alive' : '') : 'close';
  // RFC 9110 §7.8: who sends Upgrade says so in Connection.
  if (upgrades) head += `connection: ${option === '' ? '' : `${option}, `}upgrade\r\n`;
  else if (option !== '') head += `connection: ${option}\r\n`;
  return { text: endsInLength ? `${head}content-length: ` : `${head}${framed}\r\n`, endsInLength, bytes: undefined };
}

function statusLine({ status, statusText }: OutgoingResponse): string {
  if (!Number.isInteger(status) || status < 200 || status > 599)
    throw new ResponseError(`the status is ${show(status)}; expected a whole number from 200 to 599`);
  const phrase = statusText === '' ? (reasonPhrases[status] ?? '') : statusText;
  if (!isText(phrase)) throw new ResponseError(`statusText is ${show(statusText)}; expected ${textExpected}`);
  return `HTTP/1.1 ${status} ${phrase}\r\n`;
}

/** The fetch standard lets more control characters pass in values (RFC 9110 §5.5), and other implementations may let anything pass. */
function checkField(name: string, value: string): void {
  if (typeof name !== 'string' || name === '' || !isAll(name, LOWER_TOKEN))
    throw new ResponseError(`a field has the name ${show(name)}; expected a token (RFC 9110 §5.6.2)`);
  if (!isText(value)) throw new ResponseError(`the field ${name} is ${show(value)}; expected ${textExpected}`);
}

const textExpected = 'a string of visible characters, spaces and tabs';

function isText(value: unknown): boolean {
  return typeof value === 'string' && isAll(value, VALUE);
}
