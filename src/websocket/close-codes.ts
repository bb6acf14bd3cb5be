// The status codes and reasons of Close frames (RFC 6455 §7.4).

import { Buffer } from 'node:buffer';
import { show } from '../util/inspect.js';
import { WebSocketError } from './errors.js';
import { checkUtf8, utf8Boundary, utf8Text } from './utf8.js';

export const closeCodes = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  unsupportedData: 1003,
  /** Never sent: the Close frame had no code. */
  noStatus: 1005,
  /** Never sent: the connection was lost without a Close frame. */
  abnormal: 1006,
  invalidData: 1007,
  policyViolation: 1008,
  tooBig: 1009,
  missingExtension: 1010,
  internalError: 1011,
  /** Not of RFC 6455, but of the IANA registry: the client may connect again later. */
  tryAgainLater: 1013,
} as const;

/** The most bytes of UTF-8 that a reason may have: a control frame's payload less the code. */
export const maxReasonBytes = 123;

/**
 * Whether a Close frame may have this code. RFC 6455 defines 1000 to 1011, the IANA registry adds 1012 to 1014; 1004 is reserved; 1005, 1006 and
 * 1015 never stand in a frame; 3000 to 3999 are registered by applications, and 4000 to 4999 are for private use.
 */
export function isCloseCode(code: number): boolean {
  if (code >= 3000) return code <= 4999;
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
}

/**
 * Checks what a program wants to close a WebSocket with.
 * @param where the function that it called, for the message
 * @param code without one, there must be no reason
 * @throws {TypeError} if the code is not a number, or the reason is not a string, or there is a reason without a code
 * @throws {RangeError} for a code that may not be sent, and a reason of more than 123 bytes
 */
export function checkClose(
  where: string,
  code: number | undefined,
  reason: string | undefined,
  role: 'server' | 'client',
): void {
  if (reason !== undefined && typeof reason !== 'string')
    throw new TypeError(`${where}: reason is ${show(reason)}; expected a string`);
  if (code === undefined) {
    if (reason !== undefined && reason !== '')
      throw new TypeError(`${where}: reason is given without a code (RFC 6455 §5.5.1); expected both`);
    return;
  }
  const isNumber = typeof code === 'number';
  if (
    !isNumber ||
    !Number.isInteger(code) ||
    !isCloseCode(code) ||
    (code === closeCodes.missingExtension && role === 'server')
  ) {
    const allowed = `1000 to 1003, 1007 to ${role === 'server' ? '1009, 1011 to ' : ''}1014, or 3000 to 4999`;
    const message = `${where}: code is ${show(code)}; expected ${allowed} (RFC 6455 §7.4)`;
    throw isNumber ? new RangeError(message) : new TypeError(message);
  }
  const length = reason === undefined ? 0 : Buffer.byteLength(reason);
  if (length > maxReasonBytes)
    throw new RangeError(`${where}: reason has ${length} bytes of UTF-8; expected at most ${maxReasonBytes}`);
}

/** The payload of a Close frame. `checkClose` has accepted code and reason. */
export function closePayload(code: number | undefined, reason = ''): Uint8Array {
  if (code === undefined) return new Uint8Array(0);
  const payload = new Uint8Array(2 + Buffer.byteLength(reason));
  payload[0] = code >>> 8;
  payload[1] = code & 255;
  new TextEncoder().encodeInto(reason, payload.subarray(2));
  return payload;
}

/** What a Close frame says. */
export interface CloseStatus {
  /** 1005 if the frame has none. */
  code: number;
  reason: string;
}

/**
 * Reads the payload of a Close frame (RFC 6455 §5.5.1).
 * @throws {WebSocketError} 1002 for half a code or one that may not be sent, 1007 if the reason is not UTF-8
 */
export function readClose(payload: Uint8Array): CloseStatus {
  const { length } = payload;
  if (length === 0) return { code: closeCodes.noStatus, reason: '' };
  if (length === 1)
    throw new WebSocketError(
      closeCodes.protocolError,
      'a Close frame has 1 byte of payload, half a code (RFC 6455 §5.5.1)',
    );
  const code = payload[0] * 256 + payload[1];
  if (!isCloseCode(code))
    throw new WebSocketError(
      closeCodes.protocolError,
      `a Close frame has the code ${code}, which may not be sent (RFC 6455 §7.4)`,
    );
  if (checkUtf8(payload, 2, length, utf8Boundary) !== utf8Boundary)
    throw new WebSocketError(closeCodes.invalidData, 'the reason of a Close frame is not UTF-8 (RFC 6455 §5.5.1)');
  return { code, reason: utf8Text(payload, 2, length) };
}
