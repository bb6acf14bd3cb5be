// A network: one event layer, the scheduler of its threads, and a row for each slot in the arrays below. It receives the events of the layer and passes
// each to the record of the slot. An idle slot has no record; its events go to its owner: the listener that accepted it, or the client that
// connected.
//
// Slots with a secure transport (TLS) have a flag in the byte of their state. Their events go to the transport first, which calls the network back
// with what they mean for the bytes inside: see `#secureEvents`. For all other slots the flag costs nothing: the state is compared anyway.

import { chooseEventLayer } from '../event-layer/choose.js';
import type { ConnectionError, EventLayer, EventSink, ListenerId, Slot } from '../event-layer/event-layer.js';
import type {
  SecureTransport,
  SecureTransportEvents,
  SecureTransportFactory,
} from '../event-layer/secure-transport.js';
import type { Transport } from '../event-layer/transport.js';
import { defaultScheduler, Scheduler } from '../threads/scheduler.js';
import { currentThread, type Thread } from '../threads/thread.js';
import type { TimerTarget } from '../threads/timers.js';
import { IdTable } from '../util/id-table.js';
import { growTypedArray } from '../util/typed-array.js';
import type { BufferedBytes } from './buffered-bytes.js';
import { ConnectionDiagnostics } from './diagnostics.js';
import { Lingering } from './lingering.js';
import { SecureTransports } from './secure-transports.js';
import { TurnShares } from './turn-shares.js';

/** The state of a slot: one byte in its row. */
export const SlotState = {
  /** It has no connection. */
  free: 0,
  /** `connect` has started; the connection is not established yet. */
  connecting: 1,
  /** Open, without a thread or any other object. */
  idle: 2,
  /** Open, with a record. */
  active: 3,
  /** This side has sent FIN; input is discarded. */
  closing: 4,
} as const;
export type SlotState = (typeof SlotState)[keyof typeof SlotState];

/** A flag in the byte of a slot's state: its connection has a secure transport. Higher than any state, so that one comparison finds both this and `closing`. */
const secured = 0x80;

/** What a slot belongs to: a listener or a client, with the settings of its connections. None of the methods may throw. */
export interface Owner {
  readonly network: Network;
  /** The transport of its connections: the event layer, or a secure transport over it. */
  readonly transport: Transport;
  /** Counts the memory that its connections take. */
  readonly buffers: BufferedBytes;
  /** A write parks when at least this many bytes of output are queued. 1 while the limit on memory is reached. */
  readonly queuedBytes: number;
  /** The initial `timeout` of readers and writers, in milliseconds. */
  readonly readTimeout: number;
  readonly writeTimeout: number;
  /** The least average rate at which a peer must take queued output, in bytes per second; 0 for none. */
  readonly writeRate: number;
  /** The deadline for closing has passed: whatever ends from now on ends at once. */
  readonly forceClosing?: boolean;
  /** The connection is established; for a client with TLS, its handshake is complete. */
  opened(slot: Slot): void;
  /** The TLS handshake of a connection that was accepted is complete. Owners that accept none lack it. */
  secured?(slot: Slot): void;
  /** Bytes have arrived for a slot without a record: `bytes[start … end-1]`, valid only during the call. */
  received(slot: Slot, bytes: Uint8Array, start: number, end: number): void;
  /** The peer of a slot without a record has sent FIN. */
  ended(slot: Slot): void;
  /** The deadline of a slot without a record has passed. */
  expired(slot: Slot): void;
  /**
   * The session of the secure transport has failed: nothing more can be received or sent. The slot still belongs to this owner, which lets it linger, so
   * that the alert arrives.
   * @param record what the slot had until now; undefined if it had none
   */
  sessionFailed(slot: Slot, record: SlotRecord | undefined, reason: ConnectionError): void;
  /**
   * The connection has closed; the slot no longer belongs to this owner.
   * @param record undefined if the slot had none
   * @param wasClosing this side had closed it
   */
  closed(slot: Slot, record: SlotRecord | undefined, reason: ConnectionError | undefined, wasClosing: boolean): void;
}

