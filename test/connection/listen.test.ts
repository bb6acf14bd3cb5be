import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionError, connect, listen, run, ServerClosedError, sleep, spawn, until } from '#sluice/index.js';
import { inManyWorlds, inWorld } from '../support/world.js';

test('an echo server in three lines', async () => {
  await inManyWorlds(function* (world) {
    const server = yield* until(
      listen({ port: 0, network: world.network }, function* ({ reader, writer }) {
        for (let line: string | undefined; (line = yield* reader.readLine(1024)) !== undefined; )
          yield* writer.write(`${line}\n`);
      }),
    );
    const { reader, writer } = yield* connect({ port: server.port });
    for (const word of ['one', 'two', 'three']) {
      yield* writer.write(`${word}\n`);
      assert.equal(yield* reader.readLine(100), word);
    }
    yield* writer.end();
    assert.equal(yield* reader.read(), undefined);
    yield* until(server.close());
    assert.equal(server.connections.total, 0);
  });
});

test('a handler that throws: its client is reset, onError is called once, no other client notices', async () => {
  await inWorld({}, function* (world) {
    const errors: unknown[] = [];
    const server = yield* until(
      listen(
        { port: 0, network: world.network, onError: (error) => errors.push(error) },
        function* ({ reader, writer }) {
          const line = yield* reader.readLine(100);
          if (line === 'bad') throw new Error('broken handler');
          yield* writer.write(`${line}\n`);
        },
      ),
    );
    const bad = yield* connect({ port: server.port });
    const good = yield* connect({ port: server.port });
    yield* bad.writer.write('bad\n');
    try {
      yield* bad.reader.read();
      assert.fail('nothing was thrown');
    } catch (error) {
      assert.ok(error instanceof ConnectionError && error.code === 'ECONNRESET', String(error));
    }
    yield* good.writer.write('good\n');
    assert.equal(yield* good.reader.readLine(100), 'good');
    yield* until(server.close());
    assert.deepEqual(errors.map(String), ['Error: broken handler']);
  });
});

test('a child thread that fails fails its handler; an error of onError itself does not escape', async (t) => {
  t.mock.method(console, 'error', () => {});
  await inWorld({}, function* (world) {
    let reported = 0;
    const server = yield* until(
      listen(
        {
          port: 0,
          network: world.network,
          onError() {
            reported++;
            throw new Error('onError is broken, too');
          },
        },
        function* () {
          spawn(function* child() {
            yield* sleep(50);
            throw new Error('child');
          });
          yield* sleep(1e9);
        },
      ),
    );
    yield* connect({ port: server.port });
    yield* sleep(100);
    assert.equal(reported, 1);
    assert.equal(server.connections.total, 0);
    yield* until(server.close());
  });
});

test('close waits for handlers, unwinds them at the deadline with ServerClosedError, and refuses new connections', async () => {
  await inWorld({}, function* (world) {
    const ends: unknown[] = [];
    const server = yield* until(
      listen({ port: 0, network: world.network }, function* ({ reader }) {
        const patience = Number(yield* reader.readLine(100));
        try {
          yield* sleep(patience);
          ends.push('finished');
        } finally {
          if (patience > 1000) ends.push('unwound');
        }
      }),
    );
    const quick = yield* connect({ port: server.port });
    const slow = yield* connect({ port: server.port });
    yield* quick.writer.write('200\n');
    yield* slow.writer.write('1000000\n');
    yield* sleep(50);
    const before = world.network.scheduler.now;
    const closed = spawn(() => until(server.close({ deadline: 500 })));
    yield* sleep(1);
    try {
      yield* connect({ port: server.port });
      assert.fail('it still accepts');
    } catch (error) {
      assert.ok(error instanceof ConnectionError && error.code === 'ECONNREFUSED', String(error));
    }
    yield* closed.join();
    assert.ok(world.network.scheduler.now - before < 20_000);
    assert.deepEqual(ends, ['finished', 'unwound']);
    assert.ok(new ServerClosedError() instanceof Error);
  });
});

