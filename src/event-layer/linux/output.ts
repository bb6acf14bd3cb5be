// The path of output, from a turn's writes to the kernel:
//
//   reserve, commit ──► slab (shared) ──────────────┬─ end of turn: one send each ──► all taken: the slab is empty again
//                  └──► outbox (own copy), if some  │
//                       is waiting already          └► not all taken: the rest to the outbox, until the socket is writable
//
// The kernel reads from the slab during `submit` and at no other time, so nothing of it is ever kept for the kernel.

import { ByteQueue } from '../../util/byte-queue.js';
import { type OutputMemory, outputMemory } from '../../util/output-memory.js';
import { growTypedArray } from '../../util/typed-array.js';
import { checkReserve, writtenAfterFinish } from '../errors.js';
import { type EventSink, highWaterMark, lowWaterMark, pieceSize, type Slot } from '../event-layer.js';
import { EAGAIN, type Libc } from './libc.js';
import { map, type Region, unmap } from './memory.js';
import type { Slots } from './slots.js';
import * as slotFlags from './slots.js';

// As constants of this module: the engine loads what is imported each time that it is used.
const { blocked, dirty, dropped, ended, finished, finishing, firstRows, flooded, open, needsNotify } = slotFlags;

/** Output of one turn; more goes out in between. */
const slabBytes = 1024 * 1024;

/** The part of the layer that this file uses. */
export interface OutputLayer {
  /** Sends bytes of the slab, now or in `submit`. A send that is not taken whole is reported by `partiallySent` before `submit` returns. */
  send(slot: Slot, address: number, bytes: number): void;
  /** Hands to the kernel what has been collected for it. When it returns, it has looked at all that `send` was given. */
  submit(): void;
  /** `becameWritable` is to be called when the socket takes output. */
  awaitWritable(slot: Slot): void;
  /** Sends FIN. */
  shutDown(slot: Slot): void;
  /** The connection has broken. */
  broke(slot: Slot, errno: number): void;
  /** Closes a connection; `closed` is called in this turn or the next. */
  closeSlot(slot: Slot, reset: boolean): void;
  /** There may be something to do now, or no longer. */
  updateHold(): void;
  /** So many bytes more, or fewer, of a connection's output are kept apart from the slab. */
  outputHeld(slot: Slot, bytes: number): void;
}

export class Output {
  readonly #libc: Libc;
  readonly #slots: Slots;
  readonly #layer: OutputLayer;
  /** Bytes committed and not taken by the kernel: in the slab, from … to, or else in the outbox. */
  #pending = new Uint32Array(firstRows);
  #from = new Uint32Array(firstRows);
  #to = new Uint32Array(firstRows);
  readonly #outboxes = new Map<Slot, ByteQueue>();
  /** Calls of `notifyFlushed` that are not answered. */
  readonly #flushes = new Map<Slot, number>();
  /** Slots with output or a FIN to send at the end of the turn. */
  #dirty = new SlotList();
  /** To take its place then. */
  #spare = new SlotList();
  /** Slots with sends that are left to the next `wait`; see `flush`. */
  #deferred: SlotList | undefined;
  /** Slots for which sending has changed something that is to be reported. */
  #toNotify: Slot[] = [];
  /** What became of the sends of a `submit` that were not taken whole: bytes, or a negative error number. */
  readonly #short = new Map<Slot, number>();
  readonly #slab: Region;
  #filled = 0;

  constructor(libc: Libc, slots: Slots, layer: OutputLayer) {
    this.#libc = libc;
    this.#slots = slots;
    this.#layer = layer;
    this.#slab = map(libc, slabBytes);
  }

