// The sink of an event layer under test. It keeps an `End` for each end of a connection, through which a scenario gives its commands,
// and checks every event of the layer against the contract. Violations are collected, since a sink must not throw, and fail the
// scenario at its end.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  type Address,
  type ConnectionError,
  type EventLayer,
  type EventSink,
  highWaterMark,
  inputPerTurn,
  type ListenerId,
  lowWaterMark,
  pieceSize,
  type Slot,
  type SocketOptions,
} from '#sluice/event-layer/event-layer.js';

/** One end of one connection. */
export class End {
  readonly harness: Harness;
  readonly slot: Slot;
  /** Undefined for a client. */
  readonly listener: ListenerId | undefined;
  isThere = false;
  /** The handshake of a server's end is complete. */
  isSecured = false;
  hasEnded = false;
  isClosed = false;
  wasReset = false;
  isFlooded = false;
  reason: ConnectionError | undefined;
  /** Names of its events, in order; a run of `received` is one. */
  readonly events: string[] = [];
  /** Sizes of the pieces received. */
  readonly pieces: number[] = [];
  receivedBytes = 0;
  /** The last turn in which something was received, and how much. */
  receivedIn = { turn: 0, bytes: 0 };
  readonly #hash = createHash('sha256');
  sentBytes = 0;
  readonly #sentHash = createHash('sha256');
  flushesAsked = 0;
  flushed = 0;
  drained = 0;
  onReceived: (bytes: Uint8Array) => void = () => {};
  onEnded: () => void = () => {};
  onDrained: () => void = () => {};
  onFlushed: () => void = () => {};
  onClosed: () => void = () => {};

  constructor(harness: Harness, slot: Slot, listener: ListenerId | undefined) {
    this.harness = harness;
    this.slot = slot;
    this.listener = listener;
  }

  get isOver(): boolean {
    return this.isClosed || this.wasReset;
  }

  /** Text received so far, if it has been kept. */
  text = '';

  get queued(): number {
    return this.harness.command((layer) => layer.queued(this.slot));
  }

  write(data: Uint8Array | string): void {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    for (let at = 0; at < bytes.length; at += pieceSize) {
      const part = bytes.subarray(at, at + pieceSize);
      this.harness.command((layer) => {
        const offset = layer.reserve(this.slot, part.length);
        layer.output.set(part, offset);
        layer.commit(this.slot, offset + part.length);
      });
    }
    this.sentBytes += bytes.length;
    this.#sentHash.update(bytes);
    if (this.queued >= highWaterMark) this.isFlooded = true;
  }

  push(): void {
    this.harness.command((layer) => layer.push(this.slot));
  }

  /** Sends from where the bytes are, as far as the layer can. @returns how many it has taken; the others are to be written */
  sendNow(bytes: Uint8Array, start = 0): number {
    const sent = this.harness.command((layer) => layer.sendNow?.(this.slot, bytes, start, bytes.length) ?? 0);
    this.sentBytes += sent;
    this.#sentHash.update(bytes.subarray(start, start + sent));
    return sent;
  }

  finish(): void {
    this.harness.command((layer) => layer.finish(this.slot));
  }

  reset(): void {
    this.wasReset = true;
    this.harness.command((layer) => layer.reset(this.slot));
  }

  abandon(): void {
    this.wasReset = true;
    this.harness.command((layer) => layer.abandon(this.slot));
  }

  pause(): void {
    this.harness.command((layer) => layer.pauseReading(this.slot));
  }

  resume(): void {
    this.harness.command((layer) => layer.resumeReading(this.slot));
  }

  notifyFlushed(): void {
    this.flushesAsked++;
    this.harness.command((layer) => layer.notifyFlushed(this.slot));
  }

  get peer(): string {
    return this.harness.command((layer) => layer.peer(this.slot));
  }

  get local(): string {
    return this.harness.command((layer) => layer.local(this.slot));
  }

  take(bytes: Uint8Array): void {
    this.receivedBytes += bytes.length;
    this.pieces.push(bytes.length);
    this.#hash.update(bytes);
    if (this.receivedBytes <= 4096) this.text += Buffer.from(bytes).toString('latin1');
    this.onReceived(bytes);
  }

  /** A digest of all that it has received. */
  digest(): string {
    return this.#hash.copy().digest('hex');
  }

  sentDigest(): string {
    return this.#sentHash.copy().digest('hex');
  }
}

