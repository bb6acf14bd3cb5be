// The crowd, as the scenarios see it: many slow or idle clients, in processes of 15,000 each on the load's core.

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Kind, Order, Report } from '../crowd/protocol.js';
import { folder } from '../paths.js';
import { node } from '../peers.js';
import { cpuSeconds, end, loadCore, start } from '../processes.js';
import type { Server } from './server.js';

/** A process may have 20,000 descriptors on the machines that this was made for. */
const clientsPerProcess = 15_000;

/** How long opening may take, in milliseconds for each client, and at least. */
const patience = { perClient: 4, least: 20_000 };

export class Crowd {
  readonly #server: Server;
  readonly #processes: { child: ChildProcess; clients: number }[] = [];

  constructor(server: Server) {
    this.#server = server;
  }

  /** Opens so many more clients. @throws {Error} if not all of them arrive */
  async open(kind: Kind, count: number): Promise<void> {
    let left = count;
    while (left > 0) {
      let last = this.#processes.at(-1);
      if (last === undefined || last.clients === clientsPerProcess) {
        last = { child: startProcess(), clients: 0 };
        this.#processes.push(last);
      }
      const part = Math.min(left, clientsPerProcess - last.clients);
      const limit = Math.max(patience.least, part * patience.perClient);
      await order(last.child, { order: 'open', kind, port: this.#server.port, count: part }, limit);
      last.clients += part;
      left -= part;
    }
    const problems = problemsOf(await this.report());
    if (problems.length > 0) throw new Error(problems.join('; '));
  }

  /** Counts anew from now on. */
  async reset(): Promise<void> {
    for (const { child } of this.#processes) await order(child, { order: 'reset' }, patience.least);
  }

  /** What has been counted, over all processes. */
  async report(): Promise<Report[]> {
    const reports: Report[] = [];
    for (const { child } of this.#processes) reports.push(await order(child, { order: 'report' }, patience.least));
    return reports;
  }

  /** What has gone wrong with its clients so far. */
  async problems(): Promise<string[]> {
    return problemsOf(await this.report());
  }

  /** CPU seconds that it has used so far. */
  cpu(): number {
    return this.#processes.reduce((sum, { child }) => sum + cpuSeconds(child.pid ?? 0), 0);
  }

  async leave(): Promise<void> {
    await Promise.all(this.#processes.map(({ child }) => end(child)));
  }
}

function startProcess(): ChildProcess {
  return start([node, join(folder, 'build', 'crowd', 'main.js')], {
    core: loadCore,
    env: { SLUICE_EVENT_LAYER: process.env.BENCH_CROWD_LAYER ?? '' },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}

/** Gives an order and waits for the report that answers it. */
async function order(child: ChildProcess, what: Order, milliseconds: number): Promise<Report> {
  const signal = AbortSignal.timeout(milliseconds);
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
  }
}

function problemsOf(reports: readonly Report[]): string[] {
  return reports.flatMap(({ failures }) =>
    Object.entries(failures).map(([message, count]) => `${count} clients of the crowd: ${message}`),
  );
}
