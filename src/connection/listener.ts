// What `listen` and `serve` share: a listening socket, the connections that it has accepted, and closing in good order.
// The two differ in what they do with a connection; that is in the abstract methods.

import {
  type Address,
  type ConnectionError,
  formatAddress,
  type ListenerId,
  type ListenOptions,
  type Slot,
  type Transport,
} from '../event-layer/event-layer.js';
import { ServerContext } from '../threads/context.js';
import { ThreadError } from '../threads/errors.js';
import { AbortError } from '../util/abort-error.js';
import { checkOptions, longestDelay } from '../util/options.js';
import { BufferedBytes } from './buffered-bytes.js';
import { type Network, type Owner, type SlotRecord, SlotState } from './network.js';

/** How many connections a listener has, by what they are doing. */
export interface ConnectionCounts {
  /** How many are open with nothing to do: new, or between two requests. */
  idle: number;
  /** How many are at a request that is being read. */
  reading: number;
  /** How many have a handler at work. */
  handling: number;
  /** How many have a response that is being written. */
  writing: number;
  /** How many this side has closed, while the last bytes are on their way. */
  closing: number;
  /** How many there are in all. */
  total: number;
}

/** Options of `close`. */
export interface CloseOptions {
  /** How long what is in flight may take to finish, in milliseconds, before it is unwound; at most a day. Default 10,000. */
  deadline?: number | undefined;
}

/**
 * The reason that threads are unwound with, and of `request.signal`, when their server's deadline for closing has passed, and of event streams
 * when it begins to close. Its name is `AbortError`, its code `ERR_SERVER_CLOSED`.
 */
export class ServerClosedError extends AbortError {
  constructor(message = 'the server is closing, and its deadline has passed') {
    super('ERR_SERVER_CLOSED', message);
  }
}

/**
 * While a server closes, connections on which all is said are closed by FIN and, at the latest so many milliseconds after, left to the kernel.
 * One that was idle had time enough to take its last response.
 */
const idleQuietTime = 100;
/** One that has just been sent its last response may have more to send: its client learns of the end after a round trip, or two. */
const responseQuietTime = 200;

/** After the deadline, threads have their unwinding limit, and this many milliseconds more, to be over; then their connections are reset. */
const resetDelay = 100;
/** After the deadline, last bytes have so many milliseconds to arrive. */
const forceCloseLinger = 100;

export abstract class Listener implements Owner {
  readonly network: Network;
  readonly transport: Transport;
  readonly buffers: BufferedBytes;
  /** The async context that `serve` or `listen` was called in. */
  readonly context = new ServerContext();
  /** Set when `close` has been called, and nothing more is accepted. */
  closing = false;
  /** Set when the deadline of `close` has passed: whatever ends from now on ends at once. */
  forceClosing = false;

  /** Ends that it is told of its memory. */
  #unobserve: (() => void) | undefined;
  #id: ListenerId | undefined;
  #address: Address = { path: '' };
  #open = 0;
  /** Of these, connections that this side has closed. */
  #closing = 0;
  /** Threads whose connection is gone, and whose `finally` blocks still run. */
  #unwinding = 0;
  #closed: Promise<void> | undefined;
  /** Idle connections end from now on: `close` has been called, and what had arrived by then has been looked at. */
  #isClosingIdle = false;
  /** What `close` waits for has come. */
  #isClosed = false;
  #onAllClosed: (() => void) | undefined;

  /** @param mostBuffered bytes of memory that its connections may take; undefined for a limit that it shares with others */
  constructor(network: Network, mostBuffered: number | undefined) {
    this.network = network;
    this.transport = network.layer;
    this.buffers = mostBuffered === undefined ? BufferedBytes.ofProcess() : new BufferedBytes(mostBuffered);
  }

