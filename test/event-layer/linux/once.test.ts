// What the kernel reports once must not be lost, whatever happens in that turn.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { EpollLayer } from '#sluice/event-layer/epoll/epoll.js';
import type { Slot } from '#sluice/event-layer/event-layer.js';
import { noopSink } from '#sluice/event-layer/noop-sink.js';
import { UringLayer } from '#sluice/event-layer/uring/uring.js';
import { Program } from '../../support/program.js';

type Layer = EpollLayer | UringLayer;

const makers: Record<string, () => Layer> = { epoll: () => new EpollLayer(), uring: () => new UringLayer() };

/** Two clients, and what the layer has reported of each, in the order in which they were accepted. All end with the test. */
async function two(test: TestContext, layer: Layer, received: (slot: Slot) => void, endTurn: () => void) {
  const slots: Slot[] = [];
  const told = new Map<Slot, string>();
  layer.start({
    beginTurn() {},
    accepted(slot) {
      slots.push(slot);
      told.set(slot, '');
    },
    connected() {},
    received(slot, bytes, start, end) {
      told.set(slot, told.get(slot) + Buffer.from(bytes.subarray(start, end)).toString('latin1'));
      received(slot);
    },
    ended: (slot) => void told.set(slot, `${told.get(slot)}$`),
    drained() {},
    flushed() {},
    closed() {},
    acceptFailed: assert.fail,
    endTurn,
  });
  const { address } = await layer.listen({ address: { hostname: '127.0.0.1', port: 0 }, backlog: 16 });
  assert.ok('port' in address);
  const clients: Socket[] = [];
  test.after(async () => {
    for (const client of clients) client.destroy();
    await layer.close();
  });
  for (const count of [1, 2]) {
    const client = connect(address.port, '127.0.0.1').setNoDelay(true);
    await once(client, 'connect');
    client.on('error', () => {}).resume();
    clients.push(client);
    await until(() => slots.length === count);
  }
  return { slots, told, clients };
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !isTrue(); i++) await sleep(10);
  assert.ok(isTrue());
}

const hasPython = spawnSync('python3', ['--version']).status === 0;

/** Clients that say `hello` with something in its middle, and stay until their input ends: Node has no means to send it. */
const stops = {
  'urgent data': `
import socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
s.sendall(b'hel'); s.send(b'!', socket.MSG_OOB); s.sendall(b'lo')
sys.stdin.read()`,
  'a descriptor': `
import array, os, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
rights = array.array('i', [os.open('/dev/null', os.O_RDONLY)])
s.sendmsg([b'hel'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]); s.sendall(b'lo')
sys.stdin.read()`,
};

for (const [name, make] of Object.entries(makers))
  describe(name, () => {
    test('reading that is paused and resumed in the turn in which there is something to be read', async (t) => {
      const layer = make();
      let isFirst = true;
      let paused: Slot | undefined;
      const { slots, told, clients } = await two(
        t,
        layer,
        (slot) => {
          if (!isFirst) return;
          isFirst = false;
          [paused] = slots.filter((each) => each !== slot);
          layer.pauseReading(paused);
        },
        () => {
          if (paused !== undefined) layer.resumeReading(paused);
          paused = undefined;
        },
      );
      // Both are reported in one turn: Node hands what is written to the kernel at once.
      clients[0].write('a');
      clients[1].write('b');
      await until(() => told.get(slots[0]) === 'a' && told.get(slots[1]) === 'b');
    });

    for (const bytes of [1, 65_535, 65_536, 65_537, 131_072])
      test(`${bytes} bytes and the end of a connection, both there at once`, async (t) => {
        const layer = make();
        const { slots, told, clients } = await two(
          t,
          layer,
          () => {},
          () => {},
        );
        layer.pauseReading(slots[0]);
        await sleep(20);
        clients[0].end('x'.repeat(bytes));
        await sleep(20);
        layer.resumeReading(slots[0]);
        await until(() => told.get(slots[0]) === `${'x'.repeat(bytes)}$`);
      });

    for (const [what, client] of Object.entries(stops))
      test(`what stands behind ${what}, where the kernel ends a read`, {
        skip: hasPython ? false : 'no python3',
      }, async () => {
        const folder = await mkdtemp(join(tmpdir(), 'sluice-'));
        const layer = make();
        const told: string[] = [];
        layer.start({
          ...noopSink,
          received: (_slot, bytes, start, end) => void told.push(Buffer.from(bytes.subarray(start, end)).toString()),
          acceptFailed: assert.fail,
        });
        const path = join(folder, 'socket');
        const isLocal = client.includes('AF_UNIX');
        const { address } = await layer.listen({
          address: isLocal ? { path } : { hostname: '127.0.0.1', port: 0 },
          backlog: 16,
        });
        const child = new Program(['python3', '-c', client, 'port' in address ? `${address.port}` : address.path]);
        try {
          await until(() => told.join('') === 'hello');
        } finally {
          child.process.stdin?.end();
          await child.ended;
          await layer.close();
          await rm(folder, { recursive: true });
        }
      });

    test('what comes after an error in the middle of a turn', async (t) => {
      const layer = make();
      let isFirst = true;
      const { slots, told, clients } = await two(
        t,
        layer,
        () => {
          if (!isFirst) return;
          isFirst = false;
          throw new Error('of the sink');
        },
        () => {},
      );
      clients[0].write('a');
      clients[1].write('b');
      assert.throws(() => layer.run(1000), /of the sink/);
      await until(() => told.get(slots[0]) === 'a' && told.get(slots[1]) === 'b');
    });

    test('a socket that takes output again, although less is left than the low-water mark', async (t) => {
      const layer = make();
      const { slots, clients } = await two(
        t,
        layer,
        () => {},
        () => {},
      );
      clients[0].pause();
      let bytes = 0;
      for (let left = 0; left === 0; left = layer.queued(slots[0])) {
        const size = 1000;
        const at = layer.reserve(slots[0], size);
        layer.output.fill(120, at, at + size);
        layer.commit(slots[0], at + size);
        bytes += size;
        layer.run(0);
      }
      let came = 0;
      clients[0].on('data', (data) => {
        came += data.length;
      });
      clients[0].resume();
      await until(() => came === bytes);
    });
  });
