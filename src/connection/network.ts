// A network: one event layer, the scheduler of the threads that live on it, and a row for each slot in the arrays below.
// It receives what the layer tells and passes it to the record of the slot, or, where the slot has none because it is idle,
// to the owner of the slot: the listener that accepted it, or the client that asked for it.
//
// Connections of a listener with a secure transport (TLS) are marked in the byte of their state. What the layer tells of these goes to the transport
// first, which tells the network what it means: see `#plain`. All others are found by the comparisons that are made anyway.

import { chooseEventLayer } from '../event-layer/choose.js';
import type { ConnectionError, EventLayer, EventSink, ListenerId, Slot } from '../event-layer/event-layer.js';
import type { SecureTransport, SecureTransportEvents, Transport } from '../event-layer/transport.js';
import { defaultScheduler, Scheduler } from '../threads/scheduler.js';
import { currentThread, type Thread } from '../threads/thread.js';
import type { TimerTarget } from '../threads/timers.js';
import { IdTable } from '../util/id-table.js';
import { growTypedArray } from '../util/typed-array.js';
import type { BufferedBytes } from './buffered-bytes.js';
import { ConnectionDiagnostics } from './diagnostics.js';
import { Lingering } from './lingering.js';
import { TurnShares } from './turn-shares.js';

/** What a slot is doing; kept as one byte in the slot's row. */
export const SlotState = {
  /** No connection has it. */
  free: 0,
  /** Asked for by `connect`, not there yet. */
  connecting: 1,
  /** Open, and no thread is working for it: it owns no object. */
  idle: 2,
  /** Open, with a record. */
  active: 3,
  /** This side has sent FIN; what still comes in is thrown away. */
  closing: 4,
} as const;
export type SlotState = (typeof SlotState)[keyof typeof SlotState];

/** In the byte of a slot's state: its connection has a secure transport. Higher than any state, so that one comparison finds both this and `closing`. */
const secured = 0x80;

/** What a slot belongs to, and what its connection is bound by. None of the methods may throw. */
export interface Owner {
  readonly network: Network;
  /** What its connections are read from and written to: the layer of its network, or a secure transport over that. */
  readonly transport: Transport;
  /** Where the memory that its connections take is counted. */
  readonly buffers: BufferedBytes;
  /** From so many bytes of queued output on, a write parks. 1 while there is no memory for more. */
  readonly queuedBytes: number;
  /** The `timeout` of the readers and writers of its connections, in milliseconds, unless their users set another. */
  readonly readTimeout: number;
  readonly writeTimeout: number;
  /** How many bytes a second of what is left for it a peer must take, on average, for its connection to stay; 0 is any. */
  readonly writeRate: number;
  /** The connection is there. */
  opened(slot: Slot): void;
  /** Bytes have come for a slot that has no record. `bytes[start … end-1]` are lent for the duration of the call. */
  received(slot: Slot, bytes: Uint8Array, start: number, end: number): void;
  /** The peer of a slot that has no record has sent FIN. */
  ended(slot: Slot): void;
  /** The deadline of a slot that has no record has passed. */
  expired(slot: Slot): void;
  /**
   * The connection is gone; the slot is no longer the owner's.
   * @param record undefined if the slot had none
   * @param wasClosing this side had closed it
   */
  closed(slot: Slot, record: SlotRecord | undefined, reason: ConnectionError | undefined, wasClosing: boolean): void;
}

/** What a slot that is at work has in its row: it is told what happens to the connection. */
export interface SlotRecord {
  readonly slot: Slot;
  /** The thread that works for it. */
  readonly thread: Thread<unknown> | undefined;
  /** Bytes have come. They are lent for the duration of the call. */
  received(bytes: Uint8Array, start: number, end: number): void;
  /** The peer has sent FIN. */
  ended(): void;
  /** There is room for output again. */
  drained(): void;
  /** All output has left. */
  flushed(): void;
  /** The slot's deadline has passed. */
  expired(): void;
  /** The slot is taken from it: the connection is gone, or has nothing to do any more. */
  detached(reason: ConnectionError | undefined): void;
  /** The connection is gone. What works for it learns of that, if the owner has it do so. @param reason why, if it was not closed in good order */
  lost(reason: ConnectionError | undefined): void;
  /** The server closes: what works for the connection says goodbye, if its protocol has words for that. */
  closing(): void;
  /** It has been closed, and its owner has been told: its thread looks again at what it waits for. */
  wake(): void;
}

