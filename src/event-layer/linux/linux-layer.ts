// What the two layers over libc share: turns, the order of events, and the contract. They differ in how they learn what has happened and how
// they pass work to the kernel; that is in the abstract methods. The other files have one subject each:
//
//   slots.ts         the table of connections
//   output.ts        from what is written to what the kernel has taken
//   connecting.ts    connections that are being made
//   listening.ts     sockets that listen
//
// A turn, as `run` has it: wait ─► beginTurn ─► what is due ─► what was collected ─► endTurn ─► output. Sending may bring about
// more to report (a queue that is empty, a connection that is gone); that is reported in one more round, at once, a few times over,
// and after that in the next turn.
//
// When the time of `wakeAt` has come, the kernel is asked again what has arrived. That is reported, and output is sent, before a turn ends
// that lets deadlines pass: the process may have been busy or stopped for so long that what came in time is only yet to be collected.

import { performance } from 'node:perf_hooks';
import type { OutputMemory } from '../../util/output-memory.js';
import { Departures } from '../departures.js';
import { connectionLost, describeConnection, layerClosed } from '../errors.js';
import {
  type Address,
  type ConnectionError,
  type EventLayer,
  type EventSink,
  type ListenerId,
  type ListenOptions,
  type Slot,
  type SocketOptions,
  turnTime,
} from '../event-layer.js';
import { noopSink } from '../noop-sink.js';
import { Connecting, type ConnectingLayer } from './connecting.js';
import { type HostLoop, hostLoop, type LoopMember } from './host-loop.js';
import { describeErrno, ECONNABORTED, type Libc, loadLibraries } from './libc.js';
import { Listeners, type Listening, type ListeningLayer } from './listening.js';
import { Output, type OutputLayer } from './output.js';
import { connecting, departing, dropped, ended, finished, open, paused, Slots } from './slots.js';

/** The most rounds of a turn. Sending can give more to report, which takes another round. */
const roundsPerTurn = 4;

/** `catchUp` counts on each turn to report the input of at least so many connections, if so many have some. */
const connectionsPerTurn = 256;

/** A peer that has left, which is yet to be reported. */
interface Departure {
  slot: Slot;
  generation: number;
  /** 0 if it has sent FIN, else the number of the error that has broken the connection. */
  errno: number;
}

export abstract class LinuxLayer implements EventLayer, LoopMember, OutputLayer, ConnectingLayer, ListeningLayer {
  /** The clock is read after so many events, a power of two: reading it costs a hundredth of what the cheapest of them does. */
  static readonly eventsPerLook = 8;
  abstract readonly name: string;
  abstract readonly pollable: number;
  abstract setExclusive(isAlone: boolean): void;
  protected readonly libc: Libc;
  protected readonly host: HostLoop;
  protected readonly slots: Slots;
  protected readonly listeners: Listeners;
  protected readonly departures = new Departures<Departure>();
  readonly #output: Output;
  readonly #connecting: Connecting;
  /** Why connections have ended for which `closed` is yet to be called. */
  readonly #reasons = new Map<Slot, ConnectionError>();

  // Of the layer.
  protected sink: EventSink = noopSink;
  #isAttached = false;
  #holds = false;
  #closing: (() => void) | undefined;
  #closed: Promise<void> | undefined;
  /** After `close`: no descriptor is left. */
  protected isClosed = false;

  // Of the turn.
  /** Whether libuv had something to do when `wait` returned. */
  protected hostReady = false;
  /** The time at which the turn began, which is `now` while `#isBeginning`: the clock is read once for all who want to know then. */
  #began = 0;
  /** Deadlines up to this time may be enforced: see `EventSink.endTurn`. */
  #due = -Infinity;
  /** While it is finite, `#wake` has passed, and deadlines up to `#dueNext` may be enforced when `reported` has reached it. */
  #dueAfter = Infinity;
  #dueNext = 0;
  /** Libuv has had its turn since `#wake` has passed. */
  #hostServed = false;
  /** When `reported` has reached it, everything has been reported that was known when a turn was last counted for `catchUp`. */
  #reportedThen = 0;
  /** The number of events of the kernel that have been reported, ever. */
  protected reported = 0;
  #isBeginning = false;
  #requested = false;
  #wake = Infinity;
  /** Gone; `closed` is yet to be called. */
  #leaving: Slot[] = [];
  /** What the next turn does first; see `inTurn`. */
  #tasks: (() => void)[] = [];
  /** Calls of `catchUp`, with the number of turns that each still needs. */
  #catchingUp: { turns: number; resolve: () => void }[] = [];

