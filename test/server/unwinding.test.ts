import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { serve, sleep, stream, type Task, until } from '#sluice/index.js';
import { Child } from '../support/program.js';
import { eventually } from '../support/raw-client.js';
import type { Ask } from './vanishing-clients.js';

const streams = 999;
const kinds = ['timer', 'flooded', 'promise'] as const;

test('1,000 streams whose clients vanish, by FIN or RST: every finally runs once, nothing is left, the heap is what it was', async (t) => {
  let begun = 0;
  let ended = 0;
  const errors: unknown[] = [];
  const piece = new Uint8Array(16_384);
  const parks: Record<string, (out: { write(data: Uint8Array): Task<void> }) => Task<unknown>> = {
    '/timer': () => sleep(1e9),
    '/promise': () => until(new Promise(() => {})),
    *'/flooded'(out) {
      for (;;) yield* out.write(piece);
    },
  };
  const server = await serve({
    port: 0,
    hostname: '127.0.0.1',
    onError: (error) => errors.push(error),
    fetch(request) {
      const { pathname } = new URL(request.url);
      return stream(function* (out) {
        begun++;
        try {
          yield* out.write(piece.subarray(0, 10));
          yield* parks[pathname](out);
        } finally {
          ended++;
        }
      });
    },
  });
  const clients = new Child<Ask, number>(new URL('vanishing-clients.js', import.meta.url));
  t.after(() => {
    clients.kill();
    return server.close({ deadline: 0 });
  });
  const open = Array.from({ length: streams }, (_, i) => `/${kinds[i % 3]}`);

  const round = async (leave: 'fin' | 'rst') => {
    begun = 0;
    ended = 0;
    await clients.ask({ open, port: server.port ?? 0 });
    const waits = () => {
      const counts: Record<string, number> = { timer: 0, flooded: 0, promise: 0 };
      for (const { wait = 'none' } of server.active()) counts[wait] = (counts[wait] ?? 0) + 1;
      return counts;
    };
    await eventually('a third of the streams is parked on each kind of wait', () => {
      const counts = waits();
      return kinds.every((kind) => counts[kind] === streams / 3);
    });
    assert.equal(server.connections.writing, streams);
    assert.equal(ended, 0);
    await clients.ask({ leave });
    await eventually('every finally has run', () => ended === streams);
    await clients.ask({ drop: true });
    await eventually('no connection is left', () => server.connections.total === 0);
    assert.equal(begun, streams);
    assert.equal(ended, streams);
  };
  const heap = async () => {
    for (let i = 0; i < 5; i++) {
      await wait(20);
      globalThis.gc?.();
    }
    return process.memoryUsage().heapUsed;
  };

  // A leak would grow the heap in every round; what the engine compiles and keeps now and then, does not.
  const growth: number[] = [];
  for (let before = Infinity; growth.length < 8 && !growth.some((bytes) => bytes < streams * 64); ) {
    await round('rst');
    await round('fin');
    const after = await heap();
    if (before !== Infinity) growth.push(after - before);
    before = after;
  }
  t.diagnostic(
    `the heap after each ${2 * streams} streams, beside before: ${growth.map((bytes) => `${bytes} B`).join(', ')}`,
  );
  assert.ok(
    growth.some((bytes) => bytes < streams * 64),
    `the heap has grown each time: by ${growth.join(', ')} bytes`,
  );
  assert.deepEqual(errors, []);
  assert.equal(await clients.end(), 0);
  await server.close();
  assert.equal(server.connections.total, 0);
});
