// The load of the WebSocket scenarios: sockets.c, on the clients' core. It connects once, and exchanges messages within windows. A window ends when
// nothing is in flight.

import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { compile, folder } from '../peers.js';
import { clientCore, end, start, wait } from '../processes.js';
import { type Exchange, scriptFor } from './messages.js';
import type { Server } from './server.js';
import type { StandingLoad, WindowFigures } from './warm-up.js';

export interface SocketsOptions {
  exchange: Exchange;
  /** WebSockets or event streams; for what is published, there is one more. */
  connections: number;
  /** How many messages a client sends at a time; default 1. */
  pipelined?: number;
}

/** Times in milliseconds. */
const startLimit = 60_000;
const answerLimit = 10_000;

let program: string | undefined;
let folders = 0;

/** @throws {Error} if there is no C compiler */
export function compileSockets(): string {
  program ??= compile('sockets', 'cc', ['-O2', join(folder, 'load', 'sockets.c')], '--version', folder).command[0];
  if (program === undefined) throw new Error('the program has no path');
  return program;
}

export class Sockets implements StandingLoad {
  readonly #server: Server;
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  /** What has been printed and not been read yet. */
  readonly #printed: string[] = [];
  #onLine: (() => void) | undefined;
  /** Bytes of an answer. */
  readonly answerBytes: number;

  private constructor(server: Server, child: ChildProcess, answerBytes: number) {
    this.#server = server;
    this.#child = child;
    this.answerBytes = answerBytes;
    if (child.stdout === null) throw new Error('the output is not piped');
    this.#lines = createInterface(child.stdout).on('line', (line) => {
      this.#printed.push(line);
      this.#onLine?.();
    });
    this.#lines.on('close', () => {
      this.#printed.push('problem: the clients have ended');
      this.#onLine?.();
    });
  }

  /** Connects. @throws {Error} if the server does not answer as it should */
  static async start(server: Server, { exchange, connections, pipelined = 1 }: SocketsOptions): Promise<Sockets> {
    const script = await scriptFor(server, exchange);
    const place = join(folder, 'build', 'exchanges', `${process.pid}-${++folders}`);
    mkdirSync(place, { recursive: true });
    for (const name of ['handshake', 'publisher', 'message', 'answer'] as const)
      writeFileSync(join(place, name), script[name], 'latin1');
    const numbers = [server.port, connections, pipelined, script.skip, script.status].map(String);
    const child = start([compileSockets(), exchange.kind, ...numbers, place], {
      core: clientCore,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const load = new Sockets(server, child, script.answer.length);
    try {
      await load.#line(startLimit);
    } catch (error) {
      await load.end();
      throw error;
    }
    return load;
  }

  /** Exchanges messages for so many seconds, and until all are answered. @throws {Error} if an answer is missing or wrong */
  async window(seconds: number): Promise<WindowFigures> {
    const cpu = await this.#server.silence();
    const began = performance.now();
    this.#child.stdin?.write('run\n');
    await wait(seconds * 1000);
    this.#child.stdin?.write('stop\n');
    const messages = Number(await this.#line(answerLimit));
    const took = (performance.now() - began) / 1000;
    const used = (await this.#server.silence()) - cpu;
    if (!(messages > 0)) throw new Error('no message was answered');
    return { cpu: (used * 1e6) / messages, throughput: messages / took };
  }

  async end(): Promise<void> {
    this.#lines.close();
    await end(this.#child);
  }

  /** The next line that the program prints. @throws {Error} if it is a problem */
  async #line(limit: number): Promise<string> {
    if (this.#printed.length === 0)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, limit);
        this.#onLine = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    const line = this.#printed.shift() ?? `problem: not all answers came within ${limit / 1000} s`;
    if (line.startsWith('problem: ')) throw new Error(line.slice('problem: '.length));
    return line;
  }
}
