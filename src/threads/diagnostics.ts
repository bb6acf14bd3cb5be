// The channels of node:diagnostics_channel for the life of threads, for tracing and metrics. A channel without subscribers costs one check of
// its `hasSubscribers`. `ThreadMessage` in thread.ts is what is published on them.

import { channel } from 'node:diagnostics_channel';

/** Before a thread runs for the first time. */
export const threadStart = channel('sluice.thread.start');
/** When a thread has failed, before `threadEnd`. */
export const threadError = channel('sluice.thread.error');
/** When a thread is over, in whichever way. */
export const threadEnd = channel('sluice.thread.end');
