// A listener whose connections have a record as soon as they can be read: the one of `listen`, and the one for Node's servers.

import type { Slot } from '../event-layer/event-layer.js';
import { type ConnectionCounts, Listener } from './listener.js';
import { SlotState } from './network.js';

export abstract class RecordListener extends Listener {
  protected begin(): boolean {
    return true;
  }

  // A connection is idle only during its handshake, in which the owner gets none of these three.
  received(slot: Slot): void {
    throw new Error(`slot ${slot} of ${this} is idle; this is a bug in sluice`);
  }

  ended(): void {}

  expired(): void {}

  protected countPhases(open: number): Omit<ConnectionCounts, 'closing' | 'total'> {
    const idle = this.hasHandshake ? this.#countHandshakes() : 0;
    return { idle, reading: 0, handling: open - idle, writing: 0 };
  }

  #countHandshakes(): number {
    let count = 0;
    for (const slot of this.network.slotsOf(this)) if (this.network.state(slot) === SlotState.idle) count++;
    return count;
  }
}
