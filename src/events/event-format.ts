// The wire format of an event (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream): lines of a field's name and its
// value, ended by an empty line.

import { propertyOf, show } from '../util/inspect.js';
import { toJson } from '../util/json.js';
import { checkOneLine } from '../util/one-line.js';

/** An event of an event stream. At least one field is needed. */
export interface ServerSentEvent {
  /**
   * The content. A string is sent as it is, in one line of the format for each of its lines; every kind of line end (LF, CR, CRLF) arrives as LF.
   * Any other value is sent as JSON. Without it the browser keeps `id` and `retry`, and dispatches no event.
   */
  data?: unknown;
  /** The type of the event, for `addEventListener`. Default: `message`. It needs `data`. */
  event?: string | undefined;
  /** What the browser sends as `Last-Event-ID` when it reconnects: often the number of the event, in order. */
  id?: string | number | undefined;
  /** How long the browser waits before it reconnects, in whole milliseconds. */
  retry?: number | undefined;
}

/** A week, in milliseconds: no client should wait for longer before it reconnects. */
export const longestRetry = 7 * 86_400_000;

const lineEnds = /\r\n|\r|\n/g;
const fieldNames: ReadonlySet<string> = new Set(['data', 'event', 'id', 'retry']);

/** @throws {TypeError | RangeError} for a field that cannot be sent, naming it */
export function formatEvent(where: string, fields: ServerSentEvent): string {
  if (typeof fields !== 'object' || fields === null)
    throw new TypeError(`${where}: the event is ${show(fields)}; expected an object with data, id or retry`);
  for (const name of Object.keys(fields)) if (!fieldNames.has(name)) throw unknownField(where, name, fields);
  const { data, event, id, retry } = fields;
  let text = '';
  if (typeof id === 'number' && !Number.isFinite(id))
    throw new TypeError(`${where}: id is ${id}; expected a string or a finite number`);
  if (id !== undefined) text += `id: ${checkOneLine(`${where}: id`, typeof id === 'number' ? String(id) : id)}\n`;
  if (event !== undefined) text += `event: ${checkOneLine(`${where}: event`, event)}\n`;
  if (retry !== undefined) text += retryLine(where, retry);
  if (data !== undefined) {
    text += dataLines(typeof data === 'string' ? data : toJson(`${where}: data`, data));
  } else if (event !== undefined) {
    throw new TypeError(`${where}: data is undefined; expected data with an event, since browsers ignore one without`);
  } else if (text === '') {
    throw new TypeError(`${where}: the event has no field; expected data, id or retry`);
  }
  return `${text}\n`;
}

/** A comment, which clients ignore. @throws {TypeError} */
export function formatComment(where: string, text: string): string {
  if (typeof text !== 'string') throw new TypeError(`${where}: the comment is ${show(text)}; expected a string`);
  return `: ${text.replace(lineEnds, '\n: ')}\n\n`;
}

/** Text as the lines of the field `data`. */
export function dataLines(text: string): string {
  const hasLines = text.includes('\n') || text.includes('\r');
  return `data: ${hasLines ? text.replace(lineEnds, '\ndata: ') : text}\n`;
}

export function retryLine(where: string, retry: number): string {
  if (typeof retry !== 'number' || !Number.isInteger(retry))
    throw new TypeError(`${where}: retry is ${show(retry)}; expected whole milliseconds`);
  if (retry < 0 || retry > longestRetry)
    throw new RangeError(`${where}: retry is ${retry}; expected whole milliseconds from 0 to ${longestRetry}`);
  return `retry: ${retry}\n`;
}

function unknownField(where: string, name: string, fields: object): TypeError {
  const expected = name === 'type' ? 'event, which is the type of an event' : 'data, event, id or retry';
  return new TypeError(
    `${where}: unknown field ${show(name)}, which is ${show(propertyOf(fields, name))}; expected ${expected}`,
  );
}
