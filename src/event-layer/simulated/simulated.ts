// The contract without an operating system: a network and a clock in memory, both driven by one seed. Servers and clients
// live on the same layer; the network between them cuts and merges what they send at any byte, takes output in part, floods,
// delays, resets, and lets processes vanish. The same seed gives the same run, to the byte.
//
// The path of bytes from one end of a connection to the other:
//
//   commit ──► queue (ours: `queued` counts it) ──transfer──► wire (the kernels': bounded) ──deliver──► received at the other end
//
// Output that is committed in a turn is sent after the turn, all of it at once (`fresh` counts it until then).
//
// Misuse of the contract is detected: borrowed buffers are overwritten after `received` has returned, `output` is another
// buffer after each `reserve` and begins at another offset, and commands that are not in order throw.

import { Buffer } from 'node:buffer';
import { ByteQueue } from '../../util/byte-queue.js';
import { checkOptions, longestDelay, type OptionRules } from '../../util/options.js';
import { type OutputMemory, outputMemory } from '../../util/output-memory.js';
import { checkReserve, layerClosed, slotClosed, writtenAfterFinish } from '../errors.js';
import {
  type Address,
  ConnectionError,
  type EventLayer,
  type EventSink,
  formatAddress,
  highWaterMark,
  type ListenerId,
  type ListenOptions,
  lowWaterMark,
  pieceSize,
  type Slot,
  type SocketOptions,
} from '../event-layer.js';
import { Agenda } from './agenda.js';
import { Random } from './random.js';

/** How the simulated network and its failures are. */
export interface SimulatedOptions {
  /** Where all chance comes from. Default 1. */
  seed?: number;
  /** How the network cuts what is sent: at random, as little as it may (`'whole'`), or into pieces of that many bytes. Default `'random'`. */
  pieces?: 'random' | 'whole' | number;
  /** The most milliseconds that anything takes from one end to the other; each takes a random part of it. Default 5. */
  latency?: number;
  /** Bytes that the kernels hold for one direction of a connection. Default: random for each, from 1 KiB to 256 KiB. */
  capacity?: number;
  /** Chances that something breaks, each from 0 to 1. Default: nothing does. */
  faults?: {
    /** For each connect: it is refused. */
    refuse?: number;
    /** For each transfer: the connection is reset at both ends. */
    reset?: number;
    /** For each transfer: the process at the sending end vanishes. What it had sent arrives, then FIN; what is sent to it is answered with RST. */
    vanish?: number;
    /** For each transfer: the machine at the sending end is cut off, as by `unplug`. */
    silence?: number;
    /** For each connect: descriptors have run out. The client waits for up to a second until accepting works again. */
    accept?: number;
    /** For each turn: the process gets no processor for up to four seconds. All that was due meanwhile happens in one turn. */
    stall?: number;
  };
}

/** How long a kernel retransmits without an acknowledgement before it gives up, in milliseconds: tcp_retries2 of 15 (tcp(7)). */
const retransmission = 924_600;

/** One end of a connection. Everything that may still happen to it refers to this object and not to its slot, which may be in use again. */
interface End {
  readonly slot: Slot;
  readonly address: string;
  readonly capacity: number;
  /** The other end; undefined until the connection is made. */
  other: End | undefined;
  /** `accepted` or `connected` has been called. Input waits for that. */
  established: boolean;
  /** Committed and not yet taken by the kernel. */
  readonly queue: ByteQueue;
  queued: number;
  /** As much of the queue as this turn has committed: it is not taken before the turn is over. */
  fresh: number;
  /** Taken by the kernel and not yet delivered. */
  readonly wire: ByteQueue;
  paused: boolean;
  /** `queued` has reached the high-water mark, and `drained` has not been called since. */
  flooded: boolean;
  /** Calls of `notifyFlushed` that are not answered. */
  flushes: number;
  /** How far our FIN has come. */
  fin: 'none' | 'asked' | 'wired' | 'delivered';
  /** The peer's FIN has been reported. */
  ended: boolean;
  /** `closed` has been called, or is on the agenda: no other event is reported, and commands do nothing. */
  gone: boolean;
  /** Its machine is cut off: nothing reaches it, nothing comes from it, and neither end gets an event. */
  silent: boolean;
  /** The kernel at this end sends again what a silent peer does not acknowledge. */
  retransmitting: boolean;
  transferring: boolean;
  delivering: boolean;
}