/** An object in the row of an active slot, which receives the slot's events. */
export interface SlotRecord {
  readonly slot: Slot;
  /** The thread that works for it. */
  readonly thread: Thread<unknown> | undefined;
  /** The peer's address; see `Connection.peer`. */
  readonly peer: string;
  /** Bytes have arrived. They are valid only during the call. */
  received(bytes: Uint8Array, start: number, end: number): void;
  /** The peer has sent FIN. @param isCut without having ended its TLS session before: what was sent last may be missing */
  ended(isCut: boolean): void;
  /** The queue of output has fallen to its low-water mark. */
  drained(): void;
  /** All output has left. */
  flushed(): void;
  /** The slot's deadline has passed. */
  expired(): void;
  /** The slot no longer belongs to it: the connection has closed, or has become idle. */
  detached(reason: ConnectionError | undefined): void;
  /** The connection has closed while it was active. Called by the owner. @param reason the error, unless both sides had ended */
  lost(reason: ConnectionError | undefined): void;
  /** The server is closing; see `Protocol.closing`. */
  closing(): void;
  /** Called after the owner's `closed`: resumes its thread, so that a parked read or write fails. */
  wake(): void;
}

const networks = new WeakMap<Scheduler, Network>();
let shared: Network | undefined;
let portable: Network | undefined;

interface ListenerEntry {
  readonly owner: Owner;
  /** The owner's number in `#owners`. */
  readonly number: number;
  readonly acceptFailed: (error: Error) => void;
}

/**
 * Connections over one event layer, and the scheduler of their threads. `serve`, `listen` and `connect` use the network of the process by default.
 * Tests pass one over a {@link SimulatedLayer}.
 */
export class Network implements EventSink, TimerTarget {
  /** The event layer. */
  readonly layer: EventLayer;
  /** Runs the threads: for the option `scheduler` of `run` and `spawn`. */
  readonly scheduler: Scheduler;
  /** @internal Each connection's share of the current turn. */
  readonly shares: TurnShares;

  // One row for each slot. Rows refer to objects by number, and 0 is none: most slots share an owner, and idle slots have no record.
  readonly #owners = new IdTable<Owner>();
  readonly #records = new IdTable<SlotRecord>();
  /** Numbers of owners that stay in the table when a slot closes: those of listeners, and 0. */
  readonly #shared = new Set([0]);
  #ownerOf = new Uint32Array(64);
  #recordOf = new Uint32Array(64);
  #states = new Uint8Array(64);
  /** The deadline of the slot, in milliseconds of the scheduler's clock; `Infinity` for none. */
  #deadlines = new Float64Array(64).fill(Infinity);
  /** The slot's timer in the wheel; 0 for none. It never fires after the deadline, but may fire before, if the deadline was moved to a later time. */
  #timers = new Int32Array(64);
  /** Output queued when the slot became idle or started to close, or when its deadline last passed. */
  #queuedBefore = new Uint32Array(64);
  readonly #lingering = new Lingering();
  readonly #diagnostics = new ConnectionDiagnostics(() => this.layer.now());
  readonly #listeners = new Map<ListenerId, ListenerEntry>();
  readonly #secureTransports: SecureTransports;

  /**
   * Starts the layer.
   * @param layer an event layer that no other network uses
   * @param scheduler default: a new one, which turns errors that no code receives into uncaught exceptions
   */
  constructor(layer: EventLayer, scheduler?: Scheduler) {
    this.layer = layer;
    this.shares = new TurnShares(() => layer.now());
    this.#secureTransports = new SecureTransports(layer, this.#secureEvents);
    layer.start(this);
    this.scheduler = scheduler ?? new Scheduler(layer);
    this.scheduler.timers.defaultTarget ??= this;
    networks.set(this.scheduler, this);
  }