const networks = new WeakMap<Scheduler, Network>();
let shared: Network | undefined;

interface ListenerEntry {
  readonly owner: Owner;
  /** The owner's. */
  readonly number: number;
  readonly acceptFailed: (error: Error) => void;
}

/**
 * Connections over one event layer, and the scheduler of their threads. `serve`, `listen` and `connect` use that of the process, unless they are
 * given another one: for a test, one over a {@link SimulatedLayer}.
 */
export class Network implements EventSink, TimerTarget {
  /** What talks to the system. */
  readonly layer: EventLayer;
  /** Runs the threads: for the option `scheduler` of `run` and `spawn`. */
  readonly scheduler: Scheduler;
  /** @internal What each connection has had of the turn. */
  readonly shares: TurnShares;

  // One row a slot. What is an object stands under its number, 0 being none: a listener is the owner of very many slots, and
  // idle slots have no record.
  readonly #owners = new IdTable<Owner>();
  readonly #records = new IdTable<SlotRecord>();
  /** Numbers of owners that a slot does not give back when it is closed: those of listeners, and 0. */
  readonly #shared = new Set([0]);
  #ownerOf = new Uint32Array(64);
  #recordOf = new Uint32Array(64);
  #states = new Uint8Array(64);
  /** When something is to happen if nothing else does, in milliseconds of the scheduler; `Infinity` is never. */
  #deadlines = new Float64Array(64).fill(Infinity);
  /** The slot's timer in the wheel, 0 is none. It may be due before the deadline, which may have been put off since; never after. */
  #timers = new Int32Array(64);
  /** Output queued when the slot became idle or began to close, or when its deadline last passed. */
  #queued = new Uint32Array(64);
  readonly #lingering = new Lingering();
  readonly #diagnostics = new ConnectionDiagnostics(() => this.layer.now());
  readonly #listeners = new Map<ListenerId, ListenerEntry>();
  /** Those of all listeners. */
  readonly #secureTransports = new Set<SecureTransport>();

  /**
   * Starts the layer.
   * @param layer one that no other network has
   * @param scheduler default: a new one, which makes uncaught exceptions of errors that nothing receives
   */
  constructor(layer: EventLayer, scheduler?: Scheduler) {
    this.layer = layer;
    this.shares = new TurnShares(() => layer.now());
    layer.start(this);
    this.scheduler = scheduler ?? new Scheduler(layer);
    this.scheduler.timers.defaultTarget ??= this;
    networks.set(this.scheduler, this);
  }

  /** The network of the process, made when it is first asked for, on the best event layer of the machine. */
  static default(): Network {
    if (shared === undefined) {
      const layer = chooseEventLayer();
      const scheduler = defaultScheduler();
      shared = new Network(layer, scheduler);
      scheduler.attach(layer);
    }
    return shared;
  }

  /** The network whose scheduler that is; the process's own for a scheduler without one. */
  static of(scheduler: Scheduler | undefined): Network {
    return (scheduler && networks.get(scheduler)) ?? Network.default();
  }

  /** The network of the running thread, else that of the process. */
  static current(): Network {
    return Network.of(currentThread()?.scheduler);
  }

  /** @internal Lets a listener of the layer belong to an owner. `acceptFailed` is told when accepting fails for the time being. */
  adoptListener(listener: ListenerId, owner: Owner, acceptFailed: (error: Error) => void): void {
    const number = this.#owners.add(owner);
    this.#shared.add(number);
    this.#listeners.set(listener, { owner, number, acceptFailed });
  }

  /** @internal Its slots must be gone. */
  dropListener(listener: ListenerId): void {
    const entry = this.#listeners.get(listener);
    if (entry === undefined) return;
    this.#listeners.delete(listener);
    this.#shared.delete(entry.number);
    this.#owners.drop(entry.number);
  }

