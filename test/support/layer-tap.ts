// An event layer between a network and the layer below it: it passes every command down and every event up. Tests extend it
// to see, or to change, what passes.

import type {
  Address,
  ConnectionError,
  EventLayer,
  EventSink,
  ListenerId,
  ListenOptions,
  Slot,
  SocketOptions,
} from '#sluice/event-layer/event-layer.js';
import type { OutputMemory } from '#sluice/util/output-memory.js';

export class LayerTap implements EventLayer, EventSink {
  readonly below: EventLayer;
  #above: EventSink | undefined;

  constructor(below: EventLayer) {
    this.below = below;
  }

  /** The sink of the network. */
  get above(): EventSink {
    if (this.#above === undefined) throw new Error('the layer has not been started');
    return this.#above;
  }

  // Commands.

  get name(): string {
    return this.below.name;
  }

  start(sink: EventSink): void {
    this.#above = sink;
    this.below.start(this);
  }

  now(): number {
    return this.below.now();
  }

  date(): number {
    return this.below.date();
  }

  wakeAt(time: number): void {
    this.below.wakeAt(time);
  }

  requestTurn(): void {
    this.below.requestTurn();
  }

  listen(options: ListenOptions): Promise<{ listener: ListenerId; address: Address }> {
    return this.below.listen(options);
  }

  setReferenced(listener: ListenerId, isReferenced: boolean): void {
    this.below.setReferenced(listener, isReferenced);
  }

  unlisten(listener: ListenerId): Promise<void> {
    return this.below.unlisten(listener);
  }

  catchUp(): Promise<void> {
    return this.below.catchUp();
  }

  connect(address: Address, localAddress?: string, options?: SocketOptions): Slot {
    return this.below.connect(address, localAddress, options);
  }

  get output(): OutputMemory {
    return this.below.output;
  }

  reserve(slot: Slot, bytes: number): number {
    return this.below.reserve(slot, bytes);
  }

  commit(slot: Slot, end: number): void {
    this.below.commit(slot, end);
  }

  push(slot: Slot): void {
    this.below.push(slot);
  }

  queued(slot: Slot): number {
    return this.below.queued(slot);
  }

  notifyFlushed(slot: Slot): void {
    this.below.notifyFlushed(slot);
  }

  pauseReading(slot: Slot): void {
    this.below.pauseReading(slot);
  }

  resumeReading(slot: Slot): void {
    this.below.resumeReading(slot);
  }

  finish(slot: Slot): void {
    this.below.finish(slot);
  }

  reset(slot: Slot): void {
    this.below.reset(slot);
  }

  abandon(slot: Slot): void {
    this.below.abandon(slot);
  }

  peer(slot: Slot): string {
    return this.below.peer(slot);
  }

  local(slot: Slot): string {
    return this.below.local(slot);
  }

  close(): Promise<void> {
    return this.below.close();
  }

  // Events.

  beginTurn(looked?: boolean): void {
    this.above.beginTurn(looked);
  }

  accepted(slot: Slot, listener: ListenerId): void {
    this.above.accepted(slot, listener);
  }

  connected(slot: Slot): void {
    this.above.connected(slot);
  }

  secured(slot: Slot): void {
    this.above.secured?.(slot);
  }

  received(slot: Slot, buffer: Uint8Array, start: number, end: number): void {
    this.above.received(slot, buffer, start, end);
  }

  ended(slot: Slot): void {
    this.above.ended(slot);
  }

  drained(slot: Slot): void {
    this.above.drained(slot);
  }

  flushed(slot: Slot): void {
    this.above.flushed(slot);
  }

  closed(slot: Slot, reason: ConnectionError | undefined): void {
    this.above.closed(slot, reason);
  }

  outputHeld(slot: Slot, bytes: number): void {
    this.above.outputHeld?.(slot, bytes);
  }

  acceptFailed(listener: ListenerId, error: Error): void {
    this.above.acceptFailed(listener, error);
  }

  endTurn(due?: number): void {
    this.above.endTurn(due);
  }
}
