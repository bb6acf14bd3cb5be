// The handlers of the simulated servers: of every kind one that does well, and one for each way of doing wrong. A request's path says
// which, for which client and how: `/kind/client/index/a/b`. The ledger keeps what has been called, what has been left, and what was thrown.

import assert from 'node:assert/strict';
import { ConnectionError } from '#sluice/event-layer/event-layer.js';
import type { Request } from '#sluice/http/fetch/request.js';
import { Response } from '#sluice/http/fetch/response.js';
import { ResponseError } from '#sluice/http/outgoing.js';
import type { BodyWriter } from '#sluice/http/stream.js';
import type { AnyResponse, Fetch } from '#sluice/server/serve.js';
import { Channel } from '#sluice/threads/channel.js';
import { ThreadError } from '#sluice/threads/errors.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { spawn } from '#sluice/threads/thread.js';
import { until } from '#sluice/threads/until.js';
import { Work } from '../support/work.js';

/** The body of the answer to a client's request: `length` bytes from `from` on, different for each request. */
export function pattern(client: number, index: number, length: number, from = 0): string {
  const unit = `${client}.${index};`;
  const skipped = from % unit.length;
  return unit.repeat(Math.ceil((skipped + length) / unit.length)).slice(skipped, skipped + length);
}

/** The call of a handler. */
export class Call extends Work {
  readonly world: Surroundings;
  readonly client: number;
  readonly index: number;
  readonly kind: string;
  readonly request: Request;
  /** It has thrown an error, or has made the server throw one, which is reported to `onError` once. */
  mistake: unknown;
  reports = 0;
  /** It does not end when it is unwound, which is reported. */
  stubborn = false;
  /** Threads that it has spawned, and that are not over. */
  children = 0;

  constructor(world: Surroundings, kind: string, client: number, index: number, request: Request) {
    super();
    this.world = world;
    this.client = client;
    this.index = index;
    this.kind = kind;
    this.request = request;
  }

  get name(): string {
    return `/${this.kind}/${this.client}/${this.index}`;
  }

  override leave(): void {
    super.leave();
    if (this.left > 1) this.world.object(`${this.name} was left ${this.left} times`);
    this.world.left(this);
  }
}

/** What the world gives to its handlers. */
export interface Surroundings {
  /** A promise of the virtual clock's. */
  after(milliseconds: number): Promise<void>;
  called(call: Call): void;
  left(call: Call): void;
  /** Something is wrong. Found at the end of the turn: what is thrown here would only be answered with 500. */
  object(what: string): void;
}

export class Ledger {
  readonly calls: Call[] = [];
  readonly world: Surroundings;
  readonly #byMistake = new Map<unknown, Call>();

  constructor(world: Surroundings) {
    this.world = world;
  }

  /** The calls at work for a client. */
  active(client: number): Call[] {
    return this.calls.filter((call) => call.client === client && !call.isOver);
  }

  begin(kind: string, client: number, index: number, request: Request): Call {
    const call = new Call(this.world, kind, client, index, request);
    // What a request has spawned is unwound before the connection's next one begins.
    const last = this.calls.findLast((other) => other.client === client);
    if (last !== undefined && last.children > 0)
      this.world.object(`a thread of ${last.name} goes on behind its request`);
    this.calls.push(call);
    this.world.called(call);
    return call;
  }

  /** What a handler throws. */
  mistake(call: Call): Error {
    const error = new Error(`the mistake of ${call.name}`);
    call.mistake = error;
    this.#byMistake.set(error, call);
    return error;
  }

  /** The server finds fault with a response: with which error, only `onError` will know. */
  expectFault(call: Call): void {
    call.mistake = ResponseError;
  }

  /** For `onError`. */
  readonly report = (error: unknown, request: Request | undefined): void => {
    if (error instanceof ConnectionError && error.code === 'EMFILE') return; // accepting has failed, and goes on by itself
    if (request === undefined && error instanceof Error && /maxConnections allows/.test(error.message)) return;
    const call = this.#byMistake.get(error) ?? this.#callOf(error, request);
    if (call === undefined) {
      this.world.object(`onError was called with what is no mistake of a handler: ${String(error)}`);
      return;
    }
    call.reports++;
    if (call.reports > 1) this.world.object(`onError was called ${call.reports} times: ${String(error)}`);
  };

  #callOf(error: unknown, request: Request | undefined): Call | undefined {
    if (error instanceof ThreadError && error.code === 'ERR_UNWIND_LIMIT')
      return this.calls.find((call) => call.mistake === ThreadError && call.reports === 0);
    if (!(error instanceof ResponseError) || request === undefined) return undefined;
    // It may be another object than the handler's, by the same URL, in which client and index stand.
    return this.calls.find((call) => call.request.url === request.url && call.mistake === ResponseError);
  }

  /** At the end of a world. @throws {AssertionError} */
  check(): void {
    for (const call of this.calls) {
      const { name } = call;
      assert.ok(call.isOver, `${name} is still at work`);
      assert.ok(call.left <= 1, `${name} was left ${call.left} times`);
      assert.equal(call.children, 0, `${name}: threads that it has spawned`);
      if (call.mistake !== undefined) assert.equal(call.reports, 1, `${name}: calls of onError`);
    }
  }
}

