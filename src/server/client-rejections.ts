// Promises of handlers that are rejected because their client has left, and that nothing waits for: a `request.json()` without `await`,
// an async function that a handler started and went on. Node ends the process for such a promise. That any client could do, so while a
// server is open these rejections are not taken for unhandled. (The promise of an async function belongs to the application, so it cannot
// be marked as handled from here; there is no other way than the event.)

import process from 'node:process';
import { isClientsRejection } from '../http/client-errors.js';

const event = 'unhandledRejection';

/** How many servers are open. */
let holders = 0;

/** While it is held, the rejections above do not end the process. Each call is to be followed by one of `releaseRejections`. */
export function holdRejections(): void {
  // Where the command line says what is to happen, that happens.
  if (holders++ === 0 && !isModeGiven()) process.on(event, onUnhandled);
}

/** What was rejected before this call still counts. */
export function releaseRejections(): void {
  setImmediate(() => {
    if (--holders === 0) process.off(event, onUnhandled);
  });
}

function onUnhandled(reason: unknown): void {
  if (isClientsRejection(reason)) return;
  if (process.listenerCount(event) > 1) return; // the application's own listeners decide
  // Node is to treat it as if nothing were listening here: it rejects once more, now without a listener.
  process.off(event, onUnhandled);
  Promise.reject(reason);
  setImmediate(() => {
    if (holders > 0 && !process.listeners(event).includes(onUnhandled)) process.on(event, onUnhandled);
  });
}

function isModeGiven(): boolean {
  const flag = '--unhandled-rejections';
  return (
    process.execArgv.some((argument) => argument.startsWith(flag)) || (process.env.NODE_OPTIONS ?? '').includes(flag)
  );
}
