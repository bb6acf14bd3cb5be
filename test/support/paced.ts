// Sending as a client may: in pieces of any size, with pauses.

import type { Writer } from '#sluice/connection/writer.js';
import type { Random } from '#sluice/event-layer/simulated/random.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';

/** Writes the bytes: at once, or in pieces and with pauses of virtual time by chance. */
export function* writePaced(writer: Writer, bytes: Uint8Array, pace: Random | undefined): Task<void> {
  for (let at = 0; at < bytes.length; ) {
    const size = pace === undefined ? bytes.length : pace.whole(1, bytes.length - at);
    yield* writer.write(bytes.subarray(at, at + size));
    at += size;
    if (pace?.chance(0.3)) yield* sleep(pace.whole(0, 20));
  }
}
