// The contract without an operating system: a network and a clock in memory, both driven by one seed. Servers and clients
// live on the same layer; the network between them cuts and merges what they send at any byte, takes output in part, floods,
// delays, resets, and lets processes vanish. The same seed gives the same run, to the byte.
//
// The way of bytes from one end of a connection to the other:
//
//   commit ──► queue (ours: `queued` counts it) ──transfer──► wire (the kernels': bounded) ──deliver──► received at the other end
//
// Lent buffers are overwritten after `received` has returned, so that whoever keeps one is found out.

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
} from '../event-layer.js';
import { Agenda } from './agenda.js';
import { Random } from './random.js';

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
    /** For each transfer: the connection is reset, and both ends are told. */
    reset?: number;
    /** For each transfer: the process at the sending end vanishes. What it had sent arrives, then FIN; what is sent to it is answered with RST. */
    vanish?: number;
  };
}

/** One end of a connection. Everything that may still happen to it refers to this object and not to its slot, which may have a new tenant. */
interface End {
  readonly slot: Slot;
  readonly address: string;
  readonly capacity: number;
  /** The other end; undefined until the connection is made. */
  other: End | undefined;
  /** Committed and not yet taken by the kernel. */
  queue: Uint8Array[];
  queued: number;
  /** Taken by the kernel and not yet delivered. */
  wire: Uint8Array[];
  wired: number;
  paused: boolean;
  /** `queued` has reached the high-water mark, and `drained` has not been told since. */
  flooded: boolean;
  flushAsked: boolean;
  /** How far our FIN has come. */
  fin: 'none' | 'asked' | 'wired' | 'delivered';
  /** The peer's FIN has been told. */
  ended: boolean;
  /** `closed` has been told, or is on the agenda: nothing else is told any more. */
  gone: boolean;
  transferring: boolean;
  delivering: boolean;
}

export class SimulatedLayer implements EventLayer {
  readonly name = 'simulated';
  readonly output = new Uint8Array(pieceSize);
  /** Turns taken so far. */
  turns = 0;

  readonly #random: Random;
  readonly #pieces: 'random' | 'whole' | number;
  readonly #latency: number;
  readonly #capacity: number | undefined;
  readonly #refuse: number;
  readonly #reset: number;
  readonly #vanish: number;
  readonly #agenda = new Agenda();
  readonly #ends: (End | undefined)[] = [];
  readonly #freeSlots: Slot[] = [];
  readonly #listeners = new Map<string, ListenerId>();
  #lastListener = 0;
  #lastPort = 49_152;
  #sink: EventSink | undefined;
  #time = 0;
  #wake = Infinity;
  #requested = false;

  constructor(options: SimulatedOptions = {}) {
    this.#random = new Random(options.seed ?? 1);
    this.#pieces = options.pieces ?? 'random';
    this.#latency = options.latency ?? 5;
    this.#capacity = options.capacity;
    this.#refuse = options.faults?.refuse ?? 0;
    this.#reset = options.faults?.reset ?? 0;
    this.#vanish = options.faults?.vanish ?? 0;
  }

  start(sink: EventSink): void {
    this.#sink = sink;
  }

