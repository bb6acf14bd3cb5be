// The server name in a ClientHello (RFC 8446 §4.1.2, RFC 6066 §3), by which the certificate is chosen before OpenSSL sees any of it. OpenSSL judges the
// message: one that is not well-formed has no name here.

import { ByteBuilder } from '../util/byte-builder.js';
import { headerBytes } from './session.js';

const handshakeType = 22;
const clientHelloType = 1;
const messageHeader = 4;
/** version, random */
const fixedFields = 2 + 32;
const serverNameExtension = 0;
const hostNameType = 0;

/** A ClientHello that is not complete after so many bytes of records is refused. Those of browsers have 2 KB. */
export const maxClientHello = 32_768;

/** Takes records until it has a whole ClientHello. Each byte is copied a bounded number of times, however many records it comes in. */
export class ClientHelloRecords {
  readonly #records = new ByteBuilder();
  readonly #message = new ByteBuilder();
  /** The first bytes of the message: its type and its length. */
  readonly #header: number[] = [];

  /** Bytes of memory that it takes. */
  get memory(): number {
    return this.#records.capacity + this.#message.capacity;
  }

  /** Bytes of all records. */
  get length(): number {
    return this.#records.length;
  }

  /** @param record a whole one @returns whether the message is complete, or no ClientHello */
  add(record: Uint8Array): boolean {
    this.#records.add(record);
    const fragment = fragmentOf(record);
    if (fragment === undefined) return true;
    this.#message.add(fragment);
    const header = this.#header;
    for (let i = 0; i < fragment.length && header.length < messageHeader; i++) header.push(fragment[i]);
    if (header[0] !== clientHelloType) return true;
    return header.length === messageHeader && this.#message.length >= messageLength(header);
  }

  /** Ends it. @returns all records, and the server name, if there is one */
  finish(): { records: Uint8Array; serverName: string | undefined } {
    return { records: this.#records.toBytes(), serverName: serverNameIn(this.#message.toBytes()) };
  }
}

/**
 * Looks for the server name in a sequence of whole records.
 * @returns undefined if more records are needed
 */
export function findServerName(records: Uint8Array): { serverName: string | undefined } | undefined {
  const hello = new ClientHelloRecords();
  for (let at = 0; at < records.length; ) {
    const next = at + headerBytes + uint16(records, at + 3);
    if (hello.add(records.subarray(at, next))) return hello.finish();
    at = next;
  }
  return undefined;
}

/** Whether one record has a whole ClientHello, as nearly all have. */
export function hasWholeClientHello(record: Uint8Array): boolean {
  const fragment = fragmentOf(record);
  if (fragment === undefined || fragment[0] !== clientHelloType) return false;
  return fragment.length >= messageHeader && fragment.length >= messageLength(fragment);
}

/** The server name in a record with a whole ClientHello. */
export function serverNameOf(record: Uint8Array): string | undefined {
  return serverNameIn(record.subarray(headerBytes));
}

function messageLength(header: ArrayLike<number>): number {
  return messageHeader + ((header[1] << 16) | (header[2] << 8) | header[3]);
}

/** The content of a record; undefined if it is not of a handshake, or has none. */
function fragmentOf(record: Uint8Array): Uint8Array | undefined {
  if (record[0] !== handshakeType || record.length <= headerBytes) return undefined;
  return record.subarray(headerBytes);
}

/** @param message with its header @returns the name in lower case; undefined if there is none, or this is no ClientHello */
function serverNameIn(message: Uint8Array): string | undefined {
  if (message[0] !== clientHelloType) return undefined;
  const hello = message.subarray(messageHeader, messageLength(message));
  let at = fixedFields;
  at += 1 + hello[at]; // legacy_session_id
  at += 2 + uint16(hello, at); // cipher_suites
  at += 1 + hello[at]; // legacy_compression_methods
  const end = at + 2 + uint16(hello, at);
  at += 2;
  if (!(end <= hello.length)) return undefined; // also if a length was missing, which is NaN
  while (at + 4 <= end) {
    const next = at + 4 + uint16(hello, at + 2);
    if (next > end) return undefined;
    if (uint16(hello, at) === serverNameExtension) return hostNameIn(hello, at + 4, next);
    at = next;
  }
  return undefined;
}

/** The host name in a list of server names, which has one at most. */
function hostNameIn(bytes: Uint8Array, start: number, end: number): string | undefined {
  const at = start + 5; // lengths of the list and of the name, and its type
  const nameEnd = at + uint16(bytes, start + 3);
  if (at >= end || bytes[start + 2] !== hostNameType || nameEnd > end) return undefined;
  let name = '';
  for (let i = at; i < nameEnd; i++) {
    if (bytes[i] <= 0x20 || bytes[i] >= 0x7f) return undefined; // no host name
    name += String.fromCharCode(bytes[i]);
  }
  return name === '' ? undefined : name.toLowerCase();
}

function uint16(bytes: Uint8Array, at: number): number {
  return bytes[at] * 256 + bytes[at + 1];
}
