// The crowd: many slow or idle clients, in processes of 15,000 each on the clients' core.

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Kind, Order, Report, TlsVersion } from '../crowd/protocol.js';
import { folder, node } from '../peers.js';
import { CpuClock, clientCore, end, start } from '../processes.js';
import type { Server } from './server.js';

/** Below 20,000 descriptors a process. */
const clientsPerProcess = 15_000;
/**
 * An address on loopback has 28,000 ports, and closed connections keep theirs for a minute. So each crowd takes new addresses, and
 * 127.0.0.1 is left to wrk.
 */
const clientsPerAddress = 3000;
const addresses = 250 * 250;
let lastAddress = (process.pid * 250) % addresses;

/** How long an order may take: so many milliseconds, and so many for each client. */
const orderLimit = { least: 20_000, perClient: 4 };

export class Crowd {
  readonly #server: Server;
  readonly #maxVersion: TlsVersion | undefined;
  readonly #processes: { child: ChildProcess; clock: CpuClock; clients: number }[] = [];

  /** @param maxVersion of TLS, if the server speaks it */
  constructor(server: Server, maxVersion: TlsVersion = 'TLSv1.3') {
    this.#server = server;
    this.#maxVersion = server.isSecure ? maxVersion : undefined;
  }

  /** Opens so many more clients. @throws {Error} if one of them fails */
  async open(kind: Kind, count: number): Promise<void> {
    for (let left = count; left > 0; ) {
      let last = this.#processes.at(-1);
      if (last === undefined || last.clients === clientsPerProcess) {
        const child = start([node, join(folder, 'build', 'crowd', 'main.js')], {
          core: clientCore,
          stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
        });
        last = { child, clock: new CpuClock(child), clients: 0 };
        this.#processes.push(last);
      }
      const part = Math.min(left, clientsPerProcess - last.clients, clientsPerAddress);
      const limit = Math.max(orderLimit.least, part * orderLimit.perClient);
      const { port } = this.#server;
      const opening = { kind, port, count: part, localAddress: nextAddress(), maxVersion: this.#maxVersion };
      await send(last.child, { order: 'open', ...opening }, limit);
      last.clients += part;
      left -= part;
    }
    const problems = await this.problems();
    if (problems.length > 0) throw new Error(problems.join('; '));
  }

  /** Sets all counts to zero. */
  async reset(): Promise<void> {
    await this.#sendAll({ order: 'reset' });
  }

  report(): Promise<Report[]> {
    return this.#sendAll({ order: 'report' });
  }

  /** Messages of event streams since `reset`. */
  async messages(): Promise<number> {
    return (await this.report()).reduce((sum, { messages }) => sum + messages, 0);
  }

  /** Why clients are not connected any more. */
  async problems(): Promise<string[]> {
    return (await this.report()).flatMap(({ failures }) =>
      Object.entries(failures).map(([message, count]) => `${count} clients of the crowd: ${message}`),
    );
  }

  /** CPU seconds used so far. */
  cpu(): number {
    return this.#processes.reduce((sum, { clock }) => sum + clock.seconds(), 0);
  }

  /** Ends all clients. */
  async leave(): Promise<void> {
    await Promise.all(this.#processes.splice(0).map(({ child }) => end(child)));
  }

  #sendAll(order: Order): Promise<Report[]> {
    return Promise.all(this.#processes.map(({ child }) => send(child, order, orderLimit.least)));
  }
}

/** 127.1.0.1, 127.1.0.2, … */
function nextAddress(): string {
  lastAddress = (lastAddress + 1) % addresses;
  return `127.1.${Math.floor(lastAddress / 250)}.${1 + (lastAddress % 250)}`;
}

/** Sends an order, and waits for the report that answers it. */
async function send(child: ChildProcess, order: Order, limit: number): Promise<Report> {
  const signal = AbortSignal.timeout(limit);
  const cleanup = new AbortController();
  const ended = once(child, 'exit', { signal: cleanup.signal }).then(() => {
    throw new Error('a process of the crowd has ended');
  });
  ended.catch(() => {});
  child.send(order);
  try {
    const [report] = await Promise.race([once(child, 'message', { signal }), ended]);
    return report as Report;
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new Error(`the crowd has not done "${order.order}" within ${limit / 1000} s`, { cause: error });
  } finally {
    cleanup.abort();
  }
}