  /** @internal Makes a secure transport ready for the listeners that have it. */
  addTransport(transport: SecureTransport): void {
    this.#secureTransports.add(transport);
    transport.start(this.#secureEvents);
  }

  /** @internal The connections of a secure transport are gone. */
  removeTransport(transport: SecureTransport): void {
    this.#secureTransports.delete(transport);
  }

  /** @internal Gives a slot to an owner of its own: what `connect` has asked for. */
  adopt(slot: Slot, owner: Owner, state: SlotState): void {
    this.#adopt(slot, this.#owners.add(owner), state);
    this.#secure(slot, owner);
  }

  #adopt(slot: Slot, owner: number, state: SlotState): void {
    if (slot >= this.#states.length) this.#grow(slot);
    this.#ownerOf[slot] = owner;
    this.#recordOf[slot] = 0;
    this.#states[slot] = state;
    this.#deadlines[slot] = Infinity;
  }

  /** @internal The slot's record, if it is not idle. */
  record(slot: Slot): SlotRecord | undefined {
    return this.#records.get(this.#recordOf[slot]);
  }

  /** @internal Gives a slot a record, which is told of its events from now on. */
  attach(record: SlotRecord): void {
    const { slot } = record;
    this.#recordOf[slot] = this.#records.add(record);
    this.#setState(slot, SlotState.active);
  }

  /** Gives a slot another record in the place of the one that it has, which hears of nothing any more. */
  replace(record: SlotRecord): void {
    this.#records.set(this.#recordOf[record.slot], record);
  }

  /** @internal Takes the slot's record away: whatever comes next is told to the owner. */
  release(slot: Slot): void {
    this.#detach(slot);
    this.#setState(slot, SlotState.idle);
    this.#queued[slot] = this.transport(slot).queued(slot);
  }

  /** @internal What the slot's connection is read from and written to. */
  transport(slot: Slot): Transport {
    if (this.#states[slot] < secured) return this.layer;
    return this.owner(slot)?.transport ?? this.layer;
  }

  /**
   * @internal For a slot without a record, when its deadline has passed: for how much longer its peer is waited for, in milliseconds; 0 is not at
   * all. It is if output is left, and some has been taken since this was last asked, or since the slot became idle: for as long as what was
   * taken is worth.
   * @param whole the most that it is worth, and what it is worth where the owner asks for no rate
   */
  extraTime(slot: Slot, whole: number): number {
    const queued = this.transport(slot).queued(slot);
    const taken = this.#queued[slot] - queued;
    this.#queued[slot] = queued;
    if (queued === 0 || taken <= 0) return 0;
    const rate = this.owner(slot)?.writeRate ?? 0;
    return rate === 0 ? whole : Math.min(whole, (taken * 1000) / rate);
  }

  /** @internal */
  state(slot: Slot): SlotState {
    return (this.#states[slot] & ~secured) as SlotState; // only set from SlotState
  }

  #setState(slot: Slot, state: SlotState): void {
    this.#states[slot] = (this.#states[slot] & secured) | state;
  }

  /** @internal How many slots there are or have been: all are below it. */
  get slots(): number {
    return this.#ownerOf.length;
  }

  /** @internal What the slot belongs to; undefined if it is free. */
  owner(slot: Slot): Owner | undefined {
    return this.#owners.get(this.#ownerOf[slot]);
  }

  /** @internal The slots of an owner. */
  *slotsOf(owner: Owner): Generator<Slot, void, void> {
    for (let slot = 0; slot < this.#ownerOf.length; slot++) if (this.owner(slot) === owner) yield slot;
  }

  /**
   * @internal Sets when the slot's deadline is, in place of the one before. Putting it off costs a store; the timer is moved when it comes up.
   * @param time milliseconds of the scheduler's clock; `Infinity` for none
   */
  setDeadline(slot: Slot, time: number): void {
    const earlier = time < this.#deadlines[slot];
    this.#deadlines[slot] = time;
    const timer = this.#timers[slot];
    if (time === Infinity || (timer !== 0 && !earlier)) return;
    if (timer !== 0) this.scheduler.timers.cancel(timer);
    this.#timers[slot] = this.scheduler.armAt(time, this, slot);
  }

  /** @internal When the slot's deadline is, in milliseconds of the scheduler; `Infinity` if there is none. */
  deadline(slot: Slot): number {
    return this.#deadlines[slot];
  }

  /**
   * @internal Sends FIN after what is queued, and throws away what still comes in until the peer has ended too. Closes the socket in the end all the same:
   * @param patience when the peer has taken nothing of what was queued in so many milliseconds, or too little; or has taken all, and goes on
   *   sending for so long
   * @param quiet when the peer has taken all, and has sent nothing for so many milliseconds. For a slot that is closing already, it takes the
   *   place of the time that was given before, if it is less
   * @returns false if the slot was closing already
   */
  linger(slot: Slot, timeout: number, quietTime: number = timeout): boolean {
    const { now } = this.scheduler;
    const transport = this.transport(slot);
    if (this.state(slot) === SlotState.closing) {
      if (this.#lingering.shorten(slot, quietTime)) this.#awaitQuiet(slot, transport, Math.min(quietTime, timeout));
      return false;
    }
    this.#detach(slot);
    this.#setState(slot, SlotState.closing);
    this.#queued[slot] = transport.queued(slot);
    this.#lingering.begin(slot, timeout, quietTime, now);
    transport.finish(slot);
    transport.resumeReading(slot);
    this.setDeadline(slot, now + timeout);
    if (quietTime < timeout) this.#awaitQuiet(slot, transport, quietTime);
    return true;
  }

  /** A closing slot is waited for so many milliseconds from when its output has left. */
  #awaitQuiet(slot: Slot, transport: Transport, quietTime: number): void {
    if (transport.queued(slot) > 0) transport.notifyFlushed(slot);
    else this.setDeadline(slot, this.scheduler.now + quietTime);
  }

  /** @internal Ends a connection whose time is up. What the kernel has taken of its last response is still delivered, if this side has ended in good order. */
  drop(slot: Slot): void {
    const state = this.state(slot);
    const transport = this.transport(slot);
    const isInOrder = state === SlotState.closing || state === SlotState.idle;
    if (isInOrder && transport.queued(slot) === 0) transport.abandon(slot);
    else transport.reset(slot);
  }

  // What the layer tells.

  /** @internal */
  beginTurn(looked = true): void {
    if (looked) this.shares.next();
    for (const transport of this.#secureTransports) transport.beginTurn();
    this.scheduler.beginTurn(looked);
  }

  /** @internal */
  endTurn(due?: number): void {
    this.scheduler.endTurn(due);
    for (const transport of this.#secureTransports) transport.endTurn();
  }

  /** @internal */
  accepted(slot: Slot, listener: ListenerId): void {
    const entry = this.#listeners.get(listener);
    if (entry === undefined) {
      this.#adopt(slot, 0, SlotState.idle);
      this.layer.reset(slot); // it was under way when the listener was closed
      return;
    }
    const { owner, number } = entry;
    this.#adopt(slot, number, SlotState.idle);
    if (this.#secure(slot, owner)) this.#secureTransport(slot)?.accepted(slot);
    this.#opened(slot, owner, 'server');
  }

  /** @internal */
  connected(slot: Slot): void {
    if (this.#states[slot] < secured) this.#connected(slot);
    else this.#secureTransport(slot)?.connected(slot);
  }

  #connected(slot: Slot): void {
    const owner = this.owner(slot);
    if (owner !== undefined) this.#opened(slot, owner, 'client');
  }

  #opened(slot: Slot, owner: Owner, side: 'server' | 'client'): void {
    if (this.#diagnostics.isSubscribed) this.#diagnostics.opened(slot, side, owner.transport.peer(slot));
    owner.opened(slot);
  }

  /** Marks a slot whose owner has a secure transport. @returns whether it has */
  #secure(slot: Slot, owner: Owner): boolean {
    if (owner.transport === this.layer) return false;
    this.#states[slot] |= secured;
    return true;
  }

  /** @internal */
  received(slot: Slot, buffer: Uint8Array, start: number, end: number): void {
    const state = this.#states[slot];
    if (state < SlotState.closing) this.#received(slot, buffer, start, end);
    else if (state < secured) this.#lingering.received(slot);
    else this.#secureTransport(slot)?.received(slot, buffer, start, end);
  }

  #received(slot: Slot, buffer: Uint8Array, start: number, end: number): void {
    const record = this.record(slot);
    if (record !== undefined) record.received(buffer, start, end);
    else this.owner(slot)?.received(slot, buffer, start, end);
  }

  /** @internal */
  ended(slot: Slot): void {
    if (this.#states[slot] < secured) this.#ended(slot);
    else this.#secureTransport(slot)?.ended(slot);
  }

  #ended(slot: Slot): void {
    if (this.state(slot) === SlotState.closing) return; // the layer closes it by itself
    const record = this.record(slot);
    if (record !== undefined) record.ended();
    else this.owner(slot)?.ended(slot);
  }

  /** @internal */
  drained(slot: Slot): void {
    if (this.#states[slot] < secured) this.record(slot)?.drained();
    else this.#secureTransport(slot)?.drained(slot);
  }

  /** @internal */
  flushed(slot: Slot): void {
    if (this.#states[slot] < secured) this.#flushed(slot);
    else this.#secureTransport(slot)?.flushed(slot);
  }

  #flushed(slot: Slot): void {
    if (this.state(slot) !== SlotState.closing) {
      this.record(slot)?.flushed();
      return;
    }
    const { now } = this.scheduler;
    this.setDeadline(slot, now + this.#lingering.flushed(slot, now));
  }

  /** @internal */
  closed(slot: Slot, reason: ConnectionError | undefined): void {
    if (this.#states[slot] >= secured) this.#secureTransport(slot)?.closed(slot);
    const record = this.record(slot);
    const owner = this.owner(slot);
    const timer = this.#timers[slot];
    if (timer !== 0) this.scheduler.timers.cancel(timer);
    this.#timers[slot] = 0;
    this.#deadlines[slot] = Infinity;
    const wasClosing = this.state(slot) === SlotState.closing;
    if (wasClosing) this.#lingering.end(slot);
    this.#states[slot] = SlotState.free;
    if (record !== undefined) this.#dropRecord(slot);
    const number = this.#ownerOf[slot];
    if (!this.#shared.has(number)) this.#owners.drop(number);
    this.#ownerOf[slot] = 0;
    record?.detached(reason);
    owner?.closed(slot, record, reason, wasClosing);
    this.#diagnostics.closed(slot, reason);
    record?.wake();
  }

  /** @internal */
  outputHeld(slot: Slot, bytes: number): void {
    this.owner(slot)?.buffers.add(bytes);
  }

  /** @internal */
  acceptFailed(listener: ListenerId, error: Error): void {
    this.#listeners.get(listener)?.acceptFailed(error);
  }

  /** What secure transports tell of their connections. */
  readonly #secureEvents: SecureTransportEvents = {
    received: (slot, buffer, start, end) => {
      if (this.state(slot) === SlotState.closing) this.#lingering.received(slot);
      else this.#received(slot, buffer, start, end);
    },
    ended: (slot) => this.#ended(slot),
    drained: (slot) => this.record(slot)?.drained(),
    flushed: (slot) => this.#flushed(slot),
    connected: (slot) => this.#connected(slot),
  };

  /** The transport of a slot that has a secure one. */
  #secureTransport(slot: Slot): SecureTransport | undefined {
    // A listener whose transport is not its layer's has been given one of `addTransport`.
    return this.owner(slot)?.transport as SecureTransport | undefined;
  }

  /** @internal A slot's timer has fired. */
  timerFired(slot: number): void {
    this.#timers[slot] = 0;
    const deadline = this.#deadlines[slot];
    if (deadline > this.scheduler.due) {
      if (deadline !== Infinity) this.#timers[slot] = this.scheduler.armAt(deadline, this, slot);
      return;
    }
    this.#deadlines[slot] = Infinity;
    if (this.state(slot) === SlotState.closing) {
      const more = this.#extraLingerTime(slot);
      if (more > 0) this.setDeadline(slot, this.scheduler.now + more);
      else this.drop(slot);
      return;
    }
    const record = this.record(slot);
    if (record !== undefined) record.expired();
    else this.owner(slot)?.expired(slot);
  }

  /** For how many milliseconds more a closing slot is kept, when its deadline has passed. */
  #extraLingerTime(slot: Slot): number {
    const lingering = this.#lingering;
    if (this.transport(slot).queued(slot) > 0) return this.extraTime(slot, lingering.timeout(slot));
    return lingering.extraTime(slot, this.scheduler.now);
  }

  /** Takes the slot's record away from it. Whatever still holds the record must not reach the slot, or its next connection, through it. */
  #detach(slot: Slot): void {
    const record = this.record(slot);
    if (record === undefined) return;
    this.#dropRecord(slot);
    record.detached(undefined);
  }

  #dropRecord(slot: Slot): void {
    this.#records.drop(this.#recordOf[slot]);
    this.#recordOf[slot] = 0;
  }

  #grow(slot: Slot): void {
    const length = Math.max(this.#states.length * 2, slot + 1);
    this.#ownerOf = growTypedArray(this.#ownerOf, new Uint32Array(length));
    this.#recordOf = growTypedArray(this.#recordOf, new Uint32Array(length));
    this.#states = growTypedArray(this.#states, new Uint8Array(length));
    this.#deadlines = growTypedArray(this.#deadlines, new Float64Array(length).fill(Infinity));
    this.#timers = growTypedArray(this.#timers, new Int32Array(length));
    this.#queued = growTypedArray(this.#queued, new Uint32Array(length));
  }
}
