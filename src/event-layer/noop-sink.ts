// The sink of a layer before `start`: it ignores every event.

import type { EventSink } from './event-layer.js';

export const noopSink: EventSink = {
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
