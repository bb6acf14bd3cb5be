// The handlers that the cases of the protocol suite are sent to, one for each path. Of every kind of handler there is one that works,
// and one for each way to fail.

import type { Request } from '#sluice/http/fetch/request.js';
import { Response } from '#sluice/http/fetch/response.js';
import type { AnyResponse, Fetch } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { spawn } from '#sluice/threads/thread.js';
import { until } from '#sluice/threads/until.js';
import { Work } from '../support/work.js';

/** The platform's own class: this module is loaded before any server puts the light one in its place. */
const PlatformResponse = globalThis.Response;

export class Ledger extends Work {
  /** Method and target of everything that a handler was called for under `/smuggled`. */
  readonly smuggled: string[] = [];

  /** A stream of the platform's with these pieces. */
  pieces(pieces: readonly (string | Error)[]): ReadableStream<Uint8Array> {
    return this.readable((n) => pieces[n]);
  }

  streamed(pieces: readonly (string | Error)[], headers: Record<string, string> = {}, pause = 1): Response {
    return this.stream(function* (out) {
      for (const piece of pieces) {
        if (typeof piece !== 'string') throw piece;
        yield* out.write(piece);
        yield* sleep(pause);
      }
    }, headers);
  }
}

/** Settles without the real world, after a few turns of the promise queue. */
async function ticks(count = 3): Promise<void> {
  for (let i = 0; i < count; i++) await Promise.resolve();
}

export const failure = 'the handler has failed, and its secret is 12345';
/** What a handler throws; no byte of it may reach a client. */
const mistake = (): Error => new Error(failure);

/** What cannot be looked at: whatever asks it for anything is thrown at. */
function revoked(): Error {
  const { proxy, revoke } = Proxy.revocable(new Error(failure), {});
  revoke();
  return proxy;
}

/** A response of another implementation, with these members. */
function changed(members: object): AnyResponse {
  const response = { type: 'default', url: '', bodyUsed: false, body: null, status: 200, statusText: '', headers: [] };
  return Object.assign(response, { [Symbol.toStringTag]: 'Response' }, members) as unknown as AnyResponse;
}

type Route = (
  request: Request,
  ledger: Ledger,
  argument: string,
) => AnyResponse | Promise<AnyResponse> | Task<AnyResponse>;

const facts = (request: Request) => {
  const url = new URL(request.url);
  return `${request.method} ${url.pathname}${url.search}`;
};

