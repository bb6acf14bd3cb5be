// A transport that takes the header of the PROXY protocol from each connection that a listener accepts, before anything else sees its bytes. Above it is the
// listener, or a TLS transport. A connection whose header is malformed or late is reset.

import type { ConnectionError, EventLayer } from '../../event-layer/event-layer.js';
import type {
  SecureTransport,
  SecureTransportEvents,
  SecureTransportFactory,
  TransportTimers,
} from '../../event-layer/secure-transport.js';
import { SlotTimeouts } from '../../event-layer/slot-timeouts.js';
import type { TlsInfo } from '../../event-layer/tls-info.js';
import type { Slot, Transport } from '../../event-layer/transport.js';
import type { OutputMemory } from '../../util/output-memory.js';
import { headerCutOff, headerTimedOut, ProxyHeader } from './header.js';

/** @param inner the transport of what follows the header, such as TLS; undefined for plain bytes @param timeout for the header, in milliseconds */
export function proxyTransport(inner: SecureTransportFactory | undefined, timeout: number): SecureTransportFactory {
  return (layer, timers) => new ProxyTransport(layer, timers, timeout, inner?.(layer, timers));
}

class ProxyTransport implements SecureTransport {
  readonly #below: EventLayer;
  /** The transport of what follows the header; undefined for plain bytes. */
  readonly #inner: SecureTransport | undefined;
  /** What executes commands: `#inner`, or else the layer. */
  readonly #commands: Transport;
  #above: SecureTransportEvents | undefined;
  /** Connections whose header is not complete, with its parser once its first bytes have arrived. */
  readonly #waiting = new Map<Slot, ProxyHeader | undefined>();
  readonly #timeouts: SlotTimeouts;
  /** The clients' addresses, by slot. Undefined for a client whose address is the connection's own. */
  readonly #peers: (string | undefined)[] = [];
  /** The connection whose header has just been completed; -1 after it has been closed from above, so that the bytes behind the header are not passed on. */
  #passing: Slot = -1;

  constructor(below: EventLayer, timers: TransportTimers, timeout: number, inner: SecureTransport | undefined) {
    this.#below = below;
    this.#inner = inner;
    this.#commands = inner ?? below;
    this.#timeouts = new SlotTimeouts(
      () => below.now(),
      timers,
      timeout,
      (slot) => this.#fail(slot, headerTimedOut(timeout)),
    );
  }

  start(above: SecureTransportEvents): void {
    this.#above = above;
    this.#inner?.start(above);
  }

  /** Empty until the header is complete. */
  peer(slot: Slot): string {
    return this.#waiting.has(slot) ? '' : (this.#peers[slot] ?? this.#below.peer(slot));
  }

  /** That of the connection from the proxy. */
  local(slot: Slot): string {
    return this.#below.local(slot);
  }

  protocol(slot: Slot): string | undefined {
    return this.#inner?.protocol(slot);
  }

  tls(slot: Slot): TlsInfo | undefined {
    return this.#inner?.tls?.(slot);
  }

  // Commands from above.

  get output(): OutputMemory {
    return this.#commands.output;
  }

  reserve(slot: Slot, bytes: number): number {
    return this.#commands.reserve(slot, bytes);
  }

  commit(slot: Slot, end: number): void {
    this.#commands.commit(slot, end);
  }

  sendNow(slot: Slot, bytes: Uint8Array, start: number, end: number): number {
    return this.#commands.sendNow?.(slot, bytes, start, end) ?? 0;
  }

  push(slot: Slot): void {
    this.#commands.push(slot);
  }

  queued(slot: Slot): number {
    return this.#commands.queued(slot);
  }

  notifyFlushed(slot: Slot): void {
    this.#commands.notifyFlushed(slot);
  }

  pauseReading(slot: Slot): void {
    this.#commands.pauseReading(slot);
  }

  resumeReading(slot: Slot): void {
    this.#commands.resumeReading(slot);
  }

  finish(slot: Slot): void {
    this.#commands.finish(slot);
  }

  reset(slot: Slot): void {
    this.#dropped(slot);
    this.#commands.reset(slot);
  }

  abandon(slot: Slot): void {
    this.#dropped(slot);
    this.#commands.abandon(slot);
  }

  #dropped(slot: Slot): void {
    if (this.#passing === slot) this.#passing = -1;
    this.#stopWaiting(slot);
  }

  // Events from below.

  accepted(slot: Slot): void {
    this.#waiting.set(slot, undefined);
    this.#timeouts.start(slot);
    this.#inner?.accepted(slot);
  }

  connecting(slot: Slot): void {
    this.#inner?.connecting(slot);
  }

  connected(slot: Slot): void {
    this.#inner?.connected(slot);
  }

  beginTurn(): void {
    this.#inner?.beginTurn();
  }

  endInput(): void {
    this.#inner?.endInput();
  }

  endTurn(): void {
    this.#inner?.endTurn();
  }

  received(slot: Slot, buffer: Uint8Array, start: number, end: number): void {
    const at = this.#waiting.has(slot) ? this.#takeHeader(slot, buffer, start, end) : start;
    if (at === end) return;
    if (this.#inner !== undefined) this.#inner.received(slot, buffer, at, end);
    else this.#above?.received(slot, buffer, at, end);
  }

  /** @returns where the bytes start that are passed on */
  #takeHeader(slot: Slot, buffer: Uint8Array, start: number, end: number): number {
    let header = this.#waiting.get(slot);
    if (header === undefined) {
      header = new ProxyHeader();
      this.#waiting.set(slot, header);
      this.#above?.outputHeld?.(slot, ProxyHeader.memory);
    }
    let at: number;
    try {
      at = header.push(buffer, start, end);
    } catch (error) {
      this.#fail(slot, error as ConnectionError); // it throws nothing else
      return end;
    }
    if (!header.isComplete) return end;
    this.#stopWaiting(slot);
    this.#peers[slot] = header.peer;
    this.#passing = slot;
    if (this.#inner === undefined) this.#above?.secured(slot);
    return this.#passing === slot ? at : end;
  }

  ended(slot: Slot): void {
    if (this.#waiting.has(slot)) this.#fail(slot, headerCutOff(this.#waiting.get(slot)));
    else if (this.#inner !== undefined) this.#inner.ended(slot);
    else this.#above?.ended(slot);
  }

  drained(slot: Slot): void {
    if (this.#inner !== undefined) this.#inner.drained(slot);
    else this.#above?.drained(slot);
  }

  flushed(slot: Slot): void {
    if (this.#inner !== undefined) this.#inner.flushed(slot);
    else this.#above?.flushed(slot);
  }

  closed(slot: Slot): void {
    this.#dropped(slot);
    this.#peers[slot] = undefined;
    this.#inner?.closed(slot);
  }

  /** Resets a connection without a valid header, as §2 demands. */
  #fail(slot: Slot, reason: ConnectionError): void {
    this.#stopWaiting(slot);
    this.#above?.sessionFailed(slot, reason);
    this.reset(slot);
  }

  #stopWaiting(slot: Slot): void {
    if (!this.#waiting.has(slot)) return;
    if (this.#waiting.get(slot) !== undefined) this.#above?.outputHeld?.(slot, -ProxyHeader.memory);
    this.#waiting.delete(slot);
    this.#timeouts.stop(slot);
  }
}