/** What a handler knows: its call, and the two numbers of its path. */
interface Context {
  ledger: Ledger;
  call: Call;
  request: Request;
  a: number;
  b: number;
  /** So many bytes of the body, from `from` on. */
  text(length: number, from?: number): string;
}

type Route = (context: Context) => AnyResponse | Promise<AnyResponse> | Task<AnyResponse>;

/** A plain handler: over when it has returned. */
const plain =
  (answer: (context: Context) => AnyResponse): Route =>
  (context) =>
    context.call.plain(() => answer(context));

const async_ =
  (answer: (context: Context) => Promise<AnyResponse>): Route =>
  (context) =>
    context.call.async(() => answer(context));

/** @param last parks in the `finally` block */
const thread =
  (answer: (context: Context) => Task<AnyResponse>, last?: (context: Context) => Task<void>): Route =>
  (context) =>
    context.call.thread(() => answer(context), last && (() => last(context)));

/** A response whose body is a thread. */
const streamed =
  (body: (context: Context, out: BodyWriter) => Task<void>, length?: (context: Context) => number): Route =>
  (context) =>
    context.call.stream((out) => body(context, out), length && { 'content-length': String(length(context)) });

/** A response whose body is a stream of the platform's. */
const readable =
  (piece: (context: Context, n: number) => Promise<string | Error | undefined>): Route =>
  (context) =>
    new Response(context.call.readable((n) => piece(context, n)));

/** Counts what is read of a stream, up to `most`. */
async function count(body: ReadableStream<Uint8Array> | null, most = Infinity, pause?: () => Promise<void>) {
  if (body === null) return 0;
  const reader = body.getReader();
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done || (length += value.length) >= most) return length;
    await pause?.();
  }
}

