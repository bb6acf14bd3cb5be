// `sluice/srvx`: what users of srvx, and of H3 on top of it, expect of an adapter.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { getRequestIP, H3 } from 'h3';
import { FastResponse, FastURL, serve } from 'sluice/srvx';
import { eventually } from '../fetch/compare.mjs';

const quiet = { port: 0, hostname: '127.0.0.1', silent: true, gracefulShutdown: false };

/** A server that listens, until the test ends. */
async function served(t, options) {
  const server = serve({ ...quiet, ...options });
  t.after(() => server.close(true));
  return server.ready();
}

/** Sets environment variables until the test ends. */
function setEnvironment(t, variables) {
  for (const [name, value] of Object.entries(variables)) {
    const before = process.env[name];
    process.env[name] = value;
    t.after(() => {
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    });
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

const ask = async (url, options) => (await fetch(url, options)).text();

test('serves fetch, with the members of a request of srvx', async (t) => {
  const server = await served(t, {
    fetch: (request) => {
      request.context.seen = true;
      return Response.json([request.ip, request.runtime.name, request.context, new FastURL(request.url).pathname]);
    },
  });
  assert.equal(server.runtime, 'sluice');
  assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+\/$/);
  assert.deepEqual(JSON.parse(await ask(`${server.url}path`)), ['127.0.0.1', 'sluice', { seen: true }, '/path']);
});

test('serves an application of H3, and a FastResponse', async (t) => {
  const app = new H3()
    .get('/', (event) => `hello ${getRequestIP(event)}`)
    .get('/fast', () => new FastResponse('fast', { status: 201 }));
  const server = await served(t, { fetch: app.fetch });
  assert.equal(await ask(server.url), 'hello 127.0.0.1');
  const response = await fetch(`${server.url}fast`);
  assert.deepEqual([response.status, await response.text()], [201, 'fast']);
});

test('calls middleware in order, which can answer or change the answer', async (t) => {
  const calls = [];
  const server = await served(t, {
    middleware: [
      async (_request, next) => {
        calls.push('first');
        const response = await next();
        calls.push('last');
        response.headers.set('x-first', '1');
        return response;
      },
      (request, next) => {
        calls.push('second');
        return request.url.endsWith('/stop') ? new Response('stopped') : next();
      },
    ],
    fetch: () => {
      calls.push('fetch');
      return new Response('fetched');
    },
  });
  const response = await fetch(server.url);
  assert.deepEqual([await response.text(), response.headers.get('x-first')], ['fetched', '1']);
  assert.deepEqual(calls.splice(0), ['first', 'second', 'fetch', 'last']);
  assert.equal(await ask(`${server.url}stop`), 'stopped');
  assert.deepEqual(calls, ['first', 'second', 'last']);
});

test('plugins add middleware before it listens, without changing the options that were passed', async (t) => {
  const middleware = [];
  const seen = [];
  const server = await served(t, {
    middleware,
    plugins: [
      (own) => {
        seen.push(own.url);
        own.options.middleware.push(() => new Response('from a plugin'));
      },
    ],
    fetch: () => new Response('fetched'),
  });
  assert.equal(await ask(server.url), 'from a plugin');
  assert.deepEqual([seen, middleware], [[undefined], []]);
});

for (const [where, options] of Object.entries({
  fetch: {
    fetch: () => {
      throw new Error('on purpose');
    },
  },
  'async middleware': {
    middleware: [() => Promise.reject(new Error('on purpose'))],
    fetch: () => new Response(''),
  },
}))
  test(`error answers for a failure of ${where}, also without the network, and onError gets it`, async (t) => {
    const errors = [];
    const server = await served(t, {
      ...options,
      error: ({ message }) => new Response(`error: ${message}`, { status: 503 }),
      sluice: { onError: ({ message }) => errors.push(message) },
    });
    const response = await fetch(server.url);
    assert.deepEqual([response.status, await response.text()], [503, 'error: on purpose']);
    assert.deepEqual(errors, ['on purpose']);
    const direct = await server.fetch(new Request('http://a/'));
    assert.deepEqual([direct.status, await direct.text()], [503, 'error: on purpose']);
  });

test('a failure without error is a 500, and goes to onError', async (t) => {
  const errors = [];
  const server = await served(t, {
    fetch: () => Promise.reject(new Error('on purpose')),
    sluice: { onError: ({ message }) => errors.push(message) },
  });
  assert.equal((await fetch(server.url)).status, 500);
  assert.deepEqual(errors, ['on purpose']);
  await assert.rejects(async () => server.fetch(new Request('http://a/')), /on purpose/);
});

test('with manual, listens when serve() is called, once', async (t) => {
  const server = serve({ ...quiet, manual: true, fetch: () => new Response('manual') });
  t.after(() => server.close(true));
  assert.equal(server.url, undefined);
  assert.equal(await (await server.fetch(new Request('http://a/'))).text(), 'manual');
  const listening = server.serve();
  assert.equal(server.serve(), listening);
  assert.equal(await listening, server);
  assert.equal(await ask(server.url), 'manual');
});

test('a server that has never listened can be closed', async () => {
  await serve({ ...quiet, manual: true, fetch: () => new Response('') }).close();
});

test('takes the port and the host from the environment, unless the options have them', async (t) => {
  const port = await freePort();
  setEnvironment(t, { PORT: String(port), HOST: '127.0.0.1' });
  const fetch = () => new Response('');
  const server = await served(t, { port: undefined, hostname: undefined, fetch });
  assert.equal(server.url, `http://127.0.0.1:${port}/`);
  const other = await served(t, { port: '0', fetch });
  assert.notEqual(new URL(other.url).port, String(port));
});

test('rejects wrong ports and protocols, and ports in use', async (t) => {
  const fetch = () => new Response('');
  const failure = (options) => serve({ ...quiet, ...options, fetch }).ready();
  await assert.rejects(failure({ port: 'http' }), { name: 'RangeError', message: /port is .*http/ });
  await assert.rejects(failure({ port: 65_536 }), RangeError);
  await assert.rejects(failure({ protocol: 'https' }), { name: 'TypeError', message: /cert and key/ });
  const { url } = await served(t, { fetch });
  await assert.rejects(failure({ port: new URL(url).port }), { code: 'EADDRINUSE' });
});

test('serves TLS with PEM or files, and not if the protocol is http', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-srvx-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const files = { key: join(folder, 'key.pem'), cert: join(folder, 'cert.pem') };
  const made = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '1',
    '-subj',
    '/CN=localhost',
  ];
  const names = ['-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync('openssl', ['req', '-x509', ...made, ...names, '-keyout', files.key, '-out', files.cert], {
    stdio: 'ignore',
  });
  const cert = readFileSync(files.cert, 'utf8');
  const fetch = (request) => new Response(new URL(request.url).protocol);
  for (const tls of [files, { cert, key: readFileSync(files.key, 'utf8') }]) {
    const { url } = await served(t, { tls, fetch });
    assert.match(url, /^https:/);
    const [response] = await once(https.get(url, { ca: cert, agent: false }), 'response');
    assert.equal(await text(response), 'https:');
  }
  const plain = await served(t, { tls: files, protocol: 'http', fetch });
  assert.equal(await ask(plain.url), 'http:');
});

