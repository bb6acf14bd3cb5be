// Peers that break the rules of TLS: each gets an alert, which arrives, and the end of its connection. Nothing is thrown, and others go on.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listen } from '#sluice/connection/listen.js';
import { ConnectionError } from '#sluice/event-layer/event-layer.js';
import { Response } from '#sluice/http/fetch/response.js';
import { sleep } from '#sluice/threads/sleep.js';
import { Alert } from '#sluice/tls/alerts.js';
import { maxContent } from '#sluice/tls/session.js';
import { get, received, World } from '../support/world.js';
import { closeNotify, fatalAlert, record, recordType, ToyPeer, toyTls } from './toy-peer.js';

interface BadPeer {
  /** Whether the handshake is complete before. */
  afterHandshake: boolean;
  sends: (peer: ToyPeer) => Uint8Array;
  alert: number;
}

const changed = (bytes: Uint8Array, at: number): Uint8Array => {
  const copy = Uint8Array.from(bytes);
  copy[at] ^= 1;
  return copy;
};

const badPeers: Record<string, BadPeer> = {
  'zeros instead of a handshake': {
    afterHandshake: false,
    sends: () => new Uint8Array(1000),
    alert: Alert.unexpectedMessage,
  },
  'a handshake message that is none': {
    afterHandshake: false,
    sends: () => record(recordType.handshake, 'hello?'),
    alert: Alert.decodeError,
  },
  'content before the handshake': {
    afterHandshake: false,
    sends: () => record(recordType.content, 'x'.repeat(100)),
    alert: Alert.unexpectedMessage,
  },
  'another major version': {
    afterHandshake: false,
    sends: () => Uint8Array.of(22, 2, 0, 0, 1),
    alert: Alert.protocolVersion,
  },
  'a record whose content was changed': {
    afterHandshake: true,
    sends: (peer) => changed(peer.seal(get('/')), 20),
    alert: Alert.badRecordMac,
  },
  'the same record twice': {
    afterHandshake: true,
    sends: (peer) => {
      const sealed = peer.seal('GET / HTTP/1.1\r\n');
      return Buffer.concat([sealed, sealed]);
    },
    alert: Alert.badRecordMac,
  },
  'a record without room for its tag': {
    afterHandshake: true,
    sends: () => record(recordType.content, 'x'),
    alert: Alert.decodeError,
  },
  'a header that claims more than a record may have, and nothing after it': {
    afterHandshake: true,
    sends: () => record(recordType.content, '', 0xffff),
    alert: Alert.recordOverflow,
  },
  'a record that is longer than its content may be': {
    afterHandshake: true,
    sends: () => record(recordType.content, new Uint8Array(maxContent + 200)),
    alert: Alert.recordOverflow,
  },
  'a second handshake': {
    afterHandshake: true,
    sends: (peer) => peer.hello(),
    alert: Alert.unexpectedMessage,
  },
  'HTTP after the handshake': {
    afterHandshake: true,
    sends: () => Buffer.from(get('/').repeat(10)),
    alert: Alert.unexpectedMessage,
  },
  'an alert of the wrong length': {
    afterHandshake: true,
    sends: () => record(recordType.alert, '123'),
    alert: Alert.decodeError,
  },
};

for (const [name, { afterHandshake, sends, alert }] of Object.entries(badPeers))
  for (const pieces of ['whole', 1] as const)
    test(`${name}, in pieces: ${pieces}`, async () => {
      const world = new World({ latency: 0.01, pieces }, 'plain');
      const tls = toyTls();
      const server = await world.serve({ fetch: () => new Response('hello'), secure: tls.secure });
      const { port } = server;
      const good = world.client(
        function* (connection) {
          yield* connection.writer.write(get('/'));
          yield* sleep(3000);
          yield* connection.writer.write(get('/', 'connection: close'));
          return yield* received(connection);
        },
        { port, secure: tls.secure },
      );
      const bad = world.client(
        function* (connection) {
          const peer = new ToyPeer(connection);
          if (afterHandshake) yield* peer.handshake();
          yield* connection.writer.write(sends(peer));
          const records = yield* peer.rest();
          return { records, at: world.now };
        },
        { port },
      );
      await world.pass(60_000);
      const { records, at } = await bad;
      assert.equal(fatalAlert(records), alert);
      assert.ok(!records.some(({ type }) => type === recordType.content));
      assert.ok(at < 2500, 'it is told at once');
      assert.equal((await good).responses.length, 2);
      assert.deepEqual(world.errors, []);
      await world.close();
    });

for (const pieces of ['whole', 1] as const)
  test(`HTTP without TLS gets a response that says so, in pieces: ${pieces}`, async () => {
    const world = new World({ latency: 0.01, pieces }, 'plain');
    const server = await world.serve({ fetch: () => new Response('hello'), secure: toyTls().secure });
    const client = world.client(
      function* (connection) {
        yield* connection.writer.write(get('/'));
        return yield* received(connection);
      },
      { port: server.port },
    );
    await world.pass(60_000);
    const [{ status, body }] = (await client).responses;
    assert.equal(status, 400);
    assert.match(body.toString(), /https:/);
    assert.equal(server.connections.total, 0);
    assert.deepEqual(world.errors, []);
    await world.close();
  });

