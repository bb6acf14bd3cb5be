import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { describe, it, mock } from 'node:test';
import { connect } from 'node:tls';
import { departuresPerTurn } from '#sluice/event-layer/departures.js';
import { type EventLayer, highWaterMark } from '#sluice/event-layer/event-layer.js';
import { PortableLayer } from '#sluice/event-layer/portable/portable.js';
import { Harness } from '../contract/harness.js';
import { SecuredPortable } from '../support/secured-portable.js';

const pass = (_layer: EventLayer, milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

async function inWorld(play: (harness: Harness) => Promise<void>, layer = new PortableLayer()): Promise<void> {
  const harness = new Harness(layer, pass, layer instanceof SecuredPortable);
  await play(harness);
  await harness.over();
}

describe('the portable layer', () => {
  it('writes to a socket once a turn, however many writes the turn has made to each of several connections', () =>
    inWorld(async (harness) => {
      const { address } = await harness.listen();
      const one = await harness.pair(address);
      const two = await harness.pair(address);
      const write = mock.method(net.Socket.prototype, 'write');
      let due = true;
      harness.onTurnBegins = () => {
        if (!due) return;
        due = false;
        for (let i = 0; i < 100; i++) one.server.write('0123456789');
        for (let i = 0; i < 10; i++) for (const end of [one.client, two.client]) end.write('abc');
      };
      harness.layer.requestTurn();
      await harness.until(() => one.client.receivedBytes === 1000 && two.server.receivedBytes === 30, 'all of it');
      write.mock.restore();
      const written = write.mock.calls.map((call) => call.arguments[0].length);
      assert.deepEqual(written, [1000, 30, 30]);
    }));

  it('starves no client: one as fast as its writer does not keep others from their turns', () =>
    inWorld(async (harness) => {
      const { server } = await harness.pair();
      const other = await harness.pair();
      let goesOn = true;
      const chunk = new Uint8Array(highWaterMark);
      server.onDrained = () => {
        if (goesOn) server.write(chunk);
      };
      server.write(chunk);
      for (let i = 0; i < 20; i++) {
        const before = other.server.receivedBytes;
        other.client.write('me too');
        await harness.until(() => other.server.receivedBytes > before, 'a turn for the other');
      }
      assert.ok(server.drained > 0);
      goesOn = false;
    }));

  it('reports a reset that comes behind bytes that are not read yet, and not an end', () =>
    inWorld(async (harness) => {
      const peer = net.createServer((socket) => {
        socket.write(Buffer.alloc(150_000));
        setTimeout(() => socket.resetAndDestroy(), 30);
      });
      await new Promise<void>((resolve) => peer.listen(0, '127.0.0.1', () => resolve()));
      const client = harness.connect({ hostname: '127.0.0.1', port: (peer.address() as AddressInfo).port });
      await harness.until(() => client.isThere, 'connected');
      client.pause();
      await harness.pass(80);
      if (!client.isClosed) client.resume();
      await harness.until(() => client.isClosed, 'closed');
      assert.equal(client.hasEnded, false);
      assert.equal(client.reason?.code, 'ECONNRESET');
      assert.match(client.reason.message, /127\.0\.0\.1:\d+/);
      peer.close();
    }));

  for (const [name, make, size] of [
    ['plain', () => new PortableLayer(), 200],
    ['with TLS', () => new SecuredPortable(), 100],
  ] as const)
    it(`spreads a crowd of resets over several rounds of the event loop, ${name}`, () =>
      inWorld(async (harness) => {
        const { address } = await harness.listen();
        const port = 'port' in address ? address.port : assert.fail();
        const clients = Array.from({ length: size }, () => net.connect(port, '127.0.0.1').on('error', () => {}));
        if (name === 'with TLS')
          await Promise.all(
            clients.map((socket) =>
              once(
                connect({ socket, rejectUnauthorized: false }).on('error', () => {}),
                'session',
              ),
            ),
          );
        await harness.until(() => harness.open === clients.length, 'the crowd');
        const servers = new Set(harness.ends);
        const release = mock.method(net.Socket.prototype, '_destroy');
        let before = 0;
        let most = 0;
        const countRounds = (): void => {
          const broken = release.mock.calls.filter(({ arguments: [error] }) => error !== null).length;
          most = Math.max(most, broken - before);
          before = broken;
          round = setImmediate(countRounds);
        };
        let round = setImmediate(countRounds);
        for (const client of clients) client.resetAndDestroy();
        await harness.until(() => harness.open === 0, 'the crowd to leave');
        clearImmediate(round);
        release.mock.restore();
        assert.ok(most > 0 && most <= departuresPerTurn, `${most} in one round`);
        for (const end of servers) assert.equal(end.reason?.code, 'ECONNRESET');
      }, make()));

  it('writes output into the same memory again and again, as soon as it has been sent', () =>
    inWorld(async (harness) => {
      const { server } = await harness.pair();
      const memory = new Set<ArrayBufferLike>();
      for (let i = 0; i < 50; i++) {
        while (!server.isFlooded) {
          server.write(new Uint8Array(16_400));
          memory.add(harness.layer.output.buffer);
        }
        await harness.until(() => !server.isFlooded && server.queued === 0, 'room');
      }
      assert.ok(memory.size < 5, `${memory.size} pieces of memory`);
    }));

  it('does not hold output of others alive: what waits for a connection is its own copy', () =>
    inWorld(async (harness) => {
      const { address } = await harness.listen();
      const { client, server } = await harness.pair(address);
      client.pause();
      while (!server.isFlooded) {
        server.write(new Uint8Array(60_000));
        await harness.pass(1);
      }
      const before = process.memoryUsage().arrayBuffers;
      // Beside other output, so that what waits would keep all of it if it were not copied.
      const other = await harness.pair(address);
      for (let i = 0; i < 400; i++) {
        server.write('x');
        other.server.write(new Uint8Array(50_000));
        await harness.until(() => other.server.queued === 0, 'room');
      }
      globalThis.gc?.();
      await harness.pass(10);
      globalThis.gc?.();
      const grown = process.memoryUsage().arrayBuffers - before;
      if (globalThis.gc !== undefined) assert.ok(grown < 5_000_000, `${grown} bytes`);
    }));
});
