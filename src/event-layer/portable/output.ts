// The path of output:
//
//   reserve, commit ──► slab (shared; not copied) ─────┬─ end of turn ──► one socket.write ──► written ──► drained, flushed
//                  └──► outbox (own copy), while an    │
//                       earlier write is under way ────┘
//
// At most one write of a connection is with node:net at a time. So a flooded connection costs its bytes, in a few buffers.
//
// Slabs are used again as soon as nothing of them is left to be sent. Memory of this size is not V8's own: as garbage it would wait
// for a collection that comes after tens of megabytes of it, and what the C library is given back in between seldom goes back to the system.

import { ByteQueue } from '../../util/byte-queue.js';
import { type OutputMemory, outputMemory } from '../../util/output-memory.js';
import { growTypedArray } from '../../util/typed-array.js';
import { checkReserve, writtenAfterFinish } from '../errors.js';
import { type EventSink, highWaterMark, lowWaterMark, type Slot } from '../event-layer.js';
import {
  dirty,
  dropped,
  finished,
  finishing,
  firstRows,
  flooded,
  needsNotify,
  type SlotSocket,
  type Slots,
  securing,
} from './slots.js';
import { isWriting } from './sockets.js';

/** Slightly more than a connection usually writes until it is flooded, so that its output fills one slab. */
const slabBytes = highWaterMark + 8 * 1024;
/** The most empty slabs that are kept. There are more of them when many clients take their output at the same time. */
const mostSpare = 64;

/** The part of the layer that this file uses. */
export interface OutputLayer {
  /** A turn is in progress, at whose end output is written. */
  readonly isBusy: boolean;
  requestTurn(): void;
  /** So many bytes more, or fewer, of a connection's output have to wait. */
  outputHeld(slot: Slot, bytes: number): void;
}

/** Memory that the connections write into which have output in a turn. */
class Slab {
  readonly bytes = Buffer.allocUnsafeSlow(slabBytes);
  /** Connections of which it holds output: until node:net has done with that. */
  holders = 0;
}

export class Output {
  readonly #slots: Slots;
  readonly #layer: OutputLayer;
  /** Bytes committed and not yet given to node:net: in a slab, from … to, or else in the outbox. */
  #pending = new Uint32Array(firstRows);
  #from = new Uint32Array(firstRows);
  #to = new Uint32Array(firstRows);
  readonly #slabs: (Slab | undefined)[] = [];
  readonly #outboxes: (ByteQueue | undefined)[] = [];
  /** Bytes that have to wait, as last reported. */
  #held = new Uint32Array(firstRows);
  /** Calls of `notifyFlushed` that are not answered. */
  #flushes = new Uint16Array(firstRows);
  /** Slots with output or a FIN to write at the end of the turn. */
  #dirty: Slot[] = [];
  /** Slots of which a write that is done has changed something. */
  #toNotify: Slot[] = [];
  /** Where output is written into, from `#filled` on. */
  #slab = new Slab();
  #filled = 0;
  readonly #spare: Slab[] = [];

  constructor(slots: Slots, layer: OutputLayer) {
    this.#slots = slots;
    this.#layer = layer;
  }

