// A peer's server, running: started with what a scenario wants of it, probed until it answers, and watched.

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Peer } from '../peers.js';
import { CpuClock, complaint, end, residentBytes, serverCore, start, wait } from '../processes.js';

/** What every peer can be asked to answer; see peers/settings.ts. */
export interface ServerOptions {
  handler: 'hello' | 'flood' | 'stream';
  /** Milliseconds between two messages of a stream, from `publish` on; none by default. */
  interval?: number;
  /**
   * For who measures memory and nothing else. Its garbage collections, and its C library, give back what is free; and it may run on all
   * cores. Default: no.
   */
  memoryOnly?: boolean;
}

/** How long a server may take to answer for the first time. */
const patience = 15_000;
/**
 * Has V8 (see peers/settings.ts) and the C library give back what is free: glibc keeps it, for each thread of its own, unless it is told
 * not to. Larger pieces, such as compilers work in, are to be the kernel's own.
 */
const giveBack = {
  RELEASE: 'yes',
  MALLOC_ARENA_MAX: '1',
  MALLOC_TRIM_THRESHOLD_: '65536',
  MALLOC_MMAP_THRESHOLD_: '4096',
};
const helloBody = 'Hello, World!';

// Below the ports that the kernel gives to clients.
const ports = { first: 17_000, last: 31_000 };
let lastPort = ports.first + (process.pid % 10_000);

export class Server {
  readonly peer: Peer;
  readonly port: number;
  /** Bytes of an answer to `GET /`, head and body, as `probe` has found it; 0 for an event stream. */
  answerBytes = 0;
  readonly #child: ChildProcess;
  readonly #clock: CpuClock;
  #complaints = '';

  constructor(peer: Peer, port: number, child: ChildProcess) {
    this.peer = peer;
    this.port = port;
    this.#child = child;
    this.#clock = new CpuClock(child.pid ?? 0);
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (this.#complaints.length < 2000) this.#complaints += text;
    });
    child.stdout?.resume();
    child.once('error', (error) => {
      this.#complaints += error.message;
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  /** CPU seconds used so far. */
  cpu(): number {
    return this.#clock.seconds();
  }

  /** Resident bytes. */
  memory(): number {
    return residentBytes(this.#child.pid ?? 0);
  }

  /** Has it collect its garbage, if it is one to do so, twice: what finalizers let go goes with the second. */
  async collect(): Promise<void> {
    for (let i = 0; i < 2; i++) {
      this.#child.kill('SIGUSR2');
      await this.quiet();
    }
  }

  /** Waits until it has nothing to do: until it has used less CPU than that, in seconds, in 50 ms. Not for longer than 5 s. */
  async quiet(most = 0.002): Promise<void> {
    for (let i = 0; i < 100; i++) {
      const before = this.cpu();
      await wait(50);
      if (this.cpu() - before < most) return;
    }
  }

  /** Has it begin to give messages to event streams. */
  publish(): void {
    this.#child.kill('SIGHUP');
  }

  /** Keeps it from running: what its timers would do is no part of what others are measured at. */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  /** What has gone wrong with the process: nothing, while it runs. */
  problems(): string[] {
    const { exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) return [];
    return [`the server ended with ${signalCode ?? exitCode}: ${complaint(this.#complaints)}`];
  }

  stop(): Promise<void> {
    return end(this.#child);
  }

  /** Asks once. @throws {Error} if the answer is not what it should be */
  async probe(handler: ServerOptions['handler']): Promise<void> {
    const socket = connect(this.port, '127.0.0.1');
    socket.setTimeout(2000, () => socket.destroy(new Error('no answer within 2 s')));
    try {
      await once(socket, 'connect');
      socket.write(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${this.port}\r\n\r\n`);
      let text = '';
      socket.setEncoding('latin1');
      for await (const part of socket) {
        text += part;
        const head = text.indexOf('\r\n\r\n');
        if (head === -1) continue;
        if (!text.startsWith('HTTP/1.1 200 ')) throw new Error(`it answered ${text.slice(0, text.indexOf('\r\n'))}`);
        if (handler === 'stream') return;
        if (!text.includes(helloBody)) continue;
        this.answerBytes = text.length;
        return;
      }
      throw new Error('it closed the connection');
    } finally {
      socket.destroy();
    }
  }
}

/** @throws {Error} if the server cannot be started, or does not answer as it should */
export async function startServer(peer: Peer, options: ServerOptions): Promise<Server> {
  const port = await freePort();
  const env = {
    ...peer.env,
    PORT: String(port),
    HANDLER: options.handler,
    INTERVAL: String(options.interval ?? 0),
    ...(options.memoryOnly && giveBack),
    NODE_ENV: 'production',
  };
  const server = new Server(
    peer,
    port,
    start(peer.command, { core: options.memoryOnly ? undefined : serverCore, env }),
  );
  const deadline = Date.now() + patience;
  for (;;) {
    try {
      await server.probe(options.handler);
      return server;
    } catch (error) {
      const [problem] = server.problems();
      if (problem === undefined && Date.now() < deadline) {
        await wait(25);
        continue;
      }
      await server.stop();
      throw new Error(problem ?? `the server does not answer: ${(error as Error).message}`);
    }
  }
}

/** A port that nobody listens on. Never the same twice in a row: a port's old connections may linger. */
async function freePort(): Promise<number> {
  for (;;) {
    lastPort = lastPort >= ports.last ? ports.first : lastPort + 1;
    const port = lastPort;
    const trial = createServer();
    const free = await new Promise<boolean>((resolve) => {
      trial.once('error', () => resolve(false));
      trial.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!free) continue;
    await new Promise((closed) => trial.close(closed));
    return port;
  }
}
