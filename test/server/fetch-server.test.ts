// The second argument of `fetch`, with the members of Bun's server and of Deno's information; and the members of requests that srvx has defined.

import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Response } from '#sluice/http/fetch/response.js';
import type { ServerRequestMembers } from '#sluice/http/request-members.js';
import { stream } from '#sluice/http/stream.js';
import type { FetchInfo } from '#sluice/server/fetch-server.js';
import { serve } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import { until } from '#sluice/threads/until.js';
import { RawClient } from '../support/raw-client.js';
import { get, leave, pauseReading, post, received, resumeReading, World } from '../support/world.js';
import { RawPeer } from '../websocket/raw-peer.js';

const last = (target = '/') => get(target, 'connection: close');

async function bodyOf(world: World, text: string): Promise<string> {
  const exchanged = world.exchange(text);
  await world.pass();
  return (await exchanged).responses.at(-1)?.body ?? '';
}

test('has the members of the server, with the same values', async () => {
  const seen: unknown[] = [];
  const facts = ({ url, port, hostname, id, development, pendingWebSockets }: Omit<FetchInfo, 'peer'>) => [
    ...[url.href, port, hostname, id, development, pendingWebSockets],
  ];
  const world = await World.open({
    fetch(_request, info) {
      seen.push(facts(info), info.pendingRequests);
      return new Response();
    },
  });
  await bodyOf(world, last());
  const { server } = world;
  assert.deepEqual(seen, [facts(server as unknown as FetchInfo), 1]);
  assert.ok(server.url instanceof URL);
  assert.equal(server.url, server.url, 'it is made once');
  assert.deepEqual(
    [server.id, server.development, server.hostname, server.pendingRequests],
    ['', false, server.url.hostname, 0],
  );
  await world.close();
});

test('its URL, and those of requests without a host, are without the zone of its address', async () => {
  const world = await World.open({ hostname: 'fe80::1%eth0', port: 8080, fetch: ({ url }) => new Response(url) });
  const { server } = world;
  assert.deepEqual([server.url.href, server.hostname], ['http://[fe80::1]:8080/', 'fe80::1%eth0']);
  assert.equal(await bodyOf(world, 'GET /a HTTP/1.0\r\n\r\n'), 'http://[fe80::1]:8080/a');
  await world.close();
});

test('says where the client is, as Bun and as Deno do; and so does the request, as with srvx', async () => {
  const world = await World.open({
    fetch(request, info) {
      const { ip, runtime } = request as ServerRequestMembers;
      assert.ok(runtime?.name === 'sluice');
      const { address, port, family } = info.requestIP(request) ?? {};
      const { remoteAddr } = info;
      assert.deepEqual(remoteAddr, { transport: 'tcp', hostname: address, port });
      assert.deepEqual((runtime.deno.info as FetchInfo).remoteAddr, remoteAddr);
      assert.equal((runtime.bun.server as FetchInfo).requestIP(request)?.port, port);
      return Response.json([family, info.peer === `${address}:${port}`, ip === address]);
    },
  });
  assert.equal(await bodyOf(world, last()), '["IPv4",true,true]');
  const stranger = new globalThis.Request('http://a/');
  assert.throws(() => world.server.requestIP(stranger), /^TypeError: requestIP: /);
  assert.equal((stranger as ServerRequestMembers).ip, undefined);
  await world.close();
});

test('over a Unix-domain socket the client has no address, and the URL has the path', async () => {
  const path = join(tmpdir(), `sluice-fetch-server-${process.pid}.sock`);
  let seen: unknown;
  await using server = await serve({
    path,
    fetch(request, info) {
      const { ip } = request as ServerRequestMembers;
      seen = [info.peer, info.requestIP(request), info.remoteAddr, info.port, info.hostname, ip];
      return new Response();
    },
  });
  await new RawClient({ path }).send(last()).whole();
  const remoteAddr = { transport: 'unix', hostname: '', port: 0, path };
  assert.deepEqual(seen, ['', null, remoteAddr, undefined, undefined, undefined]);
  assert.deepEqual([server.url.protocol, decodeURIComponent(server.url.host)], ['http+unix:', path]);
});