/** Writes that many bytes of a pattern, as a thread does: until it is flooded, and on when it has drained. */
export function pour(end: End, total: number, step: number, done: () => void): void {
  const go = (): void => {
    while (end.sentBytes < total && !end.isOver) {
      if (end.isFlooded) return;
      const bytes = new Uint8Array(Math.min(step, total - end.sentBytes));
      for (let i = 0; i < bytes.length; i++) bytes[i] = ((end.sentBytes + i) * 2_654_435_761) >>> 13;
      end.write(bytes);
    }
    end.onDrained = () => {};
    if (!end.isOver) done();
  };
  end.onDrained = go;
  go();
}

export class Harness implements EventSink {
  readonly layer: EventLayer;
  readonly violations: string[] = [];
  readonly #pass: (layer: EventLayer, milliseconds: number) => Promise<void>;
  readonly #current = new Map<Slot, End>();
  /** All ends, closed ones included. */
  readonly ends: End[] = [];
  turns = 0;
  /** Turns before which the layer had looked at all connections. */
  looks = 0;
  /** Times at which turns began. */
  readonly turnTimes: number[] = [];
  #inTurn = false;
  #inCommand = 0;
  #turnBegan = 0;
  onAccepted: (end: End) => void = () => {};
  onConnected: (end: End) => void = () => {};
  onTurnBegins: () => void = () => {};
  /** @param due deadlines up to this time may be enforced */
  onTurnEnds: (due: number) => void = () => {};
  readonly acceptFailures: Error[] = [];
  /** Options for the sockets of clients. */
  connectOptions: SocketOptions = {};

  readonly #hasHandshakes: boolean;

  /** @param hasHandshakes whether connections have a handshake, which is reported by `secured` */
  constructor(
    layer: EventLayer,
    pass: (layer: EventLayer, milliseconds: number) => Promise<void>,
    hasHandshakes = false,
  ) {
    this.layer = layer;
    this.#pass = pass;
    this.#hasHandshakes = hasHandshakes;
    layer.start(this);
  }

  get open(): number {
    return this.#current.size;
  }

  command<T>(give: (layer: EventLayer) => T): T {
    this.#inCommand++;
    try {
      return give(this.layer);
    } finally {
      this.#inCommand--;
    }
  }

  async listen(
    address: Address = { hostname: '127.0.0.1', port: 0 },
  ): Promise<{ listener: ListenerId; address: Address }> {
    return this.command((layer) => layer.listen({ address, backlog: 4096 }));
  }