export const routes: Readonly<Record<string, Route>> = {
  // Those that work. `a` is a length and `b` a time, unless it says otherwise.
  plain: plain(({ text, a }) => new Response(text(a))),
  bytes: plain(({ text, a }) => new Response(Buffer.from(text(a)))),
  // Asks for its thread, and leaves a child behind that would go on for long.
  spawning: plain(({ call, text, a, b }) => {
    spawn(function* () {
      call.children++;
      try {
        yield* sleep(100_000);
      } finally {
        yield* sleep(Math.min(b, 1_000));
        call.children--;
      }
    });
    return new Response(text(a));
  }),
  status: plain(({ a }) => new Response(null, { status: a })),
  async: async_(async ({ ledger, text, a, b }) => {
    await ledger.world.after(b);
    return new Response(text(a));
  }),
  thread: thread(function* ({ ledger, text, a, b }) {
    const half = Math.floor(a / 2);
    const parts = new Channel<string>(1);
    spawn(function* () {
      yield* sleep(b / 2);
      yield* parts.send(text(half));
      yield* until(ledger.world.after(b / 2));
      yield* parts.send(text(a - half, half));
      parts.close();
    });
    let whole = '';
    for (let part: string | undefined; (part = yield* parts.receive()) !== undefined; ) whole += part;
    yield* sleep(0);
    return new Response(whole);
  }),
  // Tidies up for `b / 2` milliseconds.
  tidy: thread(
    function* ({ text, a, b }) {
      yield* sleep(b);
      return new Response(text(a));
    },
    function* ({ b }) {
      yield* sleep(b / 2);
    },
  ),
  // `a` pieces of `b` bytes.
  stream: streamed(function* ({ text, a, b }, out) {
    for (let n = 0; n < a; n++) yield* out.write(text(b, n * b));
    yield* out.flush();
  }),
  // `a` pieces of 40 bytes, each `b` milliseconds after the one before: `a` of 0 never ends.
  events: streamed(function* ({ text, a, b }, out) {
    for (let n = 0; a === 0 || n < a; n++) {
      yield* out.write(text(40, n * 40));
      yield* sleep(b);
    }
  }),
  sized: streamed(
    function* ({ text, a, b }, out) {
      yield* out.write(text(Math.floor(a / 3)));
      yield* sleep(b);
      yield* out.write(text(a - Math.floor(a / 3), Math.floor(a / 3)));
    },
    ({ a }) => a,
  ),
  // Never ends, in pieces of `a` bytes.
  endless: streamed(function* ({ text, a }, out) {
    for (let n = 0; ; n++) yield* out.write(text(a, n * a));
  }),
  // `a` pieces of 100 bytes, each after `b` milliseconds.
  readable: readable(async ({ ledger, text, a, b }, n) => {
    await ledger.world.after(b);
    return n < a ? text(100, n * 100) : undefined;
  }),
  'endless-readable': readable(async ({ text, a }, n) => text(a, n * a)),

  // Those that read a body.
  text: async_(async ({ request }) => new Response(`text ${await request.text()}`)),
  buffer: async_(async ({ request }) => new Response(`length ${(await request.arrayBuffer()).byteLength}`)),
  count: async_(async ({ request }) => new Response(`length ${await count(request.body)}`)),
  // Pauses between any two reads, so that the client is held back.
  sip: async_(
    async ({ ledger, request, b }) =>
      new Response(`length ${await count(request.body, Infinity, () => ledger.world.after(b))}`),
  ),
  half: async_(async ({ request, text, a }) => {
    await count(request.body, 1);
    return new Response(text(a));
  }),
  'thread-text': thread(function* ({ request, b }) {
    yield* sleep(b);
    return new Response(`text ${yield* until(request.text())}`);
  }),
  behind: plain(({ ledger, call, request, text, a }) => {
    request.text().catch((error: unknown) => {
      if (!(error instanceof Error)) ledger.world.object(`${call.kind}: the body's promise was rejected with ${error}`);
    });
    return new Response(text(a));
  }),
  echo: plain(({ request }) => new Response(request.body)),

  // Those that end in their own way when their client leaves.
  abortable: async_(async ({ request, text, a, b, ledger }) => {
    await Promise.race([
      ledger.world.after(b),
      new Promise((_, reject) => request.signal.addEventListener('abort', () => reject(request.signal.reason))),
    ]);
    return new Response(text(a));
  }),
  // Sleeps for `b` milliseconds, and does not end when it is unwound.
  stubborn: thread(
    function* ({ text, a, b, call }) {
      call.stubborn = true;
      yield* sleep(b);
      call.stubborn = false;
      return new Response(text(a));
    },
    function* ({ call }) {
      if (!call.stubborn) return;
      call.mistake = ThreadError;
      yield* sleep(Infinity);
    },
  ),
  // Throws when it is unwound.
  'bad-finally': thread(
    function* ({ text, a, b, call }) {
      call.stubborn = true;
      yield* sleep(b);
      call.stubborn = false;
      return new Response(text(a));
    },
    function* ({ call, ledger }) {
      const { stubborn } = call;
      call.stubborn = false;
      if (stubborn) throw ledger.mistake(call);
    },
  ),

  // Those that fail.
  throw: plain(({ ledger, call }) => {
    throw ledger.mistake(call);
  }),
  'throw-async': async_(async ({ ledger, call, b }) => {
    await ledger.world.after(b);
    throw ledger.mistake(call);
  }),
  'throw-thread': thread(function* ({ ledger, call, b }) {
    yield* sleep(b);
    throw ledger.mistake(call);
  }),
  'child-fails': thread(function* ({ ledger, call, b }) {
    spawn(function* () {
      yield* sleep(b);
      throw ledger.mistake(call);
    });
    yield* sleep(b + 10_000);
    return new Response('never');
  }),
  'no-response': plain(({ ledger, call }) => {
    ledger.expectFault(call);
    return 'text' as unknown as Response;
  }),
  // `a` pieces of 40 bytes, and then an error.
  'throw-stream': streamed(function* ({ ledger, call, text, a, b }, out) {
    for (let n = 0; n < a; n++) {
      yield* out.write(text(40, n * 40));
      yield* sleep(b);
    }
    throw ledger.mistake(call);
  }),
  'throw-readable': readable(async ({ ledger, call, text, a, b }, n) => {
    await ledger.world.after(b);
    return n < a || call.left > 0 ? text(100, n * 100) : ledger.mistake(call);
  }),
  // `a` bytes of one more, and of one fewer, than content-length says.
  short: streamed(
    function* ({ ledger, call, text, a }, out) {
      yield* out.write(text(a));
      ledger.expectFault(call);
    },
    ({ a }) => a + 1,
  ),
  long: streamed(
    function* ({ ledger, call, text, a }, out) {
      yield* out.write(text(a - 1));
      ledger.expectFault(call);
      yield* out.write('..');
    },
    ({ a }) => a,
  ),
};

/** The function to serve. */
export function fetchFor(ledger: Ledger): Fetch {
  return (request) => {
    const [, kind, ...numbers] = new URL(request.url).pathname.split('/');
    const [client, index, a, b] = numbers.map(Number);
    const route = Object.hasOwn(routes, kind) ? routes[kind] : undefined;
    if (route === undefined) throw new Error(`no handler for ${request.url}`);
    const call = ledger.begin(kind, client, index, request);
    const text = (length: number, from?: number) => pattern(client, index, length, from);
    return route({ ledger, call, request, a, b, text });
  };
}