test('over a Unix-domain socket, remoteAddr is the client that a trusted proxy names', async () => {
  const path = join(tmpdir(), `sluice-proxied-${process.pid}.sock`);
  let seen: unknown;
  await using _ = await serve({
    path,
    trustProxy: 'loopback',
    fetch(request, info) {
      seen = [info.remoteAddr, info.requestIP(request)];
      return new Response();
    },
  });
  await new RawClient({ path }).send(get('/', 'connection: close', 'x-forwarded-for: 192.0.2.1')).whole();
  const [hostname, port] = ['192.0.2.1', 0];
  assert.deepEqual(seen, [
    { transport: 'tcp', hostname, port },
    { address: hostname, port, family: 'IPv4' },
  ]);
});

test('pendingRequests does not count incomplete heads and WebSockets; pendingWebSockets counts WebSockets', async () => {
  const world = await World.open({
    fetch: (request, info) => (info.upgrade(request) ? undefined : new Response()),
    websocket: {},
  });
  const counts = () => [world.server.pendingRequests, world.server.pendingWebSockets];
  const client = world.run(function* () {
    const peers = [yield* RawPeer.open(world), yield* RawPeer.open(world)];
    const incomplete = yield* world.connect();
    yield* incomplete.writer.write('GET / HTTP/1.1');
    yield* sleep(1);
    const open = counts();
    for (const peer of peers) {
      yield* peer.sendClose();
      yield* peer.rest();
    }
    return [open, counts()];
  });
  await world.pass();
  assert.deepEqual(await client, [
    [0, 2],
    [0, 0],
  ]);
  await world.close();
});

test('members of a request can be replaced, are computed once, and are not enumerable', async () => {
  const world = await World.open({
    fetch(request) {
      const members = request as { -readonly [Name in keyof ServerRequestMembers]: ServerRequestMembers[Name] };
      const { context } = members;
      if (context !== undefined) context.user = 'a';
      members.ip = '192.0.2.1';
      const found: string[] = [];
      for (const name in request) if (name in { ip: 1, waitUntil: 1, runtime: 1, context: 1 }) found.push(name);
      return Response.json([members.context, members.ip, found]);
    },
  });
  assert.equal(await bodyOf(world, last()), '[{"user":"a"},"192.0.2.1",[]]');
  await world.close();
});

test('completed is fulfilled when the response has been written, and rejected if the client disconnects before', async () => {
  const ends: string[] = [];
  const world = await World.open({
    fetch(request, info) {
      const { completed } = info;
      assert.equal(completed, info.completed);
      const path = new URL(request.url).pathname;
      completed.then(
        () => ends.push(`${path} written`),
        (error) => ends.push(`${path} ${error.name} ${error === request.signal.reason}`),
      );
      if (path === '/short') return new Response('short');
      return stream(function* (out) {
        yield* out.write('a');
        yield* sleep(1000);
        ends.push('end of the stream');
      });
    },
  });
  await bodyOf(world, get('/short') + last('/stream'));
  assert.deepEqual(ends, ['/short written', 'end of the stream', '/stream written']);
  ends.length = 0;
  const leaving = leave(world, 'RST', get('/left'));
  await world.pass();
  await leaving;
  assert.deepEqual(ends, ['/left AbortError true']);
  await world.close();
});

