// The option `error`: answers a request whose handler has failed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Response } from '#sluice/http/fetch/response.js';
import { stream } from '#sluice/http/stream.js';
import type { ServeOptions } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import { get, leave, post, World } from '../support/world.js';

const last = get('/', 'connection: close');
const failure = new Error('handler');

async function answerOf(options: Partial<ServeOptions>, text = last) {
  const world = await World.open({
    fetch: () => {
      throw failure;
    },
    ...options,
  });
  const exchanged = world.exchange(text);
  await world.pass();
  const { responses, ending } = await exchanged;
  const errors = world.errors.splice(0);
  await world.close();
  return { status: responses[0]?.status, body: responses[0]?.body, count: responses.length, ending, errors };
}

const handlers: Record<string, ServeOptions['fetch']> = {
  plain: () => {
    throw failure;
  },
  async: async () => {
    throw failure;
  },
  *thread() {
    yield* sleep(1);
    throw failure;
  },
};
const answers: Record<string, ServeOptions['error']> = {
  plain: (error) => new Response(`sorry: ${(error as Error).message}`, { status: 418 }),
  async: async (error) => new Response(`sorry: ${(error as Error).message}`, { status: 418 }),
  *thread(error) {
    yield* sleep(1);
    return new Response(`sorry: ${(error as Error).message}`, { status: 418 });
  },
  streaming: (error) =>
    stream(
      function* (out) {
        yield* out.write('sorry: ');
        yield* out.write((error as Error).message);
      },
      { status: 418 },
    ),
};

for (const [kind, fetch] of Object.entries(handlers))
  for (const [form, error] of Object.entries(answers))
    test(`${form}, for a ${kind} handler: its response is sent, and onError is called once`, async () => {
      const { status, body, count, errors } = await answerOf({ fetch, error }, get('/') + last);
      assert.deepEqual([status, body, count], [418, 'sorry: handler', 2]);
      assert.deepEqual(errors, [failure, failure]);
    });

for (const [what, error, found] of [
  [
    'throws',
    () => {
      throw new TypeError('second');
    },
    /^TypeError: second$/,
  ],
  ['returns no response', () => 'text' as never, /error returned "text"/],
  ['returns nothing', () => undefined, /error returned undefined/],
  ['is rejected', async () => Promise.reject(new TypeError('second')), /^TypeError: second$/],
] as const)
  test(`an error that ${what}: the client gets the 500, and both errors are reported`, async () => {
    const { status, errors } = await answerOf({ error });
    assert.equal(status, 500);
    assert.equal(errors[0], failure);
    assert.match(String(errors[1]), found);
    assert.equal(errors.length, 2);
  });

test('it answers for a handler that returns no response, too', async () => {
  const { status, body } = await answerOf({ fetch: () => 'text' as never, error: (error) => new Response(`${error}`) });
  assert.deepEqual([status, body?.includes('"text"')], [200, true]);
});

test('it is not called once a part of the response has been sent', async () => {
  let calls = 0;
  const { ending, errors } = await answerOf({
    fetch: () =>
      stream(function* (out) {
        yield* out.write('part');
        yield* sleep(10);
        throw failure;
      }),
    error: () => {
      calls++;
      return new Response();
    },
  });
  assert.deepEqual([calls, ending, errors], [0, 'reset', [failure]]);
});

test('it is not called for errors that the client causes: a body that is too large, a disconnect', async () => {
  let calls = 0;
  const error = () => {
    calls++;
    return new Response();
  };
  const { status, errors } = await answerOf(
    { maxBodySize: 3, fetch: async (request) => new Response(await request.text()), error },
    post('/', 'body', 'connection: close'),
  );
  assert.deepEqual([status, errors], [413, []]);
  const world = await World.open({
    *fetch() {
      yield* sleep(1000);
      return new Response();
    },
    error,
  });
  const leaving = leave(world, 'RST');
  await world.pass();
  await leaving;
  assert.equal(calls, 0);
  await world.close();
});

test('its response is discarded if the client has disconnected', async () => {
  let cancelled = 0;
  let respond = (_: Response): void => {};
  const late = new Promise<Response>((resolve) => {
    respond = resolve;
  });
  const world = await World.open({
    fetch: () => {
      throw failure;
    },
    error: () => late,
  });
  void leave(world, 'RST');
  await world.pass(1000);
  assert.equal(world.server.connections.total, 0);
  respond(new Response(new ReadableStream({ cancel: () => void cancelled++ })));
  await new Promise((resolve) => setImmediate(resolve));
  await world.close();
  assert.deepEqual([cancelled, world.errors], [1, [failure]]);
});

test('without onError, errors that it answers are not printed, and its own errors are', async (t) => {
  const printed = t.mock.method(console, 'error', () => {});
  const fetch = handlers.plain;
  const world = await World.open({ fetch, error: answers.plain, onError: undefined });
  void world.exchange(last);
  await world.pass();
  assert.equal(printed.mock.callCount(), 0);
  const failing = () => {
    throw new Error('second');
  };
  await world.server.reload({ error: failing });
  void world.exchange(last);
  await world.pass();
  const texts = printed.mock.calls.map(({ arguments: [text] }) => String(text).split('\n')[0]);
  assert.deepEqual(texts, ['GET http://a/: Error: handler', 'GET http://a/: Error: second']);
  await world.close();
});

test('a response of error that cannot be sent is named as such', async () => {
  const { status, errors } = await answerOf({ error: () => Response.error() });
  assert.equal(status, 500);
  assert.match(errors.join(), /error returned Response\.error\(\), which cannot be sent/);
});
