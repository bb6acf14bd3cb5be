// A network: one event layer, the scheduler of the threads that live on it, and a row for each slot in the arrays below.
// It receives what the layer tells and passes it to the connection concerned, or, where a slot has none because it is idle,
// to the owner of the slot: the listener that accepted it, or the client that asked for it.

import { Buffer } from 'node:buffer';
import { chooseEventLayer } from '../event-layer/choose.js';
import type { ConnectionError, EventLayer, EventSink, ListenerId, Slot } from '../event-layer/event-layer.js';
import { defaultScheduler, Scheduler } from '../threads/scheduler.js';
import { currentThread } from '../threads/thread.js';
import type { TimerTarget } from '../threads/timers.js';
import { IdTable } from '../util/id-table.js';
import type { OutputMemory } from '../util/output-memory.js';
import { growTypedArray } from '../util/typed-array.js';
import type { BufferedBytes } from './buffered-bytes.js';
import type { Connection } from './connection.js';
import { TurnShares } from './turn-shares.js';

/** What a slot is doing; kept as one byte in the slot's row. */
export const SlotState = {
  /** Nobody has it. */
  free: 0,
  /** Asked for by `connect`, not there yet. */
  connecting: 1,
  /** Open, and no thread is working for it: it owns no object. */
  idle: 2,
  /** A thread reads a request. */
  reading: 3,
  /** A handler has the request. Connections of `listen` are always in this state. */
  handling: 4,
  /** A response is being written. */
  writing: 5,
  /** This side has sent FIN; what still comes in is thrown away. */
  closing: 6,
} as const;
export type SlotState = (typeof SlotState)[keyof typeof SlotState];

/** Whom a slot belongs to. None of these may throw. */
export interface Owner {
  /** How many bytes a second of what is left for it a peer must take, on average, for its connection to stay; 0 is any. */
  readonly writeRate: number;
  /** Where the memory that its connections take is counted. */
  readonly buffers: BufferedBytes;
  /** The connection is there. */
  opened(slot: Slot): void;
  /** Bytes have come for a slot that has no record. `bytes[start … end-1]` are lent for the duration of the call. */
  received(slot: Slot, bytes: Uint8Array, start: number, end: number): void;
  /** The peer has sent FIN. `connection` is undefined if the slot has no record. */
  ended(slot: Slot, connection: Connection | undefined): void;
  /** The deadline of a slot that has no record has passed. */
  expired(slot: Slot): void;
  /** The connection is gone; the slot is no longer the owner's. */
  closed(slot: Slot, connection: Connection | undefined, reason: ConnectionError | undefined): void;
}

const networks = new WeakMap<Scheduler, Network>();
let shared: Network | undefined;

/** What is to be known of a slot that is closing. Times are in milliseconds. */
interface Linger {
  /** How long the peer may take nothing of what is queued; and how long it may go on sending when it has taken all. */
  readonly patience: number;
  /** How long it is waited for when it has taken all and sends nothing. */
  quiet: number;
  /** When it is waited for no longer, whatever it sends. */
  until: number;
  /** It has sent something since that was last looked at. */
  hasSent: boolean;
}

interface ListenerEntry {
  readonly owner: Owner;
  /** The owner's. */
  readonly number: number;
  readonly acceptFailed: (error: Error) => void;
}

export class Network implements EventSink, TimerTarget {
  readonly layer: EventLayer;
  readonly scheduler: Scheduler;
  /** What each connection has had of the turn. */
  readonly shares: TurnShares;

  // One row a slot. What is an object stands under its number, 0 being none: a listener is the owner of very many slots, and
  // idle slots have no record.
  readonly #owners = new IdTable<Owner>();
  readonly #connections = new IdTable<Connection>();
  /** Numbers of owners that a slot does not give back when it is closed: those of listeners, and 0. */
  readonly #shared = new Set([0]);
  #ownerOf = new Uint32Array(64);
  #recordOf = new Uint32Array(64);
  #states = new Uint8Array(64);
  /** When something is to happen if nothing else does, in milliseconds of the scheduler; `Infinity` is never. */
  #deadlines = new Float64Array(64).fill(Infinity);
  /** The slot's timer in the wheel, 0 is none. It may be due before the deadline, which may have been put off since; never after. */
  #timers = new Int32Array(64);
  /** Output queued when the slot was let go, or when its deadline last passed. */
  #queued = new Uint32Array(64);
  /** Of closing slots, of which there are few. */
  readonly #lingers = new Map<Slot, Linger>();
  /** The layer's output when it was last looked at, and a Buffer over the same memory. */
  #output: Uint8Array | undefined;
  #outputBuffer = Buffer.alloc(0) as Uint8Array as OutputMemory; // as below
  readonly #listeners = new Map<ListenerId, ListenerEntry>();

  /** @param scheduler Default: one of the network's own, which reports errors as uncaught exceptions */
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

  /** Lets a listener of the layer belong to an owner. `acceptFailed` is told when accepting fails for the time being. */
  adoptListener(listener: ListenerId, owner: Owner, acceptFailed: (error: Error) => void): void {
    const number = this.#owners.add(owner);
    this.#shared.add(number);
    this.#listeners.set(listener, { owner, number, acceptFailed });
  }