test('what comes after close_notify is ignored (RFC 8446 §6.1)', async () => {
  const world = new World({ latency: 0.01, pieces: 'whole' }, 'plain');
  const urls: string[] = [];
  const fetch = (request: Request) => {
    urls.push(new URL(request.url).pathname);
    return new Response('hello');
  };
  const server = await world.serve({ fetch, secure: toyTls().secure, allowHalfOpen: true });
  const records = world.client(
    function* (connection) {
      const peer = new ToyPeer(connection);
      yield* peer.handshake();
      const sent = [peer.seal(get('/before')), closeNotify, peer.seal(get('/after')), Buffer.from('garbage')];
      yield* connection.writer.write(Buffer.concat(sent));
      yield* sleep(100);
      yield* connection.writer.write('more garbage');
      return yield* peer.rest();
    },
    { port: server.port },
  );
  await world.pass(60_000);
  assert.equal(fatalAlert(await records), undefined);
  assert.deepEqual(urls, ['/before']);
  await world.close();
});

test('close_notify before the handshake is complete ends the connection', async () => {
  const world = new World({ latency: 0.01, pieces: 'whole' }, 'plain');
  const server = await world.serve({ fetch: () => new Response('hello'), secure: toyTls().secure });
  const records = world.client(
    function* (connection) {
      yield* connection.writer.write(closeNotify);
      return yield* new ToyPeer(connection).rest();
    },
    { port: server.port },
  );
  await world.pass(5000);
  assert.deepEqual(await records, []);
  assert.equal(server.connections.total, 0);
  await world.close();
});

test('a handler that reads gets an error, not an end of input, when the session breaks', async () => {
  const world = new World({ latency: 0.01, pieces: 'whole' }, 'plain');
  const seen: unknown[] = [];
  const server = await listen(
    { port: 0, hostname: '127.0.0.1', network: world.network, secure: toyTls().secure },
    function* ({ reader }) {
      try {
        seen.push(Buffer.from(yield* reader.readAll(1000)).toString());
      } finally {
        seen.push('unwound');
      }
    },
  );
  const client = world.client(
    function* (connection) {
      const peer = new ToyPeer(connection);
      yield* peer.handshake();
      yield* connection.writer.write(Buffer.concat([peer.seal('half of it'), changed(peer.seal('the rest'), 9)]));
      return yield* peer.rest();
    },
    { port: server.port },
  );
  await world.pass(60_000);
  assert.equal(fatalAlert(await client), Alert.badRecordMac);
  assert.deepEqual(seen, ['unwound']);
  const closing = server.close();
  await world.pass();
  await closing;
  await world.close();
});

test('a client whose server breaks the session gets the error at its next read', async () => {
  const world = new World({ latency: 0.01, pieces: 'whole' }, 'plain');
  // A server of the toy whose content was changed on its way.
  const server = await listen(
    { port: 0, hostname: '127.0.0.1', network: world.network },
    function* ({ reader, writer }) {
      yield* reader.read();
      yield* writer.write(record(recordType.handshake, 'toy http/1.1'));
      yield* writer.write(record(recordType.content, 'no such record'));
      const answer = yield* reader.readAll(1000);
      assert.deepEqual([...answer.subarray(0, 1)], [recordType.alert]);
    },
  );
  const client = world.client(
    function* ({ reader }) {
      return yield* reader.read();
    },
    { port: server.port, secure: toyTls().secure },
  );
  const outcome = client.catch((error: unknown) => error);
  await world.pass(60_000);
  const error = await outcome;
  assert.ok(error instanceof ConnectionError);
  assert.equal(error.code, 'ERR_TLS_PROTOCOL');
  const closing = server.close();
  await world.pass();
  await closing;
  await world.close();
});

test('an alert of the peer: a response that is under way is unwound, with the alert as the cause', async () => {
  const world = new World({ latency: 0.01, pieces: 'whole' }, 'plain');
  let cause: unknown;
  const server = await world.serve({
    secure: toyTls().secure,
    async fetch(request: Request) {
      await new Promise((resolve) => request.signal.addEventListener('abort', resolve));
      cause = request.signal.reason.cause;
      return new Response('too late');
    },
  });
  const client = world.client(
    function* (connection) {
      const peer = new ToyPeer(connection);
      yield* peer.handshake();
      yield* connection.writer.write(peer.seal(get('/')));
      yield* sleep(100);
      yield* connection.writer.write(record(recordType.alert, Uint8Array.of(2, 40)));
      return yield* peer.rest();
    },
    { port: server.port },
  );
  await world.pass(60_000);
  assert.deepEqual(await client, []);
  assert.ok(cause instanceof ConnectionError);
  assert.equal(cause.code, 'ERR_TLS_ALERT');
  assert.deepEqual(world.errors, []);
  await world.close();
});
