// What the ring is asked to do: an entry of its queue for each operation, and which of them are in flight.
//
// Operations, and how long the memory that they point to must stay valid:
//   accept, receive   until cancelled or over; receives point to the provided buffers, which the layer keeps until the ring is gone,
//                     and accepts to where the peer's address goes
//   poll              for a socket that is to become writable, for a hang-up while nothing is read, for libuv; points to nothing
//   send              does not wait for the socket (MSG_DONTWAIT): it is over, in whole or in part, when `enter` returns, and the
//                     slab is ours again. One that is taken whole has no completion at all, so that it does not end a wait
//   cancel, close     over when `enter` returns
//
// The user data of an operation: what it is (3 bits) and its slot in the low half, the slot's generation in the high half, so
// that a late completion is not taken for one of the slot's next connection. For an accept: its listener, and a number.

import { growTypedArray } from '../../util/typed-array.js';
import type { ListenerId, Slot } from '../event-layer.js';
import { EBADF } from '../linux/libc.js';
import { firstRows, type Slots } from '../linux/slots.js';
import { lingerNot, SHUT_WR, SO_LINGER, SOCK_CLOEXEC, SOL_SOCKET } from '../linux/sockets.js';
import { bufferGroup } from './buffers.js';
import type { Ring } from './ring.js';

// Operations; io_uring_enter(2).
const OP_POLL_ADD = 6;
const OP_ACCEPT = 13;
const OP_ASYNC_CANCEL = 14;
const OP_CLOSE = 19;
const OP_SEND = 26;
const OP_RECV = 27;
const OP_SHUTDOWN = 34;
const OP_URING_CMD = 46;
const OP_FIXED_FD_INSTALL = 54;

const IOSQE_FIXED_FILE = 1;
const IOSQE_BUFFER_SELECT = 1 << 5;
const IOSQE_CQE_SKIP_SUCCESS = 1 << 6;
// The upper half of an entry's first word.
const RECV_MULTISHOT = 2 << 16;
const POLL_MULTISHOT = 1;
const CANCEL_ALL = 1;
const CANCEL_ANY = 4;
const FILE_INDEX_ALLOC = -1;
const SOCKET_URING_OP_SETSOCKOPT = 3;
/** Not to wait; but what can be sent is sent to the end, or the completion says how much. */
const sendFlags = 0x40 | 0x100; // MSG_DONTWAIT, MSG_WAITALL

// Of a completion.
export const CQE_F_BUFFER = 1;
export const CQE_F_MORE = 2;
// poll(2).
const POLLIN = 1;
export const POLLOUT = 4;
export const POLLERR = 8;
export const POLLHUP = 16;

// What an operation is, in its user data.
export const accepting = 1;
export const receiving = 2;
export const sending = 3;
export const writable = 4;
export const hangUp = 5;
export const host = 6;
export const installing = 7;
export const kindBits = 3;
export const kindMask = 7;

// Of each slot, what is in flight.
export const receiveArmed = 1;
export const receiveCancelled = 2;
export const writableArmed = 4;
export const hangUpArmed = 8;
/** Reading although reading is paused or over, to learn what has happened. */
export const readingForError = 16;
/** Nothing is read from it, and it is yet to be watched whether it hangs up: see hang-ups.ts. */
export const needsHangupPoll = 32;
/** Its descriptor is one of the ring's own. */
export const direct = 64;
/** A poll has brought nothing but the peer's FIN, which the kernel adds to what is polled for. */
export const peerHalfClosed = 128;

/**
 * Whether the kernel ends a multishot receive after a number of bytes (Linux 6.17). One that does not refuses the operation before it looks
 * at the descriptor, of which there is none. To be asked before anything else is submitted.
 */
export function canLimitReceives(ring: Ring): boolean {
  const at = ring.take(OP_RECV, IOSQE_BUFFER_SELECT, -1, receiving, 0);
  setReceive(ring.entries, at, 1);
  ring.enter(0);
  return ring.next() && ring.result === -EBADF;
}

function setReceive(entries: Int32Array, at: number, limit: number): void {
  entries[at] |= RECV_MULTISHOT;
  entries[at + 10] = bufferGroup;
  entries[at + 11] = limit;
}

export class Operations {
  /** What is in flight, by slot. */
  flags = new Uint8Array(firstRows);
  /** Operations that have a last completion to come. */
  inFlight = 0;
  readonly #ring: Ring;
  readonly #slots: Slots;
  readonly #sendFlags: number;
  readonly #receiveLimit: number;

  /**
   * @param silentSends sends that were taken whole have no completion
   * @param receiveLimit bytes after which a receive ends; 0 is no limit
   */
  constructor(ring: Ring, slots: Slots, silentSends: boolean, receiveLimit: number) {
    this.#ring = ring;
    this.#slots = slots;
    this.#sendFlags = silentSends ? IOSQE_CQE_SKIP_SUCCESS : 0;
    this.#receiveLimit = receiveLimit;
  }

  grow(rows: number): void {
    this.flags = growTypedArray(this.flags, new Uint8Array(rows));
  }

  isDirect(slot: Slot): boolean {
    return (this.flags[slot] & direct) !== 0;
  }

