// The contract over node:net: serves on any system, and on any Node, Bun or Deno. Where io_uring and epoll are unavailable it
// is what the server runs on. The files, each with one subject:
//
//   slots.ts         the table of connections
//   turns.ts         turns, made of node:net's callbacks
//   output.ts        from what is written to what the kernel has taken
//   connecting.ts    connections that are being made
//   listening.ts     sockets that listen
//   sockets.ts       what is to be known of a socket of node:net

import { Socket } from 'node:net';
import type { OutputMemory } from '../../util/output-memory.js';
import { connectionLost, describeConnection } from '../errors.js';
import {
  type Address,
  ConnectionError,
  type EventLayer,
  type EventSink,
  type ListenerId,
  type ListenOptions,
  pieceSize,
  type Slot,
  type SocketOptions,
} from '../event-layer.js';
import { noopSink } from '../noop-sink.js';
import type { SocketSecurity } from '../socket-security.js';
import type { TlsInfo } from '../tls-info.js';
import { Connecting } from './connecting.js';
import { Listeners, type ListeningLayer, nextIteration } from './listening.js';
import { Output, type OutputLayer } from './output.js';
import {
  connecting,
  dropped,
  ended,
  endHeld,
  finished,
  open,
  overshare,
  paused,
  type SlotSocket,
  Slots,
  securing,
} from './slots.js';
import { carrierOf, codeOf, drop, isWriting, localOf, peerOf, setCarrier } from './sockets.js';
import { Turns, type TurnsLayer } from './turns.js';

const nothing = Buffer.alloc(0);
const isNode = process.versions.bun === undefined && process.versions.deno === undefined;

export class PortableLayer implements EventLayer, TurnsLayer, OutputLayer, ListeningLayer {
  readonly name = 'portable';
  readonly securesSockets = true;
  readonly #slots: Slots = new Slots((rows) => this.#output.grow(rows));
  readonly #turns = new Turns(this);
  readonly #output: Output = new Output(this.#slots, this);
  readonly #connecting = new Connecting();
  readonly #listeners = new Listeners(this);
  /** What `error` has said of a socket whose `close` is to follow. */
  readonly #errors = new Map<SlotSocket, Error>();
  /** Bytes that secured connections have received in this round of the event loop. */
  readonly #taken = new Map<Slot, number>();
  /** What secures the connections that are secured. */
  readonly #security = new Map<Slot, SocketSecurity>();
  /** Sockets that are not read from until the event loop has been through the others. */
  #overshare: SlotSocket[] = [];
  #sink: EventSink = noopSink;
  #closing: (() => void) | undefined;

  // One set of handlers for all sockets; `this` is the socket.
  readonly #onData: (this: SlotSocket, data: Buffer) => void;
  readonly #onEnd: (this: SlotSocket) => void;
  readonly #onError: (this: SlotSocket, error: Error) => void;
  readonly #destroy: Socket['destroy'];
  readonly #onClose: (this: SlotSocket) => void;
  readonly #onConnect: (this: SlotSocket) => void;

