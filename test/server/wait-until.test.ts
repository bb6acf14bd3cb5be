// `waitUntil`: work that continues after the response, and that `close` waits for. Also `ref` and `unref`.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Response } from '#sluice/http/fetch/response.js';
import type { ServerRequestMembers } from '#sluice/http/request-members.js';
import { type ServeOptions, serve } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import { Program } from '../support/program.js';
import { get, World } from '../support/world.js';

const last = get('/', 'connection: close');

/** A world whose handler gives a promise to `waitUntil`, and has answered. */
async function working(options: Partial<ServeOptions> = {}) {
  let settle: { resolve: () => void; reject: (reason: unknown) => void } | undefined;
  const world = await World.open({
    fetch(request, info) {
      const work = new Promise<void>((resolve, reject) => {
        settle = { resolve, reject };
      });
      const { waitUntil } = request as ServerRequestMembers;
      if (new URL(request.url).pathname === '/request') waitUntil?.(work);
      else info.waitUntil(work);
      return new Response('answered');
    },
    ...options,
  });
  const exchanged = world.exchange(last);
  await world.pass();
  assert.equal((await exchanged).responses[0].body, 'answered', 'the response does not wait');
  return { world, settle: () => settle ?? assert.fail() };
}

test('close waits for the promise', async () => {
  const { world, settle } = await working();
  let isClosed = false;
  const closing = world.server.close().then(() => {
    isClosed = true;
  });
  await world.pass(1000);
  assert.equal(isClosed, false);
  settle().resolve();
  await closing;
  await world.close();
});

test('at the deadline close stops waiting, and reports it', async () => {
  const { world } = await working();
  const closing = world.server.close({ deadline: 500 });
  await world.pass();
  await closing;
  const [error, ...others] = world.errors.splice(0) as NodeJS.ErrnoException[];
  assert.deepEqual([error?.code, others.length], ['ERR_WAIT_UNTIL', 0]);
  assert.match(error?.message ?? '', /^close: 1 promise was given to waitUntil and still pending at the deadline$/);
  await world.close();
});

test('a rejection is reported once, with the request and its client', async () => {
  const reported: unknown[][] = [];
  const { world, settle } = await working({
    onError: (error, request, info) => reported.push([error, request?.url, info?.peer]),
  });
  const reason = new Error('work has failed');
  settle().reject(reason);
  await world.pass();
  assert.deepEqual(
    reported.map(([error]) => error),
    [reason],
  );
  assert.match(String(reported[0]?.[1]), /^http:\/\/a\//);
  assert.match(String(reported[0]?.[2]), /^127\.0\.0\.1:\d+$/);
  await world.close();
});

test('the server has waitUntil, too, and a value that is not a promise is over at once', async () => {
  const world = await World.open({ fetch: () => new Response() });
  const { server } = world;
  server.waitUntil('text');
  server.waitUntil(Promise.reject(new Error('a')));
  await world.pass();
  assert.equal(world.errors.splice(0).length, 1);
  await world.close();
});

test('a task and a function are refused, because nothing would run them', async () => {
  const world = await World.open({ fetch: () => new Response() });
  for (const [work, message] of [
    [sleep(1), /^waitUntil: the work is a task, which nothing runs; expected a promise, such as that of run\(/],
    [async () => {}, /^waitUntil: the work is a function, which nothing calls; expected a promise/],
  ] as const)
    assert.throws(() => world.server.waitUntil(work), { name: 'TypeError', message });
  await world.close();
});

test('after unref the server does not keep the process running, and ref undoes it', async () => {
  for (const layer of ['portable', ...(process.platform === 'linux' && process.arch === 'x64' ? ['epoll'] : [])]) {
    const program = new Program(
      [
        ...[process.execPath, '--input-type=module', '-e'],
        `import { serve } from '#sluice/server/serve.js';
         const server = await serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('a') });
         server.unref();
         server.ref();
         server.unref();
         console.log(await (await fetch(server.url, { headers: { connection: 'close' } })).text());`,
      ],
      { env: { SLUICE_EVENT_LAYER: layer } },
    );
    const { code } = await program.ended;
    assert.equal(code, 0, program.output);
    assert.match(program.output, /^a$/m);
  }
});

test('an option error that is not a function is refused', async () => {
  await assert.rejects(
    serve({ port: 0, fetch: () => new Response(), error: 'a' as never }),
    /^TypeError: serve: error is "a"; expected a function/,
  );
});