  /**
   * Accepts one connection.
   * @param number the high half of its user data
   * @param isDirect into the ring's own table
   * @param address where the kernel writes the peer's address, and `lengthAddress` where it reads and writes how long that is
   */
  accept(
    descriptor: number,
    id: ListenerId,
    number: number,
    isDirect: boolean,
    address: number,
    lengthAddress: number,
  ): void {
    const at = this.#ring.take(OP_ACCEPT, 0, descriptor, accepting | (id << kindBits), number);
    const { entries } = this.#ring;
    entries[at + 2] = lengthAddress | 0;
    entries[at + 3] = (lengthAddress / 0x100000000) | 0;
    entries[at + 4] = address | 0;
    entries[at + 5] = (address / 0x100000000) | 0;
    if (isDirect) entries[at + 11] = FILE_INDEX_ALLOC;
    else entries[at + 7] = SOCK_CLOEXEC;
    this.inFlight++;
  }

  /** Receives until it is cancelled, at its limit, or out of buffers. */
  receive(slot: Slot): void {
    const how = IOSQE_BUFFER_SELECT | this.#fixed(slot);
    const at = this.#take(OP_RECV, how, slot, receiving);
    setReceive(this.#ring.entries, at, this.#receiveLimit);
    this.flags[slot] |= receiveArmed;
    this.inFlight++;
  }

  /** Sends bytes from an address, as many as the kernel takes at once. */
  send(slot: Slot, address: number, bytes: number): void {
    const at = this.#take(OP_SEND, this.#sendFlags | this.#fixed(slot), slot, sending);
    const { entries } = this.#ring;
    entries[at + 4] = address | 0;
    entries[at + 5] = (address / 0x100000000) | 0;
    entries[at + 6] = bytes;
    entries[at + 7] = sendFlags;
  }

  /** Waits for events. @param isMultishot continues after it has reported some */
  poll(slot: Slot, kind: number, events: number, isMultishot: boolean): void {
    const at = this.#take(OP_POLL_ADD, this.#fixed(slot), slot, kind);
    const { entries } = this.#ring;
    if (isMultishot) entries[at + 6] = POLL_MULTISHOT;
    entries[at + 7] = events;
    this.inFlight++;
  }

  /** Waits for libuv to have something to do. */
  pollHost(descriptor: number): void {
    const at = this.#ring.take(OP_POLL_ADD, 0, descriptor, host, 0);
    this.#ring.entries[at + 7] = POLLIN;
    this.inFlight++;
  }

  /** Cancels an operation of a slot. */
  cancelOf(slot: Slot, kind: number): void {
    this.cancel(kind | (slot << kindBits), this.#slots.generations[slot]);
  }

  /** Cancels the operation with that user data. */
  cancel(low: number, high: number): void {
    const at = this.#ring.take(OP_ASYNC_CANCEL, IOSQE_CQE_SKIP_SUCCESS, -1, 0, 0);
    const { entries } = this.#ring;
    entries[at + 4] = low;
    entries[at + 5] = high;
  }

  /** Cancels all that is in flight. */
  cancelAll(): void {
    const at = this.#ring.take(OP_ASYNC_CANCEL, IOSQE_CQE_SKIP_SUCCESS, -1, 0, 0);
    this.#ring.entries[at + 7] = CANCEL_ALL | CANCEL_ANY;
  }

  close(descriptor: number, isDirect: boolean): void {
    const at = this.#ring.take(OP_CLOSE, IOSQE_CQE_SKIP_SUCCESS, isDirect ? 0 : descriptor, 0, 0);
    if (isDirect) this.#ring.entries[at + 11] = descriptor + 1;
  }

  // What only the ring's own descriptors are asked of it.

  /** Sends FIN, on a thread of the kernel. */
  shutDown(descriptor: number): void {
    const at = this.#ring.take(OP_SHUTDOWN, IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS, descriptor, 0, 0);
    this.#ring.entries[at + 6] = SHUT_WR;
  }

  /** Makes an ordinary descriptor of it, besides. The completion says which. */
  install(descriptor: number): void {
    this.#ring.take(OP_FIXED_FD_INSTALL, IOSQE_FIXED_FILE, descriptor, installing, 0);
  }

  /** Sets SO_LINGER, as `setsockopt` does for ordinary descriptors. @param address where the kernel reads its value */
  setLinger(descriptor: number, address: number): void {
    const at = this.#ring.take(OP_URING_CMD, IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS, descriptor, 0, 0);
    const { entries } = this.#ring;
    entries[at + 2] = SOCKET_URING_OP_SETSOCKOPT;
    entries[at + 4] = SOL_SOCKET;
    entries[at + 5] = SO_LINGER;
    entries[at + 11] = lingerNot.length;
    entries[at + 12] = address | 0;
    entries[at + 13] = (address / 0x100000000) | 0;
  }

  #fixed(slot: Slot): number {
    return (this.flags[slot] & direct) !== 0 ? IOSQE_FIXED_FILE : 0;
  }

  /** An entry for an operation on a slot's descriptor. */
  #take(operation: number, flags: number, slot: Slot, kind: number): number {
    const { descriptors, generations } = this.#slots;
    return this.#ring.take(operation, flags, descriptors[slot], kind | (slot << kindBits), generations[slot]);
  }
}
