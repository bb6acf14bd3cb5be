// Handlers may create promises that they do not await, such as a `request.json()` without `await`. If the client disconnects, such a promise is rejected, and
// Node would end the process. Any client could cause that, so while a server is open these rejections are ignored. The only way is the event
// `unhandledRejection`, because the promises belong to the application and cannot be marked as handled here.

import process from 'node:process';
import { isClientsRejection } from '../http/client-errors.js';

const event = 'unhandledRejection';

/** Number of open servers. */
let holders = 0;

/** From now on, the rejections above do not end the process. Each call must be followed by one of `releaseRejections`. */
export function holdRejections(): void {
  // An explicit `--unhandled-rejections` is respected.
  if (holders++ === 0 && !isModeGiven()) process.on(event, onUnhandled);
}

/** Rejections before this call are still ignored. */
export function releaseRejections(): void {
  setImmediate(() => {
    if (--holders === 0) process.off(event, onUnhandled);
  });
}

function onUnhandled(reason: unknown): void {
  if (isClientsRejection(reason)) return;
  if (process.listenerCount(event) > 1) return; // the application's own listeners decide
  // Let Node handle it as if there were no listener: remove the listener and reject again.
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
