// Measures one way in a process of its own: how long a reader takes for each piece, and what a parked reader holds.
//
//   node --expose-gc switching/main.js <way> <readers> <heads>

import { setTimeout as wait } from 'node:timers/promises';
import { ways } from './ways.js';

const [name, readers = '10000', heads = '20'] = process.argv.slice(2);
const way = ways.find((candidate) => candidate.name === name);
if (way === undefined)
  throw new Error(`unknown way ${name}; expected one of ${ways.map((each) => each.name).join(', ')}`);

const head = new TextEncoder().encode('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n');
const pieceCount = 8;
const pieceBytes = Math.ceil(head.length / pieceCount);
const pieces = Array.from({ length: pieceCount }, (_, i) => head.subarray(i * pieceBytes, (i + 1) * pieceBytes));

/** Heads that are read before it counts, so that everything is compiled. */
const warmUp = 5;

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

for (const piece of rest) await feed(piece);
for (let i = 0; i < warmUp; i++) for (const piece of pieces) await feed(piece);
read = 0;
const began = process.hrtime.bigint();
for (let i = 0; i < Number(heads); i++) for (const piece of pieces) await feed(piece);
const took = Number(process.hrtime.bigint() - began);
const due = count * Number(heads);
if (read !== due) throw new Error(`${read} heads were read instead of ${due}`);
console.log(JSON.stringify({ time: took / (due * pieceCount), bytes }));
process.exit();