  get memory(): OutputMemory {
    return outputMemory(this.#slab.bytes);
  }

  /** There is something to report. */
  get needsNotify(): boolean {
    return this.#toNotify.length > 0;
  }

  grow(rows: number): void {
    this.#pending = growTypedArray(this.#pending, new Uint32Array(rows));
    this.#from = growTypedArray(this.#from, new Uint32Array(rows));
    this.#to = growTypedArray(this.#to, new Uint32Array(rows));
    this.#held = growTypedArray(this.#held, new Uint32Array(rows));
    this.#flushes = growTypedArray(this.#flushes, new Uint16Array(rows));
  }

  /** As in the contract; the slot does not matter. */
  reserve(bytes: number): number {
    checkReserve(bytes);
    if (this.#filled + bytes > slabBytes) {
      this.#slab = this.#spare.pop() ?? new Slab();
      this.#filled = 0;
    }
    return this.#filled;
  }

  commit(slot: Slot, socket: SlotSocket, end: number): void {
    const slab = this.#slab;
    const start = this.#filled;
    const flags = this.#slots.flags[slot];
    if (end <= start) return;
    if (socket.destroyed || (flags & dropped) !== 0) {
      this.#pending[slot] += end - start;
      return;
    }
    if ((flags & finishing) !== 0) throw writtenAfterFinish();
    const outbox = this.#outboxes[slot];
    const written = this.#slabs[slot];
    if (outbox !== undefined) {
      outbox.add(slab.bytes.subarray(start, end));
      this.#reportHeld(slot, socket);
    } else if (written === slab && this.#to[slot] === start) {
      this.#to[slot] = end;
      this.#filled = end;
    } else if (written === undefined && !this.#mustWait(slot, socket)) {
      this.#slabs[slot] = slab;
      slab.holders++;
      this.#from[slot] = start;
      this.#to[slot] = end;
      this.#filled = end;
    } else {
      const box = new ByteQueue();
      if (written !== undefined) box.add(written.bytes.subarray(this.#from[slot], this.#to[slot]));
      box.add(slab.bytes.subarray(start, end));
      this.#outboxes[slot] = box;
      this.#leaveSlab(slot);
      this.#reportHeld(slot, socket);
    }
    this.#pending[slot] += end - start;
    if (this.#pending[slot] + socket.writableLength >= highWaterMark) this.#slots.flags[slot] |= flooded;
    this.#markDirty(slot);
  }

  /** A write is in progress, or the connection is not established yet. */
  #mustWait(slot: Slot, socket: SlotSocket): boolean {
    return isWriting(socket) || (this.#slots.flags[slot] & securing) !== 0;
  }

  /** As in the contract. */
  push(slot: Slot): void {
    this.#flush(slot);
  }

  queued(slot: Slot, socket: SlotSocket): number {
    const isGone = socket.destroyed || (this.#slots.flags[slot] & dropped) !== 0;
    return this.#pending[slot] + (isGone ? 0 : socket.writableLength);
  }

  notifyFlushed(slot: Slot): void {
    this.#flushes[slot]++;
    this.#notifySoon(slot);
  }

  finish(slot: Slot, socket: SlotSocket): void {
    if (socket.destroyed || (this.#slots.flags[slot] & (finishing | dropped)) !== 0) return;
    this.#slots.flags[slot] |= finishing;
    this.#markDirty(slot);
  }

  /** The connection is established: output that was written before is sent. */
  connected(slot: Slot): void {
    this.#markDirty(slot);
    if (this.#flushes[slot] > 0) this.#notifySoon(slot);
  }

  /** Hands to node:net what a turn has written. */
  flush(): void {
    if (this.#dirty.length === 0) return;
    const slots = this.#dirty;
    this.#dirty = [];
    for (const slot of slots) this.#flush(slot);
  }

  /** Reports what completed writes have changed, and passes on output that has waited for them. */
  notifyWritten(sink: EventSink): void {
    const slots = this.#toNotify;
    this.#toNotify = [];
    for (const slot of slots) this.#notify(slot, sink);
  }

  forget(slot: Slot): void {
    this.#pending[slot] = 0;
    this.#leaveSlab(slot);
    this.#outboxes[slot] = undefined;
    if (this.#held[slot] > 0) this.#setHeld(slot, 0);
  }

  #reportHeld(slot: Slot, socket: SlotSocket): void {
    this.#setHeld(slot, (this.#outboxes[slot]?.length ?? 0) + socket.writableLength);
  }

  #setHeld(slot: Slot, bytes: number): void {
    const growth = bytes - this.#held[slot];
    this.#held[slot] = bytes;
    if (growth !== 0) this.#layer.outputHeld(slot, growth);
  }

  /** The slot is free from now on. */
  free(slot: Slot): void {
    this.forget(slot);
    this.#flushes[slot] = 0;
  }

  #notify(slot: Slot, sink: EventSink): void {
    const slots = this.#slots;
    const socket = slots.sockets[slot];
    if (socket === undefined || (slots.flags[slot] & needsNotify) === 0) return;
    slots.flags[slot] &= ~needsNotify;
    if (!slots.isReported(socket, slot) || socket.destroyed) return;
    const finishDue = (slots.flags[slot] & (finishing | finished)) === finishing;
    if (this.#pending[slot] > 0 || finishDue) this.#markDirty(slot);
    if (socket.connecting || (slots.flags[slot] & securing) !== 0) return;
    if (this.#flushes[slot] > 0 && this.queued(slot, socket) === 0) {
      const calls = this.#flushes[slot];
      this.#flushes[slot] = 0;
      for (let i = 0; i < calls && slots.isReported(socket, slot); i++) sink.flushed(slot);
    }
    // A receiver of `flushed` may have written again by now.
    if (
      (slots.flags[slot] & flooded) !== 0 &&
      this.queued(slot, socket) <= lowWaterMark &&
      slots.isReported(socket, slot)
    ) {
      slots.flags[slot] &= ~flooded;
      sink.drained(slot);
    }
  }

  #markDirty(slot: Slot): void {
    if ((this.#slots.flags[slot] & dirty) !== 0) return;
    this.#slots.flags[slot] |= dirty;
    this.#dirty.push(slot);
    if (!this.#layer.isBusy) this.#layer.requestTurn();
  }

  /** Hands to node:net what a turn has written to a connection, as one write, and the FIN after it. */
  #flush(slot: Slot): void {
    const { flags } = this.#slots;
    const socket = this.#slots.sockets[slot];
    if (socket === undefined || (flags[slot] & dirty) === 0) return;
    flags[slot] &= ~dirty;
    if (socket.destroyed) {
      this.forget(slot);
      return;
    }
    // `connected` and `#written` come back to this.
    if (this.#mustWait(slot, socket)) return;
    const slab = this.#slabs[slot];
    const outbox = this.#outboxes[slot];
    this.#pending[slot] = 0;
    if (slab !== undefined) {
      this.#slabs[slot] = undefined;
      this.#writeFrom(slab, socket, this.#from[slot], this.#to[slot]);
    } else if (outbox !== undefined) {
      this.#outboxes[slot] = undefined;
      const pieces = outbox.takeBuffers();
      const last = pieces.length - 1;
      if (last > 0) socket.cork();
      for (let i = 0; i < last; i++) socket.write(pieces[i]);
      socket.write(pieces[last], () => this.#written(socket));
      if (last > 0) socket.uncork();
    }
    if (socket.writableLength > 0 || this.#held[slot] > 0) this.#reportHeld(slot, socket);
    if ((flags[slot] & (finishing | finished)) === finishing) {
      flags[slot] |= finished;
      socket.end();
    }
  }

  #writeFrom(slab: Slab, socket: SlotSocket, from: number, to: number): void {
    let isHeld = true;
    socket.write(slab.bytes.subarray(from, to), () => {
      if (isHeld) this.#release(slab);
      this.#written(socket);
    });
    if (socket.writableLength > 0) return;
    isHeld = false; // the kernel has taken it at once; that this is so, node:net says later
    this.#release(slab);
  }

  #leaveSlab(slot: Slot): void {
    const slab = this.#slabs[slot];
    if (slab === undefined) return;
    this.#slabs[slot] = undefined;
    this.#release(slab);
  }

  #release(slab: Slab): void {
    if (--slab.holders > 0) return;
    if (slab === this.#slab) this.#filled = 0;
    else if (this.#spare.length < mostSpare) this.#spare.push(slab);
  }

  /** A write is done. For one that the kernel took at once, this comes as a tick after the turn. */
  #written(socket: SlotSocket): void {
    const slot = this.#slots.slotOf(socket);
    if (slot === undefined) return;
    if (this.#held[slot] > 0 && !socket.destroyed) this.#reportHeld(slot, socket);
    const flags = this.#slots.flags[slot];
    const nothingToDo = (flags & (flooded | finishing)) === 0 && this.#pending[slot] === 0 && this.#flushes[slot] === 0;
    // Never at once: a client as fast as its thread would keep the process in ticks, and starve all others.
    if (!nothingToDo) this.#notifySoon(slot);
  }

  #notifySoon(slot: Slot): void {
    if ((this.#slots.flags[slot] & needsNotify) !== 0) return;
    this.#slots.flags[slot] |= needsNotify;
    this.#toNotify.push(slot);
    this.#layer.requestTurn();
  }
}
