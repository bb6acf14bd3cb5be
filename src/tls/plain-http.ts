// A client that speaks HTTP without TLS to a port with TLS. It could make nothing of an alert, so it gets a response that says what is wrong.

import { Buffer } from 'node:buffer';
import { headerBytes } from './session.js';

/** How requests start, whatever their method is, in as many bytes as a record's header has. No record starts like this. */
const start = /^(?:[A-Z]{5}|[A-Z]{4} |[A-Z]{3} [*/h])/;

/** Whether `bytes` has the beginning of a request at `at`. @param end where the bytes end, at least `headerBytes` after `at` */
export function startsLikeHttp(bytes: Uint8Array, at: number, end: number): boolean {
  if (end - at < headerBytes || bytes[at] < 0x41 || bytes[at] > 0x5a) return false;
  return start.test(String.fromCharCode(...bytes.subarray(at, at + headerBytes)));
}

const text = 'This port speaks HTTPS: the URL must start with https://\n';

/** A response with status 400 (RFC 9110 §15.5.1). @param date milliseconds since the Unix epoch */
export function plainHttpResponse(date: number): Uint8Array {
  const head = [
    'HTTP/1.1 400 Bad Request',
    'connection: close',
    'content-type: text/plain',
    `content-length: ${text.length}`,
    `date: ${new Date(date).toUTCString()}`,
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${text}`, 'latin1');
}
