// Simulates whole servers, one world for each seed: `npm run simulate -- [--seeds 20000] [--from 0] [--processes 2]`, or `--seed 17` alone.
// test/simulation/ says what a world is, and what must hold in it after every turn.
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20000' },
    from: { type: 'string', default: '0' },
    seed: { type: 'string' },
    processes: { type: 'string', default: String(availableParallelism()) },
  },
});

function whole(name, least) {
  const value = Number(values[name]);
  if (!Number.isSafeInteger(value) || value < least) {
    console.error(`simulate: --${name} is ${values[name]}; expected a whole number of ${least} or more`);
    process.exit(1);
  }
  return value;
}

const from = values.seed === undefined ? whole('from', 0) : whole('seed', 0);
const to = from + (values.seed === undefined ? whole('seeds', 1) : 1);
const processes = Math.min(whole('processes', 1), to - from);
/** A world that takes so many milliseconds hangs. */
const patience = 120_000;
/** More failures than these add no information. */
const shown = 5;

const sums = { worlds: 0, turns: 0, clients: 0, requests: 0, answers: 0, time: 0 };
const failures = [];
const children = [];
const started = performance.now();

function runChild(first) {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL('../build/test/simulation/simulate.js', import.meta.url)), [
      ...[from + first, to, processes].map(String),
    ]);
    children.push(child);
    let next = from + first;
    const hangs = () => {
      child.kill('SIGKILL');
      reject(new Error(`seed ${next} hangs; to run it alone: npm run simulate -- --seed ${next}`));
    };
    let watch = setTimeout(hangs, patience);
    child.on('message', ({ seed, failure, ...lived }) => {
      next = seed + processes;
      clearTimeout(watch);
      watch = setTimeout(hangs, patience);
      sums.worlds++;
      for (const [name, value] of Object.entries(lived)) sums[name] += value;
      if (failure !== undefined) {
        failures.push(seed);
        if (failures.length <= shown) console.error(failure);
      }
      if (sums.worlds % 1000 === 0) {
        const seconds = Math.round((performance.now() - started) / 1000);
        console.log(`${sums.worlds} worlds in ${seconds} s, ${failures.length} failed`);
      }
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(watch);
      if (code === 0) resolve();
      else reject(new Error(`a process of the simulation has ended with ${signal ?? code}`));
    });
  });
}

try {
  await Promise.all(Array.from({ length: processes }, (_, first) => runChild(first)));
} catch (error) {
  console.error(error.message);
  for (const child of children) child.kill('SIGKILL');
  process.exit(1);
}
const seconds = ((performance.now() - started) / 1000).toFixed(1);
const hours = (sums.time / 3_600_000).toFixed(1);
console.log(
  `seeds ${from} to ${to - 1}: ${sums.worlds} worlds, ${sums.clients} clients, ${sums.requests} requests handled, ${sums.answers} answers, ` +
    `${sums.turns} turns, ${hours} virtual hours in ${seconds} s`,
);
if (failures.length > 0) {
  console.error(
    `${failures.length} seeds failed: ${failures
      .sort((a, b) => a - b)
      .slice(0, 50)
      .join(' ')}`,
  );
  process.exitCode = 1;
}
