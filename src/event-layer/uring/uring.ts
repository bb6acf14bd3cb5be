// The contract over io_uring(7). The kernel accepts and receives by itself (multishot operations), into buffers that all
// connections share; what a turn has to say to it, sends above all, goes in with one system call, which is also the one that waits.
//
// What is in flight, and until when what it points to must stay:
//   accept, receive   until cancelled or over; receives point to the provided buffers, which the layer keeps until the ring is gone
//   poll              for a socket that is to become writable, for a hang-up while nothing is read, for libuv; points to nothing
//   send              does not wait for the socket (MSG_DONTWAIT): it is over, in whole or in part, when `enter` returns, and the
//                     slab is ours again. One that is taken whole has no completion at all, so that nobody is woken for it
//   cancel, close     over when `enter` returns
//
// The user data of an operation: what it is (3 bits) and its slot in the low half, the slot's generation in the high half, so
// that a completion for a slot that has a new tenant is known for what it is.

import type { ListenerId, Slot } from '../event-layer.js';
import { EAGAIN, ECANCELED, ECONNABORTED, ECONNRESET, EINTR, ENOBUFS } from '../linux/libc.js';
import { LinuxLayer } from '../linux/linux-layer.js';
import type { Listening } from '../linux/listening.js';
import { map, type Region, unmap } from '../linux/memory.js';
import { dropped, ended, extended, firstRows, open, paused } from '../linux/slots.js';
import { lingerNot, makeBlocking, peerName, SHUT_WR, SO_LINGER, SOCK_CLOEXEC, SOL_SOCKET } from '../linux/sockets.js';
import { Buffers, bufferGroup } from './buffers.js';
import { Files } from './files.js';
import { Ring } from './ring.js';

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
const ACCEPT_MULTISHOT = 1 << 16;
const RECV_MULTISHOT = 2 << 16;
const CANCEL_ALL_OF_FD = 3;
const CANCEL_FD_FIXED = 8;
const FILE_INDEX_ALLOC = -1;
const SOCKET_URING_OP_SETSOCKOPT = 3;
const CQE_F_BUFFER = 1;
const CQE_F_MORE = 2;
/** Not to wait; but what can be sent is sent to the end, or the completion says how much. */
const sendFlags = 0x40 | 0x100; // MSG_DONTWAIT, MSG_WAITALL
const POLLIN = 1;
const POLLOUT = 4;
const POLLERR = 8;
const POLLHUP = 16;
const POLL_MULTISHOT = 1;

// What an operation is, in its user data.
const accepting = 1;
const receiving = 2;
const sending = 3;
const writable = 4;
const hangUp = 5;
const host = 6;
const installing = 7;
const kindBits = 3;
const kindMask = 7;

// Of each slot, what is in flight.
const receiveArmed = 1;
const receiveCancelled = 2;
const writableArmed = 4;
const hangUpArmed = 8;
/** Reading although reading is paused or over, to learn what has happened. */
const probing = 16;
/** Stands in `#resting`. */
const toWatch = 32;
/** Its descriptor is one of the ring's own. */
const direct = 64;
/** A poll has brought nothing but the peer's FIN, which the kernel adds to what is polled for. */
const halfOver = 128;

/**
 * How the layer is set up. Tests make the sizes small, all of them powers of two but for `directDescriptors`; the bench does without one of
 * the others at a time, to see what each is worth.
 */
export interface UringSettings {
  submissionEntries: number;
  completionEntries: number;
  /** Buffers that the kernel receives into, and bytes of each. */
  bufferCount: number;
  bufferSize: number;
  /** Connections in the ring's own table, at most; 0 is to do without. */
  directDescriptors: number;
  /** The ring's descriptor is looked up once, and not by each system call. */
  registeredRing: boolean;
  /** Sends that were taken whole have no completion. */
  silentSends: boolean;
  /** What a turn sends goes in with the system call that waits. */
  sendsInWait: boolean;
}

