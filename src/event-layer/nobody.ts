// Whom a layer tells as long as nobody has started it.

import type { EventSink } from './event-layer.js';

export const nobody: EventSink = {
  beginTurn() {},
  accepted() {},
  connected() {},
  received() {},
  ended() {},
  drained() {},
  flushed() {},
  closed() {},
  acceptFailed() {},
  endTurn() {},
};