  constructor() {
    const layer = this;
    this.#onData = function (data) {
      layer.#received(this, data);
    };
    this.#onEnd = function () {
      layer.#turns.handleDeparture(() => layer.#ended(this));
    };
    this.#onError = function (error) {
      layer.#keepError(this, error);
      if (!this.destroyed) this.destroy(); // node:tls leaves that to the listener where both sides may end separately
    };
    // node:net calls it for each connection that has broken, at once, and libuv goes through all sockets that are ready before anything else has a
    // turn. To format the error's stack, close the descriptor and emit two events is most of what a broken connection costs. So this waits for its
    // turn like other departures. (`_destroy` would be too late: the stack is formatted by then.) Until then the socket is not read from: libuv
    // stops at an error.
    this.#destroy = function (this: SlotSocket, error) {
      const destroy = (): Socket => Socket.prototype.destroy.call(this, error);
      // Without an error it was closed here, or both sides have ended.
      if (error === undefined || error === null) return destroy();
      layer.#turns.handleDeparture(destroy);
      return this;
    };
    this.#onClose = function () {
      if (layer.#errors.has(this)) layer.#closed(this);
      else layer.#turns.handleDeparture(() => layer.#closed(this));
    };
    this.#onConnect = function () {
      layer.#connected(this);
    };
  }

  // The contract

  start(sink: EventSink): void {
    this.#sink = sink;
  }

  now(): number {
    return performance.now();
  }

  date(): number {
    return Date.now();
  }

  wakeAt(time: number): void {
    if (!this.isClosing) this.#turns.wakeAt(time);
  }

  requestTurn(): void {
    this.#turns.request();
  }

  listen(options: ListenOptions): Promise<{ listener: ListenerId; address: Address }> {
    return this.#listeners.open(options);
  }

  unlisten(listener: ListenerId): Promise<void> {
    return this.#listeners.close(listener);
  }

  setReferenced(listener: ListenerId, isReferenced: boolean): void {
    this.#listeners.setReferenced(listener, isReferenced);
  }

  async catchUp(): Promise<void> {
    // The first immediate may run in the current iteration, whose sockets have been polled already. A connection that was accepted
    // in the second is read from in the third.
    for (let i = 0; i < 3; i++) await nextIteration();
  }

  connect(address: Address, localAddress?: string, options: SocketOptions = {}): Slot {
    return this.#turns.deferringEvents(() => {
      const { socket, failure } = this.#connecting.begin(address, localAddress, options, this.isClosing);
      const { security } = options;
      const slot = security === undefined ? this.#adopt(socket, connecting) : this.#slots.allocate(socket, connecting);
      this.#connecting.asked(slot, { address, localAddress });
      if (security === undefined) socket.on('connect', this.#onConnect);
      else this.#connectSecured(socket, slot, security);
      if (failure !== undefined) socket.destroy(failure);
      return slot;
    });
  }

  get output(): OutputMemory {
    return this.#output.memory;
  }

  reserve(slot: Slot, bytes: number): number {
    this.#slots.socketOf(slot);
    return this.#output.reserve(bytes);
  }

  commit(slot: Slot, end: number): void {
    this.#output.commit(slot, this.#slots.socketOf(slot), end);
  }

  push(slot: Slot): void {
    this.#slots.socketOf(slot);
    this.#turns.deferringEvents(() => this.#output.push(slot));
  }

  queued(slot: Slot): number {
    return this.#output.queued(slot, this.#slots.socketOf(slot));
  }

  notifyFlushed(slot: Slot): void {
    this.#slots.socketOf(slot);
    this.#output.notifyFlushed(slot);
  }

  pauseReading(slot: Slot): void {
    const socket = this.#slots.socketOf(slot);
    this.#slots.flags[slot] |= paused;
    if ((this.#slots.flags[slot] & securing) === 0) this.#turns.deferringEvents(() => socket.pause());
  }

  resumeReading(slot: Slot): void {
    const socket = this.#slots.socketOf(slot);
    const { flags } = this.#slots;
    flags[slot] &= ~paused;
    if ((flags[slot] & (overshare | securing)) === 0) this.#turns.deferringEvents(() => socket.resume());
    if ((flags[slot] & endHeld) !== 0) this.#turns.defer(() => this.#reportEnded(socket));
  }

  finish(slot: Slot): void {
    this.#output.finish(slot, this.#slots.socketOf(slot));
  }

  reset(slot: Slot): void {
    this.#closeSlot(slot, drop);
  }

  abandon(slot: Slot): void {
    this.#closeSlot(slot, (socket) => socket.destroy());
  }

  #closeSlot(slot: Slot, how: (socket: SlotSocket) => void): void {
    const socket = this.#slots.socketOf(slot);
    if ((this.#slots.flags[slot] & dropped) !== 0) return;
    this.#slots.flags[slot] |= dropped;
    this.#output.forget(slot);
    this.#turns.deferringEvents(() => how(socket));
  }

  peer(slot: Slot): string {
    const socket = this.#slots.socketOf(slot);
    return this.#security.get(slot)?.peer?.(socket) ?? peerOf(socket);
  }

  local(slot: Slot): string {
    return localOf(this.#slots.socketOf(slot));
  }

  tls(slot: Slot): TlsInfo | undefined {
    const socket = this.#slots.socketOf(slot);
    if ((this.#slots.flags[slot] & securing) !== 0 || socket.destroyed) return undefined;
    return this.#security.get(slot)?.info(socket);
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.wakeAt(Infinity);
      this.#closing = resolve;
      this.#listeners.closeAll();
      for (let slot = 0; slot < this.#slots.rows; slot++) if (this.#slots.isTaken(slot)) this.reset(slot);
      this.#closedIfNothingLeft();
    });
  }

  #closedIfNothingLeft(): void {
    if (this.#closing === undefined || this.#slots.taken > 0 || this.#listeners.servers > 0) return;
    this.#closing();
  }

  // Called by the other files

  get isClosing(): boolean {
    return this.#closing !== undefined;
  }

  get isBusy(): boolean {
    return this.#turns.isBusy;
  }

  get needsNotify(): boolean {
    return this.#output.needsNotify;
  }

  beginTurn(looked: boolean): void {
    this.#sink.beginTurn(looked);
  }

  settle(): void {
    this.#output.notifyWritten(this.#sink);
  }

  endTurn(due: number): void {
    this.#sink.endTurn(due);
    this.#output.flush();
  }

  accepted(socket: SlotSocket, listener: ListenerId, security: SocketSecurity | undefined): void {
    if (this.isClosing) {
      drop(socket);
      return;
    }
    // Without the option (older runtimes) it is set here; with it, this does nothing.
    socket.setNoDelay(true);
    const slot = security === undefined ? this.#adopt(socket, open) : this.#slots.allocate(socket, open);
    this.#slots.listeners[slot] = listener;
    if (security !== undefined) this.#secure(socket, slot, security); // first: what is written from now on waits for the handshake
    this.#turns.dispatch(() => this.#reportAccepted(socket, slot, listener));
  }

  outputHeld(slot: Slot, bytes: number): void {
    this.#sink.outputHeld?.(slot, bytes);
  }

  reportAcceptFailed(listener: ListenerId, error: Error): void {
    this.#turns.dispatch(() => this.#sink.acceptFailed(listener, error));
  }

  serverClosed(): void {
    this.#closedIfNothingLeft();
  }

  // What node:net calls back

  #reportAccepted(socket: SlotSocket, slot: Slot, listener: ListenerId): void {
    // A `close` of the layer may have come between.
    if (this.#slots.isReported(socket, slot)) this.#sink.accepted(slot, listener);
  }

  #connected(socket: SlotSocket): void {
    this.#turns.dispatch(() => this.#reportConnected(socket));
  }

  #reportConnected(socket: SlotSocket): void {
    const slot = this.#slots.slotOf(socket);
    if (slot === undefined || !this.#slots.isReported(socket, slot)) return;
    this.#slots.flags[slot] = (this.#slots.flags[slot] & ~connecting) | open;
    this.#output.connected(slot);
    this.#sink.connected(slot);
  }

  #received(socket: SlotSocket, data: Buffer): void {
    this.#turns.dispatch(() => this.#reportReceived(socket, data));
  }

  #reportReceived(socket: SlotSocket, data: Buffer): void {
    const slot = this.#slots.slotOf(socket);
    if (slot === undefined) return;
    for (let start = 0; start < data.length && this.#slots.isReported(socket, slot); start += pieceSize)
      this.#sink.received(slot, data, start, Math.min(start + pieceSize, data.length));
    // libuv reads on as long as its buffer is full, 32 times. node:tls passes on the records of one such buffer one by one.
    if (this.#isSecured(slot)) {
      const taken = (this.#taken.get(slot) ?? 0) + data.length;
      this.#taken.set(slot, taken);
      if (taken < pieceSize) return;
    } else if (data.length < pieceSize) return;
    if (!this.#slots.isReported(socket, slot) || (this.#slots.flags[slot] & overshare) !== 0) return;
    this.#slots.flags[slot] |= overshare;
    this.#overshare.push(socket);
    socket.pause();
  }

  roundOver(): void {
    if (this.#taken.size > 0) this.#taken.clear();
    if (this.#overshare.length === 0) return;
    const sockets = this.#overshare;
    this.#overshare = [];
    this.#turns.deferringEvents(() => {
      for (const socket of sockets) {
        const slot = this.#slots.slotOf(socket);
        if (slot === undefined) continue;
        this.#slots.flags[slot] &= ~overshare;
        if ((this.#slots.flags[slot] & (paused | dropped)) === 0) socket.resume();
      }
    });
  }

  #ended(socket: SlotSocket): void {
    const slot = this.#slots.slotOf(socket);
    if (slot === undefined || !this.#slots.isReported(socket, slot)) return;
    if (this.#errors.has(socket)) return; // node:tls reports an end after an error; `close` follows
    const cannotProbe = !isNode && this.#isSecured(slot); // their sockets of node:tls leave none to write to
    if ((this.#slots.flags[slot] & finished) !== 0 || socket.destroyed || isWriting(socket) || cannotProbe) {
      this.#reportEndedSoon(socket);
      return;
    }
    // Where a reset comes while bytes are unread, libuv reports an end after them (it takes EPOLLHUP for one), and what was cut
    // off would pass for complete. An empty write fails in that case, and node:net emits `error` and `close`.
    carrierOf(socket).write(nothing, (error) => {
      if (error === undefined || error === null) this.#reportEndedSoon(socket);
    });
  }

  #reportEndedSoon(socket: SlotSocket): void {
    this.#turns.dispatch(() => this.#reportEnded(socket));
  }

  #reportEnded(socket: SlotSocket): void {
    const slot = this.#slots.slotOf(socket);
    const { flags } = this.#slots;
    if (slot === undefined || !this.#slots.isReported(socket, slot) || (flags[slot] & ended) !== 0) return;
    if ((flags[slot] & paused) !== 0) {
      flags[slot] |= endHeld;
      return;
    }
    flags[slot] &= ~endHeld;
    flags[slot] |= ended;
    this.#sink.ended(slot);
  }

  #closed(socket: SlotSocket): void {
    this.#turns.dispatch(() => this.#reportClosed(socket));
  }

  #reportClosed(socket: SlotSocket): void {
    const slot = this.#slots.slotOf(socket);
    if (slot === undefined) return;
    // Both have ended: closed now, whether it is read or not.
    if ((this.#slots.flags[slot] & endHeld) !== 0 && !this.#errors.has(socket)) {
      this.#slots.flags[slot] &= ~paused;
      this.#reportEnded(socket);
    }
    const reason = this.#reasonOf(socket, slot);
    this.#output.forget(slot);
    this.#sink.closed(slot, reason);
    this.#output.free(slot);
    this.#connecting.free(slot);
    if (this.#security.size > 0) this.#security.delete(slot);
    this.#slots.free(slot);
    this.#closedIfNothingLeft();
  }

  #isSecured(slot: Slot): boolean {
    return this.#security.size > 0 && this.#security.has(slot);
  }

  /** Starts the handshake of a socket that is connected. Its slot has the socket with the plain bytes from when that is complete. */
  #secure(socket: SlotSocket, slot: Slot, security: SocketSecurity): void {
    this.#slots.flags[slot] |= securing;
    this.#security.set(slot, security);
    security.secure(socket, {
      secured: (plain) => this.#secured(socket, plain),
      failed: (reason) => this.#notSecured(socket, reason),
    });
  }

  #secured(socket: SlotSocket, plain: Socket): void {
    setCarrier(plain, socket);
    const slot = this.#slots.slotOf(socket);
    if (slot === undefined || !this.#slots.isReported(socket, slot)) {
      drop(plain);
      if (slot !== undefined) this.#notSecured(socket, undefined);
      return;
    }
    const { flags } = this.#slots;
    flags[slot] &= ~securing;
    this.#slots.replace(slot, plain);
    plain.destroy = this.#destroy;
    this.#listenTo(plain);
    if ((flags[slot] & paused) !== 0) plain.pause();
    if ((flags[slot] & connecting) !== 0) this.#connected(plain);
    else this.#turns.dispatch(() => this.#reportSecured(plain, slot));
  }

  #reportSecured(socket: SlotSocket, slot: Slot): void {
    if (!this.#slots.isReported(socket, slot)) return;
    this.#output.connected(slot);
    this.#sink.secured?.(slot);
  }

  #notSecured(socket: SlotSocket, reason: Error | undefined): void {
    if (reason !== undefined) this.#keepError(socket, reason);
    this.#turns.handleDeparture(() => this.#closed(socket));
  }

  #connectSecured(socket: SlotSocket, slot: Slot, security: SocketSecurity): void {
    const onError = (error: Error): void => this.#keepError(socket, error);
    const onClose = (): void => this.#notSecured(socket, undefined);
    socket.once('error', onError);
    socket.once('close', onClose);
    socket.once('connect', () => {
      socket.off('error', onError);
      socket.off('close', onClose);
      this.#secure(socket, slot, security);
    });
  }

  /** Gives a socket a slot, and listens to it. */
  #adopt(socket: Socket, flags: number): Slot {
    const slot = this.#slots.allocate(socket, flags);
    socket.destroy = this.#destroy;
    this.#listenTo(socket);
    return slot;
  }

  #listenTo(socket: Socket): void {
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  /** Keeps an error for the report of the close. A socket of node:tls whose carrier has gone first emits `close` before `error`: too late for it. */
  #keepError(socket: SlotSocket, error: Error): void {
    if (this.#slots.slotOf(socket) !== undefined) this.#errors.set(socket, error);
  }

  #reasonOf(socket: SlotSocket, slot: Slot): ConnectionError | undefined {
    const found = this.#errors.get(socket);
    const error = found && (this.#security.get(slot)?.explain(found) ?? found);
    this.#errors.delete(socket);
    const flags = this.#slots.flags[slot];
    if ((flags & dropped) !== 0) return undefined;
    if (error === undefined) {
      const both = ended | finished;
      if ((flags & both) === both) return undefined;
      return new ConnectionError('ECONNRESET', `${this.#describe(socket, slot)} has broken off`);
    }
    const code = codeOf(error) ?? 'ECONNRESET';
    const reason = (flags & open) === 0 ? this.#connecting.reason(slot, code, error) : undefined;
    return reason ?? connectionLost(this.#describe(socket, slot), code, error.message, error);
  }

  #describe(socket: SlotSocket, slot: Slot): string {
    // After the fact the peer is known only if it was asked for before.
    const listening = this.#listeners.addressOf(this.#slots.listeners[slot]);
    return describeConnection(this.#connecting.target(slot), peerOf(socket), listening);
  }
}
