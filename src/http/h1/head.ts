// The head of a request: request line and fields, parsed in one pass over the bytes (RFC 9112 §2 to §5). The parser can stop
// at any byte and go on when more have come, so a client that drips bytes costs O(1) for each, and it refuses a byte when it
// sees it, so the outcome does not depend on how the bytes were cut. It makes no string: it validates everything, keeps what
// the framing of the message depends on, and leaves the rest to `H1Request`, which reads fields again if they are asked for.
//
// Strict throughout: what a lenient recipient could read in two ways is refused, since a proxy in front may read it in the other.

import { Buffer } from 'node:buffer';
import { bytesEqual, copyBytes, viewOf } from '../../util/fast-bytes.js';
import { HttpError } from '../errors.js';
import type { HeadLimits } from '../limits.js';
import * as characters from './characters.js';

// As constants of this module: the engine loads what is imported each time.
const { classes, DIGIT, HOST, LABEL, TARGET, TOKEN, VALUE } = characters;

/** No handler has longer methods (RFC 9112 §3: 501). */
const maxMethodLength = 32;
/**
 * CONNECT is for proxies (RFC 9110 §9.3.6), TRACE would show what they have put in (§9.3.8), and TRACK is another name of that. In any
 * letters, since a Request by them cannot be made, nor cloned (https://fetch.spec.whatwg.org/#forbidden-method).
 */
const forbiddenMethods = ['connect', 'trace', 'track'];
/** What begins with a word that is longer than this is no request line. */
const maxWordLength = 256;

const SP = 32;
const HTAB = 9;
const CR = 13;
const LF = 10;
const COMMA = 44;
const DOT = 46;
const ZERO = 48;
const COLON = 58;
const SLASH = 47;
const ASTERISK = 42;
const QUESTION = 63;
const LETTER_A = 97;

// What the parser expects next, in the order in which it comes. (These are no members of an object: the engine would load each time what it
// takes for constant here.)
const inEmptyLines = 0;
const inEmptyLineEnd = 1;
const inMethod = 2;
const inTarget = 3;
const inVersion = 4;
const atField = 5;
const inName = 6;
const beforeValue = 7;
const inValue = 8;
const inValueEnd = 9;
const inHeadEnd = 10;

/** Fields that decide about framing or about the connection. */
const Field = { other: 0, host: 1, contentLength: 2, transferEncoding: 3, connection: 4, expect: 5 } as const;
const otherField: number = Field.other;

const names = [
  { name: 'host', field: Field.host },
  { name: 'expect', field: Field.expect },
  { name: 'connection', field: Field.connection },
  { name: 'content-length', field: Field.contentLength },
  { name: 'transfer-encoding', field: Field.transferEncoding },
];
const longestName = 'transfer-encoding'.length;
/** The same by the length of the name: no two are equally long. And their first four letters, as `viewOf` reads them. */
const namesByLength = Array.from({ length: longestName + 1 }, (_, length) => {
  const known = names.find(({ name }) => name.length === length);
  return known && { ...known, first: Buffer.from(known.name).readInt32LE() };
});

/** `GET `, as `viewOf` reads it. */
const getAndSpace = 0x20544547;
/** What a request line ends with; in place of each digit there may be another. */
const versionLine = Uint8Array.from('HTTP/1.1\r\n', (character) => character.charCodeAt(0));

export class Head {
  /** Bytes of the head, empty lines before it included; final when `parse` has returned true. */
  length = 0;
  /** Where things stand, counted from the first byte that `parse` was given. */
  methodStart = 0;
  methodEnd = 0;
  targetStart = 0;
  targetEnd = 0;
  fieldsStart = 0;
  /** Of the Host field's value; both 0 if there is none. */
  hostStart = 0;
  hostEnd = 0;
  /** Minor version: 1, or 0 for HTTP/1.0. A higher one counts as 1 (RFC 9110 §2.5). */
  minor: 0 | 1 = 1;
  /** The method is HEAD. */
  isHead = false;
  /** The target is `*`: the request is about the server, and not about anything on it. */
  asterisk = false;
  /** From Content-Length; -1 if there is none. */
  contentLength = -1;
  /** Transfer-Encoding: chunked. */
  chunked = false;
  /** Connection: close. */
  close = false;
  /** Connection: keep-alive. */
  keepAlive = false;
  /** Expect: 100-continue. */
  expectsContinue = false;

