// A simulated world with one server, looked at from outside after every turn. It stands between the server's network and the simulated
// layer, passes on what either tells the other, and keeps a row of its own for each connection, to compare the server's with.
// Clients live on the layer beside it, without any code of the library: they are told events, and give commands (see clients.ts).

import assert from 'node:assert/strict';
import { Network, SlotState } from '#sluice/connection/network.js';
import { readAhead } from '#sluice/connection/reader.js';
import {
  type Address,
  type ConnectionError,
  type EventLayer,
  type EventSink,
  type ListenerId,
  type ListenOptions,
  pieceSize,
  type Slot,
} from '#sluice/event-layer/event-layer.js';
import { Agenda } from '#sluice/event-layer/simulated/agenda.js';
import { SimulatedLayer, type SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import { HttpConnection } from '#sluice/http/http-connection.js';
import { PartialHead } from '#sluice/http/partial-head.js';
import { type ServeOptions, type Server, serve } from '#sluice/server/serve.js';
import { Thread } from '#sluice/threads/thread.js';
import { type Call, fetchFor, Ledger } from './handlers.js';
import type { Limits } from './plan.js';
import { Trace } from './trace.js';

/** Who is at the other end of a connection, told what the layer tells of its slot. */
export interface Peer {
  readonly id: number;
  connected(): void;
  received(bytes: Uint8Array): void;
  ended(): void;
  drained(): void;
  closed(): void;
  /** How many of the bytes that it sends the server may take in before it closes the connection; `Infinity` if no limit is passed. */
  readonly mostReceived: number;
  /** How many of its requests may reach a handler. */
  readonly mostCalls: number;
  /** Whether no request, or more than empty lines, begins or ends after so many bytes: the server is in the middle of one. */
  isWithinHead(received: number): boolean;
}

/** What the test knows of a connection of the server's. */
interface Row {
  readonly slot: Slot;
  readonly peer: Peer;
  received: number;
  paused: boolean;
  finished: boolean;
  /** The server has given it up; `closed` is yet to be told. */
  gone: boolean;
  calls: number;
  callsInTurn: number;
  callsSinceClose: number;
}

/** More turns than any world takes; at the same time, more than can be of use. */
const mostTurns = 2_000_000;
const mostTurnsAtOnce = 5_000;
/** The largest buffer of a reader: what it holds at most when it pauses, in a power of two. */
const mostBuffered = 2 * pieceSize;

/** The world whose threads run: there is one at a time. */
let watching: World | undefined;
const { step } = Thread.prototype;
/** Every thread that ever runs is known, and every time that it does is counted. */
Thread.prototype.step = function (this: Thread<unknown>): void {
  watching?.stepped(this);
  step.call(this);
};

export class World implements EventLayer, EventSink {
  readonly name = 'simulated';
  readonly trace = new Trace();
  readonly ledger = new Ledger(this);
  readonly layer: SimulatedLayer;
  readonly network: Network;
  /** Turns that the server took part in. */
  turns = 0;
  #server: Server | undefined;
  readonly #options: Partial<ServeOptions> & Limits;
  readonly #stalls: boolean;
  /** Who asks a connection for its reader has it made. Half of the worlds do without, so as not to hide what that changes. */
  readonly #looksAtReaders: boolean;
  #sink: EventSink | undefined;
  readonly #rows = new Map<Slot, Row>();
  readonly #peers = new Map<Slot, Peer>();
  readonly #byAddress = new Map<string, Peer>();
  readonly #listeners = new Set<ListenerId>();
  /** What clients, and the promises of handlers, wait for. */
  readonly #agenda = new Agenda();
  #wake = Infinity;
  #requested = false;
  /** The server takes part in the turn at hand. */
  #begun = false;
  #objection: string | undefined;
  readonly #escaped: unknown[] = [];
  #closing: Promise<void> | undefined;
  #isClosed = false;
  #closes = 0;
  #closedBy = Infinity;
  /** The turn in which the server was told to close: it has stopped listening when the turn is over, and ends connections from then on. */
  #closedInTurn = Infinity;
  /** Until then connections may be idle: one without a request yet has some time after the call of `close`. */
  #idleUntil = Infinity;
  #overdueAt = Infinity;

  readonly #live = new Set<Thread<unknown>>();
  /** Threads that are being unwound, and since when. */
  readonly #unwinding = new Map<Thread<unknown>, number>();
  #steps = 0;
  #happened = 0;
  #turnsAtOnce = 0;
  #lastTime = -1;
  #heldBefore = PartialHead.held;
  /** Of this turn: connections whose client has left, with the calls that were at work for it and the thread of each. */
  readonly #left: { row: Row; how: 'ended' | 'closed'; calls: Call[]; thread: Thread<unknown> | undefined }[] = [];

  constructor(simulated: SimulatedOptions, options: Partial<ServeOptions> & Limits) {
    this.layer = new SimulatedLayer(simulated);
    this.#stalls = (simulated.faults?.stall ?? 0) > 0;
    this.#looksAtReaders = (simulated.seed ?? 0) % 2 === 0;
    this.#options = options;
    this.network = new Network(this);
    this.network.scheduler.report = (error) => this.#escaped.push(error);
    watching = this;
  }

  async open(): Promise<void> {
    const { network, ledger } = this;
    const onError = ledger.report;
    this.#server = await serve({
      ...{ network, fetch: fetchFor(ledger), onError, hostname: '127.0.0.1', port: 80, globals: false },
      ...this.#options,
    });
  }

  get server(): Server {
    if (this.#server === undefined) throw new Error('the world is not open');
    return this.#server;
  }

  // For clients.

  /** Does something after so many milliseconds, in a turn of its own or with whatever happens then. */
  later(milliseconds: number, happen: () => void): void {
    this.#agenda.add(this.layer.now() + milliseconds, happen);
    this.#askToWake();
  }

  after(milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.later(milliseconds, resolve));
  }

  /** @returns the slot of the client's end */
  join(peer: Peer): Slot {
    const address = `10.${peer.id >> 8}.${peer.id & 255}.1`;
    this.#byAddress.set(address, peer);
    const slot = this.layer.connect({ hostname: '127.0.0.1', port: 80 }, address);
    this.#peers.set(slot, peer);
    return slot;
  }

  send(slot: Slot, bytes: Uint8Array): void {
    const at = this.layer.reserve(slot, bytes.length);
    this.layer.output.set(bytes, at);
    this.layer.commit(slot, at + bytes.length);
  }

  /** Again, the shorter deadline counts. */
  closeServer(deadline: number): void {
    const now = this.layer.now();
    this.trace.note(now, 'the server is to close', -1, deadline);
    this.#overdueAt = Math.min(this.#overdueAt, now + deadline);
    // Threads have their limit to be unwound, and their connections a moment; then everything is reset.
    this.#closedBy = this.#overdueAt + this.network.scheduler.unwindLimit + 1_000;
    this.#closedInTurn = Math.min(this.#closedInTurn, this.layer.turns);
    this.#idleUntil = Math.min(this.#idleUntil, now + 300);
    this.#closes++;
    this.#closing = this.server.close({ deadline }).then(() => {
      this.#isClosed = true;
      // Children of a handler that has answered may still be tidying up.
      const alive = [...this.#live].filter((thread) => thread.state !== 'over');
      const rest = alive.find((thread) => thread.parent === undefined && thread.state !== 'closing');
      const { timers } = this.network.scheduler;
      if (rest !== undefined) this.object(`${rest} is not over, and the server says that it is closed`);
      if (alive.length === 0 && timers.size > 0)
        this.object(`${timers.size} timers are armed, and the server says that it is closed`);
      if (this.#rows.size > 0)
        this.object(`${this.#rows.size} connections are left of a server that says it is closed`);
    });
  }

  // For the ledger.

  called(call: Call): void {
    this.trace.note(this.layer.now(), `handler ${call.kind} begins, client`, call.client, call.index);
    let row: Row | undefined;
    for (const other of this.#rows.values()) if (other.peer.id === call.client) row = other;
    if (row === undefined) {
      this.object(`a handler was called for client ${call.client}, which has no connection`);
      return;
    }
    // Whatever became of the one before, requests come in order, each once, and nothing behind one that was refused.
    if (call.index !== row.calls)
      this.object(`request ${call.index} of client ${call.client} came as its number ${row.calls}`);
    if (call.index >= row.peer.mostCalls)
      this.object(`request ${call.index} of client ${call.client} was not to be executed`);
    row.calls++;
    if (row.calls > this.#options.maxRequests) this.object(`client ${call.client} has had ${row.calls} requests`);
    row.callsInTurn++;
    if (this.layer.turns > this.#closedInTurn && ++row.callsSinceClose > 1)
      this.object(`client ${call.client} is served on after the server was told to close`);
    if (this.network.scheduler.now > this.#overdueAt + 1 && !this.#stalls)
      this.object(`client ${call.client} is served after the deadline for closing`);
    if (row.finished) this.object(`client ${call.client} is served on a connection that was closed`);
  }

  left(call: Call): void {
    this.trace.note(this.layer.now(), `handler ${call.kind} is left, client`, call.client, call.index);
  }

  object(what: string): void {
    this.#objection ??= what;
  }

  // What the server's network tells the layer.

  start(sink: EventSink): void {
    this.#sink = sink;
    this.layer.start(this);
  }

  now(): number {
    return this.layer.now();
  }

  date(): number {
    return this.layer.date();
  }

  wakeAt(time: number): void {
    this.#wake = time;
    this.#askToWake();
  }

  requestTurn(): void {
    this.#requested = true;
    this.layer.requestTurn();
  }

  async listen(options: ListenOptions): Promise<{ listener: ListenerId; address: Address }> {
    const listening = await this.layer.listen(options);
    this.#listeners.add(listening.listener);
    return listening;
  }

  async unlisten(listener: ListenerId): Promise<void> {
    await this.layer.unlisten(listener);
    this.#listeners.delete(listener);
  }

  catchUp(): Promise<void> {
    return this.layer.catchUp();
  }

  connect(): Slot {
    throw new Error('no server connects');
  }

  get output(): Uint8Array {
    return this.layer.output;
  }

  reserve(slot: Slot, bytes: number): number {
    this.#row(slot);
    return this.layer.reserve(slot, bytes);
  }

  commit(slot: Slot, end: number): void {
    const { peer } = this.#row(slot);
    this.layer.commit(slot, end);
    const queued = this.layer.queued(slot);
    this.trace.note(this.layer.now(), 'server writes, client and queued', peer.id, queued);
    const most = this.#options.maxQueuedBytes + pieceSize;
    if (queued < most) return;
    this.object(`${queued} bytes are queued for client ${peer.id}`);
    // Whoever does not park would write for ever, and the turn would have no end.
    if (queued >= 4 * most) throw new Error(`${queued} bytes are queued for client ${peer.id}`);
  }

  queued(slot: Slot): number {
    return this.layer.queued(slot);
  }

  notifyFlushed(slot: Slot): void {
    this.layer.notifyFlushed(slot);
  }

  pauseReading(slot: Slot): void {
    this.#row(slot).paused = true;
    this.layer.pauseReading(slot);
  }

  resumeReading(slot: Slot): void {
    this.#row(slot).paused = false;
    this.layer.resumeReading(slot);
  }

  finish(slot: Slot): void {
    const row = this.#row(slot);
    row.finished = true;
    this.trace.note(this.layer.now(), 'server finishes, client', row.peer.id);
    this.layer.finish(slot);
  }

  reset(slot: Slot): void {
    const row = this.#row(slot);
    row.gone = true;
    this.trace.note(this.layer.now(), 'server resets, client', row.peer.id);
    this.layer.reset(slot);
  }

  abandon(slot: Slot): void {
    const row = this.#row(slot);
    row.gone = true;
    this.trace.note(this.layer.now(), 'server lets go, client', row.peer.id);
    this.layer.abandon(slot);
  }

  peer(slot: Slot): string {
    return this.layer.peer(slot);
  }

  async close(): Promise<void> {
    await this.layer.close();
  }

  // What the layer tells.

  beginTurn(): void {
    const now = this.layer.now();
    this.#turnsAtOnce = now === this.#lastTime ? this.#turnsAtOnce + 1 : 0;
    this.#lastTime = now;
    if (this.#turnsAtOnce > mostTurnsAtOnce) throw new Error(`${mostTurnsAtOnce} turns, and no time has passed`);
    if (this.layer.turns > mostTurns) throw new Error(`${mostTurns} turns, and no end`);
    this.#steps = 0;
    this.#happened = 0;
    this.#begun = false;
    // The server is given a turn only if it has asked for one, or is told something: else it might live on turns that others cause.
    if (this.#requested || this.#wake <= now) this.#toServer();
    while (this.#agenda.next <= now) this.#agenda.take()?.();
  }

  accepted(slot: Slot, listener: ListenerId): void {
    const [address] = this.layer.peer(slot).split(':');
    const peer = this.#byAddress.get(address);
    if (peer === undefined) throw new Error(`a connection from ${address}, where nobody is`);
    this.trace.note(this.layer.now(), 'accepted, slot', slot, peer.id);
    const counts = { received: 0, calls: 0, callsInTurn: 0, callsSinceClose: 0 };
    this.#rows.set(slot, { slot, peer, ...counts, paused: false, finished: false, gone: false });
    this.#toServer().accepted(slot, listener);
  }

  connected(slot: Slot): void {
    this.#peers.get(slot)?.connected();
  }

  received(slot: Slot, buffer: Uint8Array, start: number, end: number): void {
    const peer = this.#peers.get(slot);
    if (peer !== undefined) {
      this.trace.note(this.layer.now(), 'client receives', peer.id, end - start);
      peer.received(buffer.subarray(start, end));
      return;
    }
    const row = this.#row(slot);
    this.trace.note(this.layer.now(), 'server receives, client', row.peer.id, end - start);
    if (row.paused) this.object(`client ${row.peer.id} was received from while reading was paused`);
    if (!row.finished) row.received += end - start;
    this.#toServer().received(slot, buffer, start, end);
  }

  ended(slot: Slot): void {
    const peer = this.#peers.get(slot);
    if (peer !== undefined) {
      this.trace.note(this.layer.now(), 'client sees FIN', peer.id);
      peer.ended();
      return;
    }
    const row = this.#row(slot);
    this.trace.note(this.layer.now(), 'server sees FIN, client', row.peer.id);
    if (this.#options.allowHalfOpen !== true && !row.finished) this.#noteLeaving(row, 'ended');
    this.#toServer().ended(slot);
  }

  drained(slot: Slot): void {
    const peer = this.#peers.get(slot);
    if (peer !== undefined) peer.drained();
    else this.#toServer().drained(slot);
  }

  flushed(slot: Slot): void {
    this.#toServer().flushed(slot);
  }

  closed(slot: Slot, reason: ConnectionError | undefined): void {
    const peer = this.#peers.get(slot);
    if (peer !== undefined) {
      this.#peers.delete(slot);
      this.trace.note(this.layer.now(), `client is closed ${reason?.code}`, peer.id);
      peer.closed();
      return;
    }
    const row = this.#row(slot);
    this.trace.note(this.layer.now(), `server is closed ${reason?.code}, client`, row.peer.id);
    this.#noteLeaving(row, 'closed');
    this.#rows.delete(slot);
    this.#toServer().closed(slot, reason);
  }

  outputHeld(slot: Slot, bytes: number): void {
    if (!this.#peers.has(slot)) this.#sink?.outputHeld?.(slot, bytes);
  }

  acceptFailed(listener: ListenerId, error: Error): void {
    this.trace.note(this.layer.now(), 'accepting fails', -1);
    this.#toServer().acceptFailed(listener, error);
  }

  endTurn(): void {
    // What a client does in a turn may have made the server ask for one.
    if (this.#begun) {
      const { timers } = this.network.scheduler;
      const before = timers.size + this.#live.size;
      this.#sink?.endTurn();
      this.turns++;
      this.#check(before);
    }
    this.#askToWake();
    if (this.#requested) this.layer.requestTurn();
  }

  stepped(thread: Thread<unknown>): void {
    this.#steps++;
    this.#live.add(thread);
  }

  /** The server's turn begins when it is first told something. */
  #toServer(): EventSink {
    const sink = this.#sink;
    if (sink === undefined) throw new Error('nobody is there to be told');
    if (!this.#begun) {
      this.#begun = true;
      this.#requested = false;
      if (this.#wake <= this.layer.now()) this.#wake = Infinity;
      sink.beginTurn();
    }
    this.#happened++;
    return sink;
  }

  #askToWake(): void {
    this.layer.wakeAt(Math.min(this.#wake, this.#agenda.next));
  }

  #row(slot: Slot): Row {
    const row = this.#rows.get(slot);
    if (row === undefined) throw new Error(`slot ${slot} has no connection of the server's`);
    return row;
  }

  #noteLeaving(row: Row, how: 'ended' | 'closed'): void {
    const calls = [...this.ledger.active].filter((call) => call.client === row.peer.id);
    this.#left.push({ row, how, calls, thread: this.network.connection(row.slot)?.thread });
  }

  /** What must hold after every turn. @param parked timers and threads that there were before the turn ended */
  #check(parked: number): void {
    const { network } = this;
    const { scheduler } = network;
    if (this.#objection !== undefined) throw new Error(this.#objection);
    if (this.#escaped.length > 0) throw new Error('an error that nobody was told of', { cause: this.#escaped[0] });

    // Nothing spins: threads run for what has happened, and for those that have been woken.
    let called = 0;
    for (const row of this.#rows.values()) called += row.callsInTurn;
    const mostSteps = 50 + 8 * (this.#happened + parked + called);
    if (this.#steps > mostSteps)
      throw new Error(`threads ran ${this.#steps} times in one turn; ${mostSteps} are enough`);

    // Whose client has left is unwound.
    for (const { row, how, calls, thread } of this.#left) {
      const who = `client ${row.peer.id} has left (${how}), and`;
      if (how === 'closed' && thread !== undefined && thread.state !== 'over' && !thread.unwound)
        throw new Error(`${who} ${thread} goes on`);
      for (const call of calls) {
        if (call.over) continue;
        const name = `the handler /${call.kind}/${call.client}/${call.index}`;
        if (call.unwinds && call.left === 0) throw new Error(`${who} ${name} goes on`);
        if (!call.request.signal.aborted) throw new Error(`${who} the signal of ${name} is not aborted`);
      }
    }
    this.#left.length = 0;

    // Threads that are not over belong to a connection, or are being unwound within their bound.
    const roots = new Set<Thread<unknown>>();
    for (const row of this.#rows.values()) {
      const thread = network.connection(row.slot)?.thread;
      if (thread !== undefined) roots.add(thread);
    }
    let connections = 0;
    for (const thread of this.#live) {
      if (thread.state === 'over') {
        this.#live.delete(thread);
        this.#unwinding.delete(thread);
        continue;
      }
      if (thread.parent === undefined) connections++;
      let root = thread;
      while (root.parent !== undefined) root = root.parent;
      // One that is done waits for its children to be unwound.
      if (!roots.has(root) && !root.unwound && root.state !== 'closing')
        throw new Error(`${thread} belongs to no connection`);
      if (!thread.unwound) continue;
      const since = this.#unwinding.get(thread);
      if (since === undefined) this.#unwinding.set(thread, scheduler.now);
      else if (scheduler.now > since + 3 * scheduler.unwindLimit && !this.#stalls)
        throw new Error(`${thread} has been unwinding since ${since}`);
    }

    let open = 0;
    for (const row of this.#rows.values()) if (!row.finished && !row.gone) open++;
    if (open > this.#options.maxConnections) throw new Error(`${open} connections are open`);
    let heads = 0;
    for (const row of this.#rows.values()) heads += this.#checkRow(row);
    const held = PartialHead.held - this.#heldBefore;
    if (held > heads) throw new Error(`${held} bytes are held for beginnings of heads; ${heads} are enough`);

    // At most one deadline for each connection; what it sleeps on, its bound, and, if it is a connection's, the wait for an async
    // handler for each thread; and the deadlines of close().
    const timers = this.#rows.size + 2 * this.#live.size + connections + 2 * this.#closes;
    if (scheduler.timers.size > timers)
      throw new Error(`${scheduler.timers.size} timers are armed; ${timers} are enough`);

    const { total, ...counts } = this.server.connections;
    const sum = Object.values(counts).reduce((all, count) => all + count, 0);
    if (sum !== total) throw new Error(`of ${total} connections ${sum} are in a state`);
    let atWork = 0;
    for (const { thread, wait } of this.server.active()) {
      atWork++;
      if (wait === undefined && thread?.state !== 'closing') throw new Error(`${thread} runs on between two turns`);
    }
    const quiet = counts.idle + counts.closing;
    if (atWork !== total - quiet) throw new Error(`${atWork} of ${total} connections are listed, ${quiet} are quiet`);
    if (total !== this.#rows.size)
      throw new Error(`the server counts ${total} connections; there are ${this.#rows.size}`);
    if (total > 0 && scheduler.now > this.#closedBy && !this.#stalls)
      throw new Error(`${total} connections are left, long after the deadline for closing`);
  }

  /** @returns the most bytes that may be held for the beginning of a head */
  #checkRow(row: Row): number {
    const { network, layer } = this;
    const { slot, peer } = row;
    const { maxPipelined, maxQueuedBytes } = this.#options;
    const name = `client ${peer.id}`;
    const record = network.connection(slot);
    const state = network.state(slot);
    if (row.callsInTurn > maxPipelined && !this.#stalls)
      throw new Error(`${name}: ${row.callsInTurn} requests in one turn`);
    row.callsInTurn = 0;
    if (row.gone) return 0;
    const queued = layer.queued(slot);
    if (queued >= maxQueuedBytes + pieceSize) throw new Error(`${name}: ${queued} bytes are queued`);
    if (row.received > peer.mostReceived + readAhead + pieceSize && !row.finished)
      throw new Error(`${name}: ${row.received} bytes were taken in; ${peer.mostReceived} are allowed`);
    const deadline = network.deadline(slot);

    if (record === undefined) {
      if (state !== SlotState.idle && state !== SlotState.reading && state !== SlotState.closing)
        throw new Error(`${name}: the slot has no record in state ${state}`);
      if (deadline === Infinity) throw new Error(`${name}: nothing runs for it, and no deadline is set`);
      if (row.paused) throw new Error(`${name}: nothing runs for it, and reading is paused`);
      if ((state === SlotState.closing) !== row.finished) throw new Error(`${name}: is closed, or is not`);
      if (state === SlotState.idle) {
        if (peer.isWithinHead(row.received))
          throw new Error(`${name}: idle after ${row.received} bytes, within a head`);
        if (network.scheduler.now > this.#idleUntil && !this.#stalls)
          throw new Error(`${name}: is idle, long after the server was told to close`);
      }
      if (state !== SlotState.reading) return 0;
      if (!peer.isWithinHead(row.received)) throw new Error(`${name}: after ${row.received} bytes no head has begun`);
      // A power of two, at least 64; the whole of what one call may lend, and what came before it.
      return 2 ** Math.ceil(Math.log2(Math.max(64, Math.min(row.received, this.#options.maxHeadSize + pieceSize))));
    }
    if (state !== SlotState.reading && state !== SlotState.handling && state !== SlotState.writing)
      throw new Error(`${name}: the slot has a record in state ${state}`);
    if (record.slot !== slot || !(record instanceof HttpConnection)) throw new Error(`${name}: another's record`);
    if (record.closed) throw new Error(`${name}: its record is of a connection that is closed`);
    const { thread } = record;
    if (thread === undefined || thread.state === 'over') throw new Error(`${name}: has a record, and no thread`);
    const waits = [thread, ...thread.children].map((one) => one.wait);
    if ((waits.includes('dry') || waits.includes('flooded')) && deadline === Infinity)
      throw new Error(`${name}: its thread waits for the client, and no deadline is set`);
    if (!this.#looksAtReaders) return 0;
    const { reader } = record;
    if (reader.bytes.length > mostBuffered) throw new Error(`${name}: its reader holds ${reader.bytes.length} bytes`);
    if (reader.buffered >= readAhead && !row.paused && !waits.includes('dry'))
      throw new Error(`${name}: ${reader.buffered} bytes are unread, and reading goes on`);
    if (row.paused && reader.buffered === 0) throw new Error(`${name}: everything is read, and reading is paused`);
    return 0;
  }

  /** Lets the world run until nothing happens any more, closes the server if it is not closed, and looks at what is left. */
  async runToEnd(): Promise<void> {
    await this.layer.run();
    if (this.#closing === undefined) this.closeServer(10_000);
    await this.layer.run();
    if (!this.#isClosed) throw new Error('nothing happens any more, and the server is not closed');
    await this.#closing;
    const { scheduler } = this.network;
    if (this.#objection !== undefined) throw new Error(this.#objection);
    assert.deepEqual(this.#escaped, [], 'errors that nobody was told of');
    assert.equal(this.server.connections.total, 0, 'connections of a closed server');
    assert.equal(this.#rows.size, 0, 'connections of the server that the layer has not closed');
    assert.equal(this.#peers.size, 0, 'clients whose connection has no end');
    assert.equal(this.server.buffered.held, 0, 'bytes that are counted as held');
    assert.equal(this.layer.open, 0, 'connections of the layer');
    assert.equal(this.#listeners.size, 0, 'listeners');
    assert.equal(scheduler.timers.size, 0, 'timers that are armed');
    assert.equal(PartialHead.held, this.#heldBefore, 'bytes held for the beginnings of heads');
    for (const thread of this.#live) assert.equal(thread.state, 'over', `${thread}`);
    assert.equal(this.#wake, Infinity, 'the next turn that the server has asked for');
    this.ledger.check();
    await this.layer.close();
    watching = undefined;
  }

  /** What is left behind by a world that has failed must not count against the next. */
  static forget(): void {
    watching = undefined;
  }
}
