// What the two layers over libc share: slots, the way of output, the order in which things are told, listening and connecting.
// They differ in how they learn what has happened and how they hand work to the kernel; that is in the abstract methods.
//
// A connection is a row in the arrays below, and nothing else as long as it is idle. The way of output:
//
//   reserve, commit ──► slab (shared) ──────────────┬─ end of turn: one send each ──► all taken: the slab is empty again
//                  └──► outbox (own copy), if some  │
//                       is waiting already          └► not all taken: the rest to the outbox, until the socket is writable
//
// The kernel reads from the slab during `submit` and at no other time, so nothing of it is ever kept for the kernel.
//
// A turn, as `run` has it: wait ─► beginTurn ─► what is due ─► what was collected ─► endTurn ─► output. Sending may bring about
// more to tell (a queue that is empty, a connection that is gone); that is told in one more round, at once, a few times over,
// and after that in the next turn.

import cluster from 'node:cluster';
import { lookup } from 'node:dns/promises';
import { unlinkSync } from 'node:fs';
import { isIP } from 'node:net';
import {
  type Address,
  ConnectionError,
  type EventLayer,
  type EventSink,
  highWaterMark,
  type ListenerId,
  type ListenOptions,
  lowWaterMark,
  pieceSize,
  type Slot,
} from '../event-layer.js';
import { Outbox } from '../outbox.js';
import { cannotConnect, cannotListen, describeConnection, hasBroken, layerClosed, type Target } from '../reasons.js';
import { internetName, isPath, type SocketName, unixName } from './addresses.js';
import { type Guest, type HostLoop, hostLoop } from './host-loop.js';
import { describeErrno, EAGAIN, EINPROGRESS, type Libc, loadLibraries } from './libc.js';
import { map, type Region, unmap } from './memory.js';
import { bindSource, boundAddress, makeListener, makeSocket, pendingError } from './sockets.js';

// What is known of a slot, as bits of `flags`.
/** It is connected. */
export const open = 1;
/** A connection is being made. */
export const connecting = 2;
/** `queued` has reached the high-water mark, and `drained` has not been told since. */
const flooded = 4;
/** `finish` has been called. */
const finishing = 8;
/** FIN has been sent. */
const finished = 16;
/** `ended` has been told. */
export const ended = 32;
/** It is gone: only `closed` is told any more. */
export const dropped = 64;
/** Stands in `#dirty`: there may be output, or a FIN, to hand over at the end of the turn. */
const dirty = 128;
/** Stands in `#settling`: sending has changed something that is to be told. */
const settling = 256;
/** Reading is paused. */
export const paused = 512;
/** Output waits until the socket is writable. */
export const blocked = 1024;
/** From here on they are the layers' own. */
export const firstOwnFlag = 2048;

/** Output of one turn; more goes out in between. */
const slabBytes = 1024 * 1024;
/** How often in a row a turn goes on because sending has brought about more to tell. */
const roundsPerTurn = 4;
/** After this many milliseconds accepting that has failed is tried again, if no connection has closed meanwhile. */
const acceptRetry = 1000;

/** A socket that listens. */
export interface Listening {
  readonly id: ListenerId;
  readonly descriptor: number;
  readonly address: Address;
  readonly backlog: number;
  /** Accepting goes on, or would but for `resting`. */
  open: boolean;
  /** Accepting has failed, and waits for a connection to close, or for time to pass. */
  resting: boolean;
  /** When it last failed; a spell of failures is told once. */
  failedAt: number;
  timer: NodeJS.Timeout | undefined;
}

/** A connection that is being made. */
interface Attempt extends Target {
  /** Addresses that are left to be tried. */
  names: SocketName[];
}

export abstract class LinuxLayer implements EventLayer, Guest {
  abstract readonly name: string;
  abstract readonly pollable: number;
  abstract setAlone(isAlone: boolean): void;
  protected readonly libc: Libc;
  protected readonly host: HostLoop;

