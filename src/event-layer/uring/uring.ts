// The contract over io_uring(7). The kernel accepts and receives by itself (multishot operations), into buffers that all
// connections share; what a turn has to say to it, sends above all, goes in with one system call, which is also the one that waits.
// What this has in common with epoll is in linux/; here is what completions mean. Each of the rooms holds one subject:
//
//   ring.ts         the queues, and the system call
//   operations.ts   the operations of the ring, and which of them are in flight
//   accepting.ts    connections that come
//   hang-ups.ts     connections that nothing is read from
//   buffers.ts      the buffers that are received into
//   overshare.ts    input of a connection beyond its share of a turn
//   files.ts        the ring's own table of descriptors
//   direct.ts       what is done to the sockets in it

import { formatAddress, type ListenerId, pieceSize, type Slot } from '../event-layer.js';
import { check, EAGAIN, ECANCELED, ECONNABORTED, ECONNRESET, EINTR, ENOBUFS } from '../linux/libc.js';
import { LinuxLayer } from '../linux/linux-layer.js';
import type { Listening } from '../linux/listening.js';
import * as slotFlags from '../linux/slots.js';
import { localName, makeBlocking, peerName, SOCK_CLOEXEC } from '../linux/sockets.js';
import { Accepting } from './accepting.js';
import { Buffers } from './buffers.js';
import { Direct } from './direct.js';
import { Files } from './files.js';
import { HangUps } from './hang-ups.js';
import * as numbers from './operations.js';
import { canLimitReceives, Operations } from './operations.js';
import { Overshare } from './overshare.js';
import { Ring } from './ring.js';
import { buffersWithoutLimit, type UringSettings, usualSettings } from './settings.js';

// As constants of this module: the engine loads what is imported each time that it is used.
const { dropped, ended, paused } = slotFlags;
const { CQE_F_BUFFER, CQE_F_MORE, kindBits, kindMask, POLLERR, POLLHUP, POLLOUT } = numbers;
const { accepting, hangUp, host, installing, receiving, sending, writable } = numbers; // kinds
const { direct, peerHalfClosed, hangUpArmed, readingForError, receiveArmed, receiveCancelled, writableArmed } = numbers; // flags

const betweenLooks = LinuxLayer.eventsPerLook - 1;

const EFD_CLOEXEC_NONBLOCK = 0x80800;
/** Completions that a turn brings, at most, while a crowd leaves. */
const drainedPerTurn = 1024;
/** Between two looks at what is still in flight while the layer closes, in milliseconds. */
const closeInterval = 5;
/** For what is read from an eventfd(2), which is of no interest. */
const scratch = new Uint8Array(8);

export class UringLayer extends LinuxLayer {
  readonly name = 'uring';
  protected readonly submitsInWait: boolean;
  readonly #silentSends: boolean;
  readonly #closeTimeout: number;
  readonly #receiveLimit: number;
  readonly #ring: Ring;
  readonly #buffers: Buffers;
  readonly #files: Files;
  readonly #operations: Operations;
  readonly #accepting: Accepting;
  readonly #hangUps: HangUps;
  readonly #direct: Direct;
  /** Connections whose receive has ended for want of buffers, in the order in which they continue. */
  readonly #starved: { slot: Slot; generation: number }[] = [];
  readonly #overshare: Overshare;
  readonly #troubles = { noBuffers: 0, shortSends: 0, ordinary: 0 };
  /** The connection that `accepted` is reporting, and the number of the accept that has brought it and its peer's address. */
  #arriving: Slot = -1;
  #arrivedBy = -1;
  #hostArmed = false;
  /** Libuv has had something to do since `wait` last returned. */
  #hostSeen = false;
  #isAlone = true;
  #eventfd = -1;

