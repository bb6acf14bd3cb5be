// For tests of what only Linux has: whether this is the place, and the libraries if it is.

import { loadLibraries } from '#sluice/event-layer/linux/libc.js';

function libraries(): ReturnType<typeof loadLibraries> | undefined {
  try {
    return loadLibraries();
  } catch {
    return undefined;
  }
}

/** Undefined where there is no layer over libc. */
export const system = libraries();
/** For `describe` and `it`: why a test is skipped here. */
export const skip = system === undefined ? 'there are no layers over libc here' : false;