test('completed is fulfilled when the 500 of a failed handler or the answer of error is written, and rejected if the response is broken off', async () => {
  const ends: string[] = [];
  const world = await World.open({
    fetch(_, info) {
      info.completed.then(
        () => ends.push('written'),
        () => ends.push('broken off'),
      );
      throw new Error('handler');
    },
  });
  await bodyOf(world, last());
  await world.server.reload({ error: () => new Response('answered') });
  assert.equal(await bodyOf(world, last()), 'answered');
  const breaks = stream(function* (out) {
    yield* out.write('a');
    yield* sleep(1);
    throw new Error('stream');
  });
  await world.server.reload({ error: () => breaks });
  await bodyOf(world, last());
  assert.deepEqual(ends, ['written', 'written', 'broken off']);
  world.errors.length = 0;
  await world.close();
});

test('completed of a request that is over is settled at once', async () => {
  let info: FetchInfo | undefined;
  const world = await World.open({
    fetch(_, given) {
      info = given;
      return new Response();
    },
  });
  await bodyOf(world, last());
  await info?.completed;
  await world.close();
});

test('completed of a streamed response that is over is settled at once, and rejected if its client has left', async () => {
  let info: FetchInfo | undefined;
  const world = await World.open({
    fetch(_, given) {
      info = given;
      return stream(function* (out) {
        yield* out.write('a');
        yield* sleep(1000);
      });
    },
  });
  await bodyOf(world, last());
  await info?.completed;
  const leaving = leave(world, 'RST');
  await world.pass();
  await leaving;
  await assert.rejects(async () => info?.completed, { code: 'ERR_CLIENT_LEFT' });
  await world.close();
});

test('completed that is first asked for after the client of a streamed response has left is rejected with the reason', async () => {
  let completed: Promise<void> | undefined;
  const world = await World.open({
    fetch: (_, info) =>
      stream(function* (out) {
        try {
          yield* out.write('a');
          yield* sleep(1000);
        } finally {
          completed = info.completed;
        }
      }),
  });
  const leaving = leave(world, 'RST');
  await world.pass();
  await leaving;
  await assert.rejects(async () => completed, { code: 'ERR_CLIENT_LEFT' });
  await world.close();
});

test('timeout limits how long this client may pause, in seconds; 0 is no limit', async () => {
  const world = await World.open({
    bodyTimeout: 10_000,
    *fetch(request, info) {
      const seconds = Number(new URL(request.url).pathname.slice(1));
      info.timeout(request, seconds);
      const text = yield* until(request.text());
      return new Response(text);
    },
  });
  const pausing = (target: string, pause: number) =>
    world.client(function* ({ reader, writer }) {
      const text = post(target, 'body', 'connection: close');
      yield* writer.write(text.slice(0, -1));
      yield* sleep(pause);
      try {
        yield* writer.write(text.slice(-1));
        return Buffer.from(yield* reader.readAll(1000))
          .toString('latin1')
          .slice(9, 12);
      } catch {
        return 'reset';
      }
    });
  const answers = [pausing('/1', 5000), pausing('/20', 15_000), pausing('/0', 100_000)];
  await world.pass();
  assert.deepEqual(await Promise.all(answers), ['408', '200', '200']);
  await world.close();
});

test('timeout limits how long this client may pause reading the response, also a stream that has started', async () => {
  const large = 'x'.repeat(500_000);
  const world = new World({ latency: 0.01, pieces: 'whole', capacity: 10_000 });
  await world.serve({
    writeTimeout: 50_000,
    minWriteRate: 1e6,
    fetch(request, info) {
      const [, kind, seconds] = new URL(request.url).pathname.split('/');
      if (kind === 'plain') {
        if (seconds !== undefined) info.timeout(request, Number(seconds));
        return new Response(large);
      }
      return stream(function* (out) {
        yield* out.write('x');
        info.timeout(request, Number(seconds));
        yield* out.write(large.slice(1));
      });
    },
  });
  const pausing = (target: string) =>
    world.client(function* (connection) {
      yield* connection.writer.write(last(target));
      pauseReading(connection);
      yield* sleep(100_000);
      resumeReading(connection);
      const { ending, responses } = yield* received(connection);
      return ending === 'FIN' ? responses[0]?.body.length : ending;
    });
  const clients = ['/plain', '/plain/10', '/plain/200', '/plain/0', '/stream/10', '/stream/200'].map(pausing);
  await world.pass();
  const size = large.length;
  assert.deepEqual(await Promise.all(clients), ['reset', 'reset', size, size, 'reset', size]);
  await world.close();
  assert.deepEqual(world.errors, []);
});

