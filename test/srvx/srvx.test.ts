// sluice/srvx: the options and the members that srvx's own adapters have.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SrvxOptions, type SrvxServer, serve } from '#sluice/srvx/index.js';

const quiet = { port: 0, hostname: '127.0.0.1', silent: true, gracefulShutdown: false } as const;

async function serving(
  options: SrvxOptions<SrvxServer>,
  use: (server: SrvxServer, url: string) => Promise<void>,
): Promise<void> {
  const server = await serve({ ...quiet, ...options }).ready();
  try {
    await use(server, server.url ?? '');
  } finally {
    await server.close(true);
  }
}

test('requests have the members of srvx: ip, runtime, context, waitUntil', () =>
  serving(
    {
      fetch(request) {
        request.waitUntil?.(Promise.resolve());
        request.context ??= {};
        return Response.json([request.ip, request.runtime?.name, request.context]);
      },
    },
    async (_, url) => assert.deepEqual(await (await fetch(url)).json(), ['127.0.0.1', 'sluice', {}]),
  ));

test('middleware runs in order before fetch, and plugins may add to it', () =>
  serving(
    {
      middleware: [
        async (request, next) => {
          if (request.url.endsWith('/first')) return new Response('first');
          const response = await next();
          return new Response(`<${await response.text()}>`);
        },
      ],
      plugins: [
        (server) =>
          void server.options.middleware.push((request, next) =>
            request.url.endsWith('/second') ? new Response('second') : next(),
          ),
      ],
      fetch: () => new Response('fetch'),
    },
    async (server, url) => {
      const text = async (path: string) => (await fetch(new URL(path, url))).text();
      assert.deepEqual(await Promise.all(['/first', '/second', '/'].map(text)), ['first', '<second>', '<fetch>']);
      assert.equal(await (await server.fetch(new Request('http://localhost/'))).text(), '<fetch>');
    },
  ));

test('error answers failures', () =>
  serving(
    {
      fetch: () => {
        throw new Error('broken');
      },
      error: (error) => new Response((error as Error).message, { status: 503 }),
    },
    async (_, url) => {
      const response = await fetch(url);
      assert.equal(response.status, 503);
      assert.equal(await response.text(), 'broken');
    },
  ));

test('with manual it listens when serve() is called, and close waits for work that was given before', async () => {
  const server = serve({ ...quiet, manual: true, fetch: () => new Response('') });
  assert.equal(server.url, undefined);
  let isDone = false;
  server.waitUntil(
    new Promise<void>((resolve) =>
      setTimeout(() => {
        isDone = true;
        resolve();
      }, 20),
    ),
  );
  await server.serve();
  assert.match(server.url ?? '', /^http:\/\/127\.0\.0\.1:\d+\/$/);
  await server.close();
  assert.ok(isDone);
});

test('a plugin may keep it from listening', async () => {
  const plugin = (server: SrvxServer): void => {
    server.options.manual = true;
  };
  const server = serve({ ...quiet, plugins: [plugin], fetch: () => new Response('') });
  await server.close(); // would wait until it listens
  assert.equal(server.url, undefined);
});

test('options that are wrong are named', () => {
  const fetch = () => new Response('');
  const manual = { ...quiet, manual: true, fetch };
  assert.throws(() => serve({ ...manual, port: 'x' }).serveOptions, /serve: port is "x"; expected a whole number/);
  assert.throws(() => serve({ ...manual, protocol: 'https' }).serveOptions, /serve: tls has not both cert and key/);
});