  /** Where parsing goes on, counted like the rest. */
  #at = 0;
  #expect: number = inEmptyLines;
  #field = otherField;
  #fieldCount = 0;
  #hasHost = false;
  #markStart = 0;

  /** Makes it a new one. */
  reset(): void {
    this.length = 0;
    this.methodStart = 0;
    this.methodEnd = 0;
    this.targetStart = 0;
    this.targetEnd = 0;
    this.fieldsStart = 0;
    this.hostStart = 0;
    this.hostEnd = 0;
    this.minor = 1;
    this.isHead = false;
    this.asterisk = false;
    this.contentLength = -1;
    this.chunked = false;
    this.close = false;
    this.keepAlive = false;
    this.expectsContinue = false;
    this.#at = 0;
    this.#expect = inEmptyLines;
    this.#field = otherField;
    this.#fieldCount = 0;
    this.#hasHost = false;
    this.#markStart = 0;
  }

  /** True once anything but empty lines has come. */
  get hasStarted(): boolean {
    return this.#expect > inEmptyLineEnd;
  }

  /**
   * Goes on parsing. `bytes[start]` is always the first byte of the head, wherever it stands by now.
   * @param limit end (exclusive) of what has come so far
   * @returns true when the head is complete, false when it needs more bytes
   * @throws {HttpError}
   */
  parse(bytes: Uint8Array, start: number, limit: number, limits: HeadLimits): boolean {
    try {
      return this.#parse(bytes, start, limit, limits);
    } catch (error) {
      if (error instanceof HttpError) error.isHead = this.isHead;
      throw error;
    }
  }