  /** Where output is written into. */
  get memory(): OutputMemory {
    return outputMemory(this.#slab.bytes);
  }

  /** The number of outboxes. */
  get waiting(): number {
    return this.#outboxes.size;
  }

  /** There is something to send, or to report. */
  get isPending(): boolean {
    return this.#dirty.count > 0 || this.#toNotify.length > 0;
  }

  /** There is something to report. */
  get needsNotify(): boolean {
    return this.#toNotify.length > 0;
  }

  /** Sends have been left to `wait`. */
  get hasDeferredSends(): boolean {
    return this.#deferred !== undefined;
  }

  grow(rows: number): void {
    this.#pending = growTypedArray(this.#pending, new Uint32Array(rows));
    this.#from = growTypedArray(this.#from, new Uint32Array(rows));
    this.#to = growTypedArray(this.#to, new Uint32Array(rows));
  }

  close(): void {
    unmap(this.#libc, this.#slab);
  }

  /** As in the contract; the slot does not matter. */
  reserve(bytes: number): number {
    checkReserve(bytes);
    if (this.#filled + bytes > slabBytes) this.flush(false);
    return this.#filled;
  }

  commit(slot: Slot, end: number): void {
    const start = this.#filled;
    if (end <= start) return;
    const bytes = end - start;
    const flags = this.#slots.flags[slot];
    if ((flags & (dropped | finishing)) !== 0) {
      if ((flags & dropped) === 0) throw writtenAfterFinish();
      this.#pending[slot] += bytes;
      return;
    }
    const pending = this.#pending[slot];
    if (pending === 0) {
      this.#from[slot] = start;
      this.#to[slot] = end;
      this.#filled = end;
    } else if (this.#to[slot] === start && this.#from[slot] < start) {
      this.#to[slot] = end;
      this.#filled = end;
    } else {
      this.#keep(slot, this.#outboxOf(slot), start, end);
    }
    this.#pending[slot] = pending + bytes;
    if (pending + bytes >= highWaterMark) this.#slots.flags[slot] |= flooded;
    if ((flags & dirty) === 0) this.#markDirty(slot);
  }

  /** As in the contract. */
  push(slot: Slot): void {
    const from = this.#from[slot];
    const bytes = this.#to[slot] - from;
    if (bytes === 0 || (this.#slots.flags[slot] & (open | dropped | blocked)) !== open) return;
    this.submitDeferred();
    this.#layer.send(slot, this.#slab.address + from, bytes);
    this.#layer.submit();
    this.#sent(slot);
  }

  /** As in the contract. What the slot has in the slab goes first. */
  sendNow(slot: Slot, bytes: Uint8Array, start: number, end: number): number {
    this.push(slot);
    if (this.#pending[slot] > 0) return 0;
    if ((this.#slots.flags[slot] & (open | dropped | finishing | blocked)) !== open) return 0;
    this.submitDeferred();
    this.#layer.send(slot, this.#libc.addressOf(bytes) + start, end - start);
    this.#layer.submit();
    return Math.max(0, this.#takeResult(slot, end - start));
  }

  queued(slot: Slot): number {
    return this.#pending[slot];
  }

  notifyFlushed(slot: Slot): void {
    this.#flushes.set(slot, (this.#flushes.get(slot) ?? 0) + 1);
    if (this.#pending[slot] === 0) this.#notifySoon(slot);
  }

  finish(slot: Slot): void {
    if ((this.#slots.flags[slot] & (finishing | dropped)) !== 0) return;
    this.#slots.flags[slot] |= finishing;
    this.#markDirty(slot);
  }

  /** Has what was left to `wait` done now. */
  submitDeferred(): void {
    if (this.#deferred === undefined) return;
    this.#layer.submit();
    this.#completeSends(this.#deferred);
  }

  /** `wait` has done what was left to it. */
  afterWait(): void {
    if (this.#deferred !== undefined) this.#completeSends(this.#deferred);
  }

  /** Reports what sending has brought about. */
  notifySent(sink: EventSink): void {
    if (this.#toNotify.length === 0) return;
    const slots = this.#toNotify;
    this.#toNotify = [];
    for (const slot of slots) this.#notify(slot, sink);
  }

  #notify(slot: Slot, sink: EventSink): void {
    if ((this.#slots.flags[slot] & needsNotify) === 0) return;
    this.#slots.flags[slot] &= ~needsNotify;
    if (this.#pending[slot] === 0 && this.#slots.isLive(slot)) {
      const calls = this.#flushes.get(slot) ?? 0;
      this.#flushes.delete(slot);
      for (let i = 0; i < calls && this.#slots.isLive(slot); i++) sink.flushed(slot);
    }
    if ((this.#slots.flags[slot] & flooded) !== 0 && this.#pending[slot] <= lowWaterMark && this.#slots.isLive(slot)) {
      this.#slots.flags[slot] &= ~flooded;
      sink.drained(slot);
    }
  }

  /** A send has not been taken whole. @param result bytes that were taken, or a negative error number */
  onPartialSend(slot: Slot, result: number): void {
    this.#short.set(slot, result);
  }

  /** The connection is established: output that was written before is sent. */
  connected(slot: Slot): void {
    this.#markDirty(slot);
    if (this.#flushes.has(slot)) this.#notifySoon(slot);
  }

  /** The socket takes output again. */
  becameWritable(slot: Slot): void {
    this.#slots.flags[slot] &= ~blocked;
    this.#markDirty(slot);
  }

  /** The slot is free from now on. */
  free(slot: Slot): void {
    this.forget(slot);
    if (this.#flushes.size > 0) this.#flushes.delete(slot);
  }

  #markDirty(slot: Slot): void {
    if ((this.#slots.flags[slot] & dirty) !== 0) return;
    this.#slots.flags[slot] |= dirty;
    this.#dirty.add(slot);
    this.#layer.updateHold();
  }

  #outboxOf(slot: Slot): ByteQueue {
    let outbox = this.#outboxes.get(slot);
    if (outbox === undefined) {
      outbox = new ByteQueue();
      this.#outboxes.set(slot, outbox);
      this.#moveToOutbox(slot, outbox);
    }
    return outbox;
  }

  #keep(slot: Slot, outbox: ByteQueue, from: number, to: number): void {
    outbox.add(this.#slab.bytes.subarray(from, to));
    this.#layer.outputHeld(slot, to - from);
  }

  /** Moves the slot's output out of the slab. */
  #moveToOutbox(slot: Slot, outbox: ByteQueue): void {
    if (this.#to[slot] > this.#from[slot]) this.#keep(slot, outbox, this.#from[slot], this.#to[slot]);
    this.#from[slot] = 0;
    this.#to[slot] = 0;
  }

  /**
   * Hands all output to the kernel, one send for each connection, and then the FINs. Empties the slab.
   * @param later whether the sends may be left to the system call that waits. They are if that is all there is to do; until then every command
   *   has them done first
   */
  flush(later: boolean): void {
    const list = this.#dirty;
    if (list.count === 0) {
      this.#layer.submit();
      return;
    }
    this.#dirty = this.#spare;
    this.#spare = list; // it is done with before the other is
    let isPlain = true;
    const { slots, count } = list;
    for (let i = 0; i < count; i++) {
      const slot = slots[i];
      const flags = this.#slots.flags[slot];
      if ((flags & (dirty | open | dropped | blocked)) === (dirty | open) && this.#to[slot] > this.#from[slot])
        this.#layer.send(slot, this.#slab.address + this.#from[slot], this.#to[slot] - this.#from[slot]);
      else isPlain = false;
      if ((flags & (finishing | flooded)) !== 0) isPlain = false;
    }
    if (later && isPlain && this.#flushes.size === 0) {
      this.#deferred = list;
      return;
    }
    this.#layer.submit();
    this.#completeSends(list);
  }

  /** The kernel has looked at what the slots have sent from the slab. */
  #completeSends(list: SlotList): void {
    this.#deferred = undefined;
    const { slots, count } = list;
    for (let i = 0; i < count; i++) {
      const slot = slots[i];
      if (this.#to[slot] > this.#from[slot]) this.#sent(slot);
    }
    this.#filled = 0;
    if (this.#outboxes.size > 0) this.#flushOutboxes(slots.subarray(0, count));
    for (let i = 0; i < count; i++) {
      const slot = slots[i];
      if ((this.#slots.flags[slot] & dirty) === 0) continue;
      this.#slots.flags[slot] &= ~dirty;
      if ((this.#slots.flags[slot] & finishing) !== 0) this.#finishIfFlushed(slot);
    }
    list.count = 0;
  }

  /** What became of a send from the slab. */
  #sent(slot: Slot): void {
    const bytes = this.#to[slot] - this.#from[slot];
    if ((this.#slots.flags[slot] & (open | dropped)) !== open) {
      // Not sent: there is no connection yet, or no longer.
      if ((this.#slots.flags[slot] & dropped) === 0) this.#outboxOf(slot);
      return;
    }
    const result = this.#short.size === 0 ? bytes : this.#takeResult(slot, bytes);
    if (result < 0) return;
    this.#pending[slot] -= result;
    this.#from[slot] += result;
    if (result < bytes) {
      this.#outboxOf(slot);
      this.#block(slot);
    } else {
      this.#from[slot] = 0;
      this.#to[slot] = 0;
    }
    if ((this.#slots.flags[slot] & flooded) !== 0 || this.#flushes.size > 0) this.#notifySoon(slot);
  }

  /** @returns bytes that were taken, or -1 if the connection has broken */
  #takeResult(slot: Slot, bytes: number): number {
    const result = this.#short.get(slot);
    if (result === undefined) return bytes;
    this.#short.delete(slot);
    if (result >= 0) return result;
    if (result === -EAGAIN) return 0;
    this.#layer.broke(slot, -result);
    return -1;
  }

  /** Sends what has had to wait, a piece of each connection. */
  #flushOutboxes(slots: Uint32Array): void {
    const sizes = new Map<Slot, number>();
    const conclude = (): void => {
      this.#layer.submit();
      for (const [slot, bytes] of sizes) this.#sentFromOutbox(slot, bytes);
      sizes.clear();
      this.#filled = 0;
    };
    for (const slot of slots) {
      const outbox = this.#outboxes.get(slot);
      if (outbox === undefined || (this.#slots.flags[slot] & (open | dropped | blocked)) !== open) continue;
      if (this.#filled + pieceSize > slabBytes) conclude();
      const at = this.#filled;
      const bytes = outbox.copyTo(this.#slab.bytes.subarray(0, at + pieceSize), at);
      this.#filled = at + bytes;
      sizes.set(slot, bytes);
      this.#layer.send(slot, this.#slab.address + at, bytes);
    }
    if (sizes.size > 0) conclude();
  }

  #sentFromOutbox(slot: Slot, bytes: number): void {
    const outbox = this.#outboxes.get(slot);
    const result = this.#takeResult(slot, bytes);
    if (outbox === undefined || result < 0) return;
    outbox.drop(result);
    this.#layer.outputHeld(slot, -result);
    this.#pending[slot] -= result;
    if (outbox.length === 0) this.#outboxes.delete(slot);
    else this.#block(slot);
    this.#notifySoon(slot);
  }

  #block(slot: Slot): void {
    if ((this.#slots.flags[slot] & (blocked | dropped)) !== 0) return;
    this.#slots.flags[slot] |= blocked;
    this.#layer.awaitWritable(slot);
  }

  #finishIfFlushed(slot: Slot): void {
    if ((this.#slots.flags[slot] & (open | dropped | finished)) !== open || this.#pending[slot] > 0) return;
    this.#slots.flags[slot] |= finished;
    // Closing sends the FIN as well.
    if ((this.#slots.flags[slot] & ended) !== 0) this.#layer.closeSlot(slot, false);
    else this.#layer.shutDown(slot);
  }

  #notifySoon(slot: Slot): void {
    if ((this.#slots.flags[slot] & needsNotify) === 0) {
      this.#slots.flags[slot] |= needsNotify;
      this.#toNotify.push(slot);
    }
    // A queue that has more to send continues when the socket is writable; this one may have been finished meanwhile.
    if ((this.#slots.flags[slot] & finishing) !== 0) this.#markDirty(slot);
    this.#layer.updateHold();
  }

  forget(slot: Slot): void {
    this.#pending[slot] = 0;
    this.#from[slot] = 0;
    this.#to[slot] = 0;
    const outbox = this.#outboxes.get(slot);
    if (outbox !== undefined) {
      this.#outboxes.delete(slot);
      this.#layer.outputHeld(slot, -outbox.length);
    }
    this.#short.delete(slot);
  }
}

/** Slots in the order in which they were added. It is used again in each turn: a new array would be made longer, and collected, each time. */
class SlotList {
  slots = new Uint32Array(firstRows);
  count = 0;

  add(slot: Slot): void {
    if (this.count === this.slots.length) this.slots = growTypedArray(this.slots, new Uint32Array(2 * this.count));
    this.slots[this.count++] = slot;
  }
}
