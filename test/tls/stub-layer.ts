// A layer without a network: it notes the commands, and the test gives its events.

import { pieceSize, type Slot } from '#sluice/event-layer/event-layer.js';
import { SimulatedLayer } from '#sluice/event-layer/simulated/simulated.js';
import { type OutputMemory, outputMemory } from '#sluice/util/output-memory.js';

export class StubLayer extends SimulatedLayer {
  readonly #memory = outputMemory(Buffer.alloc(pieceSize));
  /** Commands, in order. */
  readonly commands: string[] = [];
  /** What was committed for each slot. */
  readonly committed = new Map<Slot, Uint8Array[]>();
  /** Bytes queued for every slot, besides what is committed. */
  queuedBefore = 0;

  override get output(): OutputMemory {
    return this.#memory;
  }
  override reserve(): number {
    return 0;
  }
  override commit(slot: Slot, end: number): void {
    const pieces = this.committed.get(slot) ?? [];
    this.committed.set(slot, pieces);
    pieces.push(Uint8Array.from(this.#memory.subarray(0, end)));
    this.queuedBefore += end;
    this.commands.push(`commit ${slot}`);
  }
  override queued(): number {
    return this.queuedBefore;
  }
  override notifyFlushed(slot: Slot): void {
    this.commands.push(`notifyFlushed ${slot}`);
  }
  override pauseReading(slot: Slot): void {
    this.commands.push(`pause ${slot}`);
  }
  override resumeReading(slot: Slot): void {
    this.commands.push(`resume ${slot}`);
  }
  override finish(slot: Slot): void {
    this.commands.push(`finish ${slot}`);
  }
  override reset(slot: Slot): void {
    this.commands.push(`reset ${slot}`);
  }
  override requestTurn(): void {
    this.commands.push('requestTurn');
  }
}
