// Measures one way in a process of its own: what a parked reader holds, and how long a reader takes for each piece. It does a part
// of the work whenever the bench asks for it, over the channel that Node gives a child process: so the ways take turns, and what
// else the machine does tells on all of them.
//
//   node --expose-gc switching/main.js <way> <readers>

import { setTimeout as wait } from 'node:timers/promises';
import type { Order, Parked, Took } from './protocol.js';
import { ways } from './ways.js';

const [name, readers] = process.argv.slice(2);
const way = ways.find((candidate) => candidate.name === name);
if (way === undefined)
  throw new Error(`unknown way ${name}; expected one of ${ways.map((each) => each.name).join(', ')}`);

const head = new TextEncoder().encode('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n');
const pieceCount = 8;
const pieceBytes = Math.ceil(head.length / pieceCount);
const pieces = Array.from({ length: pieceCount }, (_, i) => head.subarray(i * pieceBytes, (i + 1) * pieceBytes));

/** Heads that are read before it counts, so that everything is compiled. */
const warmUp = 10;

let read = 0;
const done = (length: number): void => {
  if (length !== head.length) throw new Error(`a head of ${head.length} bytes was read as ${length}`);
  read++;
};

async function heap(): Promise<number> {
  await wait(50);
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const count = Number(readers);
const before = await heap();
const feed = await way.start(count, done);
const [first = head, ...rest] = pieces;
await feed(first);
// Parked in the middle of a head: where slow clients stand.
const bytes = ((await heap()) - before) / count;

async function feedHeads(heads: number): Promise<void> {
  for (let i = 0; i < heads; i++) for (const piece of pieces) await feed(piece);
}

for (const piece of rest) await feed(piece);
await feedHeads(warmUp);

process.on('message', async ({ heads }: Order) => {
  read = 0;
  const began = process.hrtime.bigint();
  await feedHeads(heads);
  const took = Number(process.hrtime.bigint() - began);
  const due = count * heads;
  if (read !== due) throw new Error(`${read} heads were read instead of ${due}`);
  process.send?.({ time: took / (due * pieceCount) } satisfies Took);
});
process.on('disconnect', () => process.exit());
process.send?.({ bytes } satisfies Parked);
