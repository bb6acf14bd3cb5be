// A layer over libc and libuv wait in one system call: neither may keep the other from what it has to do, nor wait for nothing.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import type { EventLayer, Slot } from '#sluice/event-layer/event-layer.js';
import { linuxLayers } from '../../support/layers.js';
import { runProgram } from '../../support/program.js';

/** Asks fifty times, each time when it has been answered; gives up after four seconds. */
function clientProgram(port: number): string {
  return `
    import { once } from 'node:events';
    import { connect } from 'node:net';
    setTimeout(() => process.exit(1), 4_000).unref();
    const socket = connect(${port}, '127.0.0.1');
    for (let i = 0; i < 50; i++) {
      socket.write('x');
      await once(socket, 'data');
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    process.exit(0);`;
}

/** Starts a layer whose listener answers each piece with itself, calling `during` in the turn, and `turn` when one begins. @returns its port */
async function echo(layer: EventLayer, during: () => void, turn: () => void = () => {}): Promise<number> {
  layer.start({
    beginTurn: turn,
    accepted() {},
    connected() {},
    received(slot: Slot, bytes: Uint8Array, start: number, end: number) {
      during();
      const at = layer.reserve(slot, end - start);
      layer.output.set(bytes.subarray(start, end), at);
      layer.commit(slot, at + end - start);
    },
    ended: (slot) => layer.finish(slot),
    drained() {},
    flushed() {},
    closed() {},
    acceptFailed: assert.fail,
    endTurn() {},
  });
  const { address } = await layer.listen({ address: { hostname: '127.0.0.1', port: 0 }, backlog: 16 });
  assert.ok('port' in address);
  return address.port;
}

for (const { name, make: makeLayer, skip } of linuxLayers)
  describe(name, { skip }, () => {
    const layers: EventLayer[] = [];
    const make = (): EventLayer => {
      const layer = makeLayer();
      layers.push(layer);
      return layer;
    };
    // A test that fails must not leave a layer that holds the process open.
    afterEach(async () => {
      for (const layer of layers.splice(0)) await layer.close();
    });

    test('sockets of Node that are opened in a turn, and have nothing to say, do not keep the layer from its events', async () => {
      const layer = make();
      const silent = createServer().listen(0, '127.0.0.1');
      await once(silent, 'listening');
      const address = silent.address();
      assert.ok(typeof address === 'object' && address !== null);
      const opened: Socket[] = [];
      const port = await echo(layer, () => opened.push(connect(address.port, '127.0.0.1')));
      // The client is a separate process, of which libuv hears nothing before it has ended. Each of its answers needs a turn, after
      // libuv has been given something to do that then does not happen.
      assert.equal((await runProgram(clientProgram(port))).code, 0, 'the client was answered in time');
      for (const socket of opened) socket.destroy();
      silent.close();
      await layer.close();
    });

    test('two layers in one process, both at work; and each alone again', async () => {
      const [one, other] = [make(), make()];
      const ports = [await echo(one, () => {}), await echo(other, () => {})];
      const talk = async (port: number): Promise<void> => {
        assert.equal((await runProgram(clientProgram(port))).code, 0, 'the client was answered in time');
      };
      await Promise.all(ports.map(talk));
      await one.close();
      await talk(ports[1]);
      const third = make();
      const port = await echo(third, () => {});
      await Promise.all([talk(port), talk(ports[1])]);
      await third.close();
      await talk(ports[1]);
      await other.close();
    });

    test('two layers that are made in the last turn of another accept at once', async () => {
      const first = make();
      await echo(first, () => {});
      await first.close(); // it resolves in that turn
      const ports = [await echo(make(), () => {}), await echo(make(), () => {})];
      for (const { code } of await Promise.all(ports.map((port) => runProgram(clientProgram(port)))))
        assert.equal(code, 0, 'the client was answered in time');
    });

    test('timers, immediates and promises of Node take turns with the layer, whichever is busy', async () => {
      const layer = make();
      let immediates = 0;
      let timers = 0;
      let promised = 0;
      const port = await echo(layer, () => {
        setImmediate(() => immediates++);
        setTimeout(() => timers++, 1);
        Promise.resolve().then(() => promised++);
      });
      const client = connect(port, '127.0.0.1');
      for (let i = 1; i <= 200; i++) {
        client.write('x');
        await once(client, 'data');
        assert.equal(promised, i);
      }
      client.destroy();
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.deepEqual([immediates, timers], [200, 200]);
      await layer.close();
    });

    test('a turn that is far away comes at its time, and not before, also when the time has been changed', async () => {
      const layer = make();
      /** Called when a turn has begun, with its time. */
      let told = (_now: number): void => {};
      const port = await echo(
        layer,
        () => {},
        () => told(layer.now()),
      );
      /** @returns how late the first turn is after the last of the times that are asked for, with nothing of Node's to end the wait */
      const lateness = async (...delays: number[]): Promise<number> => {
        // The turns that the commands before have asked for: Node's timers come before them where the process had no processor for so long.
        await new Promise((resolve) => setTimeout(resolve, 30));
        for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
        const first = new Promise<number>((resolve) => {
          told = resolve;
        });
        let time = 0;
        for (const delay of delays) {
          time = layer.now() + delay;
          layer.wakeAt(time);
          await new Promise((resolve) => setTimeout(resolve, 5)); // it begins to wait
        }
        return (await first) - time;
      };
      const inTime = (late: number): void => assert.ok(late >= 0 && late < 2_000, `${late} ms late`);
      inTime(await lateness(80));
      inTime(await lateness(5000, 60)); // sooner than before
      inTime(await lateness(200, 300)); // later than before: what was to end the wait sooner is no turn
      inTime(await lateness(5));
      // A timer of Node's that is sooner than what the layer waits for, with nothing else that would end its wait.
      layer.wakeAt(layer.now() + 5000);
      for (const delay of [25, 70]) {
        const begun = performance.now();
        await new Promise((resolve) => setTimeout(resolve, delay));
        inTime(performance.now() - begun - delay + 1); // Node's clock goes by milliseconds
      }
      // With events in between.
      const client = connect(port, '127.0.0.1');
      client.on('data', () => setTimeout(() => client.write('x'), 3));
      client.write('x');
      await once(client, 'data');
      const time = layer.now() + 100;
      const due = new Promise<number>((resolve) => {
        told = (now) => {
          if (now >= time) resolve(now);
        };
      });
      layer.wakeAt(time);
      inTime((await due) - time);
      client.destroy();
      await layer.close();
    });

    test('waiting costs nothing: between events the process does not run', async () => {
      const layer = make();
      const port = await echo(layer, () => {});
      const client = connect(port, '127.0.0.1');
      client.write('x');
      await once(client, 'data');
      layer.wakeAt(layer.now() + 60_000);
      // A timer and a socket of Node end the layer's wait now and then.
      const ticking = setInterval(() => client.write('x'), 50);
      const before = process.cpuUsage();
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const { user, system } = process.cpuUsage(before);
      clearInterval(ticking);
      client.destroy();
      await layer.close();
      assert.ok(user + system < 500_000, `it ran for ${(user + system) / 1000} of 1000 ms`);
    });
  });
