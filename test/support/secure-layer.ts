// A secure transport as an event layer: every connection of the layer below goes through it, of servers and of clients alike. So whatever is
// tested over a layer is tested over the transport, by the same statements.

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
import type { SecureTransport } from '#sluice/event-layer/secure-transport.js';
import type { OutputMemory } from '#sluice/util/output-memory.js';

export class SecureLayer implements EventLayer {
  readonly #layer: EventLayer;
  readonly #transport: SecureTransport;

  constructor(layer: EventLayer, transport: SecureTransport) {
    this.#layer = layer;
    this.#transport = transport;
  }

  get name(): string {
    return this.#layer.name;
  }

  start(above: EventSink): void {
    const transport = this.#transport;
    /** Why sessions are broken whose connections have not closed yet. */
    const failures = new Map<Slot, ConnectionError>();
    transport.start({
      received: (slot, buffer, start, end) => above.received(slot, buffer, start, end),
      ended: (slot) => above.ended(slot),
      drained: (slot) => above.drained(slot),
      flushed: (slot) => above.flushed(slot),
      connected: (slot) => above.connected(slot),
      secured: (slot) => above.secured?.(slot),
      outputHeld: (slot, bytes) => above.outputHeld?.(slot, bytes),
      sessionFailed: (slot, reason) => {
        failures.set(slot, reason);
        this.#layer.reset(slot);
      },
    });
    this.#layer.start({
      beginTurn(looked) {
        above.beginTurn(looked);
        transport.beginTurn();
      },
      accepted(slot: Slot, listener: ListenerId) {
        transport.accepted(slot);
        above.accepted(slot, listener);
      },
      connected: (slot: Slot) => transport.connected(slot),
      received: (slot: Slot, buffer: Uint8Array, start: number, end: number) =>
        transport.received(slot, buffer, start, end),
      ended: (slot: Slot) => transport.ended(slot),
      drained: (slot: Slot) => transport.drained(slot),
      flushed: (slot: Slot) => transport.flushed(slot),
      closed(slot: Slot, reason: ConnectionError | undefined) {
        transport.closed(slot);
        const failure = failures.get(slot);
        failures.delete(slot);
        above.closed(slot, failure ?? reason);
      },
      outputHeld: (slot: Slot, bytes: number) => above.outputHeld?.(slot, bytes),
      acceptFailed: (listener: ListenerId, error: Error) => above.acceptFailed(listener, error),
      endTurn(due) {
        transport.endInput();
        above.endTurn(due);
        transport.endTurn();
      },
    });
  }

  now = (): number => this.#layer.now();
  date = (): number => this.#layer.date();
  wakeAt = (time: number): void => this.#layer.wakeAt(time);
  requestTurn = (): void => this.#layer.requestTurn();
  listen = (options: ListenOptions): Promise<{ listener: ListenerId; address: Address }> => this.#layer.listen(options);
  unlisten = (listener: ListenerId): Promise<void> => this.#layer.unlisten(listener);
  setReferenced = (listener: ListenerId, isReferenced: boolean): void =>
    this.#layer.setReferenced(listener, isReferenced);
  catchUp = (): Promise<void> => this.#layer.catchUp();
  connect = (address: Address, localAddress?: string, options?: SocketOptions): Slot => {
    const slot = this.#layer.connect(address, localAddress, options);
    this.#transport.connecting(slot);
    return slot;
  };
  close = (): Promise<void> => this.#layer.close();

  get output(): OutputMemory {
    return this.#transport.output;
  }

  reserve = (slot: Slot, bytes: number): number => this.#transport.reserve(slot, bytes);
  commit = (slot: Slot, end: number): void => this.#transport.commit(slot, end);
  sendNow = (slot: Slot, bytes: Uint8Array, start: number, end: number): number =>
    this.#transport.sendNow?.(slot, bytes, start, end) ?? 0;
  push = (slot: Slot): void => this.#transport.push(slot);
  queued = (slot: Slot): number => this.#transport.queued(slot);
  notifyFlushed = (slot: Slot): void => this.#transport.notifyFlushed(slot);
  pauseReading = (slot: Slot): void => this.#transport.pauseReading(slot);
  resumeReading = (slot: Slot): void => this.#transport.resumeReading(slot);
  finish = (slot: Slot): void => this.#transport.finish(slot);
  reset = (slot: Slot): void => this.#transport.reset(slot);
  abandon = (slot: Slot): void => this.#transport.abandon(slot);
  peer = (slot: Slot): string => this.#transport.peer(slot);
  local = (slot: Slot): string => this.#transport.local(slot);
}