  /** What is expected next stands in the order in which it comes, so that a head which is whole runs through from one to the other. */
  #parse(bytes: Uint8Array, from: number, limit: number, limits: HeadLimits): boolean {
    // (`| 0`: what is known to have 32 bits need not be looked at again in every round of a loop.)
    const start = from | 0;
    const fours = viewOf(bytes);
    const most = (start + limits.headSize) | 0;
    const end = minimum(limit | 0, most);
    let at = (start + this.#at) | 0;
    let expect = this.#expect | 0;
    while (at < end && expect < atField) {
      switch (expect) {
        case inEmptyLines: // RFC 9112 §2.2: before the request line they are ignored
          if (bytes[at] === CR) {
            expect = inEmptyLineEnd;
            at++;
            break;
          }
          this.methodStart = at - start;
          expect = inMethod;
          break;

        case inEmptyLineEnd:
          if (bytes[at] !== LF) throw bareCr();
          expect = inEmptyLines;
          at++;
          break;

        case inMethod: {
          const from = start + this.methodStart;
          if (at === from && end - at > 4 && fours.getInt32(at, true) === getAndSpace) {
            at += 4; // at a glance: what most requests begin with
            this.methodEnd = at - 1 - start;
            this.targetStart = at - start;
            expect = inTarget;
            break;
          }
          const stop = minimum(end, from + maxWordLength + 1);
          while (at < stop && (classes[bytes[at]] & TOKEN) !== 0) at++;
          if (at === stop) {
            if (at > from + maxWordLength)
              throw new HttpError(400, `RFC 9112 §3: no method within ${maxWordLength} characters`);
            break;
          }
          if (bytes[at] !== SP || at === from)
            throw new HttpError(400, 'RFC 9112 §3.1: the method is no token followed by one space');
          this.methodEnd = at - start;
          this.#checkMethod(bytes, from, at);
          this.targetStart = this.methodEnd + 1;
          expect = inTarget;
          at++;
          break;
        }

        case inTarget: {
          const from = start + this.targetStart;
          const stop = minimum(end, from + limits.targetSize + 1);
          while (at < stop && (classes[bytes[at]] & TARGET) !== 0) at++;
          if (at === stop) {
            if (at > from + limits.targetSize)
              throw new HttpError(414, `RFC 9112 §3: a request target of more than ${limits.targetSize} bytes`);
            break;
          }
          if (bytes[at] !== SP || at === from) {
            throw new HttpError(
              400,
              'RFC 9112 §3.2: the request target has white space, a control character or a #, or is missing',
            );
          }
          this.targetEnd = at - start;
          this.#checkTargetForm(bytes, start);
          this.#markStart = this.targetEnd + 1;
          expect = inVersion;
          at++;
          break;
        }

        case inVersion:
          if (at === start + this.#markStart && end - at >= versionLine.length && isVersionLine(fours, at)) {
            at += versionLine.length;
            this.fieldsStart = at - start;
          } else {
            at = this.#version(bytes, start, at, end) | 0;
          }
          if (this.fieldsStart > 0) expect = atField;
          break;
      }
    }
    while (at < end) {
      if (expect === atField) {
        const byte = bytes[at];
        if (byte === CR) {
          expect = inHeadEnd;
          if (++at === end) break;
        } else {
          if (byte === SP || byte === HTAB) {
            throw new HttpError(
              400,
              'RFC 9112 §5.2 and §2.2: a line begins with white space (obs-fold, or white space before the first field)',
            );
          }
          if (++this.#fieldCount > limits.fieldCount)
            throw new HttpError(431, `RFC 6585 §5: more than ${limits.fieldCount} fields`);
          this.#markStart = at - start;
          expect = inName;
        }
      }
      if (expect === inHeadEnd) {
        if (bytes[at] !== LF) throw bareCr();
        this.#expect = expect;
        this.length = at + 1 - start;
        this.#checkMessage();
        return true;
      }
      if (expect === inName) {
        // At a glance: the one name that every request has.
        if (at === start + this.#markStart && end - at > 4 && isHost(fours, at) && bytes[at + 4] === COLON) at += 4;
        while (at < end && (classes[bytes[at]] & TOKEN) !== 0) at++;
        if (at === end) break;
        if (bytes[at] !== COLON || at === start + this.#markStart) {
          throw new HttpError(400, 'RFC 9112 §5.1: a field name is no token directly followed by a colon');
        }
        this.#field = fieldOf(bytes, fours, start + this.#markStart, at);
        expect = beforeValue;
        if (++at === end) break;
      }
      if (expect === beforeValue) {
        while (at < end && (bytes[at] === SP || bytes[at] === HTAB)) at++;
        if (at === end) break;
        this.#markStart = at - start;
        expect = inValue;
      }
      if (expect === inValue) {
        at = endOfValue(bytes, fours, at, end) | 0;
        if (at === end) break;
        if (bytes[at] !== CR) {
          throw new HttpError(
            400,
            'RFC 9110 §5.5: a field value has a control character, or ends with a bare LF (RFC 9112 §2.2)',
          );
        }
        if (this.#field !== otherField) this.#known(bytes, start, at);
        expect = inValueEnd;
        if (++at === end) break;
      }
      if (bytes[at] !== LF) throw bareCr(); // what is expected is the end of a value
      expect = atField;
      at++;
    }
    this.#expect = expect;
    if (at >= most) throw new HttpError(431, `RFC 6585 §5: a head of more than ${limits.headSize} bytes`);
    this.#at = at - start;
    return false;
  }

  /** The version and its CRLF, looked at byte by byte as it comes. */
  #version(bytes: Uint8Array, start: number, from: number, end: number): number {
    const begin = (start + this.#markStart) | 0;
    let at = from | 0;
    for (; at < end && at < begin + versionLine.length; at++) {
      const byte = bytes[at];
      const place = at - begin;
      const isRight = byte === versionLine[place] || ((place === 5 || place === 7) && (classes[byte] & DIGIT) !== 0);
      if (!isRight)
        throw new HttpError(
          400,
          'RFC 9112 §2.3: the request line does not end with one space, an HTTP version and CRLF',
        );
    }
    if (at < begin + versionLine.length) return at;
    if (bytes[begin + 5] !== 49)
      throw new HttpError(505, 'RFC 9110 §15.6.6: only major version 1 of HTTP is spoken here');
    this.minor = bytes[begin + 7] === 48 ? 0 : 1;
    this.fieldsStart = at - start;
    return at;
  }

  /** What is no handler's, whatever it is asked for. */
  #checkMethod(bytes: Uint8Array, from: number, to: number): void {
    if (to - from > maxMethodLength)
      throw new HttpError(501, `RFC 9112 §3: a method of more than ${maxMethodLength} characters`);
    if (to - from === 3) return; // GET and PUT: none of those that follow is as short
    this.isHead = equals(bytes, from, to, 'HEAD');
    for (const method of forbiddenMethods)
      if (equals(bytes, from, to, method))
        throw new HttpError(501, `RFC 9110 §9.1: the fetch standard has no request by ${method.toUpperCase()}`);
  }

  /** The forms of RFC 9112 §3.2, but for authority-form, which is CONNECT's. */
  #checkTargetForm(bytes: Uint8Array, start: number): void {
    const first = bytes[start + this.targetStart];
    if (first === SLASH) return;
    if (first === ASTERISK && this.targetEnd - this.targetStart === 1) {
      this.asterisk = equals(bytes, start + this.methodStart, start + this.methodEnd, 'OPTIONS');
      if (this.asterisk) return;
    }
    const from = start + this.targetStart;
    const scheme = startsWith(bytes, from, 'http://') ? 7 : startsWith(bytes, from, 'https://') ? 8 : 0;
    const end = start + this.targetEnd;
    let authorityEnd = from + scheme;
    while (authorityEnd < end && bytes[authorityEnd] !== SLASH && bytes[authorityEnd] !== QUESTION) authorityEnd++;
    if (scheme > 0 && authorityEnd > from + scheme) {
      checkAuthority(bytes, from + scheme, authorityEnd);
      return;
    }
    throw new HttpError(400, 'RFC 9112 §3.2: the request target has none of the forms for this method');
  }

  /** Takes in a field that decides about framing or about the connection. */
  #known(bytes: Uint8Array, start: number, valueEnd: number): void {
    const from = start + this.#markStart;
    let to = valueEnd;
    while (to > from && (bytes[to - 1] === SP || bytes[to - 1] === HTAB)) to--;
    switch (this.#field) {
      case Field.host:
        if (this.#hasHost) throw new HttpError(400, 'RFC 9112 §3.2: more than one Host field');
        this.#hasHost = true;
        checkAuthority(bytes, from, to);
        this.hostStart = from - start;
        this.hostEnd = to - start;
        break;
      case Field.contentLength: {
        // A list of equal values could be taken as one (RFC 9110 §8.6); to refuse it is the other thing allowed, and the safe one.
        if (this.contentLength !== -1) throw new HttpError(400, 'RFC 9110 §8.6: more than one Content-Length field');
        let length = 0;
        for (let at = from; at < to; at++) {
          if ((classes[bytes[at]] & DIGIT) === 0) length = Number.NaN;
          else length = length * 10 + (bytes[at] - 48);
        }
        if (from === to || Number.isNaN(length))
          throw new HttpError(400, 'RFC 9110 §8.6: Content-Length is not made of digits alone');
        if (length > Number.MAX_SAFE_INTEGER)
          throw new HttpError(400, 'RFC 9110 §8.6: Content-Length is beyond what can be counted');
        this.contentLength = length;
        break;
      }
      case Field.transferEncoding:
        if (this.chunked) throw new HttpError(400, 'RFC 9112 §6.1: more than one Transfer-Encoding field');
        if (!equals(bytes, from, to, 'chunked')) throw badCodings(bytes, from, to);
        this.chunked = true;
        break;
      case Field.connection:
        if (equals(bytes, from, to, 'keep-alive')) {
          this.keepAlive = true; // what nearly everybody says, and not worth a list
          break;
        }
        this.#connectionOptions(bytes, from, to);
        break;
      case Field.expect:
        this.#expectations(bytes, from, to);
        break;
    }
  }

  /** Looks for the two connection options that concern this side. Behind `close` none counts any more. */
  #connectionOptions(bytes: Uint8Array, from: number, to: number): void {
    // Not with `findElement`: a list of empty elements would call it for each byte.
    let isStart = true;
    for (let at = from | 0; at < to; at++) {
      const byte = bytes[at];
      if (byte === COMMA) {
        isStart = true;
      } else if (isStart && byte !== SP && byte !== HTAB) {
        isStart = false;
        if (isElement(bytes, at, to, 'close')) {
          this.close = true;
          return;
        }
        if (!this.keepAlive) this.keepAlive = isElement(bytes, at, to, 'keep-alive');
      }
    }
  }

