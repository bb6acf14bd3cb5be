// Bytes that both sides of the soak can work out by themselves, so that every response can be checked to the byte: a long
// piece of noise, repeated, from a place on that the request names. Its length is prime, so that no size of a buffer divides it.

const period = 65_537;
const longest = 8 * 1024 * 1024;

const noise = Buffer.alloc(longest + period);
for (let i = 0, state = 1; i < period; i++) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  noise[i] = state >>> 24;
}
for (let filled = period; filled < noise.length; filled *= 2) noise.copy(noise, filled, 0, filled);

/** @param seed a whole number @param bytes at most 8 MiB @returns a view: it must not be written to */
export function pattern(seed, bytes) {
  const start = seed % period;
  return noise.subarray(start, start + bytes);
}
