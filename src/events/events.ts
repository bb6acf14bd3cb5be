// `events()`: a response that is an event stream (https://html.spec.whatwg.org/multipage/server-sent-events.html), written by a thread.

import { Buffer } from 'node:buffer';
import { fieldsOfOption, type Headers, type HeadersInit, headersOver, headersRule } from '../http/fetch/headers.js';
import type { Response } from '../http/fetch/response.js';
import { type Endable, ResponseBody } from '../http/response-body.js';
import { type BodyWriter, stream } from '../http/stream.js';
import { withSharedPrototype } from '../threads/shared-prototype.js';
import { checkedTask, type Task, type Wait } from '../threads/task.js';
import { runningThread } from '../threads/thread.js';
import type { TimerTarget } from '../threads/timers.js';
import { propertyOf, show } from '../util/inspect.js';
import { checkOptions, longestDelay, type OptionRules } from '../util/options.js';
import { type EventClient, StreamClient } from './event-client.js';
import { longestRetry } from './event-format.js';

/** Writes an event stream: a generator function, or a function that returns a task, such as `(client) => client.follow(topic)`. */
export type EventHandler = (client: EventClient) => Task<unknown>;

/** Options of `events`. */
export interface EventsOptions {
  /**
   * Further fields of the response. They replace `cache-control` and `x-accel-buffering`; `content-type`, `content-length` and `content-encoding` are
   * not accepted.
   */
  headers?: HeadersInit | undefined;
  /**
   * After so many milliseconds without an event a comment is sent, so that proxies keep the connection open, and a client that has vanished without
   * closing is noticed. 0 for none. Default 15,000.
   */
  keepAlive?: number | undefined;
  /**
   * Whether the stream ends when its server begins to close: the thread is unwound, and the response ends in good order, so that the client reconnects.
   * Otherwise it may finish until the deadline of `close`, and then ends in the same way. Default true.
   */
  endOnClose?: boolean | undefined;
  /**
   * A last `retry` when the server ends the stream because it closes: how long the client is to wait before it reconnects, in whole milliseconds. Each
   * client is given a random time from this to twice as much, so that they do not all come back at once. Default: none is sent.
   */
  retryOnClose?: number | undefined;
}

const rules: OptionRules<EventsOptions> = {
  headers: headersRule,
  keepAlive: { whole: [0, longestDelay] },
  endOnClose: { type: 'boolean' },
  retryOnClose: { whole: [0, longestRetry / 2] },
};

/** They would contradict the body. */
const fixedFields = ['content-type', 'content-length', 'content-encoding'];

/**
 * Makes a response that is an event stream, for `EventSource` and others. The handler runs in a thread: it parks while the client is flooded, and is
 * unwound when the client disconnects. When it returns, the stream ends, and an `EventSource` reconnects.
 *
 * ```ts
 * fetch: (request) =>
 *   events(request, function* (client) {
 *     for (let id = (Number(client.lastEventId) || 0) + 1; ; id++) {
 *       yield* client.send({ id, event: 'tick', data: { id, time: Date.now() } });
 *       yield* sleep(1000);
 *     }
 *   });
 * ```
 *
 * @param request the request that is answered: its `Last-Event-ID` becomes `client.lastEventId`
 * @param handler if it throws, `onError` is called and the connection is reset. In response to HEAD it is unwound at its first `send`; see `stream`
 * @throws {TypeError | RangeError} for a handler that is no function, and for wrong options, naming the option
 */
export function events(
  request: { readonly headers: { get(name: string): string | null } },
  handler: EventHandler,
  options: EventsOptions = {},
): Response {
  if (typeof handler !== 'function')
    throw new TypeError(`events: the handler is ${show(handler)}; expected a generator function`);
  checkOptions('events', options, rules);
  const headers = fieldsOf(options.headers);
  if (typeof propertyOf(propertyOf(request, 'headers'), 'get') !== 'function')
    throw new TypeError(`events: the request is ${show(request)}; expected the one that the handler has got`);
  const lastEventId = lastEventIdOf(request);
  const {
    keepAlive = defaults.keepAlive,
    endOnClose = defaults.endOnClose,
    retryOnClose = defaults.retryOnClose,
  } = options;
  const settings = shared(keepAlive, endOnClose, retryOnClose);
  return stream((out) => new EventStream(out, handler, lastEventId, settings), { headers });
}

