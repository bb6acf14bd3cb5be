// The contract over node:net: serves on any system, and on any Node, Bun or Deno. Where io_uring and epoll cannot be had it
// is what the server runs on.
//
// One callback of node:net is one turn. node:net calls back at moments of its own, now and then from within a call to it;
// what comes while a turn or a command is under way is put off (`#late`) to the beginning of the next turn. So turns do not
// nest, and no event is told from within a command.
//
// The way of output:
//
//   reserve, commit ──► slab (shared; not copied) ─────┬─ end of turn ──► one socket.write ──► written ──► drained, flushed
//                  └──► outbox (own copy), while an    │
//                       earlier write is under way ────┘
//
// At most one write of a connection is with node:net at a time. So a flooded connection costs its bytes, in a few buffers.
//
// What node:net does not let it do: when descriptors run out, libuv accepts and drops what is waiting, and says nothing; so
// `acceptFailed` is told of other failures only.

import net, { isIP, type Server, type Socket } from 'node:net';
import {
  type Address,
  ConnectionError,
  type EventLayer,
  type EventSink,
  highWaterMark,
  type ListenerId,
  type ListenOptions,
  lowWaterMark,
  pieceSize,
  type Slot,
} from '../event-layer.js';
import { Outbox } from '../outbox.js';
import {
  cannotConnect,
  cannotListen,
  checkPath,
  describeConnection,
  hasBroken,
  layerClosed,
  type Target,
} from '../reasons.js';
import { asError, codeOf, drop, isWriting, peerOf } from './sockets.js';

/** The slot that a socket has, or has had: its tenant is the socket that stands in `#sockets` there. */
const slotKey = Symbol('slot');
interface TenantSocket extends Socket {
  [slotKey]?: Slot;
}

// What is known of a slot, as bits of `#flags`.
/** There is (or, after `connect`, is not yet) a connection. */
const open = 1;
/** `queued` has reached the high-water mark, and `drained` has not been told since. */
const flooded = 2;
/** `finish` has been called. */
const finishing = 4;
/** The FIN has been given to node:net. */
const finished = 8;
/** `ended` has been told. */
const ended = 16;
/** `reset` has been called: only `closed` is told any more. */
const dropped = 32;
/** Stands in `#dirty`: there may be output, or a FIN, to hand over at the end of the turn. */
const dirty = 64;
/** Stands in `#settling`: in the next turn it is seen to what a write that is done has changed. */
const settling = 128;
/** Reading is paused. */
const paused = 256;
/** The peer's FIN is there and is told when reading is resumed; node:net does not wait with it. */
const endHeld = 512;

const nothing = Buffer.alloc(0);

/** The longest that `setTimeout` waits; more would fire at once. */
const longestTimeout = 2 ** 31 - 1;

interface Listening {
  server: Server;
  address: Address;
  /** `acceptFailed` has been told, and nothing has been accepted since. */
  failing: boolean;
}

export class PortableLayer implements EventLayer {
  readonly name = 'portable';

  // Of each connection, by slot.
  readonly #sockets: (TenantSocket | undefined)[] = [];
  #flags = new Uint16Array(64);
  /** Bytes committed and not yet given to node:net: in a slab, from … to, or else in the outbox. */
  #pending = new Uint32Array(64);
  #from = new Uint32Array(64);
  #to = new Uint32Array(64);
  readonly #slabs: (Buffer | undefined)[] = [];
  readonly #outboxes: (Outbox | undefined)[] = [];
  /** Calls of `notifyFlushed` that are not answered. */
  #flushes = new Uint16Array(64);
  /** Who has accepted it; 0 for one made by `connect`. */
  #listenerOf = new Uint32Array(64);
  /** Where `connect` was asked to go, and from where; only of those. */
  readonly #targets = new Map<Slot, Target>();
  /** What `error` has said of a socket whose `close` is to follow. */
  readonly #errors = new Map<TenantSocket, Error>();
  readonly #freeSlots: Slot[] = [];

  // Of the layer.
  #sink: EventSink | undefined;
  readonly #listeners = new Map<ListenerId, Listening>();
  /** Servers whose `close` has not come: node:net waits for their connections, `unlisten` does not. */
  readonly #servers = new Set<Server>();
  #lastListener = 0;
  #connections = 0;
  #closing: (() => void) | undefined;

