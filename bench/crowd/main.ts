// One process of the crowd: up to 15,000 clients on `connect()`. The bench opens and counts them, and ends the process when they are to leave.

import { type Connection, connect, run, Semaphore, type Task } from 'sluice';
import { type Counts, clients } from './clients.js';
import { Histogram } from './histogram.js';
import type { Order, Report } from './protocol.js';

/** How many clients may be connecting at a time: fewer than any server's backlog. */
const connecting = new Semaphore(400);

const counts: Counts = { messages: 0, delays: new Histogram() };
const failures = new Map<string, number>();
let open = 0;
let sentAway = 0;

type Opening = Extract<Order, { order: 'open' }>;

/** A client's thread. `done` is called when it is ready, or has failed. */
function* client({ kind, port, localAddress, maxVersion }: Opening, done: () => void): Task<void> {
  let isReady = false;
  yield* connecting.acquire();
  const ready = () => {
    if (isReady) return;
    isReady = true;
    open++;
    connecting.release();
    done();
  };
  try {
    for (;;) {
      const tls = maxVersion && { rejectUnauthorized: false, maxVersion };
      const connection: Connection = yield* connect({ port, hostname: '127.0.0.1', localAddress, ...(tls && { tls }) });
      yield* clients[kind](connection, ready, counts);
      if (kind !== 'drip') throw new Error('the server ended the connection');
      connection.reset();
      sentAway++;
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    failures.set(message, (failures.get(message) ?? 0) + 1);
    if (isReady) {
      open--;
    } else {
      connecting.release();
      done();
    }
  }
}

function openClients(opening: Opening): Promise<void> {
  return new Promise((resolve) => {
    let left = opening.count;
    const done = () => {
      if (--left === 0) resolve();
    };
    for (let i = 0; i < opening.count; i++) void run(() => client(opening, done));
  });
}

function report(): Report {
  const { messages, delays } = counts;
  return { open, failures: Object.fromEntries(failures), sentAway, messages, delays: delays.entries() };
}

process.on('message', async (order: Order) => {
  if (order.order === 'open') await openClients(order);
  if (order.order === 'reset') {
    counts.messages = 0;
    counts.delays.clear();
  }
  process.send?.(report());
});
process.on('disconnect', () => process.exit());
