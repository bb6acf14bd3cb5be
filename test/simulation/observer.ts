// A simulated world with one server, observed from outside after every turn. The observer is an event layer between the server's network
// and the transport: it passes on commands and events, and keeps a row for each connection to compare the server's own account with.
// Clients live beside it on the same transport and use no code of the library's client side: they get events and give commands
// (see clients.ts).

import assert from 'node:assert/strict';
import { Network } from '#sluice/connection/network.js';
import { readAhead } from '#sluice/connection/reader.js';
import {
  type Address,
  type ConnectionError,
  type EventSink,
  type ListenerId,
  type ListenOptions,
  pieceSize,
  type Slot,
} from '#sluice/event-layer/event-layer.js';
import { Agenda } from '#sluice/event-layer/simulated/agenda.js';
import type { SimulatedLayer, SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import { armedTimers, inspectConnection, partialHeadBytes } from '#sluice/observe/inspect.js';
import { type ServeOptions, type Server, serve } from '#sluice/server/serve.js';
import { type Thread, threadsOf } from '#sluice/threads/thread.js';
import { LayerTap } from '../support/layer-tap.js';
import { chosenTransport, simulatedTransport } from '../support/transport.js';
import { WatchedScheduler } from '../support/watched-scheduler.js';
import { type Call, fetchFor, Ledger } from './handlers.js';
import type { Limits } from './plan.js';
import { Trace } from './trace.js';

/** The other end of a connection. It gets the events of its slot. */
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
  /** The turn in which it was last paused. */
  pausedIn: number;
  finished: boolean;
  /** The server has given it up; `closed` is yet to be reported. */
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

export class Observer extends LayerTap {
  readonly trace = new Trace();
  readonly ledger = new Ledger(this);
  /** The clock, and the network below the transport. */
  readonly layer: SimulatedLayer;
  readonly network: Network;
  readonly #scheduler: WatchedScheduler;
  /** Turns that the server took part in. */
  turns = 0;
  #server: Server | undefined;
  readonly #options: Partial<ServeOptions> & Limits;
  readonly #stalls: boolean;
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
  readonly #unreported: unknown[] = [];
  #closing: Promise<void> | undefined;
  #isClosed = false;
  #closes = 0;
  #closedBy = Infinity;
  /** The turn in which close was called: it has stopped listening when the turn is over, and ends connections from then on. */
  #closedInTurn = Infinity;
  /** Until then connections may be idle: one without a request yet has some time after the call of `close`. */
  #idleUntil = Infinity;
  #overdueAt = Infinity;

  /** Threads that are being unwound, and since when. */
  readonly #unwinding = new Map<Thread<unknown>, number>();
  #resumptionsBefore = 0;
  #happened = 0;
  #turnsAtOnce = 0;
  #lastTime = -1;
  #partialHeadBytesBefore = partialHeadBytes();
  /** Of this turn: connections whose client has left, with the calls that were at work for it and the thread of each. */
  readonly #left: { row: Row; how: 'ended' | 'closed'; calls: Call[]; thread: Thread<unknown> | undefined }[] = [];

  constructor(simulated: SimulatedOptions, options: Partial<ServeOptions> & Limits) {
    const { layer, transport } = simulatedTransport(simulated);
    super(transport);
    this.layer = layer;
    this.#stalls = (simulated.faults?.stall ?? 0) > 0;
    this.#options = options;
    this.#scheduler = new WatchedScheduler(this, (error) => this.#unreported.push(error));
    this.network = new Network(this, this.#scheduler);
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

  /** Does something after so many milliseconds, in a separate turn or with whatever happens then. */
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
    const slot = this.below.connect({ hostname: '127.0.0.1', port: 80 }, address);
    this.#peers.set(slot, peer);
    return slot;
  }

  send(slot: Slot, bytes: Uint8Array): void {
    const at = this.below.reserve(slot, bytes.length);
    this.below.output.set(bytes, at);
    this.below.commit(slot, at + bytes.length);
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
      const alive = [...threadsOf(this.#scheduler)];
      const rest = alive.find((thread) => thread.parent === undefined && thread.state !== 'closing');
      const armed = armedTimers(this.network);
      if (rest !== undefined) this.object(`${rest} is not over, and the server says that it is closed`);
      if (alive.length === 0 && armed > 0)
        this.object(`${armed} timers are armed, and the server says that it is closed`);
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
      this.object(`client ${call.client} is served on after close was called`);
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

  // Commands of the server's network.

  override wakeAt(time: number): void {
    this.#wake = time;
    this.#askToWake();
  }

  override requestTurn(): void {
    this.#requested = true;
    this.below.requestTurn();
  }

  override async listen(options: ListenOptions): Promise<{ listener: ListenerId; address: Address }> {
    const listening = await this.below.listen(options);
    this.#listeners.add(listening.listener);
    return listening;
  }

  override async unlisten(listener: ListenerId): Promise<void> {
    await this.below.unlisten(listener);
    this.#listeners.delete(listener);
  }

  override connect(): Slot {
    throw new Error('no server connects');
  }

  override reserve(slot: Slot, bytes: number): number {
    this.#row(slot);
    return this.below.reserve(slot, bytes);
  }

  override commit(slot: Slot, end: number): void {
    const { peer } = this.#row(slot);
    this.below.commit(slot, end);
    const queued = this.below.queued(slot);
    this.trace.note(this.layer.now(), 'server writes, client and queued', peer.id, queued);
    const most = this.#options.maxQueuedBytes + pieceSize;
    if (queued < most) return;
    this.object(`${queued} bytes are queued for client ${peer.id}`);
    // A thread that does not park would write for ever, and the turn would have no end.
    if (queued >= 4 * most) throw new Error(`${queued} bytes are queued for client ${peer.id}`);
  }

  override pauseReading(slot: Slot): void {
    const row = this.#row(slot);
    row.paused = true;
    row.pausedIn = this.layer.turns;
    this.below.pauseReading(slot);
  }

  override resumeReading(slot: Slot): void {
    this.#row(slot).paused = false;
    this.below.resumeReading(slot);
  }

  override finish(slot: Slot): void {
    const row = this.#row(slot);
    row.finished = true;
    this.trace.note(this.layer.now(), 'server finishes, client', row.peer.id);
    this.below.finish(slot);
  }

  override reset(slot: Slot): void {
    const row = this.#row(slot);
    row.gone = true;
    this.trace.note(this.layer.now(), 'server resets, client', row.peer.id);
    this.below.reset(slot);
  }

  override abandon(slot: Slot): void {
    const row = this.#row(slot);
    row.gone = true;
    this.trace.note(this.layer.now(), 'server abandons, client', row.peer.id);
    this.below.abandon(slot);
  }

  // Events of the layer.

  override beginTurn(): void {
    const now = this.layer.now();
    this.#turnsAtOnce = now === this.#lastTime ? this.#turnsAtOnce + 1 : 0;
    this.#lastTime = now;
    if (this.#turnsAtOnce > mostTurnsAtOnce) throw new Error(`${mostTurnsAtOnce} turns, and no time has passed`);
    if (this.layer.turns > mostTurns) throw new Error(`${mostTurns} turns, and no end`);
    this.#resumptionsBefore = this.#scheduler.resumptions;
    this.#happened = 0;
    this.#begun = false;
    // The server is given a turn only if it has asked for one, or has an event: else it might live on turns that others cause.
    if (this.#requested || this.#wake <= now) this.#toServer();
    while (this.#agenda.next <= now) this.#agenda.take()?.();
  }

  override accepted(slot: Slot, listener: ListenerId): void {
    const [address] = this.below.peer(slot).split(':');
    const peer = this.#byAddress.get(address);
    if (peer === undefined) throw new Error(`a connection from ${address}, where no client is`);
    this.trace.note(this.layer.now(), 'accepted, slot', slot, peer.id);
    const counts = { received: 0, calls: 0, callsInTurn: 0, callsSinceClose: 0 };
    this.#rows.set(slot, { slot, peer, ...counts, paused: false, pausedIn: -1, finished: false, gone: false });
    this.#toServer().accepted(slot, listener);
  }

  override connected(slot: Slot): void {
    this.#peers.get(slot)?.connected();
  }

  override received(slot: Slot, buffer: Uint8Array, start: number, end: number): void {
    const peer = this.#peers.get(slot);
    if (peer !== undefined) {
      this.trace.note(this.layer.now(), 'client receives', peer.id, end - start);
      peer.received(buffer.subarray(start, end));
      return;
    }
    const row = this.#row(slot);
    this.trace.note(this.layer.now(), 'server receives, client', row.peer.id, end - start);
    // A secure transport reports the rest of what it has received, also when reading is paused in the meantime.
    const mayBeOnItsWay = chosenTransport !== 'plain' && row.pausedIn === this.layer.turns;
    if (row.paused && !mayBeOnItsWay) this.object(`client ${row.peer.id} was received from while reading was paused`);
    if (!row.finished) row.received += end - start;
    this.#toServer().received(slot, buffer, start, end);
  }

  override ended(slot: Slot): void {
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

  override drained(slot: Slot): void {
    const peer = this.#peers.get(slot);
    if (peer !== undefined) peer.drained();
    else this.#toServer().drained(slot);
  }

  override flushed(slot: Slot): void {
    this.#toServer().flushed(slot);
  }

  override closed(slot: Slot, reason: ConnectionError | undefined): void {
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

  override outputHeld(slot: Slot, bytes: number): void {
    if (!this.#peers.has(slot)) super.outputHeld(slot, bytes);
  }

  override acceptFailed(listener: ListenerId, error: Error): void {
    this.trace.note(this.layer.now(), 'accepting fails', -1);
    this.#toServer().acceptFailed(listener, error);
  }

  override endTurn(): void {
    // What a client does in a turn may have made the server ask for one.
    if (this.#begun) {
      const before = armedTimers(this.network) + [...threadsOf(this.#scheduler)].length;
      this.above.endTurn();
      this.turns++;
      this.#check(before);
    }
    this.#askToWake();
    if (this.#requested) this.below.requestTurn();
  }

  /** The server's turn begins with its first event. */
  #toServer(): EventSink {
    if (!this.#begun) {
      this.#begun = true;
      this.#requested = false;
      if (this.#wake <= this.layer.now()) this.#wake = Infinity;
      this.above.beginTurn();
    }
    this.#happened++;
    return this.above;
  }

  #askToWake(): void {
    this.below.wakeAt(Math.min(this.#wake, this.#agenda.next));
  }

  #row(slot: Slot): Row {
    const row = this.#rows.get(slot);
    if (row === undefined) throw new Error(`slot ${slot} has no connection of the server's`);
    return row;
  }

  #noteLeaving(row: Row, how: 'ended' | 'closed'): void {
    const calls = this.ledger.active(row.peer.id);
    this.#left.push({ row, how, calls, thread: inspectConnection(this.network, row.slot)?.thread });
  }

  /** What must hold after every turn. @param parked timers and threads that there were before the turn ended */
  #check(parked: number): void {
    const { network } = this;
    const { scheduler } = network;
    if (this.#objection !== undefined) throw new Error(this.#objection);
    if (this.#unreported.length > 0) throw new Error('an unreported error', { cause: this.#unreported[0] });

    // Nothing spins: threads run for what has happened, and for those that have been woken.
    let called = 0;
    for (const row of this.#rows.values()) called += row.callsInTurn;
    const mostSteps = 50 + 8 * (this.#happened + parked + called);
    const steps = this.#scheduler.resumptions - this.#resumptionsBefore;
    if (steps > mostSteps) throw new Error(`threads ran ${steps} times in one turn; ${mostSteps} are enough`);

    // Whose client has left is unwound.
    for (const { row, how, calls, thread } of this.#left) {
      const who = `client ${row.peer.id} has left (${how}), and`;
      if (how === 'closed' && thread !== undefined && thread.state !== 'over' && !thread.unwound)
        throw new Error(`${who} ${thread} goes on`);
      for (const call of calls) {
        if (call.isOver) continue;
        const name = `the handler ${call.name}`;
        if (call.isUnwound && call.left === 0) throw new Error(`${who} ${name} goes on`);
        if (!call.request.signal.aborted) throw new Error(`${who} the signal of ${name} is not aborted`);
      }
    }
    this.#left.length = 0;

    // Threads that are not over belong to a connection, or are being unwound within their bound.
    const roots = new Set<Thread<unknown>>();
    for (const row of this.#rows.values()) {
      const thread = inspectConnection(network, row.slot)?.thread;
      if (thread !== undefined) roots.add(thread);
    }
    let connections = 0;
    const threads = [...threadsOf(this.#scheduler)];
    for (const thread of this.#unwinding.keys()) if (thread.state === 'over') this.#unwinding.delete(thread);
    for (const thread of threads) {
      if (thread.state === 'over') throw new Error(`${thread} is over, and listed`);
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
    const held = partialHeadBytes() - this.#partialHeadBytesBefore;
    if (held > heads) throw new Error(`${held} bytes are held for beginnings of heads; ${heads} are enough`);

    // At most one deadline for each connection; what it sleeps on, its bound, and, if it is a connection's, the wait for an async
    // handler for each thread; and the deadlines of close().
    const timers = this.#rows.size + 2 * threads.length + connections + 2 * this.#closes;
    const armed = armedTimers(network);
    if (armed > timers) throw new Error(`${armed} timers are armed; ${timers} are enough`);

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
    const { network } = this;
    const { slot, peer } = row;
    const { maxPipelined, maxQueuedBytes } = this.#options;
    const name = `client ${peer.id}`;
    if (row.callsInTurn > maxPipelined && !this.#stalls)
      throw new Error(`${name}: ${row.callsInTurn} requests in one turn`);
    row.callsInTurn = 0;
    if (row.gone) return 0;
    const held = inspectConnection(network, slot);
    if (held === undefined) throw new Error(`${name}: the server has no connection for it`);
    const { state, deadline, queued, thread } = held;
    if (queued >= maxQueuedBytes + pieceSize) throw new Error(`${name}: ${queued} bytes are queued`);
    if (row.received > peer.mostReceived + readAhead + pieceSize && !row.finished)
      throw new Error(`${name}: ${row.received} bytes were taken in; ${peer.mostReceived} are allowed`);
    if (held.record === undefined) {
      if (state !== 'idle' && state !== 'reading' && state !== 'closing')
        throw new Error(`${name}: the slot has no record in state ${state}`);
      if (deadline === Infinity) throw new Error(`${name}: nothing runs for it, and no deadline is set`);
      if (row.paused) throw new Error(`${name}: nothing runs for it, and reading is paused`);
      if ((state === 'closing') !== row.finished) throw new Error(`${name}: is closed, or is not`);
      if (state === 'idle') {
        if (peer.isWithinHead(row.received))
          throw new Error(`${name}: idle after ${row.received} bytes, within a head`);
        if (network.scheduler.now > this.#idleUntil && !this.#stalls)
          throw new Error(`${name}: is idle, long after close was called`);
      }
      if (state !== 'reading') return 0;
      if (!peer.isWithinHead(row.received)) throw new Error(`${name}: after ${row.received} bytes no head has started`);
      // A power of two, at least 64; the whole of what one call may lend, and what came before it.
      return 2 ** Math.ceil(Math.log2(Math.max(64, Math.min(row.received, this.#options.maxHeadSize + pieceSize))));
    }
    if (state !== 'active') throw new Error(`${name}: a thread works for it in state ${state}`);
    if (thread === undefined || thread.state === 'over') throw new Error(`${name}: has a record, and no thread`);
    const waits = [thread, ...thread.children].map((one) => one.wait);
    if ((waits.includes('dry') || waits.includes('flooded')) && deadline === Infinity)
      throw new Error(`${name}: its thread waits for the client, and no deadline is set`);
    const { unread, readBuffer } = held;
    if (readBuffer > mostBuffered) throw new Error(`${name}: its reader holds ${readBuffer} bytes`);
    if (unread >= readAhead && !row.paused && !waits.includes('dry'))
      throw new Error(`${name}: ${unread} bytes are unread, and reading goes on`);
    if (row.paused && unread === 0) throw new Error(`${name}: everything is read, and reading is paused`);
    return 0;
  }

  /** Lets the world run until nothing happens any more, closes the server if it is not closed, and looks at what is left. */
  async runToEnd(): Promise<void> {
    await this.layer.run();
    if (this.#closing === undefined) this.closeServer(10_000);
    await this.layer.run();
    if (!this.#isClosed) throw new Error('nothing happens any more, and the server is not closed');
    await this.#closing;
    if (this.#objection !== undefined) throw new Error(this.#objection);
    assert.deepEqual(this.#unreported, [], 'unreported errors');
    assert.equal(this.server.connections.total, 0, 'connections of a closed server');
    assert.equal(this.#rows.size, 0, 'connections of the server that the layer has not closed');
    assert.equal(this.#peers.size, 0, 'clients whose connection has no end');
    assert.equal(this.server.buffered.held, 0, 'bytes that are counted as held');
    assert.equal(this.layer.open, 0, 'connections of the layer');
    assert.equal(this.#listeners.size, 0, 'listeners');
    assert.equal(armedTimers(this.network), 0, 'armed timers');
    assert.equal(partialHeadBytes(), this.#partialHeadBytesBefore, 'bytes held for the beginnings of heads');
    assert.deepEqual([...threadsOf(this.#scheduler)].map(String), [], 'threads that are not over');
    assert.equal(this.#wake, Infinity, 'the next turn that the server has asked for');
    this.ledger.check();
    await this.below.close();
  }
}
