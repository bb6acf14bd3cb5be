// The crowd, as the scenarios see it: many slow or idle clients, in processes of 15,000 each on the load's core.

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Kind, Order, Report } from '../crowd/protocol.js';
import { folder } from '../paths.js';
import { crowdLayer, node } from '../peers.js';
import { CpuClock, end, loadCore, start } from '../processes.js';
import type { Server } from './server.js';

/** A process may have 20,000 descriptors on the machines that this was made for. */
const clientsPerProcess = 15_000;

/**
 * So many clients share an address on loopback: a port belongs to one connection of an address, there are 28,000 of them, and they
 * linger for a minute after use. So each crowd goes on where the one before has stopped, each run begins somewhere else, and
 * 127.0.0.1 is left to wrk.
 */
const clientsPerAddress = 3000;
const addresses = 250 * 250;
let lastAddress = (process.pid * 250) % addresses;

/** How long opening may take, in milliseconds for each client, and at least. */
const patience = { perClient: 4, least: 20_000 };

export class Crowd {
  readonly #server: Server;
  readonly #processes: { child: ChildProcess; clock: CpuClock; clients: number }[] = [];

  constructor(server: Server) {
    this.#server = server;
  }

  /** Opens so many more clients, from several addresses. @throws {Error} if not all of them arrive */
  async open(kind: Kind, count: number): Promise<void> {
    let left = count;
    while (left > 0) {
      let last = this.#processes.at(-1);
      if (last === undefined || last.clients === clientsPerProcess) {
        const child = startProcess();
        last = { child, clock: new CpuClock(child.pid ?? 0), clients: 0 };
        this.#processes.push(last);
      }
      const part = Math.min(left, clientsPerProcess - last.clients, clientsPerAddress);
      const limit = Math.max(patience.least, part * patience.perClient);
      const opening = { kind, port: this.#server.port, count: part, localAddress: nextAddress() };
      try {
        await order(last.child, { order: 'open', ...opening }, limit);
      } catch (error) {
        const [{ open = 0, failures = {}, eventLayer = '' } = {}] = await this.report();
        const state = `${open} clients are there, on ${eventLayer}; failures: ${JSON.stringify(failures)}`;
        throw new Error(`${error instanceof Error ? error.message : error} (${state})`, { cause: error });
      }
      last.clients += part;
      left -= part;
    }
    const problems = problemsOf(await this.report());
    if (problems.length > 0) throw new Error(problems.join('; '));
  }

  /** Counts anew from now on. */
  async reset(): Promise<void> {
    await this.#orderAll({ order: 'reset' });
  }

  /** Has it be nearly silent until `resume`, from the next moment on. */
  async pause(): Promise<void> {
    await this.#orderAll({ order: 'pause' });
  }

  async resume(): Promise<void> {
    await this.#orderAll({ order: 'resume' });
  }

  /** What has been counted, over all processes. */
  report(): Promise<Report[]> {
    return this.#orderAll({ order: 'report' });
  }

  #orderAll(what: Order): Promise<Report[]> {
    return Promise.all(this.#processes.map(({ child }) => order(child, what, patience.least)));
  }

  /** What has gone wrong with its clients so far. */
  async problems(): Promise<string[]> {
    return problemsOf(await this.report());
  }

  /** How often its slow senders were sent away so far. */
  async sentAway(): Promise<number> {
    return (await this.report()).reduce((sum, { sentAway }) => sum + sentAway, 0);
  }

  /** CPU seconds that it has used so far. */
  cpu(): number {
    return this.#processes.reduce((sum, { clock }) => sum + clock.seconds(), 0);
  }

  /** Has all clients leave. Their processes are kept for the next crowd: it takes long to start one. */
  async leave(): Promise<void> {
    await Promise.all(this.#processes.splice(0).map(({ child }) => keepOrEnd(child)));
  }
}

/** Processes without clients. */
const spare: ChildProcess[] = [];

async function keepOrEnd(child: ChildProcess): Promise<void> {
  try {
    await order(child, { order: 'leave' }, patience.least);
    spare.push(child);
  } catch {
    await end(child); // what is wrong with it has been told by the orders before, and it is of no use any more
  }
}

/** Ends the processes that have been kept. */
export async function endSpareCrowds(): Promise<void> {
  await Promise.all(spare.splice(0).map(end));
}

/** The next address on loopback: 127.1.0.1, 127.1.0.2, … */
function nextAddress(): string {
  lastAddress = (lastAddress + 1) % addresses;
  return `127.1.${Math.floor(lastAddress / 250)}.${1 + (lastAddress % 250)}`;
}

function startProcess(): ChildProcess {
  for (let child = spare.pop(); child !== undefined; child = spare.pop()) if (child.connected) return child;
  return start([node, join(folder, 'build', 'crowd', 'main.js')], {
    core: loadCore,
    env: { SLUICE_EVENT_LAYER: crowdLayer() },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}

/** Gives an order and waits for the report that answers it. */
async function order(child: ChildProcess, what: Order, milliseconds: number): Promise<Report> {
  // However it ends, the listeners go: there are very many orders.
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), milliseconds);
  const { signal } = over;
  const gone = once(child, 'exit', { signal }).then(() => {
    throw new Error('a process of the crowd has ended');
  });
  gone.catch(() => {});
  child.send(what);
  try {
    const [report] = await Promise.race([once(child, 'message', { signal }), gone]);
    return report as Report;
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new Error(`the crowd has not done "${what.order}" within ${milliseconds / 1000} s`, { cause: error });
  } finally {
    clearTimeout(timer);
    over.abort();
  }
}

function problemsOf(reports: readonly Report[]): string[] {
  return reports.flatMap(({ failures }) =>
    Object.entries(failures).map(([message, count]) => `${count} clients of the crowd: ${message}`),
  );
}
