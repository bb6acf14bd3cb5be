// The beat of clients that do something every second. It can be slowed down, so that a crowd that is not being measured is nearly
// silent: nearly, because there are servers that close a connection which has been silent for 10 s in the middle of a head.

import { sleep, type Task } from 'sluice';

const second = 1000;
/** Of so many seconds, a client does something in one while it is slowed down. */
const slowedDown = 5;

export class Beat {
  isSlow = false;

  /** Parks until the first beat of a client: any part of a second, so that the clients are spread out. */
  *first(): Task<void> {
    yield* sleep(Math.random() * second);
  }

  /** Parks until the next beat. Clients keep the moment of the second that is theirs, so they stay spread out. */
  *next(): Task<void> {
    for (let left = slowedDown; left > 0; left--) {
      yield* sleep(second);
      if (!this.isSlow) return;
    }
  }
}