  /** @throws {HttpError} at the first expectation that cannot be met */
  #expectations(bytes: Uint8Array, from: number, to: number): void {
    for (let at = from; at < to; ) {
      at = findElement(bytes, at, to);
      if (elementStart === elementEnd) continue; // RFC 9110 §5.6.1: empty elements do not count
      if (!equals(bytes, elementStart, elementEnd, '100-continue'))
        throw new HttpError(417, 'RFC 9110 §10.1.1: an expectation other than 100-continue');
      this.expectsContinue = true;
    }
  }

  /** What can only be said of the whole head. */
  #checkMessage(): void {
    if (this.chunked && this.contentLength !== -1) {
      throw new HttpError(400, 'RFC 9112 §6.1: both Transfer-Encoding and Content-Length');
    }
    if (this.minor === 0) {
      if (this.chunked) throw new HttpError(400, 'RFC 9112 §6.1: Transfer-Encoding in an HTTP/1.0 message');
      this.expectsContinue = false; // RFC 9110 §10.1.1
    } else if (!this.#hasHost) {
      throw new HttpError(400, 'RFC 9112 §3.2: no Host field');
    }
  }
}

/** Whether `versionLine` stands there: at a glance, since nearly every request has it, and has it whole. */
function isVersionLine(fours: DataView, at: number): boolean {
  return (
    fours.getInt32(at, true) === 0x50545448 &&
    fours.getInt32(at + 4, true) === 0x312e312f &&
    fours.getInt16(at + 8, true) === 0x0a0d
  );
}

