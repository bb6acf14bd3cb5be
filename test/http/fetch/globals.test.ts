import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';
import { installGlobals, uninstallGlobals } from '#sluice/http/fetch/globals.js';
import { Headers } from '#sluice/http/fetch/headers.js';
import { Request, requestFrom } from '#sluice/http/fetch/request.js';
import { isLightResponse, Response } from '#sluice/http/fetch/response.js';
import { platform } from './differential.js';

const NAMES = ['Headers', 'Request', 'Response', 'fetch'] as const;
const attributes = () => NAMES.map((name) => Object.getOwnPropertyDescriptor(globalThis, name));

describe('the global names', () => {
  afterEach(uninstallGlobals);

  test('installed, they are the light classes; uninstalled, the platform’s again', () => {
    const original = attributes();
    installGlobals();
    assert.deepEqual([globalThis.Headers, globalThis.Request, globalThis.Response], [Headers, Request, Response]);
    assert.ok(isLightResponse(new globalThis.Response('a')));
    uninstallGlobals();
    assert.deepEqual(attributes(), original);
    assert.equal(globalThis.Response, platform.Response);
  });

  test('the properties keep their attributes, and installing twice is installing once', () => {
    const original = attributes();
    const { length } = fetch;
    installGlobals();
    installGlobals();
    for (const [i, descriptor] of attributes().entries()) {
      const { enumerable, configurable } = original[i] ?? {};
      assert.deepEqual(
        [descriptor?.writable, descriptor?.enumerable, descriptor?.configurable],
        [true, enumerable, configurable],
      );
    }
    assert.deepEqual([fetch.name, fetch.length], ['fetch', length]);
    uninstallGlobals();
    assert.deepEqual(attributes(), original);
  });

  test('instanceof holds before and after, whichever class made the object', () => {
    const made = [new Response(), new platform.Response()];
    const check = () => {
      for (const response of [...made, new globalThis.Response()]) assert.ok(response instanceof globalThis.Response);
      assert.ok(new Request('http://localhost/') instanceof globalThis.Request);
      assert.ok(new platform.Headers() instanceof globalThis.Headers);
    };
    check();
    installGlobals();
    made.push(new globalThis.Response());
    check();
    uninstallGlobals();
    check();
  });

  test('a class that somebody else has put there stays', () => {
    class Theirs extends platform.Response {}
    Object.defineProperty(globalThis, 'Response', { value: Theirs });
    try {
      installGlobals();
      assert.equal(globalThis.Response, Theirs);
      assert.equal(globalThis.Request, Request);
    } finally {
      Object.defineProperty(globalThis, 'Response', { value: platform.Response });
    }
  });
});

describe('fetch with light objects', () => {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method, url, headers } = request;
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        method,
        url,
        a: headers.a,
        length: headers['content-length'],
        body: Buffer.concat(chunks).toString(),
      }),
    );
  });
  let origin = '';

  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    installGlobals();
  });
  after(() => {
    uninstallGlobals();
    server.closeAllConnections();
    server.close();
  });

  test('a light request reaches the server, with the length of its body', async () => {
    const request = new globalThis.Request(`${origin}/x`, { method: 'POST', headers: { a: 'b' }, body: 'hello' });
    const response = await fetch(request);
    assert.deepEqual(await response.json(), { method: 'POST', url: '/x', a: 'b', length: '5', body: 'hello' });
    assert.equal(request.bodyUsed, true);
    assert.ok(response instanceof globalThis.Response);
  });

  test('a request that a server received can be passed on', async () => {
    const body = { used: false, bytes: async () => new Uint8Array(), stream: () => new Blob(['passed on']).stream() };
    const source = {
      method: 'PUT',
      url: `${origin}/y`,
      fields: ['a', 'c'],
      body,
      signal: new AbortController().signal,
    };
    const response = await fetch(requestFrom(source));
    assert.deepEqual(await response.json(), { method: 'PUT', url: '/y', a: 'c', body: 'passed on' });
  });

  test('the init is laid over a light request', async () => {
    const request = new globalThis.Request(`${origin}/z`, { headers: { a: 'b' } });
    const response = await fetch(request, { method: 'POST', body: 'x', headers: new globalThis.Headers({ a: 'z' }) });
    assert.deepEqual(await response.json(), { method: 'POST', url: '/z', a: 'z', length: '1', body: 'x' });
  });

  test('a URL with light headers and the body of a light response', async () => {
    const { body } = new Response('streamed');
    const init = { method: 'POST', headers: new Headers({ a: '1' }), body, duplex: 'half' } as const;
    const response = await fetch(`${origin}/w`, init as globalThis.RequestInit);
    assert.deepEqual(await response.json(), { method: 'POST', url: '/w', a: '1', body: 'streamed' });
  });

  test('an abort of the light request ends the fetch, and a bad call rejects', async () => {
    const request = new globalThis.Request(origin, { signal: AbortSignal.abort() });
    await assert.rejects(fetch(request), { name: 'AbortError' });
    await assert.rejects(Reflect.apply(fetch, undefined, []), TypeError);
    const used = new globalThis.Request(origin, { method: 'POST', body: 'x' });
    await used.text();
    await assert.rejects(fetch(used), TypeError);
  });

  test('a response of fetch can be wrapped in a light one', async () => {
    const inner = await fetch(origin);
    const outer = new Response(inner.body, inner);
    assert.equal(outer.headers.get('content-type'), 'application/json');
    assert.equal(((await outer.json()) as { method: string }).method, 'GET');
  });
});
