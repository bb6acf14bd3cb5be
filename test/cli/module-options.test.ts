// What a module may export for the command: the options of Bun, Deno and srvx by their own names.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classify } from '#sluice/cli/default-export.js';
import { convertOptions } from '#sluice/cli/module-options.js';
import { Request as LightRequest } from '#sluice/index.js';
import { longestDelay } from '#sluice/util/options.js';

const fetch = (): Response => new Response('');

/** The options of `serve`, without `fetch`. */
function converted(exported: Record<string, unknown>): Record<string, unknown> {
  const { options } = convertOptions({ fetch, ...exported }, refuse);
  const { fetch: _, ...others } = options;
  return others;
}

function refuse(problem: string): never {
  throw new Error(problem);
}

test('names of Bun and Deno become those of sluice', () => {
  assert.deepEqual(converted({ unix: '/run/a.sock', maxRequestBodySize: 10, port: '8080', hostname: 'localhost' }), {
    path: '/run/a.sock',
    maxBodySize: 10,
    port: 8080,
    hostname: 'localhost',
  });
});

test('idleTimeout is in seconds up to 255, and 0 is the longest; above 255 it is in milliseconds', () => {
  const times = { 10: 10_000, 255: 255_000, 256: 256, 120000: 120_000, 0: longestDelay };
  for (const [given, expected] of Object.entries(times))
    assert.deepEqual(converted({ idleTimeout: Number(given) }), { idleTimeout: expected }, given);
});

test('tls takes Bun’s names for files, for one certificate and for several; protocol http removes it', () => {
  const tls = { keyFile: 'k.pem', certFile: 'c.pem', caFile: 'a.pem', lowMemoryMode: true, passphrase: undefined };
  const expected = { key: 'k.pem', cert: 'c.pem', ca: 'a.pem' };
  assert.deepEqual(converted({ tls }), { tls: expected });
  assert.deepEqual(converted({ tls: [tls, { key: 'k', cert: 'c' }] }), { tls: [expected, { key: 'k', cert: 'c' }] });
  assert.deepEqual(converted({ tls, protocol: 'http' }), {});
});

test('options without a meaning here are ignored, and unknown names are reported', () => {
  const given = { development: true, id: 'a', inspector: false, manual: true, silent: true, gracefulShutdown: false };
  assert.deepEqual(converted(given), {});
  const { unknown } = convertOptions({ fetch, ...given, prot: 1, middleware: [], onListen() {} }, refuse);
  assert.deepEqual(unknown, ['prot']);
});

test('an option that answers requests is refused, and not ignored', () => {
  assert.throws(() => converted({ routes: {} }), /has routes, which sluice does not have; expected fetch/);
  assert.throws(() => converted({ static: {} }), /has static routes, which sluice does not have/);
});

test('srvx’s options for its server on Node are not taken for an application', () => {
  assert.deepEqual(converted({ node: { http2: true } }), {});
  const application = (): void => {};
  assert.deepEqual(converted({ node: application }), { node: application });
});

test('fetch, error and onListen are called as methods of their object', () => {
  const seen: unknown[] = [];
  const exported = {
    fetch() {
      seen.push(this);
      return new Response('');
    },
    error() {
      seen.push(this);
      return new Response('');
    },
    onListen(address: object) {
      seen.push(this, address);
    },
  };
  const { options, onListen } = convertOptions(exported, refuse);
  options.fetch(new LightRequest('http://localhost/') as never, {} as never);
  options.error?.(new Error());
  onListen?.({ port: 1 });
  assert.deepEqual(seen, [exported, exported, exported, { port: 1 }]);
});

test('middleware and plugins of srvx run before fetch', async () => {
  const { options } = convertOptions(
    {
      fetch: () => new Response('fetch'),
      middleware: [
        async (_: Request, next: () => Promise<Response>) => new Response(`<${await (await next()).text()}>`),
      ],
      plugins: [
        (server: { options: { middleware: unknown[] } }) =>
          server.options.middleware.push(() => new Response('plugin')),
      ],
    },
    refuse,
  );
  const response = (await options.fetch(new Request('http://localhost/') as never, {} as never)) as Response;
  assert.equal(await response.text(), '<plugin>');
});

test('plugins of srvx can give the server work before and after it listens', () => {
  const plugins: { waitUntil(work: unknown): void }[] = [];
  const { onServer } = convertOptions(
    { fetch, plugins: [(plugged: { waitUntil(work: unknown): void }) => void plugins.push(plugged)] },
    refuse,
  );
  const [plugged] = plugins;
  const [early, late] = [Promise.resolve(1), Promise.resolve(2)];
  plugged.waitUntil(early);
  const works: unknown[] = [];
  onServer?.({ waitUntil: (work: unknown) => works.push(work) } as never);
  plugged.waitUntil(late);
  assert.deepEqual(works, [early, late]);
  assert.equal(convertOptions({ fetch }, refuse).onServer, undefined);
});

test('what middleware throws is left to the server, which calls error', async () => {
  const broken = new Error('broken');
  const error = (): Response => new Response('answered');
  const middleware = [
    () => {
      throw broken;
    },
  ];
  const { options } = convertOptions({ fetch, error, middleware }, refuse);
  await assert.rejects(async () => options.fetch(new Request('http://localhost/') as never, {} as never), broken);
  const answer = (await options.error?.(broken)) as Response;
  assert.equal(await answer.text(), 'answered');
});

test('a module may export a function, options, an application of a framework, or fetch by its name', () => {
  class App {
    fetch(): unknown {
      return this;
    }
  }
  const app = new App();
  assert.equal(classify({ default: fetch }).kind, 'function');
  assert.equal(classify({ fetch }).kind, 'function');
  assert.equal(classify({ default: { fetch } }).kind, 'options');
  assert.equal(classify({ default: Object.assign(Object.create(null), { fetch }) }).kind, 'options');
  assert.equal(classify({ default: { __esModule: true, default: { fetch } } }).kind, 'options');
  const found = classify({ default: app });
  assert.ok(found.kind === 'application');
  assert.equal(found.fetch(), app);
});

test('for a module with nothing to serve, the message says what was found', () => {
  const cases: [object, RegExp][] = [
    [{}, /^has no default export to serve$/],
    [{ default: 5 }, /^has the default export 5$/],
    [{ default: { port: 1, handler: fetch } }, /^has a default export without fetch, but with port, handler$/],
    [{ default: {} }, /^has a default export without fetch$/],
    [{ default: { fetch: 'text' } }, /^has a default export whose fetch is "text", and not a function$/],
  ];
  for (const [module, expected] of cases) {
    const exported = classify(module);
    assert.ok(exported.kind === 'nothing');
    assert.match(exported.found, expected);
  }
});
