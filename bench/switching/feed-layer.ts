// An event layer without a system below: the bench itself is the network, and says what has arrived on which connection. So a
// thread of sluice is measured as it serves, on a real connection and its reader, and without any sockets. It has only what
// accepting, receiving and closing ask of a layer.

import { Network } from 'sluice';

type EventLayer = ConstructorParameters<typeof Network>[0];
type EventSink = Parameters<EventLayer['start']>[0];

const listener = 1;

export class FeedLayer {
  readonly name = 'fed by hand';
  #sink: EventSink | undefined;
  #slots = 0;

  /** A network on this layer. */
  network(): Network {
    return new Network(this as unknown as EventLayer); // see above: nothing is ever sent or connected here
  }

  start(sink: EventSink): void {
    this.#sink = sink;
  }

  async listen(): Promise<{ listener: number; address: { path: string } }> {
    return { listener, address: { path: 'fed' } };
  }

  now(): number {
    return performance.now();
  }

  // Turns are the bench's to make.
  wakeAt(): void {}
  requestTurn(): void {}

  /** A client connects. @returns its slot */
  accept(): number {
    const slot = this.#slots++;
    this.#sink?.beginTurn();
    this.#sink?.accepted(slot, listener);
    this.#sink?.endTurn();
    return slot;
  }

  /** In a turn of its own, bytes arrive on one connection. */
  receiveOn(slot: number, bytes: Uint8Array): void {
    this.#sink?.beginTurn();
    this.#sink?.received(slot, bytes, 0, bytes.length);
    this.#sink?.endTurn();
  }

  /** A client has left; its slot is not given to another. */
  close(slot: number): void {
    this.#sink?.beginTurn();
    this.#sink?.closed(slot, undefined);
    this.#sink?.endTurn();
  }

  /** In one turn, the same bytes arrive on every connection. */
  receive(bytes: Uint8Array): void {
    this.#sink?.beginTurn();
    for (let slot = 0; slot < this.#slots; slot++) this.#sink?.received(slot, bytes, 0, bytes.length);
    this.#sink?.endTurn();
  }
}
