// A response with which the connection changes hands (RFC 9110 §7.8): what follows the head on it is not HTTP.

import type { Connection } from '../connection/connection.js';
import { captureContext } from '../threads/context.js';
import { isTask, type Task } from '../threads/task.js';
import { show } from '../util/inspect.js';
import { Takeover } from './fetch/body.js';
import { makeTakeover, type Response } from './fetch/response.js';

/** What runs on a connection that has been taken over, in its thread. The connection is closed behind it. */
export type TakeoverTask = (connection: Connection) => Task<unknown>;

/**
 * Makes the response that hands a connection over: 101, with these fields.
 * @param fields lowercased names and values in turn; `upgrade` among them. `connection: upgrade` is added
 */
export function takeOver(task: TakeoverTask, fields: string[]): Response {
  return makeTakeover(new Takeover<TakeoverTask>(task, captureContext()), fields);
}

/** Starts what `takeOver` has put into a response. @throws {TypeError} if it is no generator function */
export function startTakeover(start: unknown, connection: Connection): Task<unknown> {
  const task: unknown = (start as TakeoverTask)(connection); // nothing but `takeOver` makes one
  if (!isTask(task)) throw new TypeError(`the connection was handed to ${show(task)}; expected a generator function`);
  return task;
}
