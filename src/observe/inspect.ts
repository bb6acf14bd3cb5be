// What the library holds at a moment, for the project's own tests: they compare it with what they know from outside, and so need no
// private member of any class. Looking changes nothing: no reader or writer is created by it.

import { Connection } from '../connection/connection.js';
import { type Network, type Owner, SlotState } from '../connection/network.js';
import type { Slot } from '../event-layer/event-layer.js';
import { PartialHead } from '../http/h1/partial-head.js';
import type { Thread } from '../threads/thread.js';

/** @internal */
export interface InspectedConnection {
  readonly slot: Slot;
  /** `reading`: idle but for the beginning of a request head, which has come. */
  readonly state: keyof typeof SlotState | 'reading';
  /** The object that stands for it while it works; undefined while it is a row of numbers. */
  readonly record: object | undefined;
  /** The thread that works for it, if there is one. */
  readonly thread: Thread<unknown> | undefined;
  /** When it is ended if nothing happens, in milliseconds of the scheduler; `Infinity` for never. */
  readonly deadline: number;
  /** Bytes of output that have not left. */
  readonly queued: number;
  /** Bytes that were received and that no thread has read. */
  readonly unread: number;
  /** Bytes of the buffer that these stand in. */
  readonly readBuffer: number;
}

const stateNames = Object.keys(SlotState) as (keyof typeof SlotState)[]; // these are its keys

/** @internal @returns undefined if no connection has the slot */
export function inspectConnection(network: Network, slot: Slot): InspectedConnection | undefined {
  const state = stateNames.find((name) => SlotState[name] === network.state(slot)) ?? 'free';
  if (state === 'free') return undefined;
  const record = network.record(slot);
  const reader = record instanceof Connection ? record.createdReader : undefined;
  // Listeners of HTTP have this method.
  const owner: (Owner & { isReading?(slot: Slot): boolean }) | undefined = network.owner(slot);
  const isReading = state === 'idle' && owner?.isReading?.(slot) === true;
  return {
    slot,
    state: isReading ? 'reading' : state,
    record,
    thread: record?.thread,
    deadline: network.deadline(slot),
    queued: network.transport(slot).queued(slot),
    unread: reader?.buffered ?? 0,
    readBuffer: reader?.bytes.length ?? 0,
  };
}

/** @internal Those that are not closed, of clients and servers. */
export function inspectConnections(network: Network): InspectedConnection[] {
  const connections: InspectedConnection[] = [];
  for (let slot = 0; slot < network.slots; slot++) {
    const connection = inspectConnection(network, slot);
    if (connection !== undefined) connections.push(connection);
  }
  return connections;
}

/** @internal Timers that are armed. */
export function armedTimers(network: Network): number {
  return network.scheduler.timers.size;
}

/** @internal Secure transports that listeners and clients use. */
export function usedTransports(network: Network): number {
  return network.secureTransports;
}

/** @internal Bytes of memory that the process holds for request heads that have come in part. */
export function partialHeadBytes(): number {
  return PartialHead.held;
}