/** Whether `Host` stands there, in any letters. */
function isHost(fours: DataView, at: number): boolean {
  return (fours.getInt32(at, true) | 0x20202020) === 0x74736f68;
}

/** @returns where the first byte stands, from `at` on, that is not of the class VALUE; `end` if there is none */
function endOfValue(bytes: Uint8Array, fours: DataView, at: number, end: number): number {
  // Values are most of what a browser sends, so they are looked at by four bytes, up to the first four of which one is below 0x20 or
  // is 0x7f: such a byte less 0x20, or less one when turned over, has its highest bit set and had not before. (Sean Eron Anderson,
  // "Bit Twiddling Hacks", hasless. What it borrows from the next byte does not matter, since the four are looked at again one by one.)
  let place = at | 0;
  for (; place + 4 <= end; place += 4) {
    const four = fours.getInt32(place, true);
    const turned = four ^ 0x7f7f7f7f;
    if (((((four - 0x20202020) | 0) & ~four) | (((turned - 0x01010101) | 0) & ~turned)) & 0x80808080) break;
  }
  while (place < end && (classes[bytes[place]] & VALUE) !== 0) place++;
  return place;
}

/** Math.min for integers: of that the engine makes floating-point numbers, and of all that is compared with them. */
function minimum(one: number, other: number): number {
  if (one < other) return one;
  return other;
}

