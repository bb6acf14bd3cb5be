// The server of the soak: each way to answer, under options whose timeouts come up within a round. Asked over the channel of its
// parent, it says what it holds.

import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import process from 'node:process';
import { Network, serve, sleep, stream, until } from '../../dist/index.js';
import { pattern } from './pattern.mjs';

const later = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** What there is of, started and not over: bodies that are threads. */
let streams = 0;
const errors = new Map();
let served = 0;

/** Each answers with `bytes` of the pattern from `seed` on, but for those that read a body. */
const handlers = {
  plain: (seed, bytes) => new Response(pattern(seed, bytes)),

  async async(seed, bytes) {
    await later(seed % 7);
    return new Response(pattern(seed, bytes));
  },

  *thread(seed, bytes) {
    yield* sleep(seed % 5);
    const piece = yield* until(later(seed % 3).then(() => pattern(seed, bytes)));
    return new Response(piece);
  },

  stream: (seed, bytes) =>
    stream(function* (out) {
      streams++;
      try {
        const all = pattern(seed, bytes);
        // Of what is large no tiny pieces, of which each 16 take a millisecond: its client would be at it for minutes.
        const step = Math.max(1 + ((seed * 7919) % 50_000), Math.ceil(bytes / 2000));
        for (let at = 0; at < bytes; at += step) {
          yield* out.write(all.subarray(at, at + step));
          if ((at / step) % 16 === 15) yield* sleep(1);
        }
      } finally {
        streams--;
      }
    }),

  // The body comes back, whole.
  echo: async (_seed, _bytes, request) => new Response(await request.arrayBuffer()),

  // The body is read piece by piece, slowly now and then, and counted.
  async count(seed, _bytes, request) {
    let bytes = 0;
    let pieces = 0;
    for await (const piece of request.body) {
      bytes += piece.length;
      if (++pieces % 8 === seed % 8) await later(1);
    }
    return Response.json({ bytes });
  },

  // The body is not read.
  ignore: () => new Response('ignored', { status: 202 }),

  fail() {
    throw new Error('on purpose');
  },
};

const server = await serve({
  port: 0,
  hostname: '127.0.0.1',
  idleTimeout: 20_000,
  headTimeout: 20_000,
  bodyTimeout: 20_000,
  writeTimeout: 20_000,
  leaveTimeout: 5_000,
  lingerTimeout: 2_000,
  fetch(request) {
    served++;
    const [, kind, seed, bytes] = new URL(request.url).pathname.split('/');
    const handler = Object.hasOwn(handlers, kind) ? handlers[kind] : undefined;
    return handler?.(Number(seed ?? 0), Number(bytes ?? 0), request) ?? new Response('nothing there', { status: 404 });
  },
  onError(error) {
    const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    if (what === 'Error: on purpose') return;
    errors.set(what, (errors.get(what) ?? 0) + 1);
    if (errors.get(what) === 1) console.error('onError:', error);
  },
});

/** Threads of this process, and of them those that the kernel has put there for io_uring. */
function threads() {
  const all = readdirSync('/proc/self/task').map((id) => readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim());
  const workers = all.filter((name) => name.startsWith('iou-')).length;
  return { threads: all.length - workers, workers };
}

/** malloc_trim(3): gives back to the system what malloc keeps for later, so that resident memory is what is in use. */
const trim = createRequire(import.meta.url)('koffi')
  .load('libc.so.6')
  .func('malloc_trim', 'int', ['size_t']);

function measure() {
  for (let i = 0; i < 4; i++) globalThis.gc();
  trim(0);
  const { layer } = Network.default();
  const { rss, heapUsed, external } = process.memoryUsage();
  return {
    port: server.port,
    layer: server.eventLayer,
    connections: server.connections.total,
    streams,
    served,
    errors: Object.fromEntries(errors),
    // Less the one with which this is counted.
    descriptors: readdirSync('/proc/self/fd').length - 1,
    ...threads(),
    counts: layer.counts ?? {},
    memory: { rss, heap: heapUsed, external },
    cpu: process.cpuUsage(),
  };
}

const orphaned = () => process.exit(1);
process.on('disconnect', orphaned);
process.on('message', async (message) => {
  if (message === 'close') {
    process.off('disconnect', orphaned);
    await server.close();
    process.disconnect(); // and it ends by itself, or the soak has found something
  } else {
    process.send(measure());
  }
});
process.send(measure());