const usualSettings: UringSettings = {
  submissionEntries: 4096,
  completionEntries: 16_384,
  bufferCount: 1024,
  bufferSize: 4096,
  directDescriptors: 65_536,
  registeredRing: true,
  silentSends: true,
  sendsInWait: true,
};

const EFD_CLOEXEC_NONBLOCK = 0x80800;
/** For what is read from an eventfd(2), which is of no interest. */
const scratch = new Uint8Array(8);

export class UringLayer extends LinuxLayer {
  readonly name = 'uring';
  protected readonly submitsInWait: boolean;
  readonly #sendFlags: number;
  readonly #ring: Ring;
  readonly #buffers: Buffers;
  readonly #files: Files;
  /** Where the kernel reads that closing is to send RST. */
  readonly #linger: Region;
  /** What the last `installing` has brought. */
  #installed = -1;
  #operations = new Uint8Array(firstRows);
  /** Operations that have a last completion to come. */
  #inFlight = 0;
  readonly #troubles = { noBuffers: 0, shortSends: 0, ordinary: 0 };
  #hostArmed = false;
  /** Libuv has had something to do since `wait` last returned. */
  #hostSeen = false;
  #isAlone = true;
  #eventfd = -1;
  /** Slots that are not read from now: it is to be watched whether they hang up. */
  #resting: Slot[] = [];
  /** Listeners whose accept is in flight, and the high half of its user data: odd if it accepts into the ring's table. */
  readonly #acceptArmed = new Map<ListenerId, number>();
  #accepts = 0;
  /** Told when the accept of a listener that is closed is over. */
  readonly #stopped = new Map<ListenerId, () => void>();

  /** @throws {ConnectionError} `ERR_EVENT_LAYER` where it cannot be had */
  constructor(settings: Partial<UringSettings> = {}) {
    super();
    const all = { ...usualSettings, ...settings };
    this.submitsInWait = all.sendsInWait;
    this.#sendFlags = all.silentSends ? IOSQE_CQE_SKIP_SUCCESS : 0;
    const { submissionEntries, completionEntries } = all;
    const look = (low: number, high: number, result: number): boolean => this.#look(low, high, result);
    this.#ring = new Ring(this.libc, submissionEntries, completionEntries, all.registeredRing, look);
    this.#buffers = new Buffers(this.libc, this.#ring, all.bufferCount, all.bufferSize);
    this.#files = new Files(this.libc, this.#ring, all.directDescriptors);
    this.#linger = map(this.libc, 4096);
    this.#linger.bytes.set(lingerNot);
  }

  /** The ring's own descriptor is not woken by completions that wait for the ring to be entered; an eventfd is. */
  get pollable(): number {
    if (this.#eventfd === -1) {
      this.#eventfd = this.libc.eventfd(0, EFD_CLOEXEC_NONBLOCK);
      this.#ring.registerEventfd(this.#eventfd);
    }
    return this.#eventfd;
  }

  setAlone(isAlone: boolean): void {
    this.#isAlone = isAlone; // a poll of libuv's descriptor that is in flight tells once more, and does no harm
  }

