// Copies of received bytes, for streams, which keep them. Most input is the head of a request. Separate memory for each would be counted, and later freed, by
// the engine. So short input goes into shared memory, as with `Buffer.allocUnsafe`.

import { copyBytes } from '../util/fast-bytes.js';

/** Input of up to this many bytes is copied into shared memory; heads of requests are smaller. */
const smallInput = 1024;
const poolBytes = 16 * 1024;
let pool = Buffer.allocUnsafeSlow(poolBytes);
let poolView = viewOfPool();
let pooled = 0;

function viewOfPool(): DataView {
  return new DataView(pool.buffer, pool.byteOffset, poolBytes);
}

/** A copy of borrowed bytes. */
export function copyOfInput(bytes: Uint8Array, start: number, end: number): Buffer {
  const count = end - start;
  if (count > smallInput) {
    const copy = Buffer.allocUnsafeSlow(count);
    copy.set(bytes.subarray(start, end));
    return copy;
  }
  if (pooled + count > poolBytes) {
    pool = Buffer.allocUnsafeSlow(poolBytes);
    poolView = viewOfPool();
    pooled = 0;
  }
  const at = pooled;
  copyBytes(bytes, start, poolView, at, count);
  pooled += count;
  return pool.subarray(at, pooled);
}