  // Of each connection, by slot.
  protected descriptors = new Int32Array(64);
  protected flags = new Uint16Array(64);
  /** Counts the tenants of a slot, so that what the kernel says late of one is not taken for the next one's. */
  protected generations = new Uint32Array(64);
  /** Bytes committed and not taken by the kernel: in the slab, from … to, or else in the outbox. */
  #pending = new Uint32Array(64);
  #from = new Uint32Array(64);
  #to = new Uint32Array(64);
  /** Who has accepted it; 0 for one made by `connect`. */
  #listenerOf = new Uint32Array(64);
  readonly #outboxes = new Map<Slot, Outbox>();
  /** Calls of `notifyFlushed` that are not answered. */
  readonly #flushes = new Map<Slot, number>();
  readonly #targets = new Map<Slot, Target>();
  readonly #attempts = new Map<Slot, Attempt>();
  /** Why connections have ended that `closed` is yet to be told of. */
  readonly #reasons = new Map<Slot, ConnectionError>();
  readonly #freeSlots: Slot[] = [];
  #rows = 0;
  #connections = 0;

  // Of the layer.
  protected sink: EventSink = nobody;
  protected readonly listeners = new Map<ListenerId, Listening>();
  #lastListener = 0;
  #isGuest = false;
  #closing: (() => void) | undefined;
  #closed: Promise<void> | undefined;
  /** After `close`: no descriptor is left. */
  protected isClosed = false;

  // Of the turn.
  /** Whether libuv had something to do when `wait` returned. */
  protected hostReady = false;
  /** The time at which the turn began, which is `now` while `#isBeginning`: the clock is read once for all who want to know then. */
  #began = 0;
  #isBeginning = false;
  #requested = false;
  #wake = Infinity;
  #dirty: Slot[] = [];
  /** Sends that are left to the next `wait`; see `#flush`. */
  #underWay: Slot[] | undefined;
  #settling: Slot[] = [];
  /** Gone, and `closed` not told. */
  #leaving: Slot[] = [];
  /** What became of the sends of a `submit` that were not taken whole: bytes, or a negative error number. */
  readonly #short = new Map<Slot, number>();

  // Where output is written into.
  readonly #slab: Region;
  #filled = 0;

  /** @throws {ConnectionError} `ERR_EVENT_LAYER` where it cannot be had */
  constructor() {
    this.libc = loadLibraries().libc;
    this.host = hostLoop();
    this.#slab = map(this.libc, slabBytes);
  }

  // What the layers do each in their way.

  /** A listener is there: begins to accept. */
  protected beginListening(listening: Listening): void {
    this.startAccepting(listening);
  }
  /** Accepts on a listener, or goes on after `pauseAccepting`. */
  protected abstract startAccepting(listening: Listening): void;
  /** Nothing more is to be accepted for now. */
  protected abstract pauseAccepting(listening: Listening): void;
  /** Stops accepting and closes the listener. Resolves when the address is free. */
  protected abstract stopListening(listening: Listening): Promise<void>;
  /** A connection is being made: `becameWritable` is to be called when that is over. */
  protected abstract adoptConnecting(slot: Slot): void;
  /** It is there: what comes is to be told, unless it is paused. */
  protected abstract adoptConnected(slot: Slot): void;
  /** Reading is to be on or off, as the slot's flags have it now. */
  protected abstract updateReading(slot: Slot): void;
  /** Sends bytes of the slab, now or in `submit`. What is not taken whole is told by `sentShort` before `submit` returns. */
  protected abstract send(slot: Slot, address: number, bytes: number): void;
  /** Hands to the kernel what has been collected for it. When it returns, it has looked at all that `send` was given. */
  protected abstract submit(): void;
  /** Whether `wait` does what `submit` does, in the same call. */
  protected abstract readonly submitsInWait: boolean;
  /** `becameWritable` is to be called when the socket takes output. */
  protected abstract awaitWritable(slot: Slot): void;
  /** Sends FIN. */
  protected abstract shutDown(slot: Slot): void;
  /** Closes the descriptor, with RST or not; nothing more is told of the slot. */
  protected abstract release(slot: Slot, reset: boolean): void;
  /** The descriptor's peer. */
  protected abstract peerOf(slot: Slot): string;
  /** Waits for something to happen, and sets `hostReady`. @param milliseconds 0 does not wait, -1 is without end @returns whether something has */
  protected abstract wait(milliseconds: number): boolean;
  /** Tells what has happened. */
  protected abstract collect(): void;
  /** Lets go of everything. Called when no connection and no listener is left. */
  protected abstract destroy(): void;
  protected abstract grow(rows: number): void;

  // The contract.

  start(sink: EventSink): void {
    this.sink = sink;
  }

  now(): number {
    return this.#isBeginning ? this.#began : performance.now();
  }

