// Responses that hand the connection over to another protocol (RFC 9110 §7.8).

import type { Connection } from '../connection/connection.js';
import { captureContext } from '../threads/context.js';
import { checkedTask, type Task } from '../threads/task.js';
import { Takeover } from './fetch/body.js';
import { makeTakeover, type Response } from './fetch/response.js';

/** Runs on a connection that has been taken over, in its thread. The connection is closed when it returns. */
export type TakeoverTask = (connection: Connection) => Task<unknown>;

/**
 * Creates a 101 response that hands the connection over.
 * @param fields lowercased names, each followed by its value, including `upgrade`. `connection: upgrade` is added
 */
export function takeOver(task: TakeoverTask, fields: string[]): Response {
  return makeTakeover(new Takeover<TakeoverTask>(task, captureContext()), fields);
}

/** Starts the function that was passed to `takeOver`. @throws {TypeError} if it is not a generator function */
export function startTakeover(start: unknown, connection: Connection): Task<unknown> {
  // Only `takeOver` creates a Takeover.
  return checkedTask('the connection was handed to', (start as TakeoverTask)(connection));
}
