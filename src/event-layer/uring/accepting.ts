// Accepting: an operation for each listener, that goes on until it is cancelled. It accepts into the ring's own table of
// descriptors, or to ordinary ones, and is made anew where that is to change.

import type { ListenerId } from '../event-layer.js';
import type { Listeners, Listening } from '../linux/listening.js';
import type { Files } from './files.js';
import { accepting, kindBits, type Operations } from './operations.js';
import type { Ring } from './ring.js';

export class Accepting {
  readonly #ring: Ring;
  readonly #operations: Operations;
  readonly #files: Files;
  readonly #listeners: Listeners;
  /** Listeners whose accept is in flight, and the high half of its user data: odd if it accepts into the ring's table. */
  readonly #armed = new Map<ListenerId, number>();
  #last = 0;
  /** Told when the accept of a listener that is closed is over. */
  readonly #stopped = new Map<ListenerId, () => void>();

  constructor(ring: Ring, operations: Operations, files: Files, listeners: Listeners) {
    this.#ring = ring;
    this.#operations = operations;
    this.#files = files;
    this.#listeners = listeners;
  }

  /** A listener is there, which the kernel may hold so many connections for. */
  expect({ backlog }: Listening): void {
    this.#files.expect(backlog + 1);
  }

  start({ descriptor, id }: Listening): void {
    if (this.#armed.has(id)) return;
    const isDirect = this.#files.hasRoom;
    const serial = 2 * ++this.#last + (isDirect ? 1 : 0);
    this.#armed.set(id, serial);
    this.#operations.accept(descriptor, id, serial, isDirect);
  }

  pause({ id }: Listening): void {
    const serial = this.#armed.get(id);
    if (serial !== undefined) this.#operations.cancel(accepting | (id << kindBits), serial);
  }

  /** Stops accepting. Resolves when the operation is over. */
  async stop(listening: Listening): Promise<void> {
    const { id, backlog } = listening;
    this.#files.expect(-backlog - 1);
    this.pause(listening);
    this.#ring.enter(0);
    if (!this.#armed.has(id)) return;
    await new Promise<void>((resolve) => this.#stopped.set(id, resolve));
    this.#stopped.delete(id);
  }

  /** Whether an accept with that in the high half of its user data is one into the ring's table. */
  isDirect(serial: number): boolean {
    return (serial & 1) === 1;
  }

  /** The accept has had its last completion. */
  over(id: ListenerId, serial: number): void {
    if (this.#armed.get(id) === serial) this.#armed.delete(id);
  }

  /** It goes on, where it is to; called when what its last completion has brought is told. */
  goOn(listening: Listening): void {
    if (listening.open && !listening.resting) this.start(listening);
    else this.#stopped.get(listening.id)?.();
  }

  /** A connection has come into the ring's table. */
  entered(): void {
    if (++this.#files.open === this.#files.limit) this.#anew(); // with ordinary descriptors
  }

  /** A connection has left the ring's table. */
  left(): void {
    this.#files.open--;
    if (this.#files.hasEmptied) this.#anew(); // into the table
  }

  /** Ends all accepts. They are armed again when they have ended, as is right then. */
  #anew(): void {
    for (const listening of this.#listeners.all()) this.pause(listening);
  }
}
