// The table of connections of the portable layer: the socket of each, and a row of a few numbers. Output has its own columns (output.ts).

import type { Socket } from 'node:net';
import { slotClosed } from '../errors.js';
import type { Slot } from '../event-layer.js';
import { dropped, firstOwnFlag, SlotTable } from '../slots.js';

export * from '../slots.js';

/** The peer's FIN has arrived, and is reported when reading is resumed. (node:net reports it although the socket is paused.) */
export const endHeld = firstOwnFlag;
/** It has had its share of this round of the event loop: the rest of its input is read in the next. */
export const overshare = 2 * firstOwnFlag;
/** Its TLS handshake is in progress: nothing is read or written. */
export const securing = 4 * firstOwnFlag;

/** The slot of a socket. It stays when the slot is freed: `sockets` shows whether it is still this socket's. */
const slotKey = Symbol('slot');
export interface SlotSocket extends Socket {
  [slotKey]?: Slot;
}

export class Slots extends SlotTable {
  readonly sockets: (SlotSocket | undefined)[] = [];

  allocate(socket: SlotSocket, flags: number): Slot {
    const slot = this.take(flags);
    this.sockets[slot] = socket;
    socket[slotKey] = slot;
    return slot;
  }

  /** Puts the socket with the plain bytes in place of the one that carries the records. */
  replace(slot: Slot, socket: SlotSocket): void {
    this.sockets[slot] = socket;
    socket[slotKey] = slot;
  }

  override free(slot: Slot): void {
    this.sockets[slot] = undefined;
    super.free(slot);
  }

  /** @throws {ConnectionError} `ERR_SLOT` */
  socketOf(slot: Slot): SlotSocket {
    const socket = this.sockets[slot];
    if (socket === undefined) throw slotClosed(slot);
    return socket;
  }

  /** @returns undefined for a socket whose slot has been freed */
  slotOf(socket: SlotSocket): Slot | undefined {
    const slot = socket[slotKey];
    return slot !== undefined && this.sockets[slot] === socket ? slot : undefined;
  }

  /** Whether events of this socket are still reported: the slot is still its own, and has not been closed here. */
  isReported(socket: SlotSocket, slot: Slot): boolean {
    return this.sockets[slot] === socket && (this.flags[slot] & dropped) === 0;
  }
}
