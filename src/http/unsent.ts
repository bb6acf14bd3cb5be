// Cancels the content of responses that are not sent, or are sent without their body.

import type { Scheduler } from '../threads/scheduler.js';
import { parked, type Task, waitUntil } from '../threads/task.js';
import { runningThread, Thread } from '../threads/thread.js';
import { uninterruptible } from '../threads/uninterruptible.js';
import { type Content, ThreadBody } from './fetch/body.js';
import { isOtherResponse, streamOf } from './fetch/other-response.js';
import { isLightResponse, takeContent } from './fetch/response.js';
import { OpenStream } from './open-stream.js';
import { ResponseError } from './outgoing.js';
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
    if (!isLightResponse(response) && !isOtherResponse(response)) return;
    if (response.bodyUsed) return;
    const content = isLightResponse(response) ? takeContent(response) : streamOf(response);
    cancelContent(content, new ResponseError(why), scheduler, report);
  };
  Promise.resolve(result).then(discard).catch(report);
}

/** Cancels content. For a body that is a thread, parks until its `finally` blocks have run, even if the caller is unwound meanwhile. */
export function* cancelled(
  content: Content | OpenStream,
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
 * Cancels unread content: calls `cancel` of a stream, and runs `unwindBody` for a body that is a thread. That runs in a thread without a parent, because a
 * thread that is being unwound cannot start children.
 * @returns that thread, if there is one
 */
function cancelContent(
  content: Content | OpenStream,
  reason: unknown,
  scheduler: Scheduler,
  report: (error: unknown) => void,
): Thread<void> | undefined {
  if (content instanceof ReadableStream || content instanceof OpenStream) cancel(content, reason, report);
  if (!(content instanceof ThreadBody)) return undefined;
  const { start } = content;
  const thread = new Thread(() => unwindBody(start, reason), 'unsent body', undefined, scheduler, report);
  thread.context = content.context;
  scheduler.resume(thread);
  return thread;
}