  abstract readonly queuedBytes: number;
  abstract readonly readTimeout: number;
  abstract readonly writeTimeout: number;
  abstract readonly writeRate: number;
  abstract received(slot: Slot, bytes: Uint8Array, start: number, end: number): void;
  abstract ended(slot: Slot): void;
  abstract expired(slot: Slot): void;
  /** A connection has been accepted and counted. */
  protected abstract begin(slot: Slot): void;
  /** How long a connection that was closed is waited for, in milliseconds; see `Network.linger`. */
  protected abstract readonly lingerTime: number;
  /** `close` has been called: ends the connection by `endIdle` if it is idle. */
  protected abstract closeIfIdle(slot: Slot): void;
  /** The deadline of `close` has passed for a connection that no thread works for. */
  protected abstract forceClose(slot: Slot): void;
  /** A connection has gone while a thread was working for it. */
  protected abstract lost(record: SlotRecord, reason: ConnectionError | undefined): void;
  /** What its connections are doing. @param open how many there are that this side has not closed */
  protected abstract countPhases(open: number): Omit<ConnectionCounts, 'closing' | 'total'>;
  /** `close` is over. */
  protected abstract whenClosed(): void;
  /** Connections take as much memory as they may, or do so no more. Must not throw. */
  protected abstract fullnessChanged(isFull: boolean): void;
  /** Accepting, or something else that belongs to no connection, has failed. Must not throw. */
  protected abstract failed(error: unknown): void;

  /** Where it listens. */
  get address(): Address {
    return this.#address;
  }

  get connections(): ConnectionCounts {
    const total = this.#open;
    const closing = this.#closing;
    return { ...this.countPhases(total - closing), closing, total };
  }

  /** @throws (rejects) with the system's error, its message naming the address */
  async open(options: ListenOptions): Promise<void> {
    const { layer } = this.network;
    const onDisconnect = (): void => void this.close();
    const { listener, address: got } = await layer.listen({ ...options, onDisconnect });
    this.#id = listener;
    this.#address = got;
    this.network.adoptListener(listener, this, (error) => this.failed(error));
    this.#unobserve = this.buffers.observe((isFull) => this.fullnessChanged(isFull));
    if (this.buffers.isFull) this.fullnessChanged(true);
  }

