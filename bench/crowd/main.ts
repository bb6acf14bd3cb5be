// One process of the crowd: up to 15,000 clients on `connect()`, opened and counted as the bench orders, and sent away again, so that it
// can be another crowd's. It ends, and all its connections with it, when the bench ends it.

import {
  type Connection,
  connect,
  currentThread,
  Network,
  run,
  Semaphore,
  type Task,
  type Thread,
  UnwoundError,
} from 'sluice';
import { Beat } from './beat.js';
import { clients, type Tally } from './clients.js';
import { Histogram } from './histogram.js';
import type { Order, Report } from './protocol.js';

/** How many clients may be on their way at a time: fewer than any server's backlog. */
const abreast = 400;

const beat = new Beat();
const tally: Tally = { messages: 0, delays: new Histogram() };
const failures = new Map<string, number>();
const arriving = new Semaphore(abreast);
/** The clients: the thread of each, and its connection, when it has one. */
const present = new Map<Thread<unknown>, Connection | undefined>();
let isLeaving = false;
/** The last client has left. */
let allLeft = () => {};
let open = 0;
let sentAway = 0;

type Opening = Extract<Order, { order: 'open' }>;

/** A client's thread. `done` is called when it has arrived, or will not. */
function* client({ kind, port, localAddress }: Opening, done: () => void): Task<void> {
  let arrived = false;
  const thread = currentThread() as Thread<unknown>; // it runs in one
  present.set(thread, undefined);
  yield* arriving.acquire();
  const here = () => {
    if (arrived) return;
    arrived = true;
    open++;
    arriving.release();
    done();
  };
  try {
    for (;;) {
      const connection: Connection = yield* connect({ port, hostname: '127.0.0.1', localAddress });
      present.set(thread, connection);
      yield* clients[kind](connection, here, beat, tally);
      if (isLeaving) return;
      if (kind !== 'drip') throw new Error('the server ended the connection');
      connection.reset(); // else it is there until the thread is over
      sentAway++;
    }
  } catch (error) {
    if (isLeaving) return;
    const message = error instanceof Error ? error.message : String(error);
    failures.set(message, (failures.get(message) ?? 0) + 1);
  } finally {
    present.delete(thread);
    if (present.size === 0) allLeft();
    if (arrived) open--;
    else {
      arriving.release();
      done();
    }
  }
}

function openClients(opening: Opening): Promise<void> {
  return new Promise((allDone) => {
    let left = opening.count;
    const done = () => {
      if (--left === 0) allDone();
    };
    const { scheduler } = Network.current();
    for (let i = 0; i < opening.count; i++) {
      run(() => client(opening, done), { scheduler }).catch((error: unknown) => {
        if (!(error instanceof UnwoundError)) throw error; // a client is unwound when it is to leave, and at no other time
      });
    }
  });
}

/** Resets all connections, and unwinds their threads. */
async function leave(): Promise<void> {
  isLeaving = true;
  if (present.size > 0) {
    await new Promise<void>((resolve) => {
      allLeft = resolve;
      for (const [thread, connection] of [...present]) {
        connection?.reset();
        thread.unwind();
      }
    });
  }
  isLeaving = false;
  beat.isSlow = false;
  failures.clear();
  sentAway = 0;
  count();
}

/** Counts anew. */
function count(): void {
  tally.messages = 0;
  tally.delays.clear();
}

function report(): Report {
  return {
    open,
    failures: Object.fromEntries(failures),
    sentAway,
    messages: tally.messages,
    delays: tally.delays.entries(),
    eventLayer: Network.current().layer.name,
  };
}

process.on('message', async (order: Order) => {
  if (order.order === 'open') await openClients(order);
  if (order.order === 'pause') beat.isSlow = true;
  if (order.order === 'resume') beat.isSlow = false;
  if (order.order === 'reset') count();
  if (order.order === 'leave') await leave();
  process.send?.(report());
});
process.on('disconnect', () => process.exit());