  /** @throws {ConnectionError} where it is unavailable: `ERR_EVENT_LAYER`, or the code of the system call that has failed */
  constructor(settings: Partial<UringSettings> = {}) {
    super();
    const all = { ...usualSettings, ...settings };
    this.submitsInWait = all.sendsInWait;
    this.#silentSends = all.silentSends;
    this.#closeTimeout = all.closeTimeout;
    const { libc, slots } = this;
    const { submissionEntries, completionEntries, acceptsPerTurn } = all;
    const look = (low: number, high: number, result: number): boolean => this.#look(low, high, result);
    const made: { close(): void }[] = [];
    try {
      const ring = new Ring(libc, submissionEntries, completionEntries, all.registeredRing, look);
      this.#ring = ring;
      made.push(ring);
      this.#receiveLimit = canLimitReceives(ring) ? all.receiveLimit : 0;
      const { bufferCount, bufferSize } = this.#receiveLimit > 0 ? all : { ...buffersWithoutLimit, ...settings };
      this.#buffers = new Buffers(libc, ring, bufferCount, bufferSize);
      made.push(this.#buffers);
      this.#files = new Files(libc, ring, all.directDescriptors);
      this.#operations = new Operations(ring, slots, all.silentSends, this.#receiveLimit);
      this.#accepting = new Accepting(libc, ring, this.#operations, this.#files, this.listeners, acceptsPerTurn);
      this.#hangUps = new HangUps(this.#operations, slots);
      this.#direct = new Direct(libc, ring, this.#operations, slots);
      this.#overshare = new Overshare(Math.max(1, Math.floor(pieceSize / bufferSize)));
    } catch (error) {
      for (const part of made) part.close();
      this.discard();
      throw error;
    }
  }

  /** The ring's own descriptor is not woken by completions that wait for the ring to be entered; an eventfd is. */
  get pollable(): number {
    if (this.#eventfd === -1) {
      this.#eventfd = check(this.libc, 'eventfd', this.libc.eventfd(0, EFD_CLOEXEC_NONBLOCK));
      this.#ring.registerEventfd(this.#eventfd);
    }
    return this.#eventfd;
  }

  setExclusive(isAlone: boolean): void {
    this.#isAlone = isAlone; // a poll of libuv's descriptor that is in flight reports once more, which is harmless
  }

  protected wait(milliseconds: number): boolean {
    const ring = this.#ring;
    if (this.#eventfd !== -1) this.libc.read(this.#eventfd, scratch, scratch.length);
    if (this.#isAlone && !this.#hostArmed) {
      this.#operations.pollHost(this.host.descriptor);
      this.#hostArmed = true;
    }
    this.#hangUps.watch();
    if (milliseconds !== 0 || ring.unsubmitted > 0 || ring.isPending) ring.enter(milliseconds);
    if (this.departures.isCrowd) this.#drain();
    this.hostReady = this.#hostSeen;
    this.#hostSeen = false;
    return this.isBehind || this.#starved.length > 0;
  }

  /**
   * Brings what else is there. The kernel hands out few completions for each call (20 in Linux 6.18), in the order in which they have come.
   * While a crowd leaves, the input of other connections would wait behind all of these.
   */
  #drain(): void {
    const ring = this.#ring;
    while (ring.isPending && ring.waiting < drainedPerTurn) {
      const before = ring.waiting;
      ring.enter(0);
      if (ring.waiting === before) return;
    }
  }

  /** Called with each completion as soon as it is there. @returns whether it is handled completely */
  #look(low: number, _high: number, result: number): boolean {
    switch (low & kindMask) {
      case sending:
        if (this.#silentSends) this.#troubles.shortSends++;
        this.partiallySent(low >>> kindBits, result);
        return true;
      case installing:
        this.#direct.installed = result;
        return true;
      case host:
        this.#hostArmed = false;
        this.#hostSeen = true;
        this.#operations.inFlight--;
        return true;
      default:
        return false;
    }
  }

  protected get canLook(): boolean {
    return true;
  }

  protected get unreported(): number {
    return this.#ring.waiting;
  }

  protected get isBehind(): boolean {
    return this.#ring.waiting > 0 || this.#overshare.isPending;
  }

  protected collect(): void {
    const ring = this.#ring;
    const overshare = this.#overshare;
    // Only what is there now: handling it may add more, which comes after all the others.
    for (let left = ring.waiting; left > 0 && ring.next(); left--) {
      this.reported++;
      const { low, high, result, flags } = ring;
      const slot = low >>> kindBits;
      if ((flags & CQE_F_MORE) === 0) this.#operations.inFlight--;
      switch (low & kindMask) {
        case receiving:
          if (this.#overshare.isOver(slot)) this.#holdBack(slot, high, result, flags);
          else this.#received(slot, high, result, flags);
          break;
        case accepting:
          this.#accepted(slot, high, result);
          break;
        case writable:
          this.#writable(slot, high, result, flags);
          break;
        case hangUp:
          if (this.#isCurrent(slot, high) && this.#hangUps.onPollEvent(slot, result, (flags & CQE_F_MORE) === 0))
            this.updateReading(slot);
          break;
      }
      if ((this.reported & betweenLooks) === 0 && this.isTimeOver()) break;
    }
    if (overshare.isPending) overshare.replay(this.#replay, this.#isTimeOver);
    overshare.endTurn();
    this.#buffers.publish();
    this.#feed();
    this.#accepting.submit();
  }

  /** Arms receives again that have ended for want of buffers: buffers are free only now, and there can be no more receives than buffers. */
  #feed(): void {
    const starved = this.#starved;
    if (starved.length === 0) return;
    for (const { slot, generation } of starved.splice(0, this.#buffers.count))
      if (this.#isCurrent(slot, generation)) this.updateReading(slot);
    if (starved.length > 0) this.requestTurn();
  }

  /** The connection has had its share of this turn. The kernel must fill no more buffers for it until these have been reported. */
  #holdBack(slot: Slot, generation: number, result: number, flags: number): void {
    this.#overshare.hold(slot, generation, result, flags);
    const inFlight = this.#operations.flags[slot];
    if (!this.#isCurrent(slot, generation) || (inFlight & (receiveArmed | receiveCancelled)) !== receiveArmed) return;
    this.#operations.flags[slot] |= receiveCancelled;
    this.#operations.cancelOf(slot, receiving);
  }

  readonly #isTimeOver = (): boolean => this.isTimeOver();

  readonly #replay = (slot: Slot, generation: number, result: number, flags: number): void =>
    this.#received(slot, generation, result, flags);

  #isCurrent(slot: Slot, generation: number): boolean {
    return this.slots.generations[slot] === generation >>> 0 && (this.slots.flags[slot] & dropped) === 0;
  }

  #received(slot: Slot, generation: number, result: number, flags: number): void {
    const isTenant = this.#isCurrent(slot, generation);
    if (isTenant && (flags & CQE_F_MORE) === 0) this.#operations.flags[slot] &= ~(receiveArmed | receiveCancelled);
    if ((flags & CQE_F_BUFFER) !== 0) {
      const id = flags >>> 16;
      this.#buffers.taken++;
      const start = id * this.#buffers.size;
      if (isTenant && result > 0) {
        if (result === this.#buffers.size) this.#overshare.count(slot); // else it was the last, for now
        this.sink.received(slot, this.#buffers.bytes, start, start + result);
      }
      this.#buffers.give(id);
    }
    if (!isTenant || !this.#isCurrent(slot, generation)) return;
    if (result === 0) this.#end(slot);
    else if (result < 0 && result !== -ENOBUFS && result !== -ECANCELED && result !== -EINTR && result !== -EAGAIN)
      this.peerLeft(slot, -result);
    // A receive that has ended at its limit, was cancelled, or has found no buffer, is submitted again.
    else if ((flags & CQE_F_MORE) === 0) {
      if (result === -ENOBUFS) {
        this.#troubles.noBuffers++;
        this.#starved.push({ slot, generation });
      } else {
        this.updateReading(slot);
      }
    }
  }

  #writable(slot: Slot, generation: number, result: number, flags: number): void {
    if (result === -ECANCELED || !this.#isCurrent(slot, generation)) return;
    const goesOn = (flags & CQE_F_MORE) !== 0;
    if (!goesOn) this.#operations.flags[slot] &= ~writableArmed;
    if (result > 0 && (result & (POLLOUT | POLLERR | POLLHUP)) === 0) {
      this.#operations.flags[slot] |= peerHalfClosed;
      this.awaitWritable(slot);
      return;
    }
    if (goesOn) {
      this.#operations.flags[slot] &= ~writableArmed;
      this.#operations.cancelOf(slot, writable);
    }
    this.becameWritable(slot);
  }

  #end(slot: Slot): void {
    const wasEnded = (this.slots.flags[slot] & ended) !== 0;
    this.#operations.flags[slot] &= ~readingForError;
    this.peerLeft(slot, wasEnded ? ECONNRESET : 0); // after its end, it has hung up
  }

  protected override reportEnded(slot: Slot): void {
    super.reportEnded(slot);
    if (this.slots.isLive(slot)) this.#hangUps.schedulePoll(slot);
  }

  #accepted(id: ListenerId, number: number, result: number): void {
    const listening = this.listeners.get(id);
    const isDirect = this.#accepting.completed(id, number, result);
    if (listening === undefined) return;
    if (result >= 0 && this.isClosing) {
      this.#operations.close(result, isDirect);
      if (isDirect) this.#accepting.tableEntryRemoved();
    } else if (result >= 0) {
      this.#adopt(result, listening, isDirect, number);
    } else if (result !== -ECANCELED && result !== -ECONNABORTED && result !== -EINTR && result !== -EAGAIN) {
      this.acceptFailed(listening, -result);
    }
  }

  /** @param number of the accept that has brought it; -1 if none has */
  #adopt(descriptor: number, listening: Listening, isDirect: boolean, number: number): void {
    const slot = this.allocateAccepted(descriptor, listening);
    if (isDirect) this.#operations.flags[slot] = direct;
    else this.#troubles.ordinary++;
    this.updateReading(slot);
    this.#arriving = number === -1 ? -1 : slot;
    this.#arrivedBy = number;
    this.sink.accepted(slot, listening.id);
    this.#arriving = -1;
  }

  protected adoptAccepted(descriptor: number, listening: Listening): void {
    this.#adopt(descriptor, listening, false, -1);
  }

  startAccepting(listening: Listening): number {
    this.#accepting.start(listening);
    return 0; // what fails, its completion says
  }

  pauseAccepting(listening: Listening): void {
    this.#accepting.pause(listening);
  }

  async stopListening(listening: Listening): Promise<void> {
    await this.#accepting.stop(listening);
    // What came after the operation was cancelled.
    await this.inTurn(() => {
      this.acceptRest(listening, SOCK_CLOEXEC);
      this.#operations.close(listening.descriptor, false);
      this.#ring.enter(0);
    });
  }

  adoptConnecting(slot: Slot): void {
    this.awaitWritable(slot);
  }

  protected adoptConnected(slot: Slot): void {
    makeBlocking(this.libc, this.slots.descriptors[slot]);
    this.updateReading(slot);
  }

  protected updateReading(slot: Slot): void {
    const operations = this.#operations;
    const inFlight = operations.flags[slot];
    const isWanted = (this.slots.flags[slot] & (paused | ended)) === 0 || (inFlight & readingForError) !== 0;
    if (isWanted === ((inFlight & receiveArmed) !== 0)) return;
    if (isWanted) {
      operations.receive(slot);
    } else {
      if ((inFlight & receiveCancelled) === 0) operations.cancelOf(slot, receiving);
      operations.flags[slot] |= receiveCancelled;
      this.#hangUps.schedulePoll(slot);
    }
  }

  awaitWritable(slot: Slot): void {
    const { flags } = this.#operations;
    if ((flags[slot] & writableArmed) !== 0) return;
    // Once the peer has sent FIN, a single-shot poll completes at once, each time. A multishot poll reports the FIN once, and then what is
    // new; it is cancelled when it has reported what it waits for.
    this.#operations.poll(slot, writable, POLLOUT, (flags[slot] & peerHalfClosed) !== 0);
    flags[slot] |= writableArmed;
  }

  send(slot: Slot, address: number, bytes: number): void {
    this.#operations.send(slot, address, bytes);
  }

  submit(): void {
    this.#hangUps.watch();
    if (this.#ring.unsubmitted > 0) this.#ring.enter(0);
  }

  shutDown(slot: Slot): void {
    this.#direct.shutDown(slot);
  }

  release(slot: Slot, reset: boolean): void {
    const operations = this.#operations;
    const descriptor = this.slots.descriptors[slot];
    const inFlight = operations.flags[slot];
    const isDirect = operations.isDirect(slot);
    operations.flags[slot] = 0;
    if (reset) this.#direct.lingerNot(descriptor, isDirect);
    // Each by its user data. To cancel by descriptor, the kernel would look at all that is in flight in the ring, each time.
    if ((inFlight & receiveArmed) !== 0) operations.cancelOf(slot, receiving);
    if ((inFlight & writableArmed) !== 0) operations.cancelOf(slot, writable);
    if ((inFlight & hangUpArmed) !== 0) operations.cancelOf(slot, hangUp);
    operations.close(descriptor, isDirect);
    if (isDirect) this.#accepting.tableEntryRemoved();
  }

  protected peerOf(slot: Slot): string {
    if (slot === this.#arriving) {
      const name = this.#accepting.peerOf(this.slots.listeners[slot], this.#arrivedBy);
      return name === undefined ? '' : formatAddress(name);
    }
    return this.#direct.nameOf(slot, peerName);
  }

  protected localOf(slot: Slot): string {
    return this.#direct.nameOf(slot, localName);
  }

  protected async destroy(): Promise<void> {
    const ring = this.#ring;
    const operations = this.#operations;
    // The memory that operations in flight point to is not given back before they are over. All of them have been cancelled, and most
    // often that is so at once; the process goes on with other work meanwhile.
    const deadline = performance.now() + this.#closeTimeout;
    for (operations.cancelAll(); ; await new Promise((resolve) => setTimeout(resolve, closeInterval))) {
      do {
        ring.enter(0);
        while (ring.next()) if ((ring.flags & CQE_F_MORE) === 0) operations.inFlight--;
      } while (ring.isPending);
      if (operations.inFlight === 0 || performance.now() >= deadline) break;
    }
    ring.close();
    if (operations.inFlight === 0) this.#buffers.close();
    this.#direct.close();
    if (this.#eventfd !== -1) this.libc.close(this.#eventfd);
  }

  /** What it holds, and how often rare events have happened: for tests. */
  override get counts(): Record<string, number> {
    const { inFlight } = this.#operations;
    const direct = this.#files.open;
    const buffers = this.#buffers.taken;
    const submitted = this.#ring.taken;
    const receiveLimit = this.#receiveLimit;
    return {
      ...super.counts,
      inFlight,
      direct,
      buffers,
      submitted,
      receiveLimit,
      ...this.#troubles,
      ...this.#ring.troubles,
    };
  }

  protected grow(rows: number): void {
    this.#operations.grow(rows);
    this.#overshare.grow(rows);
  }
}