  opened(slot: Slot): void {
    this.#open++;
    this.begin(slot);
    if (this.#isClosingIdle) this.closeIfIdle(slot); // it was under way
  }

  /** Closes a connection by FIN, behind what is queued for it. */
  endConnection(slot: Slot): void {
    if (this.forceClosing) this.linger(slot, forceCloseLinger);
    else this.linger(slot, this.lingerTime, this.closing ? responseQuietTime : this.lingerTime);
  }

  /** See `Network.linger`. */
  protected linger(slot: Slot, timeout: number, quietTime?: number): void {
    if (this.network.linger(slot, timeout, quietTime)) this.#closing++;
  }

  /** The same of one that has had its last response some time ago, or has never asked for one. */
  protected endIdle(slot: Slot): void {
    this.linger(slot, this.lingerTime, idleQuietTime);
  }

  /** A connection has nothing to do any more. */
  protected becameIdle(slot: Slot): void {
    if (this.#isClosingIdle) this.closeIfIdle(slot);
  }

  closed(_slot: Slot, record: SlotRecord | undefined, reason: ConnectionError | undefined, wasClosing: boolean): void {
    this.#open--;
    if (wasClosing) this.#closing--;
    if (record !== undefined) {
      this.lost(record, reason);
      const { thread } = record;
      if (thread !== undefined && thread.state !== 'over') {
        this.#unwinding++;
        thread.whenOver(() => {
          this.#unwinding--;
          this.#notifyIfAllClosed();
        });
      }
    }
    this.#notifyIfAllClosed();
  }

  #notifyIfAllClosed(): void {
    if (this.#open === 0 && this.#unwinding === 0) this.#onAllClosed?.();
  }

  /**
   * Stops accepting, answers what has arrived, closes connections that are idle without waiting for their clients, lets what is in flight
   * finish, unwinds the rest at the deadline, and resolves when nothing is left: no connection, thread, timer or descriptor. Connections are
   * reset whose threads are not over within the unwinding limit after the deadline; threads that take longer than twice that are reported,
   * and not waited for. Calling it again returns the same promise; the earliest of the deadlines counts.
   */
  close(options: CloseOptions = {}): Promise<void> {
    try {
      checkOptions('close', options, { deadline: { number: [0, longestDelay] } });
    } catch (error) {
      return Promise.reject(error);
    }
    const { deadline = 10_000 } = options;
    // Once it has passed, no earlier one can be set.
    if (!this.#isClosed && !this.forceClosing) this.#armDeadline(deadline, () => this.#forceCloseAll());
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const { network } = this;
    const id = this.#id;
    // Before any client is told to go away: one that connects again at once finds the next server, or none, but not this one.
    if (id !== undefined) await network.layer.unlisten(id);
    this.closing = true;
    await network.layer.catchUp();
    this.#isClosingIdle = true;
    for (const slot of network.slotsOf(this)) {
      if (network.state(slot) === SlotState.closing) this.endConnection(slot);
      else this.closeIfIdle(slot);
    }
    if (this.#open > 0 || this.#unwinding > 0) {
      await new Promise<void>((resolve) => {
        this.#onAllClosed = resolve;
      });
    }
    if (id !== undefined) network.dropListener(id);
    this.#isClosed = true;
    this.#unobserve?.();
    this.#disarmDeadline();
    this.whenClosed();
  }

  /** When the deadline of `close` is, or what comes after it, in milliseconds of the scheduler; and the timer for it. */
  #deadline = Infinity;
  #deadlineTimer = 0;

  /** @param reached called at the deadline */
  #armDeadline(milliseconds: number, reached: () => void): void {
    const { layer, scheduler } = this.network;
    const time = layer.now() + milliseconds;
    if (time >= this.#deadline) return;
    this.#disarmDeadline();
    this.#deadline = time;
    const timerFired = (): void => {
      this.#deadlineTimer = 0;
      this.#deadline = Infinity;
      reached();
    };
    this.#deadlineTimer = scheduler.armAt(time, { timerFired }, 0);
  }

  #disarmDeadline(): void {
    if (this.#deadlineTimer !== 0) this.network.scheduler.cancel(this.#deadlineTimer);
    this.#deadlineTimer = 0;
  }

  /** The deadline of `close` has passed: every thread is unwound, and connections without one end. */
  #forceCloseAll(): void {
    this.forceClosing = true;
    const { network } = this;
    const reason = new ServerClosedError();
    for (const slot of network.slotsOf(this)) {
      const thread = network.record(slot)?.thread;
      if (thread === undefined || thread.state === 'over') this.forceClose(slot);
      else thread.unwind(reason);
    }
    this.#armDeadline(this.#unwindingTime, () => this.#dropAll());
  }

  /** The time for unwinding has passed, too: every connection that is left ends now, whatever its thread is doing. */
  #dropAll(): void {
    const { network } = this;
    for (const slot of network.slotsOf(this)) network.drop(slot);
    this.#armDeadline(this.#unwindingTime, () => this.#stopWaitingForThreads());
  }

  /** Threads whose connections have been dropped are not waited for any longer: each has had its own limit, and has been reported at it. */
  #stopWaitingForThreads(): void {
    const count = this.#unwinding;
    if (count === 0) return;
    const threads = count === 1 ? 'thread is' : 'threads are';
    this.failed(
      new ThreadError(
        'ERR_UNWIND_LIMIT',
        `close: ${count} ${threads} still being unwound, and not waited for any longer`,
      ),
    );
    this.#onAllClosed?.();
  }

  /** How long the threads of all connections have to be over, in milliseconds: each has its limit, and begins within a turn. */
  get #unwindingTime(): number {
    return this.network.scheduler.unwindLimit + resetDelay;
  }

  toString(): string {
    return formatAddress(this.#address);
  }
}
