// The head of a response: how its body is delimited, and the fields that are the server's to say (RFC 9112 §6, RFC 9110 §6.4 and §8.6).

import { show } from '../../util/inspect.js';
import type { OutputMemory } from '../../util/output-memory.js';
import { reasonPhrases } from '../errors.js';
import { ThreadBody } from '../fetch/body.js';
import { declaredLength, isBodiless, lengthField, type OutgoingResponse, ResponseError } from '../outgoing.js';
import { isAll, LOWER_TOKEN, VALUE } from './characters.js';
import type { Head } from './head.js';

const ZERO = 48;
const CR = 13;
const LF = 10;

/** What the request says about how its response is framed: these bits in one number. */
export const Framing = {
  /** The method is HEAD: the head alone is sent. */
  isHead: 1,
  /** The client understands chunked (HTTP/1.1). */
  chunked: 2,
  /** The connection stays open afterwards, if the response does not make that impossible. */
  keepAlive: 4,
  /** The client has asked for `Connection: keep-alive` in HTTP/1.0, and must be told that it gets it. */
  sendKeepAlive: 8,
} as const;
/** All bits of `Framing`. */
export const framingMask = Framing.isHead | Framing.chunked | Framing.keepAlive | Framing.sendKeepAlive;

/** What the head of a request says about its response (RFC 9112 §9.3 for the connection, RFC 9110 §9.3.2 for HEAD). @param closing the server is */
export function responseFraming(head: Head, closing: boolean): number {
  let framing = head.isHead ? Framing.isHead : 0;
  if (head.minor === 1) framing |= Framing.chunked;
  else framing |= Framing.sendKeepAlive;
  if (!head.close && (head.minor === 1 || head.keepAlive) && !closing) framing |= Framing.keepAlive;
  return framing;
}

/** How a response's body is delimited. */
export type Delimiter = 'length' | 'chunked' | 'close';

export function delimiterOf(out: OutgoingResponse, framing: number, length: number | undefined): Delimiter {
  if (length !== undefined || lengthField(out) !== undefined) return 'length';
  return (framing & Framing.chunked) !== 0 ? 'chunked' : 'close';
}

/** The head of a response as Latin-1; or all of it but the digits of its content-length, with which it goes on, and two CRLF, with which it ends. */
export interface ResponseHead {
  readonly text: string;
  readonly endsInLength: boolean;
  /** The connection stays open after the response. */
  readonly keepAlive: boolean;
}

/** How many bytes `writeLength` writes at most. */
export const lengthRoom = `${Number.MAX_SAFE_INTEGER}\r\n\r\n`.length;

/** The whole text of a head. */
export function wholeText({ text, endsInLength }: ResponseHead, length: number | undefined): string {
  return endsInLength ? `${text}${length}\r\n\r\n` : text;
}

/** Writes what a head that ends in a length goes on with. @param length less than 2 GiB @returns where it ends */
export function writeLength(output: OutputMemory, at: number, length: number): number {
  let digits = 1;
  for (let limit = 10; limit <= length; limit *= 10) digits++;
  let rest = length | 0;
  for (let place = at + digits - 1; place >= at; place--) {
    const next = (rest / 10) | 0;
    output[place] = ZERO + rest - next * 10;
    rest = next;
  }
  const end = at + digits;
  output[end] = CR;
  output[end + 1] = LF;
  output[end + 2] = CR;
  output[end + 3] = LF;
  return end + 4;
}

/**
 * The head: status line, the handler's fields, and those that are the server's to say: Date, Connection,
 * Content-Length or Transfer-Encoding. Of these the handler's are taken only where they say the same; `connection: close` is obeyed.
 * @param framing bits of `Framing`
 * @param length bytes of the content, if known
 * @throws {ResponseError} for anything that may not stand in a head, wherever the response came from: here it is written
 */
export function makeHead(
  out: OutgoingResponse,
  framing: number,
  date: string,
  length: number | undefined,
): ResponseHead {
  const { status, fields } = out;
  const isHead = (framing & Framing.isHead) !== 0;
  let keepAlive = (framing & Framing.keepAlive) !== 0;
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
        if (/(?:^|,)[ \t]*close[ \t]*(?:,|$)/i.test(value)) keepAlive = false;
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
  if (status === 204 || (isHead && out.content === null && status !== 205 && declared === undefined)) {
    // RFC 9110 §8.6: no Content-Length; and none where it is not known what a GET would have got
  } else if (status === 205) {
    framed = 'content-length: 0\r\n';
  } else if (status === 304 || (isHead && declared !== undefined)) {
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
        keepAlive = false;
    }
  }
  const sendKeepAlive = (framing & Framing.sendKeepAlive) !== 0;
  const option = keepAlive ? (sendKeepAlive ? 'keep-alive' : '') : 'close';
  // RFC 9110 §7.8: who sends Upgrade says so in Connection.
  if (upgrades) head += `connection: ${option === '' ? '' : `${option}, `}upgrade\r\n`;
  else if (option !== '') head += `connection: ${option}\r\n`;
  return { text: endsInLength ? `${head}content-length: ` : `${head}${framed}\r\n`, endsInLength, keepAlive };
}

/** The head of a response with which the connection changes hands (RFC 9110 §7.8 and §15.2.2). @throws as `makeHead` */
export function makeUpgradeHead({ fields }: OutgoingResponse): string {
  let head = `HTTP/1.1 101 ${reasonPhrases[101]}\r\nconnection: upgrade\r\n`;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i];
    const value = fields[i + 1];
    checkField(name, value);
    // The first two belong to a message with a body (RFC 9110 §8.6, RFC 9112 §6.1).
    if (name !== 'content-length' && name !== 'transfer-encoding' && name !== 'connection')
      head += `${name}: ${value}\r\n`;
  }
  return `${head}\r\n`;
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