  /** @throws {ConnectionError} where it is unavailable: `ERR_EVENT_LAYER`, or the code of the system call that has failed */
  constructor() {
    const { libc } = loadLibraries();
    this.libc = libc;
    this.host = hostLoop();
    this.slots = new Slots((rows) => {
      this.#output.grow(rows);
      this.grow(rows);
    });
    this.listeners = new Listeners(libc, this);
    this.#output = new Output(libc, this.slots, this);
    this.#connecting = new Connecting(libc, this.slots, this);
  }

  // What each layer does in a different way; see also the interfaces of the other files.

  abstract startAccepting(listening: Listening): number;
  abstract pauseAccepting(listening: Listening): void;
  abstract stopListening(listening: Listening): Promise<void>;
  abstract adoptConnecting(slot: Slot): void;
  abstract send(slot: Slot, address: number, bytes: number): void;
  abstract submit(): void;
  abstract awaitWritable(slot: Slot): void;
  abstract shutDown(slot: Slot): void;
  abstract release(slot: Slot, reset: boolean): void;
  /** A connection is established: its input is to be reported, unless reading is paused. */
  protected abstract adoptConnected(slot: Slot): void;
  /** Reading is to be on or off, as the slot's flags have it now. */
  protected abstract updateReading(slot: Slot): void;
  /** Whether `wait` does what `submit` does, in the same call. */
  protected abstract readonly submitsInWait: boolean;
  /** The descriptor's peer. */
  protected abstract peerOf(slot: Slot): string;
  /** The same of this end. */
  protected abstract localOf(slot: Slot): string;
  /** Waits for something to happen, and sets `hostReady`. @param milliseconds 0 does not wait, -1 is without end @returns whether something has */
  protected abstract wait(milliseconds: number): boolean;
  /** Reports what has happened, and adds to `reported`. */
  protected abstract collect(): void;
  /** Whether `wait` would ask the kernel. It does not while events of its last answer are yet to be collected. */
  protected abstract readonly canLook: boolean;
  /** The most events that can have happened when the kernel was last asked, and have not been reported. */
  protected abstract readonly unreported: number;
  /** Whether some of what the kernel has said is left for the next turn. */
  protected abstract readonly isBehind: boolean;
  /** Releases everything. Called when no connection and no listener is left. */
  protected abstract destroy(): Promise<void> | void;
  /** There is room for so many slots now. */
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
    if (this.isClosing) return;
    this.#wake = time;
    this.updateHold();
  }

  requestTurn(): void {
    this.#requested = true;
    this.updateHold();
  }

  async listen(options: ListenOptions): Promise<{ listener: ListenerId; address: Address }> {
    const { id, address } = await this.listeners.open(options);
    return { listener: id, address };
  }

  setReferenced(listener: ListenerId, isReferenced: boolean): void {
    const listening = this.listeners.get(listener);
    if (listening === undefined) return;
    listening.isReferenced = isReferenced;
    this.updateHold();
  }

  async unlisten(listener: ListenerId): Promise<void> {
    await this.listeners.close(listener);
    this.updateHold();
    this.#closedIfNothingLeft();
  }

  catchUp(): Promise<void> {
    if (this.isClosing) return Promise.resolve();
    return new Promise((resolve) => {
      this.#catchingUp.push({ turns: 2 + Math.ceil(this.slots.taken / connectionsPerTurn), resolve });
      this.requestTurn();
    });
  }

  connect(address: Address, localAddress?: string, options: SocketOptions = {}): Slot {
    const slot = this.#allocate(-1, connecting);
    if (this.isClosing) this.fail(slot, layerClosed('connect'));
    else this.#connecting.begin(slot, address, localAddress, options);
    return slot;
  }

  get output(): OutputMemory {
    return this.#output.memory;
  }

  reserve(slot: Slot, bytes: number): number {
    this.#checkSlot(slot);
    return this.#output.reserve(bytes);
  }

  commit(slot: Slot, end: number): void {
    this.#checkSlot(slot);
    this.#output.commit(slot, end);
  }

  sendNow(slot: Slot, bytes: Uint8Array, start: number, end: number): number {
    this.#checkSlot(slot);
    return this.#output.sendNow(slot, bytes, start, end);
  }

  push(slot: Slot): void {
    this.#checkSlot(slot);
    this.#output.push(slot);
  }

  queued(slot: Slot): number {
    this.#checkSlot(slot);
    return this.#output.queued(slot);
  }

  notifyFlushed(slot: Slot): void {
    this.#checkSlot(slot);
    this.#output.notifyFlushed(slot);
  }

  pauseReading(slot: Slot): void {
    this.#checkSlot(slot);
    const { flags } = this.slots;
    if ((flags[slot] & paused) !== 0) return;
    flags[slot] |= paused;
    if (this.slots.isLive(slot)) this.updateReading(slot);
  }

  resumeReading(slot: Slot): void {
    this.#checkSlot(slot);
    const { flags } = this.slots;
    if ((flags[slot] & paused) === 0) return;
    flags[slot] &= ~paused;
    if (this.slots.isLive(slot)) this.updateReading(slot);
    this.requestTurn();
  }

  finish(slot: Slot): void {
    this.#checkSlot(slot);
    this.#output.finish(slot);
  }

  reset(slot: Slot): void {
    this.#checkSlot(slot);
    this.closeSlot(slot, true);
  }

  abandon(slot: Slot): void {
    this.#checkSlot(slot);
    this.closeSlot(slot, false);
  }

  peer(slot: Slot): string {
    this.#checkSlot(slot);
    return this.slots.isLive(slot) ? this.peerOf(slot) : '';
  }

  local(slot: Slot): string {
    this.#checkSlot(slot);
    return this.slots.isLive(slot) ? this.localOf(slot) : '';
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.wakeAt(Infinity);
      this.#closing = resolve;
      for (const { id } of [...this.listeners.all()]) void this.unlisten(id);
      for (let slot = 0; slot < this.slots.rows; slot++) if (this.slots.isTaken(slot)) this.reset(slot);
      this.requestTurn();
      this.#closedIfNothingLeft();
    });
    this.host.dispose(this);
    this.isClosed = true;
    for (const { resolve } of this.#catchingUp) resolve();
    await this.destroy();
    this.discard();
  }

  /** Gives back the memory for output: of a layer that is closed, or that could not be made. */
  protected discard(): void {
    this.#output.close();
  }

  /** `close` has been called: new connections are refused. */
  get isClosing(): boolean {
    return this.#closing !== undefined;
  }

  #closedIfNothingLeft(): void {
    if (this.#closing === undefined || this.slots.taken > 0 || this.listeners.size > 0) return;
    this.#closing();
  }

  // Turns

  wakeTime(): number {
    return this.#isBusy() ? -Infinity : this.#wake;
  }

  // (These two are called in every turn. They are not getters, because the engine calls private getters through its runtime.)

  /** There is something to do that nothing has to happen for. */
  #isBusy(): boolean {
    const isWaiting = this.#leaving.length > 0 || this.#output.isPending || this.departures.isPending;
    return this.#requested || isWaiting || this.isBehind;
  }

  run(milliseconds: number): boolean {
    const some = this.#look(milliseconds);
    if (this.isClosed) return true;
    const isDue = this.#wake <= this.#began;
    // Not by looking at the clock again: a turn before the time that was asked for would be one too many.
    if (!some && !isDue && !this.#isBusy()) return this.hostReady;
    this.#requested = false;
    this.departures.beginTurn();
    if (isDue) {
      this.#runDue(some);
    } else {
      this.#due = this.#began;
      this.#turn(some, true);
    }
    for (let round = 1; round < roundsPerTurn && this.#hasReports(); round++) this.#turn(false, false);
    if (this.#catchingUp.length > 0) this.#noteCaughtUp();
    this.updateHold();
    this.#closedIfNothingLeft();
    return this.hostReady || this.isBehind; // then the process's other work comes before the rest
  }

  /** Waits for events, and reads the clock. @returns whether there are some to collect */
  #look(milliseconds: number): boolean {
    const some = this.wait(milliseconds);
    this.#output.afterWait();
    this.#began = performance.now();
    return some;
  }

  /** The time of `wakeAt` has passed: what had arrived by now has its turn first. @param some whether there is something to collect */
  #runDue(some: boolean): void {
    const now = this.#began;
    if (some || this.#isBusy()) this.#turn(some, true);
    if (this.#dueAfter === Infinity) {
      if (!this.canLook) return; // the events of the last look first
      const { hostReady } = this;
      const more = this.#look(0);
      this.hostReady ||= hostReady;
      this.#dueAfter = this.reported + this.unreported;
      this.#dueNext = now;
      if (more) this.#turn(true, true);
    }
    this.#dueAfter = Math.min(this.#dueAfter, this.reported + this.unreported); // see `#noteCaughtUp`
    if (this.reported < this.#dueAfter) return;
    if (this.hostReady && !this.#hostServed) {
      this.#hostServed = true; // what promises wait for may be there as well
      return;
    }
    this.#hostServed = false;
    this.#dueAfter = Infinity;
    this.#due = this.#dueNext;
    if (this.#wake <= this.#due) this.#wake = Infinity;
    this.#turn(false, true);
  }

  settle(): void {
    this.#output.submitDeferred();
    if (!this.isClosed) this.submit(); // what ticks and other layers' turns have asked for
  }

  /** Counts the turn if everything has been reported that was known when the last one was counted. */
  #noteCaughtUp(): void {
    const known = this.reported + this.unreported;
    // What is known now has what was known then. It is less where connections have closed: their events do not come any more.
    this.#reportedThen = Math.min(this.#reportedThen, known);
    if (this.reported < this.#reportedThen) {
      this.requestTurn();
      return;
    }
    this.#reportedThen = known;
    this.#countTurn();
  }

  /** A turn has reported what had arrived before it. */
  #countTurn(): void {
    const calls = this.#catchingUp;
    this.#catchingUp = calls.filter((call) => --call.turns > 0);
    for (const { turns, resolve } of calls) if (turns === 0) resolve();
    if (this.#catchingUp.length > 0) this.requestTurn();
  }

  /** Runs something that reports events in the next turn, since events may only be reported in one. Resolves when that is done. */
  protected inTurn(act: () => void): Promise<void> {
    return new Promise((resolve) => {
      this.#tasks.push(() => {
        act();
        resolve();
      });
      this.requestTurn();
    });
  }

  #runTasks(): void {
    const tasks = this.#tasks;
    this.#tasks = [];
    for (const task of tasks) task();
  }

  #hasReports(): boolean {
    return this.#leaving.length > 0 || this.#output.needsNotify;
  }

  /** @param some whether there is something to collect @param isFirst whether the kernel was asked, and the clock read, just now */
  #turn(some: boolean, isFirst: boolean): void {
    this.#isBeginning = isFirst;
    try {
      this.sink.beginTurn(isFirst);
    } finally {
      this.#isBeginning = false;
    }
    this.#reportDue();
    if (this.#tasks.length > 0) this.#runTasks();
    if (some) this.collect();
    if (this.departures.isPending) this.departures.report(this.#reportDeparture);
    if (this.#leaving.length > 0) this.#reportDue();
    this.sink.endTurn(this.#due);
    // Not later if deadlines have passed: they wait for what becomes of this.
    const later = this.submitsInWait && !this.#hasReports() && !this.#requested && this.#wake > this.#began;
    this.#output.flush(later);
  }

  /** Reports what sending and commands have brought about. */
  #reportDue(): void {
    this.#output.notifySent(this.sink);
    while (this.#leaving.length > 0) {
      const slots = this.#leaving;
      this.#leaving = [];
      for (const slot of slots) this.#reportClosed(slot);
    }
  }

  #reportClosed(slot: Slot): void {
    this.sink.closed(slot, this.#reasons.get(slot));
    this.#output.free(slot);
    this.#connecting.free(slot);
    if (this.#reasons.size > 0) this.#reasons.delete(slot);
    this.slots.free(slot);
    this.listeners.connectionClosed();
  }

  /** Whether it has something to wait for, and whether that holds the process open, may have changed. */
  updateHold(): void {
    const holds =
      this.slots.taken > 0 ||
      this.listeners.isReferenced ||
      this.#wake !== Infinity ||
      this.#requested ||
      this.#hasReports();
    const isNeeded = holds || this.listeners.size > 0;
    if ((holds === this.#holds && isNeeded === this.#isAttached) || this.isClosed) return;
    this.#holds = holds;
    if (isNeeded !== this.#isAttached) {
      this.#isAttached = isNeeded;
      if (isNeeded) this.host.attach(this);
      else this.host.detach(this);
    }
    this.host.updateReferences();
  }

  get holdsProcess(): boolean {
    return this.#holds;
  }

  // Called by the layers inside `collect`.

  /** A connection has been accepted. @returns its slot, before any event of it is reported */
  protected allocateAccepted(descriptor: number, listening: Listening): Slot {
    const slot = this.#allocate(descriptor, open);
    this.slots.listeners[slot] = listening.id;
    return slot;
  }

  /** Accepts on ordinary descriptors what is left in the kernel's queue of a listener that stops. Called in a turn. @param flags of accept4(2) */
  protected acceptRest(listening: Listening, flags: number): void {
    // More than the queue holds may come meanwhile; the bound keeps this from going on for ever.
    for (let left = listening.backlog + 1; left > 0 && !this.isClosing; left--) {
      const descriptor = this.libc.accept4(listening.descriptor, null, null, flags);
      if (descriptor >= 0) this.adoptAccepted(descriptor, listening);
      else if (this.libc.errno() !== ECONNABORTED) return;
    }
  }

  /** Reads from and reports a connection with an ordinary descriptor that a listener has accepted. */
  protected abstract adoptAccepted(descriptor: number, listening: Listening): void;

  /** Whether the turn has reported events for long enough. */
  protected isTimeOver(): boolean {
    return performance.now() - this.#began > turnTime;
  }

  protected acceptFailed(listening: Listening, errno: number): void {
    this.listeners.acceptFailed(listening, errno);
  }

  /**
   * The peer has left. This is reported now, or in a later turn if very many leave at once.
   * @param errno 0 if it has sent FIN, else the number of the error that has broken the connection
   */
  protected peerLeft(slot: Slot, errno: number): void {
    const { flags, generations } = this.slots;
    if ((flags[slot] & (dropped | departing)) !== 0) return;
    if (this.departures.mayReport()) {
      this.#reportLeft(slot, errno);
      return;
    }
    flags[slot] |= departing;
    this.departures.add({ slot, generation: generations[slot], errno });
  }

  readonly #reportDeparture = ({ slot, generation, errno }: Departure): void => {
    const { flags, generations } = this.slots;
    // It may have been closed here in the meantime, and the slot may have been used again.
    if (generations[slot] !== generation || (flags[slot] & dropped) !== 0) return;
    flags[slot] &= ~departing;
    // Reading has been paused since: the FIN is found again when it is resumed.
    if (errno === 0 && (flags[slot] & paused) !== 0) return;
    this.#reportLeft(slot, errno);
  };

  #reportLeft(slot: Slot, errno: number): void {
    if (errno === 0) this.reportEnded(slot);
    else this.broke(slot, errno);
  }

  /** The peer has sent FIN. */
  protected reportEnded(slot: Slot): void {
    const { flags } = this.slots;
    if ((flags[slot] & (ended | dropped)) !== 0) return;
    flags[slot] |= ended;
    this.sink.ended(slot);
    if ((this.slots.flags[slot] & finished) !== 0) this.closeSlot(slot, false);
  }

  /** The socket takes output again, or a connection has been made or has failed. */
  protected becameWritable(slot: Slot): void {
    const flags = this.slots.flags[slot];
    if ((flags & dropped) !== 0) return;
    if ((flags & connecting) !== 0) this.#connecting.attempted(slot);
    else this.#output.becameWritable(slot);
  }

  /** A send has not been taken whole. @param result bytes that were taken, or a negative error number */
  protected partiallySent(slot: Slot, result: number): void {
    this.#output.onPartialSend(slot, result);
  }

  broke(slot: Slot, errno: number): void {
    if ((this.slots.flags[slot] & dropped) !== 0) return;
    const { code, meaning } = describeErrno(errno);
    const listening = this.listeners.get(this.slots.listeners[slot]);
    // A socket that has broken has no peer any more (getpeername(2): ENOTCONN), so the message names the listener.
    const which = describeConnection(this.#connecting.target(slot), '', listening?.address);
    this.fail(slot, connectionLost(which, code, meaning));
  }

  // Called by the other files.

  reportAcceptFailed(listener: ListenerId, error: ConnectionError): void {
    this.sink.acceptFailed(listener, error);
  }

  madeConnection(slot: Slot): void {
    this.adoptConnected(slot);
    this.#output.connected(slot);
    this.sink.connected(slot);
  }

  fail(slot: Slot, reason: ConnectionError): void {
    if ((this.slots.flags[slot] & dropped) !== 0) return;
    this.#reasons.set(slot, reason);
    this.closeSlot(slot, false);
  }

  outputHeld(slot: Slot, bytes: number): void {
    this.sink.outputHeld?.(slot, bytes);
  }

  closeSlot(slot: Slot, reset: boolean): void {
    const { flags, descriptors } = this.slots;
    if ((flags[slot] & dropped) !== 0) return;
    flags[slot] |= dropped;
    this.#output.forget(slot);
    this.#connecting.forget(slot);
    if (descriptors[slot] !== -1) this.release(slot, reset);
    descriptors[slot] = -1;
    this.#leaving.push(slot);
    this.updateHold();
  }

  #allocate(descriptor: number, flags: number): Slot {
    const slot = this.slots.allocate(descriptor, flags);
    if (!this.#holds) this.updateHold();
    return slot;
  }

  /** To be called by every command. */
  #checkSlot(slot: Slot): void {
    this.#output.submitDeferred();
    this.slots.check(slot);
  }

  /** What it holds at this moment: for tests that look for leaks. */
  get counts(): Record<string, number> {
    return {
      connections: this.slots.taken,
      slots: this.slots.rows - this.slots.freeRows,
      outboxes: this.#output.waiting,
      listeners: this.listeners.size,
    };
  }
}