const chance = { number: [0, 1] } as const;

const rules: OptionRules<SimulatedOptions> = {
  seed: { whole: [0, Number.MAX_SAFE_INTEGER] },
  pieces: { words: ['random', 'whole'], whole: [1, pieceSize] },
  latency: { number: [0, longestDelay] },
  capacity: { whole: [1, 2 ** 30] },
  faults: { type: 'object' },
};

const faultRules: OptionRules<NonNullable<SimulatedOptions['faults']>> = {
  refuse: chance,
  reset: chance,
  vanish: chance,
  silence: chance,
  accept: chance,
  stall: chance,
};

/**
 * A network and a clock in memory, for tests: give it to a `Network`, and that to `serve`, `listen` and `connect`. Time passes only in `run`.
 * The same options give the same run, to the byte.
 */
export class SimulatedLayer implements EventLayer {
  readonly name = 'simulated';
  /** The number of turns so far. */
  turns = 0;

  readonly #random: Random;
  readonly #pieces: 'random' | 'whole' | number;
  readonly #latency: number;
  readonly #capacity: number | undefined;
  readonly #refuse: number;
  readonly #reset: number;
  readonly #vanish: number;
  readonly #silence: number;
  readonly #acceptFails: number;
  readonly #stall: number;
  /** Until when accepting fails. */
  #acceptFailsUntil = 0;
  #agenda = new Agenda();
  readonly #ends: (End | undefined)[] = [];
  readonly #freeSlots: Slot[] = [];
  readonly #listeners = new Map<string, ListenerId>();
  #lastListener = 0;
  #lastPort = 49_152;
  #sink: EventSink | undefined;
  #time = 0;
  #wake = Infinity;
  #requested = false;
  #inTurn = false;
  #closed = false;
  /** Calls of `catchUp`. */
  #catchingUp: (() => void)[] = [];
  /** Ends with `fresh` output. */
  #fresh: End[] = [];

  // Two buffers for output, in turns; eight bytes are room for an offset.
  #output = Buffer.alloc(pieceSize + 8);
  #otherOutput = Buffer.alloc(pieceSize + 8);
  #reservedFor: Slot | undefined;
  #reservedFrom = 0;
  #reservedTo = 0;

  /**
   * By default nothing breaks.
   * @throws {TypeError | RangeError} for options that are wrong, naming the option
   */
  constructor(options: SimulatedOptions = {}) {
    checkOptions('SimulatedLayer', options, rules);
    checkOptions('SimulatedLayer: faults', options.faults ?? {}, faultRules);
    this.#random = new Random(options.seed ?? 1);
    this.#pieces = options.pieces ?? 'random';
    this.#latency = options.latency ?? 5;
    this.#capacity = options.capacity;
    this.#refuse = options.faults?.refuse ?? 0;
    this.#reset = options.faults?.reset ?? 0;
    this.#vanish = options.faults?.vanish ?? 0;
    this.#silence = options.faults?.silence ?? 0;
    this.#acceptFails = options.faults?.accept ?? 0;
    this.#stall = options.faults?.stall ?? 0;
  }

  start(sink: EventSink): void {
    this.#sink = sink;
  }

  /** The number of connections for which `closed` has not been called. */
  get open(): number {
    return this.#ends.reduce((count, end) => count + (end === undefined ? 0 : 1), 0);
  }

  now(): number {
    return this.#time;
  }

  /** Virtual days begin on 1 January 2026. */
  date(): number {
    return Date.UTC(2026, 0, 1) + this.#time;
  }

