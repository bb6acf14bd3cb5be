// The contract over epoll(7). One `epoll_wait` a turn says what is ready; each ready connection is read from once, into a
// buffer that all share, so that none keeps the others waiting, and what a turn has written is sent when the turn is over.
//
// A connection that was accepted over TCP, and is only read from, is reported once each time that something arrives (EPOLLET):
// the kernel need not look at it again in the next `epoll_wait`, to find that it has nothing. A read that may have left
// something has the kernel look again (`#lookAgain`): one that filled the buffer, or that was reported with more than input (the
// peer's FIN, an error, urgent data, at which a read ends); and so has one that was due while reading was paused. All else is
// level-triggered. (On a Unix-domain socket a read also ends where descriptors come along, which nothing reports.)

import { growTypedArray } from '../../util/typed-array.js';
import { departuresPerTurn } from '../departures.js';
import { type ListenerId, pieceSize, type Slot } from '../event-layer.js';
import { isPath } from '../linux/addresses.js';
import { check, EAGAIN, ECONNABORTED, ECONNRESET, EINTR, failure } from '../linux/libc.js';
import { LinuxLayer } from '../linux/linux-layer.js';
import type { Listening } from '../linux/listening.js';
import { map, type Region, unmap } from '../linux/memory.js';
import { blocked, connecting, departing, dropped, ended, firstRows, open, paused } from '../linux/slots.js';
import {
  lingerNot,
  localName,
  peerName,
  pendingError,
  SHUT_WR,
  SO_LINGER,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOL_SOCKET,
} from '../linux/sockets.js';

const EPOLL_CLOEXEC = 0x80000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
const EPOLLIN = 1;
const EPOLLPRI = 2;
const EPOLLOUT = 4;
const EPOLLERR = 8;
const EPOLLHUP = 16;
const EPOLLRDHUP = 0x2000;
const EPOLLET = 1 << 31;
/** Of TCP: a read takes all that is there, unless its buffer is full, or one of these is reported with EPOLLIN. */
const endsReads = EPOLLPRI | EPOLLERR | EPOLLHUP | EPOLLRDHUP;
const MSG_NOSIGNAL = 0x4000;

/** struct epoll_event is packed on x64: 32 bits of events, 64 of data. */
const eventWords = 3;
const betweenLooks = LinuxLayer.eventsPerLook - 1;
/** As many events as one `epoll_wait` may bring. */
const eventCount = 1024;
/** Connections that one turn accepts of a listener: no more than may leave. */
const acceptsPerTurn = departuresPerTurn;

// The data of an event: 32 bits that say whose it is, and 32 of the slot's generation.
const hostData = -1;
/** Listeners are numbered downwards from here. */
const firstListenerData = -2;

export class EpollLayer extends LinuxLayer {
  readonly name = 'epoll';
  protected readonly submitsInWait = false;
  readonly pollable: number;
  /** The events that the kernel knows of each slot. */
  #interests = new Uint8Array(firstRows);
  /** 1 for slots whose input is reported once. */
  #edges = new Uint8Array(firstRows);
  /** Slots whose interest may have changed. */
  #changed: Slot[] = [];
  readonly #event = new Int32Array(eventWords);
  readonly #eventBytes = new Uint8Array(this.#event.buffer);
  readonly #events: Region;
  readonly #ready: Int32Array;
  #readyCount = 0;
  /** How many of them have been reported. */
  #reportedCount = 0;
  readonly #input: Region;
  #isAlone = false;