test('timeout ends with the request', async () => {
  const world = await World.open({
    bodyTimeout: 1000,
    minBodyRate: 1000,
    async fetch(request, info) {
      if (request.url.endsWith('/first')) info.timeout(request, 0);
      return new Response(await request.text());
    },
  });
  const client = world.exchange(post('/first', 'ab') + post('/second', 'ab').slice(0, -1));
  await world.pass();
  assert.deepEqual(
    (await client).responses.map(({ status }) => status),
    [200, 408],
  );
  await world.close();
});

test('timeout takes only a number of seconds, and a request of the server', async () => {
  const errors: unknown[] = [];
  const world = await World.open({
    fetch(request, info) {
      for (const wrong of [-1, Number.NaN, Infinity, '1', undefined])
        assert.throws(
          () => info.timeout(request, wrong as number),
          /^TypeError: timeout: seconds is .+; expected a number from 0 to 86400$/,
        );
      assert.throws(() => info.timeout(new globalThis.Request('http://a/'), 1), /^TypeError: timeout: /);
      errors.push('all');
      return new Response();
    },
  });
  await bodyOf(world, last());
  assert.deepEqual(errors, ['all']);
  await world.close();
});

test('methods that need the option websocket throw an error that says so', async () => {
  const world = await World.open({
    fetch(request, info) {
      for (const use of [
        () => info.upgrade(request),
        () => info.publish('topic', 'text'),
        () => info.subscriberCount('topic'),
      ])
        assert.throws(use, /^TypeError: \w+: serve was called without websocket/);
      return new Response('all');
    },
  });
  assert.equal(await bodyOf(world, last()), 'all');
  await world.close();
});

test('reload replaces fetch and error for later requests, also on open connections', async () => {
  const world = await World.open({
    *fetch(_, info) {
      yield* sleep(1000);
      yield* until(
        info.reload({ fetch: () => Promise.reject(new Error('new')), error: () => new Response('answered') }),
      );
      return new Response('old');
    },
  });
  const both = world.exchange(get('/') + last());
  await world.pass();
  assert.deepEqual(
    (await both).responses.map(({ body }) => body),
    ['old', 'answered'],
  );
  assert.equal(world.errors.splice(0).length, 1);
  const { server } = world;
  await assert.rejects(server.reload({}), /^TypeError: reload: none of tls, fetch and error is given/);
  await assert.rejects(server.reload({ fetch: 'a' as never }), /^TypeError: reload: fetch is "a"; expected a function/);
  await assert.rejects(server.reload({ tls: { key: 'k', cert: 'c' } }), /started without tls$/);
  await world.close();
  await assert.rejects(server.reload({ fetch: () => new Response() }), { code: 'ERR_CLOSED' });
});

for (const closeActive of [false, true])
  test(`stop(${closeActive}) in a handler ends the server, and ${closeActive ? 'what is in progress' : 'lets it finish'}`, async () => {
    let wasUnwound = false;
    const world = await World.open({
      *fetch(_, info) {
        void info.stop(closeActive);
        let isOver = false;
        try {
          yield* sleep(1000);
          isOver = true;
          return new Response('finished');
        } finally {
          wasUnwound = !isOver;
        }
      },
    });
    const exchanged = world.exchange(get('/'));
    await world.pass();
    const [response] = (await exchanged).responses;
    assert.equal(wasUnwound, closeActive);
    assert.equal(response?.status, closeActive ? 503 : 200);
    assert.deepEqual(world.server.connections.total, 0);
    world.errors.length = 0; // with `true`, the deadline has unwound a thread
    await world.close();
  });