export const routes: Readonly<Record<string, Route>> = {
  probe: () => new Response('probe'),
  smuggled: (request, ledger) => {
    ledger.smuggled.push(facts(request));
    return new Response('smuggled');
  },

  // Those that work.
  plain: (request) => new Response(`plain ${facts(request)}`),
  async: (request, ledger) =>
    ledger.async(async () => {
      await ticks();
      return new Response(`async ${facts(request)}`);
    }),
  thread: (request, ledger) =>
    ledger.thread(function* () {
      yield* sleep(2);
      yield* until(ticks());
      return new Response(`thread ${facts(request)}`);
    }),
  stream: (request, ledger) => ledger.streamed(['stream ', facts(request)]),
  readable: (request, ledger) => new Response(ledger.pieces(['readable ', facts(request)])),
  url: (request) => new Response(request.url),
  headers: (request) => Response.json([...request.headers]),
  signal: (request) => new Response(String(request.signal.aborted)),
  'platform-text': () => new PlatformResponse('platform', { headers: { 'x-platform': 'yes' } }),
  'platform-stream': (_, ledger) =>
    new PlatformResponse(ledger.pieces(['plat', 'form']) as unknown as string, { status: 203 }),
  'platform-empty': () => new PlatformResponse(null, { status: 204 }),
  clone: (request, ledger) =>
    ledger.async(async () => new Response(`${request.method} ${await request.clone().text()}`)),
  bytes: () => new Response(new Uint8Array([0, 255, 13, 10])),
  large: (_, __, size) => new Response('x'.repeat(Number(size))),
  'large-stream': (_, ledger, size) => ledger.streamed(['y'.repeat(Number(size)), 'z']),
  'utf-8': () => new Response('\u00e4\u20ac\ud83d\ude00'),
  empty: () => new Response(),
  'empty-stream': (_, ledger) => ledger.streamed([]),
  status: (_, __, code) => new Response(null, { status: Number(code) }),
  'status-length': (_, __, code) => new Response(null, { status: Number(code), headers: { 'content-length': '7' } }),
  'stream-length': (_, ledger) => ledger.streamed(['seven ', 'b'], { 'content-length': '7' }),
  close: () => new Response('bye', { headers: { connection: 'close' } }),
  'hop-by-hop': () =>
    new Response('hop', {
      headers: {
        connection: 'keep-alive, x-a',
        'keep-alive': 'timeout=5',
        'transfer-encoding': 'gzip',
        upgrade: 'h2c',
      },
    }),
  upgrade: () => new Response('TLS, please', { status: 426, headers: { upgrade: 'TLS/1.0' } }),
  'high-field': () => new Response('x', { headers: { 'x-high': '\xe4\t\xff' } }),
  date: () => new Response('dated', { headers: { date: 'Thu, 01 Jan 1970 00:00:00 GMT' } }),
  reason: () => new Response('', { status: 299, statusText: 'Very Well' }),
  cookies: () => {
    const response = new Response('');
    response.headers.append('set-cookie', 'a=1');
    response.headers.append('set-cookie', 'b=2');
    return response;
  },

  // Those that read a body.
  text: (request, ledger) => ledger.async(async () => new Response(`text:${await request.text()}`)),
  json: (request, ledger) => ledger.async(async () => Response.json({ got: await request.json() })),
  buffer: (request, ledger) =>
    ledger.async(async () => new Response(`buffer:${(await request.arrayBuffer()).byteLength}`)),
  form: (request, ledger) => ledger.async(async () => Response.json([...(await request.formData())])),
  body: (request, ledger) =>
    ledger.async(async () => {
      let length = 0;
      if (request.body !== null) for await (const piece of request.body) length += piece.length;
      return new Response(`body:${length}`);
    }),
  echo: (request) => new Response(request.body),
  'thread-text': (request, ledger) =>
    ledger.thread(function* () {
      yield* sleep(1);
      return new Response(`thread-text:${yield* until(request.text())}`);
    }),
  'read-behind': (request, ledger) => {
    const ignore = () => {};
    ledger.async(() => request.text().then(ignore, ignore));
    return new Response('answered first');
  },
  byob: (request, ledger) =>
    ledger.async(async () => {
      const reader = request.body?.getReader({ mode: 'byob' });
      let bytes = 0;
      for (let buffer = new Uint8Array(1000); ; ) {
        const part = await reader?.read(buffer);
        if (part?.value === undefined || part.done) return new Response(`byob:${bytes}`);
        bytes += part.value.length;
        buffer = new Uint8Array(part.value.buffer);
      }
    }),
  'read-some': (request, ledger) =>
    ledger.async(async () => {
      const reader = request.body?.getReader();
      await reader?.read();
      return new Response('read some');
    }),
  'cancel-rest': (request, ledger) =>
    ledger.async(async () => {
      const reader = request.body?.getReader();
      await reader?.read();
      await reader?.cancel();
      return new Response('read some');
    }),
  'caught-body': (request, ledger) =>
    ledger.async(async () => {
      try {
        await request.text();
      } catch {
        return new Response('caught', { status: 202 });
      }
      return new Response('not caught');
    }),
  'stream-while-reading': (request, ledger) =>
    ledger.async(async () => {
      const body = request.body ?? new ReadableStream();
      return new Response(body.pipeThrough(new TransformStream()));
    }),

  // Those that fail before the head is sent.
  'throw-plain': () => {
    throw mistake();
  },
  'throw-async': (_, ledger) =>
    ledger.async(async () => {
      await ticks();
      throw mistake();
    }),
  'throw-thread': (_, ledger) =>
    ledger.thread(function* () {
      yield* sleep(1);
      throw mistake();
    }),
  'throw-at-once': (_, ledger) =>
    ledger.thread(function* () {
      throw mistake();
    }),
  'throw-nothing': () => {
    throw undefined;
  },
  'throw-revoked': () => {
    throw revoked();
  },
  'throw-revoked-async': (_, ledger) =>
    ledger.async(async () => {
      await ticks();
      throw revoked();
    }),
  'throw-revoked-thread': (_, ledger) =>
    ledger.thread(function* () {
      yield* sleep(1);
      throw revoked();
    }),
  'throw-while-reading': (request, ledger) =>
    ledger.async(async () => {
      const [text] = await Promise.all([
        request.text(),
        ticks().then(() => {
          throw mistake();
        }),
      ]);
      return new Response(text);
    }),
  'child-fails': (_, ledger) =>
    ledger.thread(function* () {
      spawn(function* () {
        yield* sleep(1);
        throw mistake();
      });
      yield* sleep(1000);
      return new Response('never');
    }),
  'no-response': () => 'text' as unknown as Response,
  'no-response-async': (_, ledger) => ledger.async(async () => undefined as unknown as Response),
  'no-response-thread': (_, ledger) =>
    ledger.thread(function* () {
      yield* sleep(1);
      return null as unknown as Response;
    }),
  used: (_, ledger) =>
    ledger.async(async () => {
      const response = new Response('used');
      await response.text();
      return response;
    }),
  locked: (_, ledger) => {
    const readable = ledger.pieces([]);
    const response = new Response(readable);
    const reader = readable.getReader();
    reader.read();
    return response;
  },
  'used-platform': (_, ledger) =>
    ledger.async(async () => {
      const response = new PlatformResponse('used');
      await response.text();
      return response;
    }),
  error: () => Response.error(),
  'wrong-length': () => new Response('four', { headers: { 'content-length': '5' } }),
  'bad-length': () => new Response('four', { headers: { 'content-length': '4, 4' } }),
  'bad-length-stream': (_, ledger) => new Response(ledger.pieces(['x']), { headers: { 'content-length': '-1' } }),
  'bad-field': () => new Response('x', { headers: { 'x-bad': 'a\r\nx-injected: 1' } }),
  'control-field': () => new Response('x', { headers: { 'x-control': 'a\x01b' } }),
  'del-field': () => new PlatformResponse('x', { headers: { 'x-del': 'a\x7fb' } }),
  'split-name': () => changed({ headers: [['x-a\r\nx-injected', '1']] }),
  'split-value': () => changed({ headers: [['connection', 'a\r\nx-injected: 1']] }),
  'bad-status': () => changed({ status: Number.NaN }),
  'interim-status': () => changed({ status: 100 }),
  'two-lengths': () => {
    const response = new Response('four', { headers: { 'content-length': '4' } });
    response.headers.append('content-length', '5');
    return response;
  },
  'bad-status-text': () => new Response('x', { statusText: 'a\r\nx-injected: 1' }),

  // Those that fail after the head is sent.
  'throw-stream': (_, ledger) => ledger.streamed(['some', mistake()]),
  'throw-stream-at-once': (_, ledger) => ledger.streamed([mistake()]),
  'throw-readable': (_, ledger) => new Response(ledger.pieces(['some', mistake()])),
  'throw-platform': (_, ledger) => new PlatformResponse(ledger.pieces(['some', mistake()]) as unknown as string),
  'throw-revoked-stream': (_, ledger) => ledger.streamed(['some', revoked()]),
  'short-stream': (_, ledger) => ledger.streamed(['short'], { 'content-length': '6' }),
  'long-stream': (_, ledger) => ledger.streamed(['lo', 'ng'], { 'content-length': '3' }),
  'wrong-stream': () => {
    const readable = new ReadableStream({
      pull: (controller) => {
        controller.enqueue(5);
      },
    });
    return new Response(readable);
  },
  'stream-child-fails': (_, ledger) =>
    ledger.stream(function* (out) {
      spawn(function* () {
        yield* sleep(1);
        throw mistake();
      });
      yield* out.write('some');
      yield* sleep(1000);
    }),

  // Those that take long.
  slow: (request, ledger, milliseconds) =>
    ledger.thread(function* () {
      yield* sleep(Number(milliseconds));
      return new Response(`slow ${facts(request)}`);
    }),
  'slow-stream': (_, ledger, milliseconds) => ledger.streamed(['a', 'b', 'c'], {}, Number(milliseconds)),
};

/** The function to serve. The first segment of the path names the handler, the second is its argument. */
export function fetchFor(ledger: Ledger): Fetch {
  return (request) => {
    const [, name = '', argument = ''] = new URL(request.url).pathname.split('/');
    const route = Object.hasOwn(routes, name) ? routes[name] : undefined;
    return route?.(request, ledger, argument) ?? new Response(`no handler for ${facts(request)}`, { status: 404 });
  };
}
