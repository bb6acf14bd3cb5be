// Errors of connections as `net.Socket` reports them.

import { constants } from 'node:os';
import type { ConnectionError } from '../event-layer/event-layer.js';

/** An error of the connection, as net.Socket reports those of the system. */
export function errorOf(reason: ConnectionError): Error {
  const { code } = reason;
  return isSystemCode(code) ? systemError(code === 'EPIPE' ? 'write' : 'read', code, reason) : reason;
}

export function isSystemCode(code: string): boolean {
  return Object.hasOwn(constants.errno, code);
}

/** Like an error of a system call in Node. @param code its name (errno(3)) */
export function systemError(call: 'read' | 'write', code: string, cause: unknown): Error {
  const errno = -Number(Reflect.get(constants.errno, code));
  return Object.assign(new Error(`${call} ${code}`, { cause }), { errno, code, syscall: call });
}