  /** The network of the process, created on first use, over the best event layer of the machine. */
  static default(): Network {
    if (shared === undefined) {
      const layer = chooseEventLayer();
      const scheduler = defaultScheduler();
      shared = new Network(layer, scheduler);
      scheduler.attach(layer);
    }
    return shared;
  }

  /** @internal Another network of the process, over node:net: for what the layer of the first cannot do. Its threads have a scheduler of its own. */
  static portable(): Network {
    portable ??= new Network(chooseEventLayer('portable'));
    return portable;
  }

  /** The network with this scheduler; the network of the process if there is none. */
  static of(scheduler: Scheduler | undefined): Network {
    return (scheduler && networks.get(scheduler)) ?? Network.default();
  }

  /** The network of the running thread, or that of the process. */
  static current(): Network {
    return Network.of(currentThread()?.scheduler);
  }

  /** @internal Assigns a listener of the layer to an owner. `acceptFailed` is called when accepting fails temporarily. */
  adoptListener(listener: ListenerId, owner: Owner, acceptFailed: (error: Error) => void): void {
    const number = this.#owners.add(owner);
    this.#shared.add(number);
    this.#listeners.set(listener, { owner, number, acceptFailed });
  }

  /** @internal All its connections must have closed. */
  dropListener(listener: ListenerId): void {
    const entry = this.#listeners.get(listener);
    if (entry === undefined) return;
    this.#listeners.delete(listener);
    this.#shared.delete(entry.number);
    this.#owners.drop(entry.number);
  }

  /**
   * @internal The transport for a new listener or client. Users with the same factory share one secure transport.
   * @param secure undefined for the layer itself
   */
  addTransport(secure: SecureTransportFactory | undefined): Transport {
    return secure === undefined ? this.layer : this.#secureTransports.add(secure, this.scheduler);
  }

  /** @internal How many secure transports are in use. */
  get secureTransports(): number {
    return this.#secureTransports.count;
  }

  /** @internal A listener or client that got it from `addTransport` has no connections any more. */
  removeTransport(transport: Transport): void {
    this.#secureTransports.remove(transport);
  }