test('maxRequestBodySize limits bodies', async (t) => {
  const server = await served(t, {
    maxRequestBodySize: 10,
    fetch: async (request) => new Response(await request.text()),
  });
  const send = async (body) => (await fetch(server.url, { method: 'POST', body })).status;
  assert.deepEqual([await send('x'.repeat(10)), await send('x'.repeat(11))], [200, 413]);
});

test('close waits for requests in progress, and for promises of waitUntil, given before and after it listens', async (t) => {
  let answer;
  const works = Array.from({ length: 3 }, () => {
    const work = {};
    work.promise = new Promise((resolve) => {
      work.done = resolve;
    });
    return work;
  });
  const server = serve({
    ...quiet,
    fetch: (request) => {
      request.waitUntil(works[2].promise);
      return new Promise((resolve) => {
        answer = () => resolve(new Response('late'));
      });
    },
  });
  t.after(() => server.close(true));
  server.waitUntil(works[0].promise);
  await server.ready();
  server.waitUntil(works[1].promise);
  const response = ask(server.url);
  await eventually(() => answer !== undefined);
  let isClosed = false;
  const closed = server.close().then(() => {
    isClosed = true;
  });
  answer();
  assert.equal(await response, 'late');
  for (const { done } of works) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(isClosed, false);
    done();
  }
  await closed;
});

test('close(true) answers requests in progress with a 503', async () => {
  let isAsked = false;
  const server = await serve({
    ...quiet,
    fetch: () => {
      isAsked = true;
      return new Promise(() => {});
    },
  }).ready();
  const response = fetch(server.url);
  await eventually(() => isAsked);
  await server.close(true);
  assert.equal((await response).status, 503);
});

test('listens to signals while it serves, unless an option or CI turns that off', async (t) => {
  setEnvironment(t, { CI: '', TEST: '' });
  const count = () => process.listenerCount('SIGTERM') + process.listenerCount('SIGINT');
  const before = count();
  const fetch = () => new Response('');
  await served(t, { fetch });
  assert.equal(count(), before);
  const server = await served(t, { gracefulShutdown: undefined, fetch });
  assert.equal(count(), before + 2);
  await server.close();
  assert.equal(count(), before);
  setEnvironment(t, { CI: '1' });
  await served(t, { gracefulShutdown: undefined, fetch });
  assert.equal(count(), before);
});

/** A program that prints its URL; each request prints `asked`, and is answered after some milliseconds. */
async function program(t, gracefulShutdown, delay) {
  const source = `import { serve } from 'sluice/srvx';
    serve({ port: 0, hostname: '127.0.0.1', gracefulShutdown: ${JSON.stringify(gracefulShutdown)}, async fetch() {
      console.log('asked');
      await new Promise((resolve) => setTimeout(resolve, ${delay}).unref());
      return new Response('late');
    } });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    cwd: import.meta.dirname ?? new URL('.', import.meta.url).pathname,
    env: { ...process.env, CI: '', TEST: '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (part) => {
    output += part;
  });
  const exited = once(child, 'exit');
  while (!output.includes('\n')) await once(child.stdout, 'data');
  const [, url] = /Listening on: (\S+)/.exec(output);
  return { child, exited, url, asked: () => eventually(() => output.includes('asked')) };
}

test('on a signal, requests in progress are answered, and the program ends', async (t) => {
  const { child, exited, url, asked } = await program(t, undefined, 100);
  const response = ask(url);
  await asked();
  child.kill('SIGTERM');
  assert.equal(await response, 'late');
  assert.deepEqual(await exited, [0, null]);
});

for (const [what, gracefulShutdown, signals] of [
  ['until gracefulTimeout', { gracefulTimeout: 0.05 }, ['SIGTERM']],
  ['until a second SIGINT', true, ['SIGINT', 'SIGINT']],
])
  test(`a signal waits for requests in progress: ${what}`, async (t) => {
    const { child, exited, url, asked } = await program(t, gracefulShutdown, 60_000);
    const response = fetch(url);
    await asked();
    for (const signal of signals) {
      child.kill(signal);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    assert.equal((await response).status, 503);
    assert.deepEqual(await exited, [0, null]);
  });