  connect(address: Address, localAddress?: string): End {
    const slot = this.command((layer) => layer.connect(address, localAddress, this.connectOptions));
    if (this.#current.has(slot)) this.#violated(`connect gave slot ${slot}, which is in use`);
    const end = new End(this, slot, undefined);
    this.#current.set(slot, end);
    this.ends.push(end);
    return end;
  }

  /** Connects. One call at a time. @returns both ends */
  async pair(
    address?: Address,
    localAddress?: string,
  ): Promise<{ client: End; server: End; address: Address; listener: ListenerId }> {
    const listening = address === undefined ? await this.listen() : undefined;
    const to = address ?? listening?.address ?? assert.fail();
    let server: End | undefined;
    const before = this.onAccepted;
    this.onAccepted = (end) => {
      server ??= end;
    };
    const client = this.connect(to, localAddress);
    await this.until(() => client.isThere && server?.isSecured === true, 'a connection');
    this.onAccepted = before;
    return { client, server: server ?? assert.fail(), address: to, listener: listening?.listener ?? -1 };
  }

  /** Runs the layer until the condition holds. @param what is waited for, for the message of a failure */
  async until(isSo: () => boolean, what: string): Promise<void> {
    const deadline = performance.now() + 20_000;
    for (let virtual = 0; !isSo(); virtual++) {
      if (performance.now() > deadline || virtual > 2_000_000) {
        const states = this.ends.slice(-8).map((end) => `${end.slot}: ${end.events.join(' ')}`);
        assert.fail(`timed out waiting for ${what}; ${states.join(' | ')}; ${this.violations.join('; ')}`);
      }
      await this.#pass(this.layer, 1);
    }
  }

  async pass(milliseconds: number): Promise<void> {
    await this.#pass(this.layer, milliseconds);
  }

  /** Closes the layer. @throws if it has broken the contract */
  async over(): Promise<void> {
    await this.layer.close();
    const turns = this.turns;
    await this.#pass(this.layer, 5);
    if (this.turns > turns + 1) this.#violated(`${this.turns - turns} turns after close`);
    for (const end of this.#current.values()) this.#violated(`slot ${end.slot} was not reported as closed`);
    assert.deepEqual(this.violations, []);
  }

  beginTurn(looked = true): void {
    if (looked) this.looks++;
    if (this.#inTurn) this.#violated('a turn within a turn');
    if (this.#inCommand > 0) this.#violated('a turn within a command');
    this.#inTurn = true;
    this.turns++;
    this.#turnBegan = this.layer.now();
    this.turnTimes.push(this.#turnBegan);
    this.onTurnBegins();
  }

  endTurn(due = this.#turnBegan): void {
    this.#inOrder('endTurn');
    if (due > this.#turnBegan) this.#violated(`deadlines up to ${due} in a turn that began at ${this.#turnBegan}`);
    this.onTurnEnds(due);
    this.#inTurn = false;
  }

  accepted(slot: Slot, listener: ListenerId): void {
    this.#inOrder('accepted');
    if (this.#current.has(slot)) this.#violated(`accepted ${slot}, which is in use`);
    const end = new End(this, slot, listener);
    end.isThere = true;
    end.isSecured = !this.#hasHandshakes;
    this.#current.set(slot, end);
    this.ends.push(end);
    end.events.push('accepted');
    this.onAccepted(end);
  }

  secured(slot: Slot): void {
    this.#inOrder('secured');
    const end = this.#current.get(slot);
    if (end === undefined || end.isSecured || end.isClosed) this.#violated(`secured ${slot} twice, or without need`);
    else end.isSecured = true;
  }

  connected(slot: Slot): void {
    const end = this.#endOf(slot, 'connected');
    if (end === undefined) return;
    if (end.isThere) this.#violated(`connected ${slot} twice`);
    end.isThere = true;
    this.onConnected(end);
  }

  received(slot: Slot, buffer: Uint8Array, start: number, stop: number): void {
    const end = this.#endOf(slot, 'received');
    if (end === undefined) return;
    if (!end.isThere) this.#violated(`received of ${slot} before it was there`);
    if (end.listener !== undefined && !end.isSecured)
      this.#violated(`received of ${slot} before its handshake was complete`);
    if (end.hasEnded) this.#violated(`received of ${slot} after its end`);
    if (start < 0 || stop > buffer.length || stop <= start || stop - start > pieceSize)
      this.#violated(`a piece from ${start} to ${stop} of ${buffer.length}`);
    if (end.receivedIn.turn !== this.looks) end.receivedIn = { turn: this.looks, bytes: 0 };
    end.receivedIn.bytes += stop - start;
    if (end.receivedIn.bytes > inputPerTurn) this.#violated(`${end.receivedIn.bytes} bytes of ${slot} in one turn`);
    end.take(buffer.subarray(start, stop));
  }

  ended(slot: Slot): void {
    const end = this.#endOf(slot, 'ended');
    if (end === undefined) return;
    if (!end.isThere) this.#violated(`ended of ${slot} before it was there`);
    if (end.hasEnded) this.#violated(`ended of ${slot} twice`);
    end.hasEnded = true;
    end.onEnded();
  }

  drained(slot: Slot): void {
    const end = this.#endOf(slot, 'drained');
    if (end === undefined) return;
    if (!end.isFlooded) this.#violated(`drained of ${slot}, which was not flooded`);
    if (end.queued > lowWaterMark) this.#violated(`drained of ${slot} with ${end.queued} bytes queued`);
    end.isFlooded = false;
    end.drained++;
    end.onDrained();
  }

  flushed(slot: Slot): void {
    const end = this.#endOf(slot, 'flushed');
    if (end === undefined) return;
    end.flushed++;
    if (end.flushed > end.flushesAsked) this.#violated(`flushed of ${slot} that was not asked for`);
    end.onFlushed();
  }

  closed(slot: Slot, reason: ConnectionError | undefined): void {
    this.#inOrder('closed');
    const end = this.#current.get(slot);
    if (end === undefined) {
      this.#violated(`closed of ${slot}, which is free`);
      return;
    }
    end.events.push('closed');
    end.isClosed = true;
    end.reason = reason;
    if (reason !== undefined && (reason.code === '' || reason.message === ''))
      this.#violated('a reason without code or message');
    this.#current.delete(slot);
    end.onClosed();
  }

  acceptFailed(_listener: ListenerId, error: Error): void {
    this.#inOrder('acceptFailed');
    this.acceptFailures.push(error);
  }

  #inOrder(event: string): void {
    if (!this.#inTurn) this.#violated(`${event} outside a turn`);
    if (this.#inCommand > 0) this.#violated(`${event} within a command`);
  }

  #endOf(slot: Slot, event: string): End | undefined {
    this.#inOrder(event);
    const end = this.#current.get(slot);
    if (end === undefined) this.#violated(`${event} of ${slot}, which is free`);
    else if (end.wasReset) this.#violated(`${event} of ${slot} after it was reset`);
    if (end !== undefined && (event !== 'received' || end.events.at(-1) !== 'received')) end.events.push(event);
    return end?.wasReset === true ? undefined : end;
  }

  #violated(what: string): void {
    this.violations.push(what);
  }
}