test('connect fails with the system’s code, and with ERR_CONNECT_TIMEOUT when nothing answers in time', async () => {
  await inWorld({ latency: 50 }, function* (world) {
    try {
      yield* connect({ port: 9 });
      assert.fail('nothing was thrown');
    } catch (error) {
      assert.ok(error instanceof ConnectionError && error.code === 'ECONNREFUSED', String(error));
    }
    const server = yield* until(listen({ port: 0, network: world.network }, function* () {}));
    try {
      for (let i = 0; i < 50; i++) yield* connect({ port: server.port, connectTimeout: 1 });
      assert.fail('nothing was thrown');
    } catch (error) {
      assert.ok(error instanceof ConnectionError && error.code === 'ERR_CONNECT_TIMEOUT', String(error));
    }
    yield* until(server.close());
  });
});

test('connect comes from the local address that is asked for: the server’s peer shows it', async () => {
  await inWorld({}, function* (world) {
    const peers: string[] = [];
    const server = yield* until(
      listen({ port: 0, network: world.network }, function* ({ peer }) {
        peers.push(peer);
      }),
    );
    for (const localAddress of ['127.0.0.2', '192.0.2.7', '::1', undefined]) {
      const { reader } = yield* connect({ port: server.port, localAddress });
      assert.equal(yield* reader.read(), undefined);
    }
    yield* until(server.close());
    assert.deepEqual(
      peers.map((peer) => peer.replace(/\d+$/, '')),
      ['127.0.0.2:', '192.0.2.7:', '[::1]:', '127.0.0.1:'],
    );
  });
});

test('a thread that is unwound while it connects leaves no connection behind', async () => {
  for (let delay = 0; delay < 20; delay++) {
    await inWorld({ seed: delay, latency: 5 }, function* (world) {
      const server = yield* until(listen({ port: 0, network: world.network }, function* () {}));
      const thread = spawn(() => connect({ port: server.port }));
      yield* sleep(delay / 2);
      thread.unwind();
      yield* until(server.close());
    });
  }
});

test('options that are wrong are refused with the name of the option, what was found and what was expected', async () => {
  const none = function* () {};
  const wrong: [object, RegExp][] = [
    [{ port: -1 }, /port is -1; expected a whole number from 0 to 65535/],
    [{ port: '80' }, /port is "80"; expected a whole number/],
    [{ port: 1, hostname: 5 }, /hostname is 5; expected a string/],
    [{ port: 1, hostname: 'a\0b' }, /hostname is "a.*b"; expected a name or an address without a zero byte/],
    [{ port: 1, prot: 2 }, /unknown option "prot"; expected one of port, hostname/],
    [{ port: 1, [Symbol('prot')]: 2 }, /unknown option Symbol\(prot\); expected one of port, hostname/],
    [{ port: 1, path: '/x' }, /path and port are both given/],
    [{ hostname: '::1', path: '/x' }, /path and hostname are both given; a Unix-domain socket has no hostname/],
    [{ reusePort: true, path: '/x' }, /path and reusePort are both given/],
    [
      { port: 1, hostname: '[127.0.0.1]' },
      /hostname is "\[127.0.0.1\]"; expected an IPv6 address between the brackets/,
    ],
    [{ port: 1, hostname: '[::1' }, /hostname is "\[::1"; expected an IPv6 address between the brackets/],
    [{}, /neither port nor path is given/],
    [{ port: 1, backlog: 0 }, /backlog is 0; expected a whole number from 1/],
  ];
  for (const [options, message] of wrong) await assert.rejects(listen(options, none), message);
  await assert.rejects(listen({ port: 0 }, 5 as never), /the handler is 5; expected a generator function/);
  await assert.rejects(
    run(() => connect({ port: 1, timeout: 5 } as never)),
    /unknown option "timeout"/,
  );
  await assert.rejects(
    run(() => connect({ path: '/x', hostname: '::1' })),
    /connect: path and hostname are both given/,
  );
  await assert.rejects(
    run(() => connect({ port: 1, localAddress: 'here' })),
    /localAddress is "here"; expected an IP address/,
  );
  await assert.rejects(
    run(() => connect({ path: '/x', localAddress: '127.0.0.1' })),
    /path and localAddress are both given/,
  );
});

test('an IPv6 address may stand in brackets, as in the hostname of a URL', async () => {
  await inWorld({ seed: 1 }, function* (world) {
    const server = yield* until(listen({ port: 0, hostname: '[::1]', network: world.network }, function* () {}));
    assert.equal(server.address, `[::1]:${server.port}`);
    const { hostname } = new URL(`tcp://${server.address}`);
    const connection = yield* connect({ port: server.port, hostname });
    assert.equal(connection.peer, server.address);
    yield* until(server.close());
  });
});
