// The errors of event layers: why a connection has ended or could not be made, and what a command has done wrong.

import { type Address, ConnectionError, formatAddress, pieceSize, type Slot } from './event-layer.js';

/** Plain words for codes of the system, for messages. */
const explanations: Partial<Record<string, string>> = {
  ECONNREFUSED: 'no server listens there (ECONNREFUSED)',
  ECONNRESET: 'the peer has reset it (ECONNRESET)',
  EPIPE: 'the peer takes no more output (EPIPE)',
  ENOENT: 'there is no such path (ENOENT)',
};

/** Where a connection was to go, and where it was to come from, if that was said. */
export interface Target {
  readonly address: Address;
  readonly localAddress: string | undefined;
}

/** A connection could not be made. @param meaning the system's own words */
export function connectFailed(target: Target, code: string, meaning: string, cause?: unknown): ConnectionError {
  const origin = target.localAddress === undefined ? '' : ` from ${target.localAddress}`;
  return systemError(`cannot connect to ${formatAddress(target.address)}${origin}`, code, meaning, cause);
}

/** A connection has broken. @param which as `describeConnection` says it */
export function connectionLost(which: string, code: string, meaning: string, cause?: unknown): ConnectionError {
  return systemError(`${which} has broken`, code, meaning, cause);
}

function systemError(what: string, code: string, meaning: string, cause: unknown): ConnectionError {
  const detail = explanations[code] ?? (meaning || code);
  return new ConnectionError(code, `${what}: ${detail}`, cause === undefined ? undefined : { cause });
}

/**
 * @param target only if it is a client's
 * @param peer the peer's address, empty if it is not known
 * @param listening where it was accepted
 */
export function describeConnection(target: Target | undefined, peer: string, listening: Address | undefined): string {
  if (target !== undefined) return `the connection to ${formatAddress(target.address)}`;
  if (peer !== '') return `the connection from ${peer}`;
  return listening === undefined ? 'the connection' : `a connection accepted on ${formatAddress(listening)}`;
}

/** The most bytes of a Unix-domain socket's path on Linux: sizeof(sun_path), less the zero at its end (unix(7)). Others have less. */
const longestPath = 107;

/** Where the system would cut a path short, or node:net does. @throws {ConnectionError} `ENAMETOOLONG`, `ERR_ADDRESS` */
export function checkPath(path: string): void {
  if (path.includes('\0'))
    throw new ConnectionError('ERR_ADDRESS', `${JSON.stringify(path)}: the path of a socket has a zero byte`);
  const { length } = Buffer.from(path);
  if (length <= longestPath) return;
  throw new ConnectionError(
    'ENAMETOOLONG',
    `${path}: the path of a Unix-domain socket has ${length} bytes; at most ${longestPath} are possible`,
  );
}

/** Listening has failed. */
export function listenFailed(address: Address, code: string, meaning: string, cause?: unknown): ConnectionError {
  const hint =
    'path' in address && code === 'EADDRINUSE' ? ' (a server answers there, or the file is not an unused socket)' : '';
  return systemError(`cannot listen on ${formatAddress(address)}`, code, `${meaning}${hint}`, cause);
}

/** The layer is closed. @param what the command that was called */
export function layerClosed(what: string): ConnectionError {
  return new ConnectionError('ERR_CLOSED', `${what}: the layer is closed`);
}

/** A command was given for a slot that is free. */
export function slotClosed(slot: Slot): ConnectionError {
  return new ConnectionError('ERR_SLOT', `slot ${slot} has no connection: its caller has missed that it closed`);
}

/** @throws {ConnectionError} `ERR_RESERVE` for more bytes than may be reserved at once */
export function checkReserve(bytes: number): void {
  if (bytes <= pieceSize) return;
  throw new ConnectionError('ERR_RESERVE', `${bytes} bytes reserved; at most ${pieceSize} may be`);
}

/** `commit` was called after `finish`. */
export function writtenAfterFinish(): ConnectionError {
  return new ConnectionError('ERR_FINISHED', 'output was written after finish');
}