  protected wait(milliseconds: number): boolean {
    const ring = this.#ring;
    if (this.#eventfd !== -1) this.libc.read(this.#eventfd, scratch, scratch.length);
    if (this.#isAlone && !this.#hostArmed) this.#armHost();
    this.#watchResting();
    if (milliseconds !== 0 || ring.unsubmitted > 0 || ring.isPending) ring.enter(milliseconds);
    this.hostReady = this.#hostSeen;
    this.#hostSeen = false;
    return ring.waiting > 0;
  }

  /** Sees each completion as soon as it is there. @returns whether that was all there is to it */
  #look(low: number, _high: number, result: number): boolean {
    switch (low & kindMask) {
      case sending:
        if (this.#sendFlags !== 0) this.#troubles.shortSends++;
        this.sentShort(low >>> kindBits, result);
        return true;
      case installing:
        this.#installed = result;
        return true;
      case host:
        this.#hostArmed = false;
        this.#hostSeen = true;
        this.#inFlight--;
        return true;
      default:
        return false;
    }
  }

  protected collect(): void {
    const ring = this.#ring;
    // What is there now: handling it may bring more, which has its turn after all others have had theirs.
    for (let left = ring.waiting; left > 0 && ring.next(); left--) {
      const { low, high, result, flags } = ring;
      const slot = low >>> kindBits;
      if ((flags & CQE_F_MORE) === 0) this.#inFlight--;
      switch (low & kindMask) {
        case receiving:
          this.#received(slot, high, result, flags);
          break;
        case accepting:
          this.#accepted(slot, high, result, flags);
          break;
        case writable:
          this.#writable(slot, high, result, flags);
          break;
        case hangUp:
          if (!this.#isTenant(slot, high)) break;
          if ((flags & CQE_F_MORE) === 0) this.#operations[slot] &= ~hangUpArmed;
          // The kernel adds the peer's FIN to what is polled for; that alone is no hang-up.
          if (result > 0 && (result & (POLLERR | POLLHUP)) !== 0) this.#probe(slot);
          break;
      }
    }
    this.#buffers.publish();
  }

  #isTenant(slot: Slot, generation: number): boolean {
    return this.slots.generations[slot] === generation >>> 0 && (this.slots.flags[slot] & dropped) === 0;
  }

  #received(slot: Slot, generation: number, result: number, flags: number): void {
    const isTenant = this.#isTenant(slot, generation);
    if (isTenant && (flags & CQE_F_MORE) === 0) this.#operations[slot] &= ~(receiveArmed | receiveCancelled);
    if ((flags & CQE_F_BUFFER) !== 0) {
      const id = flags >>> 16;
      this.#buffers.taken++;
      const start = id * this.#buffers.size;
      if (isTenant && result > 0) this.sink.received(slot, this.#buffers.bytes, start, start + result);
      this.#buffers.give(id);
    }
    if (!isTenant || !this.#isTenant(slot, generation)) return;
    if (result === 0) this.#end(slot);
    else if (result < 0 && result !== -ENOBUFS && result !== -ECANCELED && result !== -EINTR && result !== -EAGAIN)
      this.broke(slot, -result);
    // A receive that has ended by itself, or for want of buffers, is armed again.
    else if ((flags & CQE_F_MORE) === 0) {
      if (result === -ENOBUFS) {
        this.#troubles.noBuffers++;
        this.#buffers.publish(); // the ring may be entered before the turn is over, in vain if they were not there by then
      }
      this.updateReading(slot);
    }
  }

  #writable(slot: Slot, generation: number, result: number, flags: number): void {
    if (result === -ECANCELED || !this.#isTenant(slot, generation)) return;
    const goesOn = (flags & CQE_F_MORE) !== 0;
    if (!goesOn) this.#operations[slot] &= ~writableArmed;
    if (result > 0 && (result & (POLLOUT | POLLERR | POLLHUP)) === 0) {
      this.#operations[slot] |= halfOver;
      this.awaitWritable(slot);
      return;
    }
    if (goesOn) {
      this.#operations[slot] &= ~writableArmed;
      this.#cancel(writable | (slot << kindBits), generation);
    }
    this.becameWritable(slot);
  }

  #end(slot: Slot): void {
    const wasEnded = (this.slots.flags[slot] & ended) !== 0;
    this.#operations[slot] &= ~probing;
    if (wasEnded) {
      this.broke(slot, ECONNRESET); // it has hung up after its end
      return;
    }
    this.tellEnded(slot);
    this.#watchSoon(slot);
  }

  #accepted(id: ListenerId, serial: number, result: number, flags: number): void {
    const listening = this.listeners.get(id);
    const isDirect = (serial & 1) === 1;
    const isOver = (flags & CQE_F_MORE) === 0;
    if (isOver && this.#acceptArmed.get(id) === serial) this.#acceptArmed.delete(id);
    if (listening === undefined) return;
    if (result >= 0 && this.isClosing) {
      this.#close(result, isDirect);
    } else if (result >= 0) {
      const slot = this.allotAccepted(result, listening);
      if (!isDirect) {
        this.#troubles.ordinary++;
      } else {
        this.#operations[slot] = direct;
        if (++this.#files.open === this.#files.limit) this.#acceptAnew(); // with ordinary descriptors
      }
      this.updateReading(slot);
      this.sink.accepted(slot, id);
    } else if (result !== -ECANCELED && result !== -ECONNABORTED && result !== -EINTR && result !== -EAGAIN) {
      this.acceptFailed(listening, -result);
    }
    if (!isOver) return;
    if (listening.open && !listening.resting) this.startAccepting(listening);
    else this.#stopped.get(id)?.();
  }

  override beginListening(listening: Listening): void {
    this.#files.expect(listening.backlog + 1);
    super.beginListening(listening);
  }

  /** Ends all accepts. They are armed again when they have ended, as is right then. */
  #acceptAnew(): void {
    for (const listening of this.listeners.all()) this.pauseAccepting(listening);
  }

  startAccepting({ descriptor, id }: Listening): void {
    if (this.#acceptArmed.has(id)) return;
    const isDirect = this.#files.hasRoom;
    const serial = 2 * ++this.#accepts + (isDirect ? 1 : 0);
    this.#acceptArmed.set(id, serial);
    const at = this.#ring.take(OP_ACCEPT, 0, descriptor, accepting | (id << kindBits), serial);
    const { entries } = this.#ring;
    entries[at] |= ACCEPT_MULTISHOT;
    if (isDirect) entries[at + 11] = FILE_INDEX_ALLOC;
    else entries[at + 7] = SOCK_CLOEXEC;
    this.#inFlight++;
  }

  pauseAccepting({ id }: Listening): void {
    const serial = this.#acceptArmed.get(id);
    if (serial !== undefined) this.#cancel(accepting | (id << kindBits), serial);
  }

  async stopListening(listening: Listening): Promise<void> {
    const { id, descriptor, backlog } = listening;
    this.#files.expect(-backlog - 1);
    this.pauseAccepting(listening);
    this.#close(descriptor, false);
    this.#ring.enter(0);
    if (!this.#acceptArmed.has(id)) return;
    await new Promise<void>((resolve) => this.#stopped.set(id, resolve));
    this.#stopped.delete(id);
  }

  adoptConnecting(slot: Slot): void {
    this.awaitWritable(slot);
  }

  protected adoptConnected(slot: Slot): void {
    makeBlocking(this.libc, this.slots.descriptors[slot]);
    this.updateReading(slot);
  }

  protected updateReading(slot: Slot): void {
    const operations = this.#operations[slot];
    const isWanted = (this.slots.flags[slot] & (paused | ended)) === 0 || (operations & probing) !== 0;
    if (isWanted === ((operations & receiveArmed) !== 0)) return;
    if (isWanted) {
      const low = receiving | (slot << kindBits);
      const how = IOSQE_BUFFER_SELECT | this.#fixed(slot);
      const at = this.#ring.take(OP_RECV, how, this.slots.descriptors[slot], low, this.slots.generations[slot]);
      this.#ring.entries[at] |= RECV_MULTISHOT;
      this.#ring.entries[at + 10] = bufferGroup;
      this.#operations[slot] |= receiveArmed;
      this.#inFlight++;
    } else {
      if ((operations & receiveCancelled) === 0)
        this.#cancel(receiving | (slot << kindBits), this.slots.generations[slot]);
      this.#operations[slot] |= receiveCancelled;
      this.#watchSoon(slot);
    }
  }

  awaitWritable(slot: Slot): void {
    if ((this.#operations[slot] & writableArmed) !== 0) return;
    const at = this.#poll(slot, POLLOUT, writable);
    // Once the peer has sent FIN, a poll that is over when it has something to tell is over at once, each time. One that goes on
    // tells the FIN as well, and then what is new; it is cancelled when it has said what it is for.
    if ((this.#operations[slot] & halfOver) !== 0) this.#ring.entries[at + 6] = POLL_MULTISHOT;
    this.#operations[slot] |= writableArmed;
  }

  #poll(slot: Slot, events: number, kind: number): number {
    const low = kind | (slot << kindBits);
    const at = this.#ring.take(
      OP_POLL_ADD,
      this.#fixed(slot),
      this.slots.descriptors[slot],
      low,
      this.slots.generations[slot],
    );
    this.#ring.entries[at + 7] = events;
    this.#inFlight++;
    return at;
  }

  /** Nothing is read from it: that it hangs up is to be noticed all the same. */
  #watchSoon(slot: Slot): void {
    if ((this.#operations[slot] & (toWatch | hangUpArmed)) !== 0) return;
    this.#operations[slot] |= toWatch;
    this.#resting.push(slot);
  }

  #probe(slot: Slot): void {
    if ((this.slots.flags[slot] & open) === 0 || (this.#operations[slot] & receiveArmed) !== 0) return;
    this.#operations[slot] |= probing;
    this.updateReading(slot);
  }

  send(slot: Slot, address: number, bytes: number): void {
    const low = sending | (slot << kindBits);
    const how = this.#sendFlags | this.#fixed(slot);
    const at = this.#ring.take(OP_SEND, how, this.slots.descriptors[slot], low, this.slots.generations[slot]);
    const { entries } = this.#ring;
    entries[at + 4] = address | 0;
    entries[at + 5] = (address / 0x100000000) | 0;
    entries[at + 6] = bytes;
    entries[at + 7] = sendFlags;
  }

  submit(): void {
    this.#watchResting();
    if (this.#ring.unsubmitted > 0) this.#ring.enter(0);
  }

  #watchResting(): void {
    if (this.#resting.length === 0) return;
    const slots = this.#resting;
    this.#resting = [];
    for (const slot of slots) this.#watch(slot);
  }

  #watch(slot: Slot): void {
    if ((this.#operations[slot] & toWatch) === 0) return;
    this.#operations[slot] &= ~toWatch;
    const isIdle = (this.#operations[slot] & (hangUpArmed | probing)) === 0;
    const flags = this.slots.flags[slot];
    if (!isIdle || (flags & (open | dropped)) !== open || (flags & (paused | ended)) === 0) return;
    this.#operations[slot] |= hangUpArmed;
    const at = this.#poll(slot, 0, hangUp);
    this.#ring.entries[at + 6] = POLL_MULTISHOT;
  }

  shutDown(slot: Slot): void {
    if ((this.#operations[slot] & direct) === 0) {
      this.libc.shutdown(this.slots.descriptors[slot], SHUT_WR);
      return;
    }
    // The ring's own way to shut down goes by a thread of the kernel's: it is for when there is no descriptor to be had.
    const descriptor = this.#install(slot);
    if (descriptor < 0) {
      const at = this.#ring.take(
        OP_SHUTDOWN,
        IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS,
        this.slots.descriptors[slot],
        0,
        0,
      );
      this.#ring.entries[at + 6] = SHUT_WR;
      return;
    }
    this.libc.shutdown(descriptor, SHUT_WR);
    this.libc.close(descriptor);
  }

  release(slot: Slot, reset: boolean): void {
    const descriptor = this.slots.descriptors[slot];
    const operations = this.#operations[slot];
    const isDirect = (operations & direct) !== 0;
    this.#operations[slot] = 0;
    if (reset && isDirect) this.#lingerNot(descriptor);
    else if (reset) this.libc.setsockopt(descriptor, SOL_SOCKET, SO_LINGER, lingerNot, lingerNot.length);
    if ((operations & (receiveArmed | writableArmed | hangUpArmed)) !== 0) {
      const at = this.#ring.take(OP_ASYNC_CANCEL, IOSQE_CQE_SKIP_SUCCESS, descriptor, 0, 0);
      this.#ring.entries[at + 7] = CANCEL_ALL_OF_FD | (isDirect ? CANCEL_FD_FIXED : 0);
    }
    this.#close(descriptor, isDirect);
    if (!isDirect) return;
    this.#files.open--;
    if (this.#files.hasEmptied) this.#acceptAnew(); // into the table
  }

  protected peerOf(slot: Slot): string {
    if ((this.#operations[slot] & direct) === 0) return peerName(this.libc, this.slots.descriptors[slot]);
    const descriptor = this.#install(slot);
    if (descriptor < 0) return '';
    const name = peerName(this.libc, descriptor);
    this.libc.close(descriptor);
    return name;
  }

  #fixed(slot: Slot): number {
    return (this.#operations[slot] & direct) !== 0 ? IOSQE_FIXED_FILE : 0;
  }

  /** Makes an ordinary descriptor of one of the ring's, for what only those are good for. @returns it, or a negative error number */
  #install(slot: Slot): number {
    this.#ring.take(OP_FIXED_FD_INSTALL, IOSQE_FIXED_FILE, this.slots.descriptors[slot], installing, 0);
    this.#installed = -1;
    this.#ring.enter(0);
    return this.#installed;
  }

  /** Sets SO_LINGER, as `setsockopt` does for ordinary descriptors. */
  #lingerNot(descriptor: number): void {
    const at = this.#ring.take(OP_URING_CMD, IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS, descriptor, 0, 0);
    const { entries } = this.#ring;
    const { address } = this.#linger;
    entries[at + 2] = SOCKET_URING_OP_SETSOCKOPT;
    entries[at + 4] = SOL_SOCKET;
    entries[at + 5] = SO_LINGER;
    entries[at + 11] = lingerNot.length;
    entries[at + 12] = address | 0;
    entries[at + 13] = (address / 0x100000000) | 0;
  }

  protected destroy(): void {
    const ring = this.#ring;
    if (this.#hostArmed) this.#cancel(host, 0);
    // Whatever is in flight has been cancelled; the memory that it points to is not given away before it is over.
    for (let i = 0; this.#inFlight > 0 && i < 1000; i++) {
      ring.enter(10);
      while (ring.next()) {
        if ((ring.flags & CQE_F_MORE) === 0) this.#inFlight--;
        if ((ring.low & kindMask) === accepting && ring.result >= 0 && (ring.high & 1) === 0)
          this.libc.close(ring.result);
      }
    }
    ring.close();
    if (this.#inFlight === 0) this.#buffers.close();
    unmap(this.libc, this.#linger);
    if (this.#eventfd !== -1) this.libc.close(this.#eventfd);
  }

  /** What it holds, and how often it has come to what seldom happens: for tests. */
  override get counts(): Record<string, number> {
    const direct = this.#files.open;
    const buffers = this.#buffers.taken;
    return { ...super.counts, inFlight: this.#inFlight, direct, buffers, ...this.#troubles, ...this.#ring.troubles };
  }

  protected grow(rows: number): void {
    this.#operations = extended(this.#operations, new Uint8Array(rows));
  }

  #armHost(): void {
    const at = this.#ring.take(OP_POLL_ADD, 0, this.host.descriptor, host, 0);
    this.#ring.entries[at + 7] = POLLIN;
    this.#hostArmed = true;
    this.#inFlight++;
  }

  /** Cancels the operation with that user data. */
  #cancel(low: number, high: number): void {
    const at = this.#ring.take(OP_ASYNC_CANCEL, IOSQE_CQE_SKIP_SUCCESS, -1, 0, 0);
    this.#ring.entries[at + 4] = low;
    this.#ring.entries[at + 5] = high;
  }

  #close(descriptor: number, isDirect: boolean): void {
    const at = this.#ring.take(OP_CLOSE, IOSQE_CQE_SKIP_SUCCESS, isDirect ? 0 : descriptor, 0, 0);
    if (isDirect) this.#ring.entries[at + 11] = descriptor + 1;
  }
}
