// What the first bytes of a client are. They are read before node:tls gets them.

import { findServerName, maxClientHello } from '../client-hello.js';
import { startsLikeHttp } from '../plain-http.js';
import { headerBytes, majorVersion, maxContent, maxExpansion } from '../session.js';

export type FirstBytes =
  /** They do not show it yet. */
  | { is: 'incomplete' }
  /** A request of HTTP without TLS. */
  | { is: 'http' }
  /** The beginning of TLS, or of something that node:tls is to refuse. */
  | { is: 'tls'; serverName: string | undefined };

const handshakeType = 22;

/** @param bytes what has arrived so far */
export function readFirstBytes(bytes: Buffer): FirstBytes {
  if (bytes.length < headerBytes) return { is: 'incomplete' };
  if (startsLikeHttp(bytes, 0, bytes.length)) return { is: 'http' };
  const end = recordsEnd(bytes);
  const found = findServerName(bytes.subarray(0, end));
  if (found !== undefined) return { is: 'tls', serverName: found.serverName };
  return isHandshake(bytes, 0) && bytes.length < maxClientHello
    ? { is: 'incomplete' }
    : { is: 'tls', serverName: undefined };
}

/** Where the last whole record ends. */
function recordsEnd(bytes: Buffer): number {
  let end = 0;
  while (end + headerBytes <= bytes.length && isHandshake(bytes, end)) {
    const next = end + headerBytes + bytes.readUInt16BE(end + 3);
    if (next > bytes.length) break;
    end = next;
  }
  return end;
}

function isHandshake(bytes: Buffer, at: number): boolean {
  const isRecord = bytes[at] === handshakeType && bytes[at + 1] === majorVersion;
  return isRecord && bytes.readUInt16BE(at + 3) <= maxContent + maxExpansion;
}
