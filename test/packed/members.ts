// The members that the classes of the packed library have for its users. Compiled by packed-types.test.ts and scripts/packed.mjs against the
// types that are shipped: a member that is neither listed here nor marked `@internal` is an error, and so is one that is missing.

import type { Channel, Connection, Reader, Semaphore, TcpServer, Thread, Writer } from 'sluice';

/** Names that differ; both are `never` if there are none. */
type Differences<Found, Expected> = {
  unexpected: Exclude<Found, Expected>;
  missing: Exclude<Expected, Found>;
};

type Same = Differences<never, never>;

declare const connection: Differences<
  keyof Connection,
  'reader' | 'writer' | 'peer' | 'tls' | 'closed' | 'reason' | 'reset'
>;

declare const reader: Differences<
  keyof Reader,
  'timeout' | 'buffered' | 'ended' | 'read' | 'readExactly' | 'readUntil' | 'readLine' | 'peek' | 'skip' | 'readAll'
>;

declare const writer: Differences<keyof Writer, 'timeout' | 'flooded' | 'finished' | 'write' | 'flush' | 'end'>;

declare const thread: Differences<
  keyof Thread<unknown>,
  | 'id'
  | 'name'
  | 'parent'
  | 'children'
  | 'scheduler'
  | 'state'
  | 'wait'
  | 'waitingSince'
  | 'outcome'
  | 'failure'
  | 'unwound'
  | 'reason'
  | 'unwind'
  | 'join'
  | 'result'
  | 'toString'
>;

declare const scheduler: Differences<keyof Thread<unknown>['scheduler'], 'now' | 'unwindLimit'>;

declare const channel: Differences<
  keyof Channel<string>,
  'capacity' | 'length' | 'closed' | 'send' | 'trySend' | 'receive' | 'tryReceive' | 'close'
>;

declare const semaphore: Differences<keyof Semaphore, 'available' | 'acquire' | 'release' | 'use'>;

declare const tcpServer: Differences<
  keyof TcpServer,
  | 'address'
  | 'port'
  | 'eventLayer'
  | 'connections'
  | 'buffered'
  | 'threads'
  | 'reload'
  | 'close'
  | typeof Symbol.asyncDispose
>;

export const all: Same[] = [connection, reader, writer, thread, scheduler, channel, semaphore, tcpServer];
