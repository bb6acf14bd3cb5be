// Counts what passes between a network and its event layer, and reports turns.

import type { ConnectionError, ListenerId, Slot } from '#sluice/event-layer/event-layer.js';
import { LayerTap } from './layer-tap.js';

export class Traffic extends LayerTap {
  /** Called when a turn begins. @param looked whether the layer has looked for events since the last one */
  onTurnBegin: (looked: boolean) => void = () => {};
  /** Called after each turn. */
  onTurnEnd: () => void = () => {};
  /** Bytes passed to the connections that servers have accepted, each up to its server's FIN. */
  receivedBytes = 0;
  /** The most bytes of output queued at a time for one connection that a server has accepted. */
  mostQueued = 0;
  /** Connections that servers have accepted and not ended. */
  readonly #accepted = new Set<Slot>();

  override beginTurn(looked = true): void {
    this.onTurnBegin(looked);
    super.beginTurn(looked);
  }

  override endTurn(due?: number): void {
    super.endTurn(due);
    this.onTurnEnd();
  }

  override accepted(slot: Slot, listener: ListenerId): void {
    this.#accepted.add(slot);
    super.accepted(slot, listener);
  }

  override received(slot: Slot, buffer: Uint8Array, start: number, end: number): void {
    if (this.#accepted.has(slot)) this.receivedBytes += end - start;
    super.received(slot, buffer, start, end);
  }

  override commit(slot: Slot, end: number): void {
    super.commit(slot, end);
    if (this.#accepted.has(slot)) this.mostQueued = Math.max(this.mostQueued, this.queued(slot));
  }

  override finish(slot: Slot): void {
    this.#accepted.delete(slot);
    super.finish(slot);
  }

  override closed(slot: Slot, reason: ConnectionError | undefined): void {
    this.#accepted.delete(slot);
    super.closed(slot, reason);
  }
}