function bareCr(): HttpError {
  return new HttpError(400, 'RFC 9112 §2.2: a CR without LF');
}

/**
 * The most bytes of a host and its port. Names have at most 255 (RFC 3986 §3.2.2, RFC 1035 §2.3.4); 6 more are for the colon and the port. The
 * cost of checking a host, and the memory of those that are known, have their bounds by this.
 */
const maxHostLength = 255 + 6;

/** Hosts that are well-formed, and not plain: nearly every request repeats one. Bounded, and emptied when full. */
const knownHosts = new Set<string>();
const knownHostsLimit = 256;

const hostBytes = new ArrayBuffer(maxHostLength);
/** By length, a view of as many of these bytes; made when it is first needed. */
const hostViews: DataView[] = [];
/** The last host that was found well-formed: most often the next request has the same. */
let lastHost: DataView = new DataView(hostBytes, 0, 0);

/** Refuses what is no host and port (RFC 9110 §7.2, RFC 3986 §3.2), or empty (RFC 9110 §4.2.1): the URL of the request is made of it. */
function checkAuthority(bytes: Uint8Array, from: number, to: number): void {
  const length = to - from;
  if (length === 0 || length > maxHostLength) throw badHost();
  if (bytesEqual(bytes, from, to, lastHost)) return;
  if (!isPlainHost(bytes, from, to)) checkHost(stringOf(bytes, from, to));
  lastHost = hostViews[length] ??= new DataView(hostBytes, 0, length);
  copyBytes(bytes, from, lastHost, 0, length);
}

/**
 * Whether it is certain at a glance that a URL parser takes the host: a name of labels, of which the last begins with a letter, or it might be
 * an address, and none with `xn--`, and perhaps a port. Clients that change their host with each request are to cost little more than others.
 */
function isPlainHost(bytes: Uint8Array, from: number, to: number): boolean {
  let label = from;
  let at = from;
  for (; at < to; at++) {
    const byte = bytes[at];
    if (byte === DOT) label = at + 1;
    else if (byte === COLON) break;
    else if ((classes[byte] & LABEL) === 0) return false;
    else if (at === label + 3 && startsWith(bytes, label, 'xn--')) return false;
  }
  if (label === at || (bytes[label] | 0x20) < LETTER_A) return false;
  let port = 0;
  for (at++; at < to; at++) {
    if ((classes[bytes[at]] & DIGIT) === 0) return false;
    port = port * 10 + bytes[at] - ZERO;
  }
  return port <= 65_535;
}

function checkHost(host: string): void {
  if (knownHosts.has(host)) return;
  for (let at = 0; at < host.length; at++) if ((classes[host.charCodeAt(at)] & HOST) === 0) throw badHost();
  if (!/^(\[[0-9a-fA-F:.]+\]|[^[\]:]+)(:[0-9]*)?$/.test(host) || !URL.canParse(`http://${host}/`)) throw badHost();
  if (knownHosts.size >= knownHostsLimit) knownHosts.clear();
  knownHosts.add(host);
}

function badHost(): HttpError {
  return new HttpError(400, 'RFC 9112 §3.2: the Host field, or the authority of the target, is no host and port');
}

function fieldOf(bytes: Uint8Array, fours: DataView, from: number, to: number): number {
  const length = to - from;
  const known = length <= longestName ? namesByLength[length] : undefined;
  if (known === undefined) return Field.other;
  // Of what may stand in a name, this makes letters of letters alone.
  if ((fours.getInt32(from, true) | 0x20202020) !== known.first) return Field.other;
  return length === 4 || startsWith(bytes, from, known.name) ? known.field : Field.other;
}