  date(): number {
    return Date.now();
  }

  wakeAt(time: number): void {
    if (this.#closing !== undefined) return;
    this.#wake = time;
    this.#updateHold();
  }

  requestTurn(): void {
    this.#requested = true;
    this.#updateHold();
  }

  async listen(options: ListenOptions): Promise<{ listener: ListenerId; address: Address }> {
    const { address, backlog, reusePort = false } = options;
    if (this.#closing !== undefined) throw layerClosed('listen');
    let listening: Listening;
    try {
      const [name] = await namesOf(address);
      if (this.#closing !== undefined) throw layerClosed('listen');
      const descriptor = makeListener(this.libc, name, backlog, reusePort);
      const got = boundAddress(this.libc, descriptor, address);
      const id = ++this.#lastListener;
      const rest = { open: true, resting: false, failedAt: -Infinity, timer: undefined };
      listening = { id, descriptor, address: got, backlog, ...rest };
    } catch (error) {
      const { code, message } = asSystemError(error);
      // Servers of node:net share their primary's socket there, so whoever comes from those does not expect this.
      const isShared = code === 'EADDRINUSE' && cluster.isWorker && !isPath(address);
      const hint = isShared ? ' (workers of node:cluster share a port if all say reusePort)' : '';
      throw cannotListen(address, code, `${message}${hint}`, error);
    }
    this.listeners.set(listening.id, listening);
    this.beginListening(listening);
    this.requestTurn();
    return { listener: listening.id, address: listening.address };
  }

  async unlisten(listener: ListenerId): Promise<void> {
    const listening = this.listeners.get(listener);
    if (listening === undefined || !listening.open) return;
    listening.open = false;
    clearTimeout(listening.timer);
    if (isPath(listening.address)) removeSocketFile(listening.address.path);
    await this.stopListening(listening);
    this.listeners.delete(listener);
    this.#updateHold();
    this.#closedIfNothingLeft();
  }

  connect(address: Address, localAddress?: string): Slot {
    const slot = this.#allot(-1, connecting);
    const generation = this.generations[slot];
    const attempt: Attempt = { address, localAddress, names: [] };
    this.#targets.set(slot, attempt);
    const isWanted = (): boolean =>
      this.generations[slot] === generation && (this.flags[slot] & (connecting | dropped)) === connecting;
    if (this.#closing !== undefined) {
      this.#fail(slot, layerClosed('connect'));
    } else if (isPath(address) || isIP(address.hostname) !== 0) {
      try {
        attempt.names = namesAtOnce(address);
        this.#attempt(slot, attempt);
      } catch (error) {
        this.#failAttempt(slot, attempt, error);
      }
    } else {
      namesOf(address).then(
        (names) => {
          if (!isWanted()) return;
          attempt.names = names;
          this.#attempt(slot, attempt);
        },
        (error: unknown) => {
          if (isWanted()) this.#failAttempt(slot, attempt, error);
        },
      );
    }
    return slot;
  }

  get output(): Uint8Array {
    return this.#slab.bytes;
  }

  reserve(slot: Slot, bytes: number): number {
    this.#checkTenant(slot);
    if (bytes > pieceSize)
      throw new ConnectionError('ERR_RESERVE', `${bytes} bytes reserved; at most ${pieceSize} may be`);
    if (this.#filled + bytes > slabBytes) this.#flush(false);
    return this.#filled;
  }

  commit(slot: Slot, end: number): void {
    this.#checkTenant(slot);
    const start = this.#filled;
    if (end <= start) return;
    const bytes = end - start;
    const flags = this.flags[slot];
    if ((flags & (dropped | finishing)) !== 0) {
      if ((flags & dropped) === 0) throw new ConnectionError('ERR_FINISHED', 'output was written after finish');
      this.#pending[slot] += bytes;
      return;
    }
    const pending = this.#pending[slot];
    if (pending === 0) {
      this.#from[slot] = start;
      this.#to[slot] = end;
      this.#filled = end;
    } else if (this.#to[slot] === start && this.#from[slot] < start) {
      this.#to[slot] = end;
      this.#filled = end;
    } else {
      this.#outboxOf(slot).add(this.#slab.bytes.subarray(start, end));
    }
    this.#pending[slot] = pending + bytes;
    if (pending + bytes >= highWaterMark) this.flags[slot] |= flooded;
    if ((flags & dirty) === 0) this.#markDirty(slot);
  }

  queued(slot: Slot): number {
    this.#checkTenant(slot);
    return this.#pending[slot];
  }

  notifyFlushed(slot: Slot): void {
    this.#checkTenant(slot);
    this.#flushes.set(slot, (this.#flushes.get(slot) ?? 0) + 1);
    if (this.#pending[slot] === 0) this.#settleSoon(slot);
  }

  pauseReading(slot: Slot): void {
    this.#checkTenant(slot);
    if ((this.flags[slot] & paused) !== 0) return;
    this.flags[slot] |= paused;
    if ((this.flags[slot] & (open | dropped)) === open) this.updateReading(slot);
  }

  resumeReading(slot: Slot): void {
    this.#checkTenant(slot);
    if ((this.flags[slot] & paused) === 0) return;
    this.flags[slot] &= ~paused;
    if ((this.flags[slot] & (open | dropped)) === open) this.updateReading(slot);
    this.requestTurn();
  }

  finish(slot: Slot): void {
    this.#checkTenant(slot);
    if ((this.flags[slot] & (finishing | dropped)) !== 0) return;
    this.flags[slot] |= finishing;
    this.#markDirty(slot);
  }

  reset(slot: Slot): void {
    this.#checkTenant(slot);
    this.#depart(slot, true);
  }

  abandon(slot: Slot): void {
    this.#checkTenant(slot);
    this.#depart(slot, false);
  }

  peer(slot: Slot): string {
    this.#checkTenant(slot);
    return (this.flags[slot] & (open | dropped)) === open ? this.peerOf(slot) : '';
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.wakeAt(Infinity);
      this.#closing = resolve;
      for (const listener of [...this.listeners.keys()]) void this.unlisten(listener);
      for (let slot = 0; slot < this.#rows; slot++) if (this.#isTaken(slot)) this.reset(slot);
      this.requestTurn();
      this.#closedIfNothingLeft();
    });
    this.host.forget(this);
    this.isClosed = true;
    this.destroy();
    unmap(this.libc, this.#slab);
  }

  // Turns

  patience(): number {
    if (this.#requested || this.#leaving.length > 0 || this.#settling.length > 0 || this.#dirty.length > 0) return 0;
    return this.#wake === Infinity ? Infinity : Math.max(this.#wake - this.now(), 0);
  }

  run(milliseconds: number): boolean {
    const some = this.wait(milliseconds);
    if (this.#underWay !== undefined) this.#conclude(this.#underWay);
    if (this.isClosed) return true;
    this.#began = performance.now();
    const isDue = this.#wake <= this.#began;
    if (!some && !this.#requested && !isDue && this.patience() > 0) return this.hostReady;
    if (isDue) this.#wake = Infinity;
    this.#requested = false;
    this.#turn(some, true);
    for (let round = 1; round < roundsPerTurn && this.#isTelling; round++) this.#turn(false, false);
    this.#updateHold();
    this.#closedIfNothingLeft();
    return this.hostReady;
  }

  /** `close` has been called: whoever comes now is turned away. */
  protected get isClosing(): boolean {
    return this.#closing !== undefined;
  }

  settle(): void {
    if (this.#underWay === undefined) return;
    this.submit();
    this.#conclude(this.#underWay);
  }

  get #isTelling(): boolean {
    return this.#leaving.length > 0 || this.#settling.length > 0;
  }

  /** @param some whether there is something to collect @param isFirst whether `#began` was looked up just now */
  #turn(some: boolean, isFirst: boolean): void {
    this.#isBeginning = isFirst;
    try {
      this.sink.beginTurn();
    } finally {
      this.#isBeginning = false;
    }
    this.#tellDue();
    if (some) this.collect();
    if (this.#leaving.length > 0) this.#tellDue();
    this.sink.endTurn();
    this.#flush(this.submitsInWait && !this.#isTelling && !this.#requested);
  }

  /** Tells what sending, and commands, have brought about. */
  #tellDue(): void {
    if (this.#settling.length > 0) {
      const slots = this.#settling;
      this.#settling = [];
      for (const slot of slots) this.#tellSettled(slot);
    }
    while (this.#leaving.length > 0) {
      const slots = this.#leaving;
      this.#leaving = [];
      for (const slot of slots) this.#tellClosed(slot);
    }
  }

  #tellSettled(slot: Slot): void {
    if ((this.flags[slot] & settling) === 0) return;
    this.flags[slot] &= ~settling;
    if (this.#pending[slot] === 0 && this.#isTold(slot)) {
      const calls = this.#flushes.get(slot) ?? 0;
      this.#flushes.delete(slot);
      for (let i = 0; i < calls && this.#isTold(slot); i++) this.sink.flushed(slot);
    }
    if ((this.flags[slot] & flooded) !== 0 && this.#pending[slot] <= lowWaterMark && this.#isTold(slot)) {
      this.flags[slot] &= ~flooded;
      this.sink.drained(slot);
    }
  }

  #tellClosed(slot: Slot): void {
    const reason = this.#reasons.get(slot);
    this.sink.closed(slot, reason);
    this.#vacate(slot);
  }

  /** Events are still told of it. */
  #isTold(slot: Slot): boolean {
    return (this.flags[slot] & (open | dropped)) === open;
  }

  /** Whether the layer has something to wait for, and so holds the process open. */
  #updateHold(): void {
    const isNeeded =
      this.#connections > 0 || this.listeners.size > 0 || this.#wake !== Infinity || this.#requested || this.#isTelling;
    if (isNeeded === this.#isGuest || this.isClosed) return;
    this.#isGuest = isNeeded;
    if (isNeeded) this.host.enter(this);
    else this.host.leave(this);
  }

  // What the layers tell, inside `collect`.

  /** A connection has been accepted. @returns its slot, before anything of it is told */
  protected allotAccepted(descriptor: number, listening: Listening, ownFlags = 0): Slot {
    const slot = this.#allot(descriptor, open | ownFlags);
    this.#listenerOf[slot] = listening.id;
    return slot;
  }

  /** Accepting has failed: with EMFILE and the like it rests until a connection has closed. */
  protected acceptFailed(listening: Listening, errno: number): void {
    if (listening.resting || !listening.open) return;
    listening.resting = true;
    this.pauseAccepting(listening);
    listening.timer = setTimeout(() => this.#acceptAgain(listening), acceptRetry);
    const now = this.now();
    const isNew = now - listening.failedAt > 2 * acceptRetry;
    listening.failedAt = now;
    if (!isNew) return;
    const { code, meaning } = describeErrno(errno);
    const message = `accepting on ${describeListener(listening)} has failed: ${meaning}; it is tried again when a connection has closed`;
    this.sink.acceptFailed(listening.id, new ConnectionError(code, message));
  }

  #acceptAgain(listening: Listening): void {
    clearTimeout(listening.timer);
    if (!listening.resting || !listening.open) return;
    listening.resting = false;
    this.startAccepting(listening);
    this.requestTurn();
  }

  /** The peer has sent FIN. */
  protected tellEnded(slot: Slot): void {
    if ((this.flags[slot] & (ended | dropped)) !== 0) return;
    this.flags[slot] |= ended;
    this.sink.ended(slot);
    if ((this.flags[slot] & finished) !== 0) this.#depart(slot, false);
  }

  /** The socket takes output again, or a connection has been made or has failed. */
  protected becameWritable(slot: Slot): void {
    if ((this.flags[slot] & dropped) !== 0) return;
    if ((this.flags[slot] & connecting) !== 0) {
      this.#attempted(slot);
      return;
    }
    this.flags[slot] &= ~blocked;
    this.#markDirty(slot);
  }

  /** The connection has broken. */
  protected broke(slot: Slot, errno: number): void {
    if ((this.flags[slot] & dropped) !== 0) return;
    const { code, meaning } = describeErrno(errno);
    const listening = this.listeners.get(this.#listenerOf[slot]);
    const peer = this.peerOf(slot);
    const which = describeConnection(this.#targets.get(slot), peer, listening?.address);
    this.#reasons.set(slot, hasBroken(which, code, meaning));
    this.#depart(slot, false);
  }

  /** A send has not been taken whole. @param result bytes that were taken, or a negative error number */
  protected sentShort(slot: Slot, result: number): void {
    this.#short.set(slot, result);
  }

  // Output

  #markDirty(slot: Slot): void {
    if ((this.flags[slot] & dirty) !== 0) return;
    this.flags[slot] |= dirty;
    this.#dirty.push(slot);
    this.#updateHold();
  }

  #outboxOf(slot: Slot): Outbox {
    let outbox = this.#outboxes.get(slot);
    if (outbox === undefined) {
      outbox = new Outbox();
      this.#outboxes.set(slot, outbox);
      this.#moveToOutbox(slot, outbox);
    }
    return outbox;
  }

  /** What stands in the slab must not stay there. */
  #moveToOutbox(slot: Slot, outbox: Outbox): void {
    if (this.#to[slot] > this.#from[slot]) outbox.add(this.#slab.bytes.subarray(this.#from[slot], this.#to[slot]));
    this.#from[slot] = 0;
    this.#to[slot] = 0;
  }

  /**
   * Hands all output to the kernel, one send for each connection, and then the FINs. Empties the slab.
   * @param later whether the sends may be left to the system call that waits. They are if that is all there is to do; until then every command
   *   has them done first
   */
  #flush(later: boolean): void {
    if (this.#dirty.length === 0) {
      this.submit();
      return;
    }
    const slots = this.#dirty;
    this.#dirty = [];
    let isPlain = true;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i];
      const flags = this.flags[slot];
      if ((flags & (dirty | open | dropped | blocked)) === (dirty | open) && this.#to[slot] > this.#from[slot])
        this.send(slot, this.#slab.address + this.#from[slot], this.#to[slot] - this.#from[slot]);
      else isPlain = false;
      if ((flags & (finishing | flooded)) !== 0) isPlain = false;
    }
    if (later && isPlain && this.#flushes.size === 0) {
      this.#underWay = slots;
      return;
    }
    this.submit();
    this.#conclude(slots);
  }

  /** The kernel has looked at what the slots have sent from the slab. */
  #conclude(slots: readonly Slot[]): void {
    this.#underWay = undefined;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i];
      if (this.#to[slot] > this.#from[slot]) this.#sent(slot);
    }
    this.#filled = 0;
    if (this.#outboxes.size > 0) this.#flushOutboxes(slots);
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i];
      if ((this.flags[slot] & dirty) === 0) continue;
      this.flags[slot] &= ~dirty;
      if ((this.flags[slot] & finishing) !== 0) this.#finishIfFlushed(slot);
    }
  }

  /** What became of a send from the slab. */
  #sent(slot: Slot): void {
    const bytes = this.#to[slot] - this.#from[slot];
    if ((this.flags[slot] & (open | dropped)) !== open) {
      // Not sent: there is no connection yet, or no longer.
      if ((this.flags[slot] & dropped) === 0) this.#outboxOf(slot);
      return;
    }
    const result = this.#short.size === 0 ? bytes : this.#takeResult(slot, bytes);
    if (result < 0) return;
    this.#pending[slot] -= result;
    this.#from[slot] += result;
    if (result < bytes) {
      this.#outboxOf(slot);
      this.#block(slot);
    } else {
      this.#from[slot] = 0;
      this.#to[slot] = 0;
    }
    if ((this.flags[slot] & flooded) !== 0 || this.#flushes.size > 0) this.#settleSoon(slot);
  }

  /** @returns bytes that were taken, or -1 if the connection has broken */
  #takeResult(slot: Slot, bytes: number): number {
    const result = this.#short.get(slot);
    if (result === undefined) return bytes;
    this.#short.delete(slot);
    if (result >= 0) return result;
    if (result === -EAGAIN) return 0;
    this.broke(slot, -result);
    return -1;
  }

  /** Sends what has had to wait, a piece of each connection. */
  #flushOutboxes(slots: readonly Slot[]): void {
    const sizes = new Map<Slot, number>();
    const conclude = (): void => {
      this.submit();
      for (const [slot, bytes] of sizes) this.#sentFromOutbox(slot, bytes);
      sizes.clear();
      this.#filled = 0;
    };
    for (const slot of slots) {
      const outbox = this.#outboxes.get(slot);
      if (outbox === undefined || (this.flags[slot] & (open | dropped | blocked)) !== open) continue;
      if (this.#filled + pieceSize > slabBytes) conclude();
      const at = this.#filled;
      const bytes = outbox.copyTo(this.#slab.bytes.subarray(0, at + pieceSize), at);
      this.#filled = at + bytes;
      sizes.set(slot, bytes);
      this.send(slot, this.#slab.address + at, bytes);
    }
    if (sizes.size > 0) conclude();
  }

  #sentFromOutbox(slot: Slot, bytes: number): void {
    const outbox = this.#outboxes.get(slot);
    const result = this.#takeResult(slot, bytes);
    if (outbox === undefined || result < 0) return;
    outbox.drop(result);
    this.#pending[slot] -= result;
    if (outbox.length === 0) this.#outboxes.delete(slot);
    else this.#block(slot);
    this.#settleSoon(slot);
  }

  #block(slot: Slot): void {
    if ((this.flags[slot] & (blocked | dropped)) !== 0) return;
    this.flags[slot] |= blocked;
    this.awaitWritable(slot);
  }

  #finishIfFlushed(slot: Slot): void {
    if ((this.flags[slot] & (open | dropped | finished)) !== open || this.#pending[slot] > 0) return;
    this.flags[slot] |= finished;
    // Closing sends the FIN as well.
    if ((this.flags[slot] & ended) !== 0) this.#depart(slot, false);
    else this.shutDown(slot);
  }

  #settleSoon(slot: Slot): void {
    if ((this.flags[slot] & settling) === 0) {
      this.flags[slot] |= settling;
      this.#settling.push(slot);
    }
    // A queue that has more to send goes on when the socket is writable; this one may have been finished meanwhile.
    if ((this.flags[slot] & finishing) !== 0) this.#markDirty(slot);
    this.#updateHold();
  }

  #forgetOutput(slot: Slot): void {
    this.#pending[slot] = 0;
    this.#from[slot] = 0;
    this.#to[slot] = 0;
    this.#outboxes.delete(slot);
    this.#short.delete(slot);
  }