  /** Its slots must be gone. */
  dropListener(listener: ListenerId): void {
    const entry = this.#listeners.get(listener);
    if (entry === undefined) return;
    this.#listeners.delete(listener);
    this.#shared.delete(entry.number);
    this.#owners.drop(entry.number);
  }

  /** Gives a slot to an owner of its own: what `connect` has asked for. */
  adopt(slot: Slot, owner: Owner, state: SlotState): void {
    this.#adopt(slot, this.#owners.add(owner), state);
  }

  #adopt(slot: Slot, owner: number, state: SlotState): void {
    if (slot >= this.#states.length) this.#grow(slot);
    this.#ownerOf[slot] = owner;
    this.#recordOf[slot] = 0;
    this.#states[slot] = state;
    this.#deadlines[slot] = Infinity;
  }

  /** The layer's output as a Buffer, which has the fast ways to encode a string. */
  get output(): OutputMemory {
    const { output } = this.layer;
    if (output !== this.#output) {
      this.#output = output;
      const buffer = Buffer.isBuffer(output) ? output : Buffer.from(output.buffer, output.byteOffset, output.length);
      this.#outputBuffer = buffer as Uint8Array as OutputMemory; // it has the methods
    }
    return this.#outputBuffer;
  }

  /** The slot's connection, if it is not idle. */
  connection(slot: Slot): Connection | undefined {
    return this.#connections.get(this.#recordOf[slot]);
  }

  /** Makes the connection the record of a slot that has none; it is told of its events from now on. */
  attach(connection: Connection): void {
    this.#recordOf[connection.slot] = this.#connections.add(connection);
  }

  /** Lets the slot's record go: whatever comes next is told to the owner. */
  release(slot: Slot): void {
    this.#detach(slot);
    this.#states[slot] = SlotState.idle;
    this.#queued[slot] = this.layer.queued(slot);
  }

  /**
   * For a slot without a record, when its deadline has passed: for how much longer its peer is waited for, in milliseconds; 0 is not at
   * all. It is if output is left, and some has been taken since this was last asked, or since the slot was let go: for as long as what was
   * taken is worth.
   * @param whole the most that it is worth, and what it is worth where the owner asks for no rate
   */
  moreTime(slot: Slot, whole: number): number {
    const queued = this.layer.queued(slot);
    const taken = this.#queued[slot] - queued;
    this.#queued[slot] = queued;
    if (queued === 0 || taken <= 0) return 0;
    const rate = this.owner(slot)?.writeRate ?? 0;
    return rate === 0 ? whole : Math.min(whole, (taken * 1000) / rate);
  }

  state(slot: Slot): SlotState {
    return this.#states[slot] as SlotState; // only set from SlotState
  }

  setState(slot: Slot, state: SlotState): void {
    this.#states[slot] = state;
  }

  /** How many slots there are or have been: all are below it. */
  get slots(): number {
    return this.#ownerOf.length;
  }

  /** Whom the slot belongs to; undefined if nobody has it. */
  owner(slot: Slot): Owner | undefined {
    return this.#owners.get(this.#ownerOf[slot]);
  }