/** Compares bytes with a string, US-ASCII letters without regard to case unless the string has upper case. */
function equals(bytes: Uint8Array, from: number, to: number, text: string): boolean {
  return to - from === text.length && startsWith(bytes, from, text);
}

function startsWith(bytes: Uint8Array, from: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const expected = text.charCodeAt(i);
    const byte = bytes[from + i];
    if (byte === expected) continue;
    if (expected < 97 || expected > 122 || byte !== expected - 32) return false;
  }
  return true;
}

function stringOf(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('latin1');
}

/** Whether the element of a list that begins there is this text, in lower case, in any letters. */
function isElement(bytes: Uint8Array, from: number, to: number, text: string): boolean {
  let end = from + text.length;
  if (end > to || (bytes[from] | 0x20) !== text.charCodeAt(0) || !startsWith(bytes, from, text)) return false;
  while (end < to && (bytes[end] === SP || bytes[end] === HTAB)) end++;
  return end === to || bytes[end] === COMMA;
}

// What `findElement` has found. Variables, so that it makes no object for an element: a list may have thousands.
let elementStart = 0;
let elementEnd = 0;

/**
 * Finds the element of a comma-separated list that begins at `from`, without the white space around it (RFC 9110 §5.6.1).
 * @returns where the next one begins; more than `to` if there is none
 */
function findElement(bytes: Uint8Array, from: number, to: number): number {
  let at = from | 0;
  while (at < to && (bytes[at] === SP || bytes[at] === HTAB)) at++;
  elementStart = at;
  let end = at;
  for (; at < to; at++) {
    const byte = bytes[at];
    if (byte === COMMA) break;
    if (byte !== SP && byte !== HTAB) end = (at + 1) | 0;
  }
  elementEnd = end;
  return at + 1;
}

const codingWithParameters =
  /^[!#$%&'*+\-.^_`|~0-9a-z]+([ \t]*;[ \t]*[!#$%&'*+\-.^_`|~0-9a-z]+[ \t]*=[ \t]*([!#$%&'*+\-.^_`|~0-9a-z]+|"([^"\\]|\\.)*"))*$/i;

/** RFC 9112 §7: transfer-coding. Most are a token, for which no string is made. */
function isTransferCoding(bytes: Uint8Array, from: number, to: number): boolean {
  let at = from;
  while (at < to && (classes[bytes[at]] & TOKEN) !== 0) at++;
  return at === to ? to > from : codingWithParameters.test(stringOf(bytes, from, to));
}

/**
 * Why a Transfer-Encoding that is not `chunked` alone is refused. Elements that are empty are refused, too, though a list may have
 * them: a proxy might take `, chunked` for something else, and the body for the next request.
 */
function badCodings(bytes: Uint8Array, from: number, to: number): HttpError {
  let isChunkedLast = false;
  for (let at = from; at <= to; ) {
    if (isChunkedLast) return badChunked();
    at = findElement(bytes, at, to);
    if (!isTransferCoding(bytes, elementStart, elementEnd))
      return new HttpError(400, 'RFC 9112 §7: Transfer-Encoding is no list of transfer codings');
    isChunkedLast = equals(bytes, elementStart, elementEnd, 'chunked');
    if (!isChunkedLast && isChunkedWithParameters(bytes, elementStart, elementEnd)) return badChunked();
  }
  return isChunkedLast ? new HttpError(501, 'RFC 9112 §6.1: a transfer coding other than chunked') : badChunked();
}

/** Of a transfer coding: it is `chunked`, and something stands behind that. */
function isChunkedWithParameters(bytes: Uint8Array, from: number, to: number): boolean {
  const end = from + 'chunked'.length;
  return end < to && startsWith(bytes, from, 'chunked') && (classes[bytes[end]] & TOKEN) === 0;
}

function badChunked(): HttpError {
  return new HttpError(
    400,
    'RFC 9112 §6.3: chunked is not the last transfer coding, or stands there twice, or has parameters',
  );
}
