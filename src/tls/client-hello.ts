// The server name in a ClientHello (RFC 8446 §4.1.2, RFC 6066 §3), by which the certificate is chosen before OpenSSL sees any of it. OpenSSL judges the
// message: one that is not well-formed has no name here.

import { headerBytes } from './session.js';

const handshakeType = 22;
const clientHelloType = 1;
const messageHeader = 4;
/** version, random */
const fixedFields = 2 + 32;
const serverNameExtension = 0;
const hostNameType = 0;

/** A ClientHello of which this many bytes have come and which is not complete is refused. Those of browsers have 2 KB. */
export const maxClientHello = 32_768;

/**
 * The handshake message in a sequence of whole records.
 * @returns undefined if more records are needed; an empty array if it is no ClientHello
 */
export function clientHelloIn(records: Uint8Array): Uint8Array | undefined {
  const first = fragmentAt(records, 0);
  if (first === undefined) return empty;
  let message = first;
  for (let at = headerBytes + first.length; ; ) {
    if (message.length >= 1 && message[0] !== clientHelloType) return empty;
    if (message.length >= messageHeader) {
      const end = messageHeader + ((message[1] << 16) | (message[2] << 8) | message[3]);
      if (end <= message.length) return message.subarray(messageHeader, end);
    }
    if (at >= records.length) return undefined;
    const next = fragmentAt(records, at);
    if (next === undefined) return empty;
    const joined = new Uint8Array(message.length + next.length);
    joined.set(message);
    joined.set(next, message.length);
    message = joined;
    at += headerBytes + next.length;
  }
}

const empty = new Uint8Array(0);

/** The content of the record at `at`; undefined if it is not of a handshake, or has none. */
function fragmentAt(records: Uint8Array, at: number): Uint8Array | undefined {
  const end = at + headerBytes + ((records[at + 3] << 8) | records[at + 4]);
  if (records[at] !== handshakeType || end === at + headerBytes) return undefined;
  return records.subarray(at + headerBytes, end);
}

/** @param hello without its header @returns the name in lower case; undefined if there is none */
export function serverNameIn(hello: Uint8Array): string | undefined {
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