  /** Connections whose `closed` has not been told. */
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
    this.#wake = time;
  }

  requestTurn(): void {
    this.#requested = true;
  }

  /**
   * Lets the world run until nothing is left to happen in it, or until `time`. Between turns it waits for promises that
   * settle without the system (microtasks and immediates), so that async handlers take part in a run; whatever waits for
   * the real world (sockets, files, real timers) is not waited for.
   */
  async run(time = Infinity): Promise<void> {
    for (;;) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      const next = this.#requested ? this.#time : Math.min(this.#agenda.next, this.#wake);
      if (next > time || next === Infinity) break;
      this.#turn(next);
    }
    if (time !== Infinity) this.#time = Math.max(this.#time, time);
  }

  async listen(options: ListenOptions): Promise<{ listener: ListenerId; address: Address }> {
    let { address } = options;
    if ('port' in address && address.port === 0) address = { hostname: address.hostname, port: this.#lastPort++ };
    const key = formatAddress(address);
    if (this.#listeners.has(key)) throw new ConnectionError('EADDRINUSE', `listen: ${key} is in use`);
    const listener = ++this.#lastListener;
    this.#listeners.set(key, listener);
    return { listener, address };
  }

  async unlisten(listener: ListenerId): Promise<void> {
    for (const [key, value] of this.#listeners) if (value === listener) this.#listeners.delete(key);
  }

  connect(address: Address): Slot {
    const key = formatAddress(address);
    const client = this.#newEnd(`127.0.0.1:${this.#lastPort++}`);
    this.#later(() => {
      if (client.gone) return;
      const listener = this.#listeners.get(key);
      if (listener === undefined || this.#random.chance(this.#refuse)) {
        this.#end(client, new ConnectionError('ECONNREFUSED', `connect: nobody listens on ${key}`), 0);
        return;
      }
      const server = this.#newEnd(key);
      client.other = server;
      server.other = client;
      this.#sink?.accepted(server.slot, listener);
      this.#later(() => {
        if (client.gone) return;
        this.#sink?.connected(client.slot);
        this.#transferSoon(client);
        this.#deliverSoon(server);
      });
    });
    return client.slot;
  }

  reserve(_slot: Slot, _bytes: number): number {
    return 0;
  }

  commit(slot: Slot, end: number): void {
    const from = this.#tenant(slot);
    if (end === 0 || from.gone) return;
    from.queue.push(this.output.slice(0, end));
    from.queued += end;
    if (from.queued >= highWaterMark) from.flooded = true;
    this.#transferSoon(from);
  }

  queued(slot: Slot): number {
    return this.#tenant(slot).queued;
  }

  notifyFlushed(slot: Slot): void {
    const end = this.#tenant(slot);
    end.flushAsked = true;
    this.#transferSoon(end);
  }

  pauseReading(slot: Slot): void {
    this.#tenant(slot).paused = true;
  }

  resumeReading(slot: Slot): void {
    const end = this.#tenant(slot);
    end.paused = false;
    if (end.other !== undefined) this.#deliverSoon(end.other);
  }

  finish(slot: Slot): void {
    const end = this.#tenant(slot);
    if (end.fin !== 'none') return;
    end.fin = 'asked';
    this.#transferSoon(end);
  }

  reset(slot: Slot): void {
    const end = this.#tenant(slot);
    if (end.gone) return;
    const { other } = end;
    this.#end(end, undefined, 0);
    if (other !== undefined && !other.gone) this.#end(other, resetByPeer(), this.#delay());
  }

  peer(slot: Slot): string {
    return this.#tenant(slot).other?.address ?? '';
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    for (const end of this.#ends) if (end !== undefined && !end.gone) this.#end(end, undefined, 0);
    await this.run();
  }

  #turn(time: number): void {
    const sink = this.#sink;
    if (sink === undefined) return;
    this.turns++;
    this.#requested = false;
    this.#time = Math.max(this.#time, time);
    if (this.#wake <= this.#time) this.#wake = Infinity;
    sink.beginTurn();
    while (this.#agenda.next <= this.#time) this.#agenda.take()?.();
    sink.endTurn();
  }

  #newEnd(address: string): End {
    const slot = this.#freeSlots.pop() ?? this.#ends.length;
    const end: End = {
      slot,
      address,
      capacity: this.#capacity ?? 2 ** this.#random.whole(10, 18),
      other: undefined,
      queue: [],
      queued: 0,
      wire: [],
      wired: 0,
      paused: false,
      flooded: false,
      flushAsked: false,
      fin: 'none',
      ended: false,
      gone: false,
      transferring: false,
      delivering: false,
    };
    this.#ends[slot] = end;
    return end;
  }

  #tenant(slot: Slot): End {
    const end = this.#ends[slot];
    if (end === undefined)
      throw new ConnectionError('ERR_SLOT', `slot ${slot} has no connection: its caller has missed that it closed`);
    return end;
  }

  #delay(): number {
    return this.#random.next() * this.#latency;
  }

  #later(happen: () => void, delay = this.#delay()): void {
    this.#agenda.add(this.#time + delay, happen);
  }

  /** Tells `closed` after a delay; nothing else is told of this end from now on. */
  #end(end: End, reason: ConnectionError | undefined, delay: number): void {
    end.gone = true;
    end.queue = [];
    end.queued = 0;
    this.#later(() => {
      this.#ends[end.slot] = undefined;
      this.#freeSlots.push(end.slot);
      this.#sink?.closed(end.slot, reason);
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
    if (from.queued > 0 || from.fin === 'asked') {
      if (this.#random.chance(this.#reset)) {
        this.#end(from, resetByPeer(), 0);
        if (!to.gone) this.#end(to, resetByPeer(), this.#delay());
        return;
      }
      if (this.#random.chance(this.#vanish)) {
        this.#end(from, resetByPeer(), 0);
        from.fin = 'wired';
        this.#deliverSoon(from);
        return;
      }
    }
    const room = from.capacity - from.wired;
    if (from.queued > 0 && room > 0) {
      const bytes = takeBytes(from.queue, this.#piece(Math.min(from.queued, room)));
      from.queued -= bytes.length;
      from.wire.push(bytes);
      from.wired += bytes.length;
    }
    if (from.queued > 0) {
      if (from.wired < from.capacity) this.#transferSoon(from);
    } else {
      if (from.fin === 'asked') from.fin = 'wired';
      if (from.flushAsked) {
        from.flushAsked = false;
        this.#sink?.flushed(from.slot);
      }
    }
    this.#deliverSoon(from);
    this.#closeIfBothEnded(from);
    if (from.flooded && from.queued <= lowWaterMark) {
      from.flooded = false;
      if (!from.gone) this.#sink?.drained(from.slot);
    }
  }

  #deliverSoon(from: End): void {
    const { other } = from;
    if (from.delivering || other === undefined || other.paused) return;
    if (from.wired === 0 && from.fin !== 'wired') return;
    from.delivering = true;
    this.#later(() => {
      from.delivering = false;
      this.#deliver(from, other);
    });
  }

  #deliver(from: End, to: End): void {
    if (to.gone) {
      // Nobody is there: the system at that end answers with RST.
      if (!from.gone && from.wired > 0) this.#end(from, resetByPeer(), this.#delay());
      return;
    }
    if (to.paused) return;
    if (from.wired > 0) {
      const bytes = takeBytes(from.wire, Math.min(this.#piece(from.wired), pieceSize));
      from.wired -= bytes.length;
      // At a random offset of a larger buffer, as bytes stand in the buffers of the real layers.
      const start = this.#random.whole(0, 7);
      const lent = new Uint8Array(start + bytes.length + this.#random.whole(0, 7)).fill(0x5a);
      lent.set(bytes, start);
      this.#sink?.received(to.slot, lent, start, start + bytes.length);
      lent.fill(0xdb);
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

function resetByPeer(): ConnectionError {
  return new ConnectionError('ECONNRESET', 'the connection was reset by the peer');
}

/** Takes that many bytes off the front of a list of chunks. */
function takeBytes(chunks: Uint8Array[], count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  let filled = 0;
  let used = 0;
  while (filled < count) {
    const chunk = chunks[used];
    const part = chunk.subarray(0, count - filled);
    bytes.set(part, filled);
    filled += part.length;
    if (part.length === chunk.length) used++;
    else chunks[used] = chunk.subarray(part.length);
  }
  chunks.splice(0, used);
  return bytes;
}