function fieldsOf(init: HeadersInit | undefined): Headers {
  const headers = headersOver(fieldsOfOption('events', init), false);
  for (const name of fixedFields)
    if (headers.has(name))
      throw new TypeError(`events: headers has ${name}; expected fields that do not describe the body`);
  headers.set('content-type', 'text/event-stream');
  if (!headers.has('cache-control')) headers.set('cache-control', 'no-cache, no-transform');
  if (!headers.has('x-accel-buffering')) headers.set('x-accel-buffering', 'no'); // else nginx would wait for more to send
  return headers;
}

/** Browsers send it in UTF-8, and the value of a field has a character for each byte. */
function lastEventIdOf(request: { readonly headers: { get(name: string): string | null } }): string {
  const value = request.headers.get('last-event-id') ?? '';
  return /[^\0-\x7f]/.test(value) ? Buffer.from(value, 'latin1').toString() : value;
}

/** What event streams have in common that are made with the same options. */
interface Settings {
  readonly keepAlive: number;
  readonly endOnClose: boolean;
  readonly retryOnClose: number | undefined;
}

const defaults: Settings = { keepAlive: 15_000, endOnClose: true, retryOnClose: undefined };
let last = defaults;

/** One object for all streams with the same settings, as long as no others come in between. */
function shared(keepAlive: number, endOnClose: boolean, retryOnClose: number | undefined): Settings {
  const isSame = last.keepAlive === keepAlive && last.endOnClose === endOnClose && last.retryOnClose === retryOnClose;
  if (!isSame) last = { keepAlive, endOnClose, retryOnClose };
  return last;
}

/** Runs a handler and sends signs of life. Written by hand, and without a field that it can do without: event streams wait by the ten thousand. */
class EventStream implements Task<unknown>, Iterator<Wait, unknown, void>, TimerTarget, Endable {
  readonly #client: StreamClient;
  readonly #settings: Settings;
  #running: EventHandler | Iterator<Wait, unknown, void>;
  /** 0 is none. */
  #timer = 0;

  constructor(out: BodyWriter, handler: EventHandler, lastEventId: string, settings: Settings) {
    this.#client = new StreamClient(out, runningThread('events').scheduler, lastEventId);
    this.#settings = settings;
    this.#running = handler;
    if (out instanceof ResponseBody) out.endable = this;
  }

  get endsOnClose(): boolean {
    return this.#settings.endOnClose;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<Wait, unknown> {
    return this.step(() => this.started().next());
  }

  return(): IteratorResult<Wait, unknown> {
    const over: IteratorResult<Wait, unknown> = { done: true, value: undefined };
    return this.step(() => (typeof this.#running === 'function' ? over : (this.#running.return?.() ?? over)));
  }

  throw(error: unknown): IteratorResult<Wait, unknown> {
    return this.step(() => {
      const running = this.#running;
      if (typeof running === 'function' || running.throw === undefined) throw error;
      return running.throw(error);
    });
  }

  private step(move: () => IteratorResult<Wait, unknown>): IteratorResult<Wait, unknown> {
    let isOver = true;
    try {
      const result = move();
      isOver = result.done === true;
      return result;
    } finally {
      if (isOver) this.stopTimer();
    }
  }

  private started(): Iterator<Wait, unknown, void> {
    if (typeof this.#running !== 'function') return this.#running;
    const handler = this.#running;
    const task = checkedTask('events: the handler returned', withSharedPrototype(handler)(this.#client));
    this.#running = task[Symbol.iterator]();
    this.startTimer(this.#settings.keepAlive);
    return this.#running;
  }

  private startTimer(delay: number): void {
    if (delay > 0) this.#timer = this.#client.scheduler.armIn(delay, this, 0);
  }

  private stopTimer(): void {
    if (this.#timer !== 0) this.#client.scheduler.cancel(this.#timer);
    this.#timer = 0;
  }

  timerFired(): void {
    this.#timer = 0;
    this.startTimer(this.#client.beat(this.#settings.keepAlive));
  }

  beforeEnd(): void {
    const { retryOnClose } = this.#settings;
    if (retryOnClose !== undefined)
      this.#client.sendRetry(retryOnClose + Math.floor(Math.random() * (retryOnClose + 1)));
  }
}