  /** The slots of an owner. */
  *slotsOf(owner: Owner): Generator<Slot, void, void> {
    for (let slot = 0; slot < this.#ownerOf.length; slot++) if (this.owner(slot) === owner) yield slot;
  }

  /**
   * Sets when the slot's deadline is, in place of the one before. Putting it off costs a store; the timer is moved when it comes up.
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

  /** When the slot's deadline is, in milliseconds of the scheduler; `Infinity` if there is none. */
  deadline(slot: Slot): number {
    return this.#deadlines[slot];
  }

  /**
   * Sends FIN after what is queued, and throws away what still comes in until the peer has ended too: to close the socket while something is
   * unread would send a reset, which may destroy what the peer has not read yet (RFC 9112 §9.6). Closes the socket in the end all the same:
   * @param patience when the peer has taken nothing of what was queued in so many milliseconds, or too little; or has taken all, and goes on
   *   sending for so long
   * @param quiet when the peer has taken all, and has sent nothing for so many milliseconds. For a slot that is closing already, it takes the
   *   place of the time that was given before, if it is less
   */
  linger(slot: Slot, patience: number, quiet: number = patience): void {
    const before = this.#states[slot] === SlotState.closing ? this.#lingers.get(slot) : undefined;
    if (before !== undefined && before.quiet <= quiet) return;
    const { now } = this.scheduler;
    const linger = before ?? { patience, quiet, until: now + patience, hasSent: false };
    linger.quiet = Math.min(quiet, patience);
    if (before === undefined) {
      this.#detach(slot);
      this.#states[slot] = SlotState.closing;
      this.#queued[slot] = this.layer.queued(slot);
      this.#lingers.set(slot, linger);
      this.layer.finish(slot);
      this.layer.resumeReading(slot);
      this.setDeadline(slot, now + patience);
    }
    if (before === undefined && linger.quiet === patience) return;
    if (this.layer.queued(slot) > 0) this.layer.notifyFlushed(slot);
    else this.setDeadline(slot, now + linger.quiet);
  }

  /** Ends a connection whose time is up. What the kernel has taken of its last response is still delivered, if this side has ended in good order. */
  drop(slot: Slot): void {
    const state = this.#states[slot];
    const isInOrder = state === SlotState.closing || state === SlotState.idle;
    if (isInOrder && this.layer.queued(slot) === 0) this.layer.abandon(slot);
    else this.layer.reset(slot);
  }

  // What the layer tells.

  beginTurn(looked = true): void {
    if (looked) this.shares.next();
    this.scheduler.beginTurn(looked);
  }

  endTurn(due?: number): void {
    this.scheduler.endTurn(due);
  }

  accepted(slot: Slot, listener: ListenerId): void {
    const entry = this.#listeners.get(listener);
    if (entry === undefined) {
      this.#adopt(slot, 0, SlotState.idle);
      this.layer.reset(slot); // it was under way when the listener was closed
      return;
    }
    this.#adopt(slot, entry.number, SlotState.idle);
    entry.owner.opened(slot);
  }

  connected(slot: Slot): void {
    this.owner(slot)?.opened(slot);
  }

  received(slot: Slot, buffer: Uint8Array, start: number, end: number): void {
    if (this.#states[slot] === SlotState.closing) {
      const linger = this.#lingers.get(slot);
      if (linger !== undefined) linger.hasSent = true;
      return;
    }
    const connection = this.connection(slot);
    if (connection === undefined) {
      this.owner(slot)?.received(slot, buffer, start, end);
      return;
    }
    connection.reader.setBorrowed(buffer, start, end);
    connection.reader.wake();
    connection.reader.copyBorrowed();
  }

  ended(slot: Slot): void {
    if (this.#states[slot] === SlotState.closing) return; // the layer closes it by itself
    const connection = this.connection(slot);
    connection?.reader.end();
    this.owner(slot)?.ended(slot, connection);
    connection?.reader.wake();
  }

  drained(slot: Slot): void {
    this.connection(slot)?.drained();
  }

  flushed(slot: Slot): void {
    const linger = this.#lingers.get(slot);
    if (linger === undefined) {
      this.connection(slot)?.flushed();
      return;
    }
    const { now } = this.scheduler;
    linger.until = now + linger.patience;
    this.setDeadline(slot, now + linger.quiet);
  }

  closed(slot: Slot, reason: ConnectionError | undefined): void {
    const connection = this.connection(slot);
    const owner = this.owner(slot);
    const timer = this.#timers[slot];
    if (timer !== 0) this.scheduler.timers.cancel(timer);
    this.#timers[slot] = 0;
    this.#deadlines[slot] = Infinity;
    if (this.#states[slot] === SlotState.closing) this.#lingers.delete(slot);
    this.#states[slot] = SlotState.free;
    if (connection !== undefined) this.#forgetRecord(slot);
    const number = this.#ownerOf[slot];
    if (!this.#shared.has(number)) this.#owners.drop(number);
    this.#ownerOf[slot] = 0;
    connection?.close(reason);
    owner?.closed(slot, connection, reason);
    connection?.wake();
  }

  outputHeld(slot: Slot, bytes: number): void {
    this.owner(slot)?.buffers.add(bytes);
  }

  acceptFailed(listener: ListenerId, error: Error): void {
    this.#listeners.get(listener)?.acceptFailed(error);
  }

  /** A slot's timer has fired. */
  timerFired(slot: number): void {
    this.#timers[slot] = 0;
    const deadline = this.#deadlines[slot];
    if (deadline > this.scheduler.due) {
      if (deadline !== Infinity) this.#timers[slot] = this.scheduler.armAt(deadline, this, slot);
      return;
    }
    this.#deadlines[slot] = Infinity;
    const connection = this.connection(slot);
    if (this.#states[slot] === SlotState.closing) {
      const more = this.#moreLinger(slot);
      if (more > 0) this.setDeadline(slot, this.scheduler.now + more);
      else this.drop(slot);
    } else if (connection !== undefined) connection.expire();
    else this.owner(slot)?.expired(slot);
  }

  /** For how many milliseconds more a closing slot is kept, when its deadline has passed. */
  #moreLinger(slot: Slot): number {
    const linger = this.#lingers.get(slot);
    if (linger === undefined) return 0; // every closing slot has one
    if (this.layer.queued(slot) > 0) return this.moreTime(slot, linger.patience);
    if (!linger.hasSent) return 0;
    linger.hasSent = false;
    return Math.min(linger.quiet, linger.until - this.scheduler.now);
  }

  /** Takes the slot's record away from it. Whoever still holds the record must not reach the slot, or its next tenant, through it. */
  #detach(slot: Slot): void {
    const connection = this.connection(slot);
    if (connection === undefined) return;
    this.#forgetRecord(slot);
    connection.close(undefined);
  }

  #forgetRecord(slot: Slot): void {
    this.#connections.drop(this.#recordOf[slot]);
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