  /** @throws {ConnectionError} where it is unavailable: `ERR_EVENT_LAYER`, or the code of the system call that has failed */
  constructor() {
    super();
    const { libc } = this;
    let pollable = -1;
    try {
      pollable = check(libc, 'epoll_create1', libc.epoll_create1(EPOLL_CLOEXEC));
      this.pollable = pollable;
      this.#events = map(libc, eventCount * 16);
      this.#ready = new Int32Array(this.#events.bytes.buffer, this.#events.bytes.byteOffset, eventCount * eventWords);
      this.#input = map(libc, pieceSize);
      this.setExclusive(true);
      // Libuv waits by another system call; this one may be denied nevertheless (seccomp(2)).
      check(libc, 'epoll_wait', libc.epoll_wait(pollable, this.#events.address, eventCount, 0));
    } catch (error) {
      if (pollable !== -1) libc.close(pollable);
      this.discard();
      throw error;
    }
  }

  setExclusive(isAlone: boolean): void {
    if (isAlone === this.#isAlone) return;
    this.#isAlone = isAlone;
    const errno = this.#control(isAlone ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, this.host.descriptor, EPOLLIN, hostData, 0);
    if (errno !== 0) throw failure('epoll_ctl', errno);
  }

  protected wait(milliseconds: number): boolean {
    // Of connections that have turned out to be flooded when the turn's sends were done.
    this.submit();
    // Events that are reported once are not lost if a turn was cut short by an error.
    if (this.#reportedCount < this.#readyCount) return true;
    const { libc } = this;
    this.#reportedCount = 0;
    this.#readyCount = libc.epoll_wait(this.pollable, this.#events.address, eventCount, milliseconds);
    if (this.#readyCount < 0) {
      const errno = libc.errno();
      this.#readyCount = 0;
      if (errno !== EINTR) throw new Error(`epoll_wait has failed with error ${errno}`);
    }
    this.hostReady = false;
    for (let i = 0; i < this.#readyCount; i++) if (this.#ready[i * eventWords + 1] === hostData) this.hostReady = true;
    const some = this.#readyCount > (this.hostReady ? 1 : 0);
    if (!some) this.#readyCount = 0;
    return some;
  }

  protected get canLook(): boolean {
    return this.#reportedCount === this.#readyCount;
  }

  protected get isBehind(): boolean {
    return this.#reportedCount < this.#readyCount;
  }

  protected get unreported(): number {
    const some = this.#readyCount - this.#reportedCount;
    // If it has reported as many as it can, there may be more, which come next: the kernel reports all connections in turn.
    return this.#readyCount < eventCount ? some : some + this.slots.taken;
  }

  protected collect(): void {
    while (this.#reportedCount < this.#readyCount) {
      const at = this.#reportedCount++ * eventWords;
      this.reported++;
      const data = this.#ready[at + 1];
      if (data >= 0) {
        if (this.slots.generations[data] === this.#ready[at + 2] >>> 0) this.#dispatch(data, this.#ready[at]);
      } else if (data !== hostData) {
        const listening = this.listeners.get(firstListenerData - data);
        if (listening !== undefined) this.#accept(listening);
      }
      if ((this.reported & betweenLooks) === 0 && this.isTimeOver()) break;
    }
  }

  #dispatch(slot: Slot, events: number): void {
    if ((this.slots.flags[slot] & (dropped | departing)) !== 0) return;
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) !== 0 && (this.#interests[slot] & EPOLLOUT) !== 0) {
      this.becameWritable(slot);
      this.#update(slot);
      if ((this.slots.flags[slot] & (open | dropped)) !== open) return;
    }
    const isRead = (this.slots.flags[slot] & (paused | ended)) === 0;
    if ((events & EPOLLIN) !== 0 && (!isRead || (events & endsReads) !== 0)) this.#lookAgain(slot);
    if ((events & EPOLLIN) !== 0 && isRead) this.#receive(slot);
    else if ((events & (EPOLLERR | EPOLLHUP)) !== 0) this.#hungUp(slot);
  }

  #receive(slot: Slot): void {
    const { address, bytes } = this.#input;
    const received = this.libc.recv(this.slots.descriptors[slot], address, pieceSize, 0);
    if (received > 0) {
      if (received === pieceSize) this.#lookAgain(slot);
      this.sink.received(slot, bytes, 0, received);
    } else if (received === 0) {
      this.#left(slot, 0);
    } else {
      const errno = this.libc.errno();
      if (errno === EINTR) this.#lookAgain(slot);
      else if (errno !== EAGAIN) this.#left(slot, errno);
    }
  }

  #left(slot: Slot, errno: number): void {
    this.#interests[slot] &= ~unreadBit; // there is nothing more to read
    this.peerLeft(slot, errno);
    this.#update(slot);
  }

  protected override reportEnded(slot: Slot): void {
    super.reportEnded(slot);
    this.#update(slot);
  }

  /** Both directions are over, or the connection has broken, while nothing is read. */
  #hungUp(slot: Slot): void {
    const errno = pendingError(this.libc, this.slots.descriptors[slot]);
    if (errno !== 0) this.#left(slot, errno);
    else if ((this.slots.flags[slot] & ended) !== 0) this.#left(slot, ECONNRESET);
    else this.#receive(slot); // its input is reported although reading is paused: nothing will come after it
  }

  #accept(listening: Listening): void {
    for (let i = 0; i < acceptsPerTurn && listening.open && !listening.resting; i++) {
      const descriptor = this.libc.accept4(listening.descriptor, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (descriptor < 0) {
        const errno = this.libc.errno();
        if (errno === EAGAIN) return;
        if (errno !== ECONNABORTED && errno !== EINTR) this.acceptFailed(listening, errno);
        continue;
      }
      this.adoptAccepted(descriptor, listening);
    }
  }

  protected adoptAccepted(descriptor: number, listening: Listening): void {
    const slot = this.allocateAccepted(descriptor, listening);
    this.#edges[slot] = isPath(listening.address) ? 0 : 1;
    this.#watch(slot, EPOLL_CTL_ADD, EPOLLIN);
    this.sink.accepted(slot, listening.id);
  }

  startAccepting({ descriptor, id }: Listening): number {
    return this.#control(EPOLL_CTL_ADD, descriptor, EPOLLIN, listenerData(id), 0);
  }

  pauseAccepting({ descriptor, id }: Listening): void {
    this.#control(EPOLL_CTL_DEL, descriptor, 0, listenerData(id), 0);
  }

  stopListening(listening: Listening): Promise<void> {
    return this.inTurn(() => {
      this.acceptRest(listening, SOCK_NONBLOCK | SOCK_CLOEXEC);
      this.libc.close(listening.descriptor);
    });
  }

  adoptConnecting(slot: Slot): void {
    this.#edges[slot] = 0;
    this.#watch(slot, EPOLL_CTL_ADD, EPOLLOUT);
  }

  protected adoptConnected(slot: Slot): void {
    this.#update(slot);
  }

  protected updateReading(slot: Slot): void {
    this.#update(slot);
  }

  awaitWritable(slot: Slot): void {
    this.#update(slot);
  }

  send(slot: Slot, address: number, bytes: number): void {
    const { libc } = this;
    const sent = libc.send(this.slots.descriptors[slot], address, bytes, MSG_NOSIGNAL);
    if (sent !== bytes) this.partiallySent(slot, sent < 0 ? -libc.errno() : sent);
  }

  /** Sends have been done by now; what is left is to pass changed interests to the kernel, once for each slot. */
  submit(): void {
    if (this.#changed.length === 0) return;
    const slots = this.#changed;
    this.#changed = [];
    for (const slot of slots) {
      if ((this.slots.flags[slot] & dropped) !== 0 || this.slots.descriptors[slot] === -1) continue;
      const wanted = this.#wanted(slot);
      if (wanted !== (this.#interests[slot] & ~changedBit)) this.#watch(slot, EPOLL_CTL_MOD, wanted);
      else this.#interests[slot] = wanted;
    }
  }

  shutDown(slot: Slot): void {
    this.libc.shutdown(this.slots.descriptors[slot], SHUT_WR);
  }

  release(slot: Slot, reset: boolean): void {
    const { libc } = this;
    const descriptor = this.slots.descriptors[slot];
    if (reset) libc.setsockopt(descriptor, SOL_SOCKET, SO_LINGER, lingerNot, lingerNot.length);
    libc.close(descriptor);
    this.#interests[slot] = 0;
  }

  protected peerOf(slot: Slot): string {
    return peerName(this.libc, this.slots.descriptors[slot]);
  }

  protected localOf(slot: Slot): string {
    return localName(this.libc, this.slots.descriptors[slot]);
  }

  protected destroy(): void {
    this.libc.close(this.pollable);
    unmap(this.libc, this.#events);
    unmap(this.libc, this.#input);
  }

  protected grow(rows: number): void {
    this.#interests = growTypedArray(this.#interests, new Uint8Array(rows));
    this.#edges = growTypedArray(this.#edges, new Uint8Array(rows));
  }

  /** The interest of a slot has changed, or may have: it is passed to the kernel at the end of the turn. */
  #update(slot: Slot): void {
    if ((this.#interests[slot] & changedBit) !== 0 || this.slots.descriptors[slot] === -1) return;
    this.#interests[slot] |= changedBit;
    this.#changed.push(slot);
  }

  /** Has the kernel report readable input again, if it would not by itself. */
  #lookAgain(slot: Slot): void {
    if (this.#edges[slot] === 0 || (this.#interests[slot] & (EPOLLIN | EPOLLOUT)) !== EPOLLIN) return;
    this.#interests[slot] |= unreadBit;
    this.#update(slot);
  }

  #wanted(slot: Slot): number {
    const flags = this.slots.flags[slot];
    if ((flags & connecting) !== 0) return EPOLLOUT;
    // Events of a peer that has left are ignored until that has been reported. Those of EPOLLET come once in any case.
    if ((flags & departing) !== 0)
      return this.#edges[slot] !== 0 && (this.#interests[slot] & ~changedBit) === EPOLLIN ? EPOLLIN : quietBit;
    return ((flags & (paused | ended)) === 0 ? EPOLLIN : 0) | ((flags & blocked) !== 0 ? EPOLLOUT : 0);
  }

  #watch(slot: Slot, operation: number, interest: number): void {
    this.#interests[slot] = interest;
    const isEdge = interest === EPOLLIN && this.#edges[slot] !== 0;
    const events = isEdge ? EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET : interest === quietBit ? EPOLLET : interest;
    const errno = this.#control(operation, this.slots.descriptors[slot], events, slot, this.slots.generations[slot]);
    if (errno !== 0) this.broke(slot, errno); // ENOSPC, ENOMEM: there are limits to what one may watch
  }

  /** @returns 0, or the number of an error */
  #control(operation: number, descriptor: number, events: number, data: number, generation: number): number {
    this.#event[0] = events;
    this.#event[1] = data;
    this.#event[2] = generation;
    const { libc } = this;
    return libc.epoll_ctl(this.pollable, operation, descriptor, this.#eventBytes) < 0 ? libc.errno() : 0;
  }
}

/** In a slot's interest: the slot is in `#changed`. */
const changedBit = 128;
/** As a slot's interest: none; the hang-up, which the kernel always reports, is reported once. */
const quietBit = 32;
/** In a slot's interest: the kernel has reported input that has not been read, and is to be asked again. */
const unreadBit = 64;

function listenerData(id: ListenerId): number {
  return firstListenerData - id;
}