  // Connecting

  /** Tries the next of the addresses. */
  #attempt(slot: Slot, attempt: Attempt): void {
    const name = attempt.names.shift();
    if (name === undefined) return;
    let descriptor = -1;
    try {
      descriptor = makeSocket(this.libc, name.family);
      this.#bindSource(descriptor, name, attempt);
      const result = this.libc.connect(descriptor, name.bytes, name.bytes.length);
      const errno = result === 0 ? 0 : this.libc.errno();
      if (errno !== 0 && errno !== EINPROGRESS) throw new ConnectionError(...nameAndMeaning(errno));
      this.descriptors[slot] = descriptor;
      this.#attempts.set(slot, attempt);
      this.adoptConnecting(slot);
      this.requestTurn();
    } catch (error) {
      if (descriptor !== -1) this.libc.close(descriptor);
      this.#failAttempt(slot, attempt, error);
    }
  }

  #bindSource(descriptor: number, name: SocketName, { localAddress, address }: Attempt): void {
    if (localAddress === undefined || isPath(address)) return;
    const own = internetName(localAddress, 0);
    if (own.family !== name.family)
      throw new ConnectionError(
        'ERR_ADDRESS',
        `the local address is ${localAddress}, of another family than the target`,
      );
    const errno = bindSource(this.libc, descriptor, own);
    if (errno !== 0) {
      const { code, meaning } = describeErrno(errno);
      throw new ConnectionError(code, meaning);
    }
  }

  /** The kernel says that an attempt is over. */
  #attempted(slot: Slot): void {
    const attempt = this.#attempts.get(slot);
    if (attempt === undefined) return;
    this.#attempts.delete(slot);
    const errno = pendingError(this.libc, this.descriptors[slot]);
    if (errno === 0) {
      this.flags[slot] = (this.flags[slot] & ~connecting) | open;
      this.adoptConnected(slot);
      this.#markDirty(slot);
      if (this.#flushes.has(slot)) this.#settleSoon(slot);
      this.sink.connected(slot);
      return;
    }
    this.release(slot, false);
    this.descriptors[slot] = -1;
    this.#failAttempt(slot, attempt, new ConnectionError(...nameAndMeaning(errno)));
  }

  /** An attempt has failed: the next address is tried, if there is one. */
  #failAttempt(slot: Slot, attempt: Attempt, error: unknown): void {
    if (attempt.names.length > 0) {
      this.#attempt(slot, attempt);
      return;
    }
    const { code, message } = asSystemError(error);
    this.#fail(slot, cannotConnect(attempt, code, message, error));
  }

  #fail(slot: Slot, reason: ConnectionError): void {
    if ((this.flags[slot] & dropped) !== 0) return;
    this.#reasons.set(slot, reason);
    this.#depart(slot, false);
  }

  // Slots

  #allot(descriptor: number, flags: number): Slot {
    const slot = this.#freeSlots.pop() ?? this.#rows++;
    if (slot >= this.flags.length) this.#grow();
    this.descriptors[slot] = descriptor;
    this.flags[slot] = flags;
    this.#connections++;
    if (!this.#isGuest) this.#updateHold();
    return slot;
  }

  /** Lets go of a connection; `closed` is told in this turn or the next. */
  #depart(slot: Slot, reset: boolean): void {
    if ((this.flags[slot] & dropped) !== 0) return;
    this.flags[slot] |= dropped;
    this.#forgetOutput(slot);
    this.#attempts.delete(slot);
    if (this.descriptors[slot] !== -1) this.release(slot, reset);
    this.descriptors[slot] = -1;
    this.#leaving.push(slot);
    this.#updateHold();
  }

  #vacate(slot: Slot): void {
    this.#forgetOutput(slot);
    this.flags[slot] = 0;
    this.generations[slot]++;
    this.#listenerOf[slot] = 0;
    if (this.#targets.size > 0) this.#targets.delete(slot);
    if (this.#reasons.size > 0) this.#reasons.delete(slot);
    if (this.#flushes.size > 0) this.#flushes.delete(slot);
    this.#freeSlots.push(slot);
    this.#connections--;
    for (const listening of this.listeners.values()) if (listening.resting) this.#acceptAgain(listening);
  }

  #isTaken(slot: Slot): boolean {
    return (this.flags[slot] & (open | connecting)) !== 0;
  }

  /** To be called by every command. */
  #checkTenant(slot: Slot): void {
    if (this.#underWay !== undefined) this.settle();
    if (slot < this.#rows && (this.flags[slot] & (open | connecting)) !== 0) return;
    throw new ConnectionError('ERR_SLOT', `slot ${slot} has no connection: its caller has missed that it closed`);
  }

  #grow(): void {
    const rows = 2 * this.flags.length;
    this.descriptors = extended(this.descriptors, new Int32Array(rows));
    this.flags = extended(this.flags, new Uint16Array(rows));
    this.generations = extended(this.generations, new Uint32Array(rows));
    this.#pending = extended(this.#pending, new Uint32Array(rows));
    this.#from = extended(this.#from, new Uint32Array(rows));
    this.#to = extended(this.#to, new Uint32Array(rows));
    this.#listenerOf = extended(this.#listenerOf, new Uint32Array(rows));
    this.grow(rows);
  }

  #closedIfNothingLeft(): void {
    if (this.#closing === undefined || this.#connections > 0 || this.listeners.size > 0) return;
    this.#closing();
  }

  /** What it holds at this moment: for tests that look for leaks. */
  get counts(): Record<string, number> {
    return {
      connections: this.#connections,
      slots: this.#rows - this.#freeSlots.length,
      outboxes: this.#outboxes.size,
      listeners: this.listeners.size,
    };
  }
}

