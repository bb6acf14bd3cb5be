// What handlers return that is not a response yet: tasks, promises, and one in the other, as middleware makes them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Hono } from 'hono';
import { logger } from 'hono/logger';
import { Response } from '#sluice/http/fetch/response.js';
import type { ServeOptions } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task, Wait } from '#sluice/threads/task.js';
import { get, leave, World } from '../support/world.js';

function* thread(text = 'from a thread'): Task<Response> {
  yield* sleep(1);
  return new Response(text);
}

/** What one request is answered with. @param fetch a handler, also one that the types refuse */
async function answer(fetch: unknown) {
  const world = await World.open({ fetch: fetch as ServeOptions['fetch'] });
  const exchange = world.exchange(get('/'));
  await world.pass();
  const { responses } = await exchange;
  await world.close();
  return { status: responses[0]?.status, body: responses[0]?.body, errors: world.errors };
}

const handlers: [string, unknown][] = [
  ['an async function that resolves to a task', async () => thread()],
  [
    'a task that returns a promise',
    function* () {
      yield* sleep(1);
      return Promise.resolve(new Response('from a thread'));
    },
  ],
  [
    'a task that returns a promise of a task that returns a task',
    function* () {
      yield* sleep(1);
      return Promise.resolve(
        (function* () {
          return thread();
        })(),
      );
    },
  ],
];

for (const [title, fetch] of handlers) {
  test(`the result of ${title} is the response`, async () => {
    assert.deepEqual(await answer(fetch), { status: 200, body: 'from a thread', errors: [] });
  });
}

test('a thread handler of a Hono application works behind async middleware', async () => {
  const app = new Hono();
  app.use(logger(() => {}));
  app.get('/', (() => thread('from Hono')) as never); // its types know no handlers that are generator functions
  assert.deepEqual(await answer((request: never) => app.fetch(request)), {
    status: 200,
    body: 'from Hono',
    errors: [],
  });
});

test('a task that an async function resolves to is unwound when the client leaves, and not started if it has left before', async () => {
  for (const delay of [50, 150]) {
    const seen: string[] = [];
    const world = await World.open({
      fetch: () =>
        world
          .client(function* () {
            yield* sleep(delay);
          })
          .then(function* (): Task<Response> {
            seen.push('started');
            try {
              yield* sleep(60_000);
            } finally {
              seen.push('finally');
            }
            return new Response('never');
          }),
    });
    const client = leave(world, 'FIN'); // at 100
    await world.pass();
    await client;
    assert.deepEqual(seen, delay < 100 ? ['started', 'finally'] : []);
    assert.deepEqual(world.errors, []);
    await world.close();
  }
});

test('yield and await in the place of yield* are errors that say what to write', async () => {
  const cases: [unknown, RegExp][] = [
    [
      function* () {
        yield Promise.resolve() as unknown as Wait;
      },
      /yielded \[object Promise\], .*: write yield\* until\(promise\)$/,
    ],
    [
      function* () {
        yield sleep(1) as unknown as Wait;
      },
      /yielded \[object Task\], .*: write yield\* where it says yield$/,
    ],
    [
      async () => {
        await sleep(1);
      },
      /await cannot run a task: write yield\* before it.*yield\* until\(promise\)/,
    ],
    [async () => new Response(thread() as never), /the body is a task that has not run: write yield\* before it/],
    [async () => Response.json(thread()), /the value is a task that has not run: write yield\* before it/],
  ];
  for (const [fetch, message] of cases) {
    const { status, errors } = await answer(fetch);
    assert.equal(status, 500);
    assert.equal(errors.length, 1);
    assert.match(errors[0] instanceof Error ? errors[0].message : '', message);
  }
});
