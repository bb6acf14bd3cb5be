// Responses that are not sent, or not with a body: what their content holds is given back.

import type { Scheduler } from '../threads/scheduler.js';
import { parked, type Task, waitUntil } from '../threads/task.js';
import { runningThread, Thread } from '../threads/thread.js';
import { uninterruptible } from '../threads/uninterruptible.js';
import { type Content, ThreadBody } from './fetch/body.js';
import { isLightResponse, isPlatformResponse, takeContent } from './fetch/response.js';
import { ResponseError, streamOf } from './outgoing.js';
import { cancel } from './response-body.js';
import { unwindBody } from './stream.js';

/**
 * Cancels the body of a response that a handler has returned, or will, and that will not be sent. Anything else that it returns is
 * ignored.
 * @param why for the error that the body is cancelled with
 * @param result what it has returned: a response, or a promise
 * @param report told of an error in cancelling, and of what is thrown instead of a response
 */
export function discardResponse(
  result: unknown,
  why: string,
  scheduler: Scheduler,
  report: (error: unknown) => void,
): void {
  const discard = (response: unknown) => {
    if (!isLightResponse(response) && !isPlatformResponse(response)) return;
    if (response.bodyUsed) return;
    const content = isLightResponse(response) ? takeContent(response) : streamOf(response);
    cancelContent(content, new ResponseError(why), scheduler, report);
  };
  Promise.resolve(result).then(discard).catch(report);
}

/** Cancels content, and parks until the `finally` blocks of a body that is a thread have run, also when the caller is unwound meanwhile. */
export function* cancelled(
  content: Content,
  reason: unknown,
  scheduler: Scheduler,
  report: (error: unknown) => void,
): Task<void> {
  const thread = cancelContent(content, reason, scheduler, report);
  if (thread === undefined) return;
  const waiting = runningThread('stream');
  thread.whenOver(() => scheduler.resume(waiting));
  yield* uninterruptible(waitUntil(() => thread.state === 'over', parked.join));
}

/**
 * Cancels unread content: a stream by its own means; a body that is a thread as `unwindBody` says, in a thread that has no
 * parent, since children of a thread that is being unwound are not started.
 * @returns the thread, if it takes one
 */
function cancelContent(
  content: Content,
  reason: unknown,
  scheduler: Scheduler,
  report: (error: unknown) => void,
): Thread<void> | undefined {
  if (content instanceof ReadableStream) cancel(content, reason, report);
  if (!(content instanceof ThreadBody)) return undefined;
  const { start } = content;
  const thread = new Thread(() => unwindBody(start, reason), 'unsent body', undefined, scheduler, report);
  thread.context = content.context;
  scheduler.resume(thread);
  return thread;
}