  /** @internal Assigns a slot to an owner that has no other: a client of `connect`. */
  adopt(slot: Slot, owner: Owner, state: SlotState): void {
    this.#adopt(slot, this.#owners.add(owner), state);
    if (this.#secure(slot, owner)) this.#secureTransport(slot)?.connecting(slot);
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

  /** @internal Gives a slot a record, which receives the events from now on. */
  attach(record: SlotRecord): void {
    const { slot } = record;
    this.#recordOf[slot] = this.#records.add(record);
    this.#setState(slot, SlotState.active);
  }

  /** @internal Replaces the record of a slot. The previous record receives no more events. */
  replace(record: SlotRecord): void {
    this.#records.set(this.#recordOf[record.slot], record);
  }

  /** @internal Makes the slot idle, without a record: events go to the owner from now on. */
  release(slot: Slot): void {
    this.#detach(slot);
    this.#setState(slot, SlotState.idle);
    this.#queuedBefore[slot] = this.transport(slot).queued(slot);
  }

  /** @internal The transport of the slot's connection. */
  transport(slot: Slot): Transport {
    if (this.#states[slot] < secured) return this.layer;
    return this.owner(slot)?.transport ?? this.layer;
  }

  /**
   * @internal Called when the deadline of a slot without a record has passed. A slow peer gets more time if output is still queued, and the peer has
   * taken some since the last call or since the slot became idle.
   * @param whole the most time to give, in milliseconds; also the time if the owner has no `writeRate`
   * @returns how much longer to wait, in milliseconds, in proportion to the bytes taken; 0: not at all
   */
  extraTimeForOutput(slot: Slot, whole: number): number {
    const queued = this.transport(slot).queued(slot);
    const taken = this.#queuedBefore[slot] - queued;
    this.#queuedBefore[slot] = queued;
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

  /** @internal The length of the rows: every slot is below it. */
  get slots(): number {
    return this.#ownerOf.length;
  }

  /** @internal The owner of the slot; undefined if it is free. */
  owner(slot: Slot): Owner | undefined {
    return this.#owners.get(this.#ownerOf[slot]);
  }

  /** @internal The slots of an owner. */
  *slotsOf(owner: Owner): Generator<Slot, void, void> {
    for (let slot = 0; slot < this.#ownerOf.length; slot++) if (this.owner(slot) === owner) yield slot;
  }

  /**
   * @internal Sets the slot's deadline. Moving it to a later time is a store: the timer is armed again when it fires early.
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

  /** @internal The slot's deadline, in milliseconds of the scheduler's clock; `Infinity` for none. */
  deadline(slot: Slot): number {
    return this.#deadlines[slot];
  }

  /**
   * @internal Sends FIN after the queued output, and discards input until the peer has ended, too. If the peer does not, the connection is closed after:
   * @param timeout milliseconds in which the peer has taken no output, or less than `writeRate`; or in which it has continued to send after it has taken
   *   all output
   * @param quietTime milliseconds of silence after the peer has taken all output. For a slot that is already closing, a shorter time replaces the one
   *   before
   * @returns false if the slot was already closing
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
    this.#queuedBefore[slot] = transport.queued(slot);
    this.#lingering.begin(slot, timeout, quietTime, now);
    transport.finish(slot);
    transport.resumeReading(slot);
    this.setDeadline(slot, now + timeout);
    if (quietTime < timeout) this.#awaitQuiet(slot, transport, quietTime);
    return true;
  }

  /** Starts the quiet time of a closing slot, now or when its output has left. */
  #awaitQuiet(slot: Slot, transport: Transport, quietTime: number): void {
    if (transport.queued(slot) > 0) transport.notifyFlushed(slot);
    else this.setDeadline(slot, this.scheduler.now + quietTime);
  }

  /** @internal Closes a connection whose time is over. If all output has been taken by the kernel, the kernel still delivers it; else the connection is reset. */
  drop(slot: Slot): void {
    const state = this.state(slot);
    const transport = this.transport(slot);
    const isInOrder = state === SlotState.closing || state === SlotState.idle;
    if (isInOrder && transport.queued(slot) === 0) transport.abandon(slot);
    else transport.reset(slot);
  }

  // Events of the layer.

  /** @internal */
  beginTurn(looked = true): void {
    if (looked) this.shares.next();
    this.scheduler.beginTurn(looked);
    this.#secureTransports.beginTurn();
  }

  /** @internal */
  endTurn(due?: number): void {
    this.#secureTransports.endInput();
    this.scheduler.endTurn(due);
    this.#secureTransports.endTurn();
  }

  /** @internal */
  accepted(slot: Slot, listener: ListenerId): void {
    const entry = this.#listeners.get(listener);
    if (entry === undefined) {
      this.#adopt(slot, 0, SlotState.idle);
      this.layer.reset(slot); // accepted while the listener was being closed
      return;
    }
    const { owner, number } = entry;
    this.#adopt(slot, number, SlotState.idle);
    if (this.#secure(slot, owner)) this.#secureTransport(slot)?.accepted(slot);
    this.#deliverOpened(slot, owner, 'server');
  }

  /** @internal */
  connected(slot: Slot): void {
    if (this.#states[slot] < secured) this.#deliverConnected(slot);
    else this.#secureTransport(slot)?.connected(slot);
  }

  #deliverConnected(slot: Slot): void {
    const owner = this.owner(slot);
    if (owner !== undefined) this.#deliverOpened(slot, owner, 'client');
  }

  #deliverOpened(slot: Slot, owner: Owner, side: 'server' | 'client'): void {
    if (this.#diagnostics.isSubscribed) this.#diagnostics.opened(slot, side, owner.transport.peer(slot));
    owner.opened(slot);
  }

  /** Sets the flag of a slot whose owner has a secure transport. @returns whether it has one */
  #secure(slot: Slot, owner: Owner): boolean {
    if (owner.transport === this.layer) return false;
    this.#states[slot] |= secured;
    return true;
  }

  /** @internal A connection that is already closing has its end sent, and does not start. */
  secured(slot: Slot): void {
    if (this.state(slot) !== SlotState.closing) this.owner(slot)?.secured?.(slot);
  }

  /** @internal */
  received(slot: Slot, buffer: Uint8Array, start: number, end: number): void {
    const state = this.#states[slot];
    if (state < SlotState.closing) this.#deliverReceived(slot, buffer, start, end);
    else if (state < secured) this.#lingering.received(slot);
    else this.#secureTransport(slot)?.received(slot, buffer, start, end);
  }

  #deliverReceived(slot: Slot, buffer: Uint8Array, start: number, end: number): void {
    const record = this.record(slot);
    if (record !== undefined) record.received(buffer, start, end);
    else this.owner(slot)?.received(slot, buffer, start, end);
  }

  /** @internal */
  ended(slot: Slot): void {
    if (this.#states[slot] < secured) this.#deliverEnded(slot);
    else this.#secureTransport(slot)?.ended(slot);
  }

  #deliverEnded(slot: Slot, isCut = false): void {
    if (this.state(slot) === SlotState.closing) return; // the layer closes it
    const record = this.record(slot);
    if (record !== undefined) record.ended(isCut);
    else this.owner(slot)?.ended(slot);
  }

  /** @internal */
  drained(slot: Slot): void {
    if (this.#states[slot] < secured) this.record(slot)?.drained();
    else this.#secureTransport(slot)?.drained(slot);
  }

  /** @internal */
  flushed(slot: Slot): void {
    if (this.#states[slot] < secured) this.#deliverFlushed(slot);
    else this.#secureTransport(slot)?.flushed(slot);
  }

  #deliverFlushed(slot: Slot): void {
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
    // In this order: first nothing can be written any more, then the owner unwinds the thread, and its counts are right when subscribers and,
    // last, the thread itself run.
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

  /** Events of the bytes inside secure transports. */
  readonly #secureEvents: SecureTransportEvents = {
    received: (slot, buffer, start, end) => {
      if (this.state(slot) === SlotState.closing) this.#lingering.received(slot);
      else this.#deliverReceived(slot, buffer, start, end);
    },
    ended: (slot, isCut) => this.#deliverEnded(slot, isCut),
    drained: (slot) => this.record(slot)?.drained(),
    flushed: (slot) => this.#deliverFlushed(slot),
    connected: (slot) => this.#deliverConnected(slot),
    secured: (slot) => this.secured(slot),
    sessionFailed: (slot, reason) => this.#deliverSessionFailed(slot, reason),
    outputHeld: (slot, bytes) => this.outputHeld(slot, bytes),
  };

  #deliverSessionFailed(slot: Slot, reason: ConnectionError): void {
    if (this.state(slot) === SlotState.closing) return; // it ends anyway
    this.#diagnostics.sessionFailed(slot, reason);
    const record = this.record(slot);
    if (record !== undefined) this.#dropRecord(slot);
    record?.detached(reason);
    this.owner(slot)?.sessionFailed(slot, record, reason);
    record?.wake();
  }

  /** The secure transport of a slot with the flag. */
  #secureTransport(slot: Slot): SecureTransport | undefined {
    // An owner's transport is either the layer or one that `addTransport` has returned.
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

  /** How much longer to wait for the peer of a closing slot whose deadline has passed, in milliseconds. */
  #extraLingerTime(slot: Slot): number {
    const lingering = this.#lingering;
    if (this.transport(slot).queued(slot) > 0) return this.extraTimeForOutput(slot, lingering.timeout(slot));
    return lingering.extraTimeForInput(slot, this.scheduler.now);
  }

  /** Removes the slot's record, and closes it: code that still refers to the record must not reach the slot's next connection. */
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
    this.#queuedBefore = growTypedArray(this.#queuedBefore, new Uint32Array(length));
  }
}