export function extended<T extends Uint8Array | Uint16Array | Uint32Array | Int32Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}

const nobody: EventSink = {
  beginTurn() {},
  accepted() {},
  connected() {},
  received() {},
  ended() {},
  drained() {},
  flushed() {},
  closed() {},
  acceptFailed() {},
  endTurn() {},
};

function describeListener({ address }: Listening): string {
  return isPath(address) ? address.path : `port ${address.port}`;
}

function nameAndMeaning(errno: number): [string, string] {
  const { code, meaning } = describeErrno(errno);
  return [code, meaning];
}

/** The addresses of a path or an IP address. */
function namesAtOnce(address: Address): SocketName[] {
  return [isPath(address) ? unixName(address.path) : internetName(address.hostname, address.port)];
}

/** The addresses that an address stands for, in the order in which they are to be tried. */
async function namesOf(address: Address): Promise<SocketName[]> {
  if (isPath(address) || isIP(address.hostname) !== 0) return namesAtOnce(address);
  const found = await lookup(address.hostname, { all: true });
  return found.map((each) => internetName(each.address, address.port));
}

function asSystemError(error: unknown): { code: string; message: string } {
  if (!(error instanceof Error)) return { code: 'ERR_SYSTEM', message: String(error) };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'ERR_SYSTEM';
  return { code, message: error.message };
}

/** The file of a Unix-domain socket goes with its listener. */
function removeSocketFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody else has removed it.
  }
}