  // Of the turn.
  /** A turn, or a call to node:net on behalf of a command, is under way: what is called back now is put off. */
  #busy = false;
  #late: (() => void)[] = [];
  #settling: Slot[] = [];
  #dirty: Slot[] = [];
  #immediate: NodeJS.Immediate | undefined;
  #wake = Infinity;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer fires; never after `#wake`. */
  #timerTime = Infinity;

  // Where output is written into.
  #slab = Buffer.allocUnsafeSlow(pieceSize);
  #filled = 0;
  /** node:net still holds on to bytes of this slab, so it is not begun anew. */
  #pinned = false;

  // One set of handlers for all sockets; `this` is the socket.
  readonly #onData: (this: TenantSocket, data: Buffer) => void;
  readonly #onEnd: (this: TenantSocket) => void;
  readonly #onError: (this: TenantSocket, error: Error) => void;
  readonly #onClose: (this: TenantSocket) => void;
  readonly #onConnect: (this: TenantSocket) => void;
  readonly #onImmediate = (): void => {
    this.#immediate = undefined;
    this.#begin();
    this.#end();
  };
  readonly #onTimeout = (): void => {
    this.#timer = undefined;
    this.#timerTime = Infinity;
    if (this.#wake === Infinity) return;
    if (this.now() < this.#wake) {
      this.#arm();
      return;
    }
    this.#begin();
    this.#end();
  };

  constructor() {
    const layer = this;
    this.#onData = function (data) {
      layer.#received(this, data);
    };
    this.#onEnd = function () {
      layer.#ended(this);
    };
    this.#onError = function (error) {
      layer.#errors.set(this, error);
    };
    this.#onClose = function () {
      layer.#closed(this);
    };
    this.#onConnect = function () {
      layer.#connected(this);
    };
  }

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
    if (this.#closing !== undefined) return;
    this.#wake = time;
    if (time === Infinity) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#timerTime = Infinity;
    } else if (time < this.#timerTime) {
      this.#arm();
    }
    // A timer that fires too soon is left alone; it is armed again when it does.
  }

  requestTurn(): void {
    this.#immediate ??= setImmediate(this.#onImmediate);
  }

  listen(options: ListenOptions): Promise<{ listener: ListenerId; address: Address }> {
    return new Promise((resolve, reject) => {
      const { address, backlog, reusePort = false } = options;
      const refuse = (error: Error): void => {
        reject(cannotListen(address, codeOf(error) ?? 'ERR_LISTEN', error.message, error));
      };
      if (this.#closing !== undefined) {
        reject(layerClosed('listen'));
        return;
      }
      const server = net.createServer({ allowHalfOpen: true, noDelay: true });
      server.once('error', refuse);
      server.once('listening', () => {
        server.off('error', refuse);
        if (this.#closing !== undefined) {
          server.close();
          refuse(new Error('the layer is closed'));
          return;
        }
        const listener = ++this.#lastListener;
        const bound = server.address();
        const got =
          'path' in address || bound === null || typeof bound === 'string'
            ? address
            : { hostname: address.hostname, port: bound.port };
        this.#listeners.set(listener, { server, address: got, failing: false });
        this.#servers.add(server);
        server.on('connection', (socket) => this.#accepted(socket, listener));
        server.on('error', (error) => this.#acceptFailed(listener, error));
        server.once('close', () => {
          this.#servers.delete(server);
          this.#closedIfNothingLeft();
        });
        resolve({ listener, address: got });
      });
      try {
        if ('path' in address) checkPath(address.path);
        if ('path' in address) server.listen({ path: address.path, backlog });
        else server.listen({ host: address.hostname, port: address.port, backlog, ...(reusePort ? reusing() : {}) });
      } catch (error) {
        refuse(asError(error));
      }
    });
  }

  async unlisten(listener: ListenerId): Promise<void> {
    const listening = this.#listeners.get(listener);
    if (listening === undefined) return;
    this.#listeners.delete(listener);
    // The descriptor is closed within this call. The server's `close`, which waits for its connections, is not waited for.
    listening.server.close();
    await new Promise<void>((resolve) => setImmediate(resolve));
  }

  connect(address: Address, localAddress?: string): Slot {
    const common = { allowHalfOpen: true, noDelay: true };
    // Of a name's addresses, only those of its own family can be reached from it.
    const local = localAddress === undefined ? {} : { localAddress, family: isIP(localAddress) };
    const wasBusy = this.#busy;
    this.#busy = true;
    let socket: TenantSocket;
    let failure: Error | undefined;
    try {
      if (this.#closing !== undefined) throw new ConnectionError('ERR_CLOSED', 'the layer is closed');
      if ('path' in address) checkPath(address.path);
      socket =
        'path' in address
          ? net.connect({ ...common, path: address.path })
          : net.connect({ ...common, ...local, host: address.hostname, port: address.port });
    } catch (error) {
      // An impossible port, say. Told as any other failure is.
      socket = new net.Socket();
      failure = asError(error);
    }
    const slot = this.#settle(socket);
    this.#targets.set(slot, { address, localAddress });
    socket.on('connect', this.#onConnect);
    if (failure !== undefined) socket.destroy(failure);
    this.#busy = wasBusy;
    return slot;
  }

  get output(): Uint8Array {
    return this.#slab;
  }

  reserve(slot: Slot, bytes: number): number {
    this.#tenant(slot);
    if (bytes > pieceSize)
      throw new ConnectionError('ERR_RESERVE', `${bytes} bytes reserved; at most ${pieceSize} may be`);
    if (this.#filled + bytes > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(pieceSize);
      this.#filled = 0;
      this.#pinned = false;
    }
    return this.#filled;
  }

  commit(slot: Slot, end: number): void {
    const socket = this.#tenant(slot);
    const slab = this.#slab;
    const start = this.#filled;
    const flags = this.#flags[slot];
    if (end <= start) return;
    if (socket.destroyed || (flags & dropped) !== 0) {
      this.#pending[slot] += end - start;
      return;
    }
    if ((flags & finishing) !== 0) throw new ConnectionError('ERR_FINISHED', 'output was written after finish');
    const outbox = this.#outboxes[slot];
    const written = this.#slabs[slot];
    if (outbox !== undefined) {
      outbox.add(slab.subarray(start, end));
    } else if (written === slab && this.#to[slot] === start) {
      this.#to[slot] = end;
      this.#filled = end;
    } else if (written === undefined && !isWriting(socket)) {
      this.#slabs[slot] = slab;
      this.#from[slot] = start;
      this.#to[slot] = end;
      this.#filled = end;
    } else {
      const box = new Outbox();
      if (written !== undefined) box.add(written.subarray(this.#from[slot], this.#to[slot]));
      box.add(slab.subarray(start, end));
      this.#outboxes[slot] = box;
      this.#slabs[slot] = undefined;
    }
    this.#pending[slot] += end - start;
    if (this.#pending[slot] + socket.writableLength >= highWaterMark) this.#flags[slot] |= flooded;
    this.#markDirty(slot);
  }

  queued(slot: Slot): number {
    const socket = this.#tenant(slot);
    const isGone = socket.destroyed || (this.#flags[slot] & dropped) !== 0;
    return this.#pending[slot] + (isGone ? 0 : socket.writableLength);
  }

  notifyFlushed(slot: Slot): void {
    this.#tenant(slot);
    this.#flushes[slot]++;
    this.#settleSoon(slot);
  }

  pauseReading(slot: Slot): void {
    const socket = this.#tenant(slot);
    this.#flags[slot] |= paused;
    this.#quietly(() => socket.pause());
  }

  resumeReading(slot: Slot): void {
    const socket = this.#tenant(slot);
    this.#flags[slot] &= ~paused;
    this.#quietly(() => socket.resume());
    if ((this.#flags[slot] & endHeld) !== 0) this.#putOff(() => this.#tellEnded(socket));
  }

  finish(slot: Slot): void {
    const socket = this.#tenant(slot);
    if (socket.destroyed || (this.#flags[slot] & (finishing | dropped)) !== 0) return;
    this.#flags[slot] |= finishing;
    this.#markDirty(slot);
  }

  reset(slot: Slot): void {
    this.#letGo(slot, drop);
  }

  abandon(slot: Slot): void {
    this.#letGo(slot, (socket) => socket.destroy());
  }

  #letGo(slot: Slot, how: (socket: TenantSocket) => void): void {
    const socket = this.#tenant(slot);
    if ((this.#flags[slot] & dropped) !== 0) return;
    this.#flags[slot] |= dropped;
    this.#forgetOutput(slot);
    this.#quietly(() => how(socket));
  }

  peer(slot: Slot): string {
    return peerOf(this.#tenant(slot));
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.wakeAt(Infinity);
      this.#closing = resolve;
      for (const listener of this.#listeners.keys()) void this.unlisten(listener);
      for (let slot = 0; slot < this.#sockets.length; slot++) if (this.#sockets[slot] !== undefined) this.reset(slot);
      this.#closedIfNothingLeft();
    });
  }

  // Turns

  #begin(): void {
    this.#busy = true;
    if (this.#immediate !== undefined) {
      clearImmediate(this.#immediate);
      this.#immediate = undefined;
    }
    if (this.#wake !== Infinity && this.#wake <= this.now()) this.#wake = Infinity;
    this.#sink?.beginTurn();
    // Grows while it is walked if a command makes node:net call back.
    for (let i = 0; i < this.#late.length; i++) this.#late[i]();
    if (this.#late.length > 0) this.#late = [];
    if (this.#settling.length > 0) this.#settleAll();
  }

  #end(): void {
    this.#sink?.endTurn();
    if (this.#dirty.length > 0) {
      const slots = this.#dirty;
      this.#dirty = [];
      for (const slot of slots) this.#flush(slot);
      if (!this.#pinned) this.#filled = 0;
    }
    this.#busy = false;
    if (this.#late.length > 0 || this.#settling.length > 0) this.requestTurn();
  }

  /** Puts an event off to the beginning of the next turn. */
  #putOff(event: () => void): void {
    this.#late.push(event);
    this.requestTurn();
  }

  /** Tells what node:net has called back for: in a turn of its own, or at the beginning of the next if one is under way. */
  #tell(event: () => void): void {
    if (this.#busy) {
      this.#putOff(event);
      return;
    }
    this.#begin();
    event();
    this.#end();
  }

  /** Calls node:net on behalf of a command: what it calls back meanwhile is put off. */
  #quietly(act: () => void): void {
    const wasBusy = this.#busy;
    this.#busy = true;
    act();
    this.#busy = wasBusy;
  }

  #arm(): void {
    clearTimeout(this.#timer);
    // Rounded up, and looked at again when it fires: setTimeout may be a little early by this clock.
    const delay = Math.min(Math.max(Math.ceil(this.#wake - this.now()), 1), longestTimeout);
    this.#timerTime = Math.min(this.#wake, this.now() + delay);
    this.#timer = setTimeout(this.#onTimeout, delay);
  }

  // What node:net calls back

  #accepted(socket: TenantSocket, listener: ListenerId): void {
    if (this.#closing !== undefined) {
      drop(socket);
      return;
    }
    // Without the option (older runtimes) it is set here; with it, this does nothing.
    socket.setNoDelay(true);
    const slot = this.#settle(socket);
    this.#listenerOf[slot] = listener;
    this.#flags[slot] |= open;
    const listening = this.#listeners.get(listener);
    if (listening !== undefined) listening.failing = false;
    this.#tell(() => this.#tellAccepted(socket, slot, listener));
  }

  #tellAccepted(socket: TenantSocket, slot: Slot, listener: ListenerId): void {
    // A `close` of the layer may have come between.
    if (this.#isTold(socket, slot)) this.#sink?.accepted(slot, listener);
  }

  #connected(socket: TenantSocket): void {
    this.#tell(() => this.#tellConnected(socket));
  }

  #tellConnected(socket: TenantSocket): void {
    const slot = socket[slotKey];
    if (slot === undefined || !this.#isTold(socket, slot)) return;
    this.#flags[slot] |= open;
    this.#markDirty(slot);
    if (this.#flushes[slot] > 0) this.#settleSoon(slot);
    this.#sink?.connected(slot);
  }

  #received(socket: TenantSocket, data: Buffer): void {
    this.#tell(() => this.#tellReceived(socket, data));
  }

  #tellReceived(socket: TenantSocket, data: Buffer): void {
    const slot = socket[slotKey];
    if (slot === undefined) return;
    for (let start = 0; start < data.length && this.#isTold(socket, slot); start += pieceSize)
      this.#sink?.received(slot, data, start, Math.min(start + pieceSize, data.length));
  }

  #ended(socket: TenantSocket): void {
    const slot = socket[slotKey];
    if (slot === undefined || !this.#isTold(socket, slot)) return;
    if ((this.#flags[slot] & finished) !== 0 || socket.destroyed || isWriting(socket)) {
      this.#tellEndedSoon(socket);
      return;
    }
    // Where a reset comes while bytes are unread, libuv reports an end after them (it takes EPOLLHUP for one), and what was cut
    // off would pass for complete. Writing nothing fails then, and node:net goes on to `error` and `close`.
    socket.write(nothing, (error) => {
      if (error === undefined || error === null) this.#tellEndedSoon(socket);
    });
  }

  #tellEndedSoon(socket: TenantSocket): void {
    this.#tell(() => this.#tellEnded(socket));
  }

  #tellEnded(socket: TenantSocket): void {
    const slot = socket[slotKey];
    if (slot === undefined || !this.#isTold(socket, slot) || (this.#flags[slot] & ended) !== 0) return;
    if ((this.#flags[slot] & paused) !== 0) {
      this.#flags[slot] |= endHeld;
      return;
    }
    this.#flags[slot] &= ~endHeld;
    this.#flags[slot] |= ended;
    this.#sink?.ended(slot);
  }

  #closed(socket: TenantSocket): void {
    this.#tell(() => this.#tellClosed(socket));
  }

  #tellClosed(socket: TenantSocket): void {
    const slot = socket[slotKey];
    if (slot === undefined || this.#sockets[slot] !== socket) return;
    // Both have ended: closed now, whether it is read or not.
    if ((this.#flags[slot] & endHeld) !== 0 && !this.#errors.has(socket)) {
      this.#flags[slot] &= ~paused;
      this.#tellEnded(socket);
    }
    const reason = this.#reasonOf(socket, slot);
    this.#sink?.closed(slot, reason);
    this.#vacate(slot);
    this.#closedIfNothingLeft();
  }

  #acceptFailed(listener: ListenerId, error: Error): void {
    const listening = this.#listeners.get(listener);
    if (listening === undefined || listening.failing) return;
    listening.failing = true;
    this.#tell(() => this.#sink?.acceptFailed(listener, error));
  }

  /** A write is done. For one that the kernel took at once, this comes as a tick after the turn. */
  #written(socket: TenantSocket): void {
    const slot = socket[slotKey];
    if (slot === undefined || this.#sockets[slot] !== socket) return;
    const flags = this.#flags[slot];
    const nothingToDo = (flags & (flooded | finishing)) === 0 && this.#pending[slot] === 0 && this.#flushes[slot] === 0;
    // Never at once: a client as fast as its thread would keep the process in ticks, and starve all others.
    if (!nothingToDo) this.#settleSoon(slot);
  }

  // Output

  #markDirty(slot: Slot): void {
    if ((this.#flags[slot] & dirty) !== 0) return;
    this.#flags[slot] |= dirty;
    this.#dirty.push(slot);
    if (!this.#busy) this.requestTurn();
  }

  /** Hands to node:net what a turn has written, as one write, and the FIN after it. */
  #flush(slot: Slot): void {
    const socket = this.#sockets[slot];
    if (socket === undefined || (this.#flags[slot] & dirty) === 0) return;
    this.#flags[slot] &= ~dirty;
    if (socket.destroyed) {
      this.#forgetOutput(slot);
      return;
    }
    // `connected` and `written` come back to this.
    if (isWriting(socket)) return;
    const slab = this.#slabs[slot];
    const outbox = this.#outboxes[slot];
    this.#pending[slot] = 0;
    if (slab !== undefined) {
      this.#slabs[slot] = undefined;
      socket.write(slab.subarray(this.#from[slot], this.#to[slot]), () => this.#written(socket));
      if (slab === this.#slab && socket.writableLength > 0) this.#pinned = true;
    } else if (outbox !== undefined) {
      this.#outboxes[slot] = undefined;
      const pieces = outbox.take();
      const last = pieces.length - 1;
      if (last > 0) socket.cork();
      for (let i = 0; i < last; i++) socket.write(pieces[i]);
      socket.write(pieces[last], () => this.#written(socket));
      if (last > 0) socket.uncork();
    }
    if ((this.#flags[slot] & (finishing | finished)) === finishing) {
      this.#flags[slot] |= finished;
      socket.end();
    }
  }

  #settleSoon(slot: Slot): void {
    if ((this.#flags[slot] & settling) !== 0) return;
    this.#flags[slot] |= settling;
    this.#settling.push(slot);
    this.requestTurn();
  }

  /** Tells what writes that are done have changed, and hands over what has waited for them. */
  #settleAll(): void {
    const slots = this.#settling;
    this.#settling = [];
    for (const slot of slots) {
      const socket = this.#sockets[slot];
      if (socket === undefined || (this.#flags[slot] & settling) === 0) continue;
      this.#flags[slot] &= ~settling;
      if (!this.#isTold(socket, slot) || socket.destroyed) continue;
      const finishDue = (this.#flags[slot] & (finishing | finished)) === finishing;
      if (this.#pending[slot] > 0 || finishDue) this.#markDirty(slot);
      if (socket.connecting) continue;
      const queued = this.#pending[slot] + socket.writableLength;
      if (queued === 0 && this.#flushes[slot] > 0) this.#tellFlushed(socket, slot);
      if ((this.#flags[slot] & flooded) !== 0 && queued <= lowWaterMark && this.#isTold(socket, slot)) {
        this.#flags[slot] &= ~flooded;
        this.#sink?.drained(slot);
      }
    }
  }

  #tellFlushed(socket: TenantSocket, slot: Slot): void {
    const calls = this.#flushes[slot];
    this.#flushes[slot] = 0;
    for (let i = 0; i < calls && this.#isTold(socket, slot); i++) this.#sink?.flushed(slot);
  }

  #forgetOutput(slot: Slot): void {
    this.#pending[slot] = 0;
    this.#slabs[slot] = undefined;
    this.#outboxes[slot] = undefined;
  }

  // Slots

  /** Gives a socket a slot, and listens to it. */
  #settle(socket: TenantSocket): Slot {
    const slot = this.#freeSlots.pop() ?? this.#sockets.length;
    if (slot >= this.#flags.length) this.#grow();
    this.#sockets[slot] = socket;
    this.#slabs[slot] = undefined;
    this.#outboxes[slot] = undefined;
    socket[slotKey] = slot;
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
    this.#connections++;
    return slot;
  }

  #vacate(slot: Slot): void {
    this.#forgetOutput(slot);
    this.#sockets[slot] = undefined;
    this.#flags[slot] = 0;
    this.#flushes[slot] = 0;
    this.#listenerOf[slot] = 0;
    this.#targets.delete(slot);
    this.#freeSlots.push(slot);
    this.#connections--;
  }

  #grow(): void {
    const rows = 2 * this.#flags.length;
    this.#flags = extended(this.#flags, new Uint16Array(rows));
    this.#pending = extended(this.#pending, new Uint32Array(rows));
    this.#from = extended(this.#from, new Uint32Array(rows));
    this.#to = extended(this.#to, new Uint32Array(rows));
    this.#flushes = extended(this.#flushes, new Uint16Array(rows));
    this.#listenerOf = extended(this.#listenerOf, new Uint32Array(rows));
  }

  #tenant(slot: Slot): TenantSocket {
    const socket = this.#sockets[slot];
    if (socket === undefined)
      throw new ConnectionError('ERR_SLOT', `slot ${slot} has no connection: its caller has missed that it closed`);
    return socket;
  }

  /** Whether events of this socket are still told: it is its slot's tenant, and has not been reset from here. */
  #isTold(socket: TenantSocket, slot: Slot): boolean {
    return this.#sockets[slot] === socket && (this.#flags[slot] & dropped) === 0;
  }

  #reasonOf(socket: TenantSocket, slot: Slot): ConnectionError | undefined {
    const error = this.#errors.get(socket);
    this.#errors.delete(socket);
    const flags = this.#flags[slot];
    if ((flags & dropped) !== 0) return undefined;
    const target = this.#targets.get(slot);
    if (error === undefined) {
      const both = ended | finished;
      if ((flags & both) === both) return undefined;
      return new ConnectionError('ECONNRESET', `${this.#describe(socket, slot, target)} has broken off`);
    }
    const code = codeOf(error) ?? 'ECONNRESET';
    return target !== undefined && (flags & open) === 0
      ? cannotConnect(target, code, error.message, error)
      : hasBroken(this.#describe(socket, slot, target), code, error.message, error);
  }

  #describe(socket: TenantSocket, slot: Slot, target: Target | undefined): string {
    // After the fact the peer is known only if it was asked for before.
    return describeConnection(target, peerOf(socket), this.#listeners.get(this.#listenerOf[slot])?.address);
  }

  #closedIfNothingLeft(): void {
    if (this.#closing === undefined || this.#connections > 0 || this.#servers.size > 0) return;
    this.#closing();
  }
}

function extended<T extends Uint16Array | Uint32Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}

/** The option of `listen` that shares a port, which its types do not know yet. @throws {Error} where this runtime's node:net has none, and would not share it */
function reusing(): { reusePort: true } {
  const [major, minor] = (process.versions.node ?? '0.0').split('.').map(Number);
  if (major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12)) return { reusePort: true };
  throw Object.assign(new Error('reusePort is not to be had on the portable layer before Node 22.12'), {
    code: 'ENOTSUP',
  });
}