  wakeAt(time: number): void {
    if (!this.#closed) this.#wake = time;
  }

  requestTurn(): void {
    this.#requested = true;
  }

  /**
   * Lets the world run until nothing is left to happen in it, or until `time`. Between turns it waits for promises that
   * settle without the system (microtasks and immediates), so that async handlers take part in a run; whatever waits for
   * the real world (sockets, files, real timers) is not waited for.
   */
  run(time = Infinity): Promise<void> {
    // (One promise for all turns: where promises are watched, as test runners do, each of them is expensive.)
    return new Promise<void>((resolve, reject) => {
      const step = (): void => {
        try {
          const next = this.#requested ? this.#time : Math.min(this.#agenda.next, this.#wake);
          if (next > time || next === Infinity) {
            if (time !== Infinity) this.#time = Math.max(this.#time, time);
            resolve();
            return;
          }
          // Half of the stalls are short, a few are long.
          const stall = this.#random.chance(this.#stall) ? 2 ** (this.#random.next() * 12) : 0;
          this.#turn(next + stall);
        } catch (error) {
          reject(error);
          return;
        }
        setImmediate(step);
      };
      setImmediate(step);
    });
  }

  async listen(options: ListenOptions): Promise<{ listener: ListenerId; address: Address }> {
    if (this.#closed) throw layerClosed('listen');
    const asked = options.address;
    const address = 'port' in asked && asked.port === 0 ? { hostname: asked.hostname, port: this.#nextPort() } : asked;
    const key = placeOf(address);
    if (this.#listeners.has(key))
      throw new ConnectionError('EADDRINUSE', `listen: ${formatAddress(address)} is in use`);
    const listener = ++this.#lastListener;
    this.#listeners.set(key, listener);
    return { listener, address };
  }

  /** Nothing of it holds the process open. */
  setReferenced(): void {}

  async unlisten(listener: ListenerId): Promise<void> {
    for (const [key, value] of this.#listeners) if (value === listener) this.#listeners.delete(key);
  }

  /** What has arrived here has been reported by the end of the turn. */
  catchUp(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#requested = true;
    return new Promise((resolve) => this.#catchingUp.push(resolve));
  }

  /** Socket options have no effect. Every local address is accepted as one of this machine, so that tests choose the addresses of their clients. */
  connect(address: Address, localAddress = '127.0.0.1', _options?: SocketOptions): Slot {
    const key = placeOf(address);
    // Sockets of the Unix domain have no address to show.
    const isPath = 'path' in address;
    const client = this.#newEnd(isPath ? '' : formatAddress({ hostname: localAddress, port: this.#nextPort() }));
    if (this.#closed) {
      this.#end(client, layerClosed('connect'), 0);
      return client.slot;
    }
    const arrive = (): void => {
      if (client.gone) return;
      const listener = this.#listeners.get(key);
      if (listener !== undefined && this.#acceptFailsNow(listener)) {
        this.#later(arrive, this.#acceptFailsUntil - this.#time);
        return;
      }
      if (listener === undefined || this.#random.chance(this.#refuse)) {
        this.#end(
          client,
          new ConnectionError('ECONNREFUSED', `connect: no server listens on ${formatAddress(address)}`),
          0,
        );
        return;
      }
      const server = this.#newEnd(isPath ? '' : formatAddress(address));
      client.other = server;
      server.other = client;
      server.established = true;
      this.#sink?.accepted(server.slot, listener);
      this.#later(() => {
        if (client.gone) return;
        client.established = true;
        this.#sink?.connected(client.slot);
        this.#transferSoon(client);
        this.#deliverSoon(server);
      });
    };
    this.#later(arrive);
    return client.slot;
  }

  #acceptFailsNow(listener: ListenerId): boolean {
    if (this.#time < this.#acceptFailsUntil) return true;
    if (!this.#random.chance(this.#acceptFails)) return false;
    this.#acceptFailsUntil = this.#time + this.#random.next() * 1000;
    this.#sink?.acceptFailed(listener, new ConnectionError('EMFILE', 'accept: too many open files (EMFILE)'));
    return true;
  }

  get output(): OutputMemory {
    return outputMemory(this.#output);
  }

  reserve(slot: Slot, bytes: number): number {
    this.#endOf(slot);
    checkReserve(bytes);
    [this.#output, this.#otherOutput] = [this.#otherOutput, this.#output];
    this.#reservedFor = slot;
    this.#reservedFrom = this.turns % 8;
    this.#reservedTo = this.#reservedFrom + bytes;
    return this.#reservedFrom;
  }

  commit(slot: Slot, end: number): void {
    const from = this.#endOf(slot);
    if (this.#reservedFor !== slot)
      throw new ConnectionError('ERR_RESERVE', `output committed for slot ${slot} that was not reserved for it`);
    if (end < this.#reservedFrom || end > this.#reservedTo)
      throw new ConnectionError('ERR_RESERVE', `output committed up to ${end}; at most ${this.#reservedTo} may be`);
    this.#reservedFor = undefined;
    const length = end - this.#reservedFrom;
    if (from.gone) {
      from.queued += length;
      return;
    }
    if (from.fin !== 'none') throw writtenAfterFinish();
    if (length === 0) return;
    from.queue.add(this.#output.subarray(this.#reservedFrom, end));
    from.queued += length;
    this.#sink?.outputHeld?.(slot, length);
    if (from.queued >= highWaterMark) from.flooded = true;
    if (from.fresh === 0) this.#fresh.push(from);
    from.fresh += length;
    if (!this.#inTurn) this.#requested = true;
  }

  push(slot: Slot): void {
    const end = this.#endOf(slot);
    const ready = Math.min(end.queued, end.capacity - end.wire.length);
    if (end.gone || end.silent || end.other === undefined || ready <= 0) return;
    end.wire.add(end.queue.take(ready));
    end.queued -= ready;
    end.fresh = Math.min(end.fresh, end.queued);
    this.#sink?.outputHeld?.(slot, -ready);
    this.#transferSoon(end);
  }

  queued(slot: Slot): number {
    return this.#endOf(slot).queued;
  }

  notifyFlushed(slot: Slot): void {
    const end = this.#endOf(slot);
    end.flushes++;
    this.#transferSoon(end);
  }

  pauseReading(slot: Slot): void {
    this.#endOf(slot).paused = true;
  }

  /** Undoes `pauseReading`. */
  resumeReading(slot: Slot): void {
    const end = this.#endOf(slot);
    end.paused = false;
    if (end.other !== undefined) this.#deliverSoon(end.other);
  }

  finish(slot: Slot): void {
    const end = this.#endOf(slot);
    if (end.fin !== 'none') return;
    end.fin = 'asked';
    this.#transferSoon(end);
  }

  reset(slot: Slot): void {
    const end = this.#endOf(slot);
    if (end.gone) return;
    const { other } = end;
    this.#end(end, undefined, 0);
    if (other !== undefined && !other.gone) this.#end(other, resetByPeer(), this.#delay());
  }

  abandon(slot: Slot): void {
    const end = this.#endOf(slot);
    if (end.gone) return;
    this.#end(end, undefined, 0);
    if (end.fin !== 'delivered') end.fin = 'wired';
    this.#deliverSoon(end);
  }

  /**
   * Cuts off the machine at this end, as if its cable were pulled: `closed` is called for this end only. The other end sees nothing; if it
   * sends, its kernel gives up after a quarter of an hour.
   */
  unplug(slot: Slot): void {
    const end = this.#endOf(slot);
    if (end.gone) return;
    end.silent = true;
    end.wire.drop(end.wire.length); // data in flight is lost
    this.#end(end, undefined, 0);
    const { other } = end;
    if (other === undefined) return;
    this.#transferSoon(other);
    if (other.wire.length > 0) this.#retransmit(other);
  }

  peer(slot: Slot): string {
    return this.#endOf(slot).other?.address ?? '';
  }

  local(slot: Slot): string {
    const end = this.#endOf(slot);
    return end.other === undefined ? '' : end.address;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake = Infinity;
    this.#listeners.clear();
    for (const end of this.#ends) if (end !== undefined && !end.gone) this.#end(end, undefined, 0);
    while (this.open > 0) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (this.open > 0 && !this.#inTurn) this.#turn(this.#agenda.next);
    }
    this.#agenda = new Agenda();
    this.#requested = false;
    for (const resolve of this.#catchingUp) resolve();
    this.#catchingUp = [];
  }

  #turn(time: number): void {
    const sink = this.#sink;
    if (sink === undefined) return;
    this.turns++;
    this.#requested = false;
    this.#time = Math.max(this.#time, time);
    if (this.#wake <= this.#time) this.#wake = Infinity;
    // What is put on the agenda meanwhile belongs to a later turn, however soon: a turn has an end.
    const due: (() => void)[] = [];
    while (this.#agenda.next <= this.#time) {
      const happen = this.#agenda.take();
      if (happen !== undefined) due.push(happen);
    }
    this.#inTurn = true;
    sink.beginTurn();
    for (const happen of due) happen();
    sink.endTurn();
    this.#inTurn = false;
    for (const resolve of this.#catchingUp) resolve();
    this.#catchingUp = [];
    for (const end of this.#fresh) {
      end.fresh = 0;
      this.#transferSoon(end);
    }
    this.#fresh = [];
  }

  #newEnd(address: string): End {
    const slot = this.#freeSlots.pop() ?? this.#ends.length;
    const end: End = {
      slot,
      address,
      capacity: this.#capacity ?? 2 ** this.#random.whole(10, 18),
      other: undefined,
      established: false,
      queue: new ByteQueue(),
      queued: 0,
      fresh: 0,
      wire: new ByteQueue(),
      paused: false,
      flooded: false,
      flushes: 0,
      fin: 'none',
      ended: false,
      gone: false,
      silent: false,
      retransmitting: false,
      transferring: false,
      delivering: false,
    };
    this.#ends[slot] = end;
    return end;
  }

  #endOf(slot: Slot): End {
    const end = this.#ends[slot];
    if (end === undefined) throw slotClosed(slot);
    return end;
  }

  /** The next of the ports that systems give out by themselves. */
  #nextPort(): number {
    const port = this.#lastPort;
    this.#lastPort = port === 65_535 ? 49_152 : port + 1;
    return port;
  }

  #delay(): number {
    return this.#random.next() * this.#latency;
  }

  #later(happen: () => void, delay = this.#delay()): void {
    this.#agenda.add(this.#time + delay, happen);
  }

  /** Calls `closed` after a delay; no other event of this end is reported from now on. */
  #end(end: End, reason: ConnectionError | undefined, delay: number): void {
    if (!end.gone && end.queued > 0) this.#sink?.outputHeld?.(end.slot, -end.queued);
    end.gone = true;
    end.queue.drop(end.queue.length);
    end.queued = 0;
    this.#later(() => {
      this.#sink?.closed(end.slot, reason);
      this.#ends[end.slot] = undefined;
      this.#freeSlots.push(end.slot);
    }, delay);
  }

  #closeIfBothEnded(end: End): void {
    if (end.ended && (end.fin === 'wired' || end.fin === 'delivered') && !end.gone)
      this.#end(end, undefined, this.#delay());
  }

  /** The kernel takes some of the queue at the end of this turn, or later. */
  #transferSoon(from: End): void {
    if (from.transferring || from.gone || from.other === undefined) return;
    from.transferring = true;
    this.#later(() => {
      from.transferring = false;
      if (!from.gone && from.other !== undefined) this.#transfer(from, from.other);
    });
  }

  #transfer(from: End, to: End): void {
    if (from.queued > from.fresh || from.fin === 'asked') {
      if (this.#random.chance(this.#reset)) {
        this.#end(from, resetByPeer(), 0);
        if (!to.gone) this.#end(to, resetByPeer(), this.#delay());
        return;
      }
      if (this.#random.chance(this.#vanish)) {
        this.#end(from, resetByPeer(), 0);
        from.fin = 'wired';
        this.#deliverSoon(from);
        this.#deliverSoon(to);
        return;
      }
      if (this.#random.chance(this.#silence)) {
        this.unplug(from.slot);
        return;
      }
    }
    const room = from.capacity - from.wire.length;
    const ready = Math.min(from.queued - from.fresh, room);
    if (ready > 0) {
      const bytes = from.queue.take(this.#piece(ready));
      from.queued -= bytes.length;
      this.#sink?.outputHeld?.(from.slot, -bytes.length);
      from.wire.add(bytes);
    }
    if (from.queued > 0) {
      if (from.wire.length < from.capacity) this.#transferSoon(from);
    } else {
      if (from.fin === 'asked') from.fin = 'wired';
      const calls = from.flushes;
      from.flushes = 0;
      for (let i = 0; i < calls && !from.gone; i++) this.#sink?.flushed(from.slot);
    }
    this.#deliverSoon(from);
    this.#closeIfBothEnded(from);
    if (from.flooded && from.queued <= lowWaterMark) {
      from.flooded = false;
      if (!from.gone) this.#sink?.drained(from.slot);
    }
  }

  /** What was sent to a machine that is cut off is sent again and again, until the kernel has had enough. */
  #retransmit(from: End): void {
    if (from.retransmitting || from.gone) return;
    from.retransmitting = true;
    this.#later(() => {
      if (!from.gone) this.#end(from, new ConnectionError('ETIMEDOUT', 'the peer does not answer (ETIMEDOUT)'), 0);
    }, retransmission);
  }

  #deliverSoon(from: End): void {
    const { other } = from;
    if (from.silent) return;
    if (other?.silent) {
      if (from.wire.length > 0 || from.fin === 'wired') this.#retransmit(from);
      return;
    }
    if (from.delivering || other === undefined || ((other.paused || !other.established) && !other.gone)) return;
    if (from.wire.length === 0 && from.fin !== 'wired') return;
    from.delivering = true;
    this.#later(() => {
      from.delivering = false;
      this.#deliver(from, other);
    });
  }

  #deliver(from: End, to: End): void {
    if (from.silent) return;
    if (to.silent) {
      this.#deliverSoon(from);
      return;
    }
    if (to.gone) {
      // The other end is gone: its system answers with RST.
      if (!from.gone && from.wire.length > 0) this.#end(from, resetByPeer(), this.#delay());
      return;
    }
    if (to.paused) return;
    if (from.wire.length > 0) {
      const bytes = from.wire.take(Math.min(this.#piece(from.wire.length), pieceSize));
      // At a random offset of a larger buffer, as in the buffers of the real layers.
      const start = this.#random.whole(0, 7);
      const buffer = new Uint8Array(start + bytes.length + this.#random.whole(0, 7)).fill(0x5a);
      buffer.set(bytes, start);
      this.#sink?.received(to.slot, buffer, start, start + bytes.length);
      buffer.fill(0xdb);
      if (!from.gone) this.#transferSoon(from);
    } else if (from.fin === 'wired' && !to.ended) {
      from.fin = 'delivered';
      to.ended = true;
      this.#sink?.ended(to.slot);
      this.#closeIfBothEnded(to);
      return;
    }
    this.#deliverSoon(from);
  }

  /** How many of at most `most` bytes go at once. */
  #piece(most: number): number {
    if (this.#pieces === 'whole') return most;
    if (this.#pieces !== 'random') return Math.min(this.#pieces, most);
    switch (this.#random.whole(0, 3)) {
      case 0:
        return 1;
      case 1:
        return Math.min(most, this.#random.whole(1, 16));
      case 2:
        return this.#random.whole(1, most);
      default:
        return most;
    }
  }
}

/** The simulated world is one machine: whatever its name or address, a port is the same port. */
function placeOf(address: Address): string {
  return 'path' in address ? address.path : `port ${address.port}`;
}

function resetByPeer(): ConnectionError {
  return new ConnectionError('ECONNRESET', 'the connection was reset by the peer');
}
