// A running server of a peer: started, probed until it answers, and measured.

import type { ChildProcess } from 'node:child_process';
import { on, once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { connect as connectSecurely } from 'node:tls';
import type { Peer } from '../peers.js';
import { CpuClock, complaint, end, hasEnded, residentBytes, serverCore, start, wait } from '../processes.js';
import { certificate } from './certificate.js';
import { type Workload, workloads } from './workloads.js';

/** How long a server may take to answer for the first time, in milliseconds. */
const startLimit = 15_000;

/** Times in milliseconds. A server is silent when it has used less CPU than `silentCpu`, in seconds, in each of so many glances. */
const silenceLimit = 300;
const glance = 4;
const silentGlances = 3;
const silentCpu = 0.0003;

/** Makes V8 and glibc return free memory to the system, where memory is all that is measured. */
const returnMemory = {
  RELEASE: 'yes',
  MALLOC_ARENA_MAX: '1',
  MALLOC_TRIM_THRESHOLD_: '65536',
  MALLOC_MMAP_THRESHOLD_: '4096',
};

export interface ServerOptions {
  /** Its WebSockets compress their messages. */
  deflate?: boolean;
  /** Milliseconds between two messages of an event stream, from `publish` on; default: none. */
  interval?: number;
  /** It speaks TLS. */
  isSecure?: boolean;
  /** Only its memory is measured: it may run on all cores and returns free memory. */
  memoryOnly?: boolean;
}

export class Server {
  readonly peer: Peer;
  readonly port: number;
  readonly isSecure: boolean;
  readonly #child: ChildProcess;
  readonly #clock: CpuClock;
  #complaints = '';

  private constructor(peer: Peer, port: number, isSecure: boolean, child: ChildProcess) {
    this.peer = peer;
    this.port = port;
    this.isSecure = isSecure;
    this.#child = child;
    this.#clock = new CpuClock(child);
    child.stdout?.resume();
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (this.#complaints.length < 2000) this.#complaints += text;
    });
    child.once('error', (error) => {
      this.#complaints += error.message;
    });
  }

  /** @throws {Error} if the server does not start, or does not answer as it should */
  static async start(
    peer: Peer,
    { interval = 0, memoryOnly = false, deflate = false, isSecure = false }: ServerOptions = {},
  ): Promise<Server> {
    const port = await freePort();
    const env = {
      ...peer.env,
      PORT: String(port),
      INTERVAL: String(interval),
      NODE_ENV: 'production',
      ...(memoryOnly && returnMemory),
      ...(deflate && { DEFLATE: 'yes' }),
      ...(isSecure && certificate()),
    };
    const child = start(peer.command, { core: memoryOnly ? undefined : serverCore, env });
    const server = new Server(peer, port, isSecure, child);
    const deadline = Date.now() + startLimit;
    for (;;) {
      try {
        await server.answerBytes(workloads.hello);
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

  /** CPU seconds used so far. */
  cpu(): number {
    return this.#clock.seconds();
  }

  /** Resident bytes. */
  memory(): number {
    return residentBytes(this.#child);
  }

  /** Collects its garbage, if it has any, twice: what finalizers release goes with the second. */
  async collect(): Promise<void> {
    for (let i = 0; i < 2; i++) {
      this.#child.kill('SIGUSR2');
      await this.quiet();
    }
  }

  /** Waits until the server has used less than 2 ms of CPU in 50 ms; at most 5 s. */
  async quiet(): Promise<void> {
    for (let i = 0; i < 100; i++) {
      const before = this.cpu();
      await wait(50);
      if (this.cpu() - before < 0.002) return;
    }
  }

  /** Waits until the server does nothing, or for 0.3 s. @returns the CPU seconds that it has used by then */
  async silence(): Promise<number> {
    const deadline = performance.now() + silenceLimit;
    let cpu = this.cpu();
    for (let silent = 0; silent < silentGlances && performance.now() < deadline; ) {
      const before = cpu;
      await wait(glance);
      cpu = this.cpu();
      silent = cpu - before < silentCpu ? silent + 1 : 0;
    }
    return cpu;
  }

  /** Starts the messages of event streams. */
  publish(): void {
    this.#child.kill('SIGHUP');
  }

  /** Stops the process until `thaw`, so that its timers do not disturb the measurement of another. */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  /** Why the process has ended; empty while it runs. */
  problems(): string[] {
    if (!hasEnded(this.#child)) return [];
    const { exitCode, signalCode } = this.#child;
    return [`the server ended with ${signalCode ?? exitCode}: ${complaint(this.#complaints)}`];
  }

  stop(): Promise<void> {
    return end(this.#child);
  }

  /**
   * Sends each request of a workload once. @returns the bytes of an answer, head and body, on average
   * @throws {Error} if an answer is not what it should be
   */
  async answerBytes(workload: Workload): Promise<number> {
    let bytes = 0;
    for (const { text, status } of workload.requests)
      bytes += await this.#withSocket(async ({ socket }) => ask(socket, text, status));
    return bytes / workload.requests.length;
  }

  /** @returns the bytes that the kernel delivers for an answer, on average: with TLS, those of its records */
  async wireBytes(workload: Workload): Promise<number> {
    if (!this.isSecure) return this.answerBytes(workload);
    const count = workload.requests.length;
    return this.#withSocket(async ({ socket, wire }) => {
      // The first time, what belongs to the handshake comes as well, such as session tickets.
      for (const { text, status } of workload.requests) await ask(socket, text, status);
      const before = wire.bytesRead;
      for (const { text, status } of workload.requests) await ask(socket, text, status);
      return (wire.bytesRead - before) / count;
    });
  }

  async #withSocket<T>(use: (sockets: { socket: Socket; wire: Socket }) => Promise<T>): Promise<T> {
    const wire = connect(this.port, '127.0.0.1');
    const socket = this.isSecure ? connectSecurely({ socket: wire, rejectUnauthorized: false }) : wire;
    socket.setTimeout(2000, () => socket.destroy(new Error('no answer within 2 s')));
    try {
      await once(socket, this.isSecure ? 'secureConnect' : 'connect');
      return await use({ socket, wire });
    } finally {
      socket.destroy();
      wire.destroy();
    }
  }
}

/** @returns the bytes of the answer. @throws {Error} if it has another status */
async function ask(socket: Socket, request: string, status: number): Promise<number> {
  socket.write(request, 'latin1');
  let text = '';
  socket.setEncoding('latin1');
  // The socket is used again: an iterator of it would destroy it.
  const pieces = on(socket, 'data', { close: ['end', 'close'] });
  for await (const [part] of pieces) {
    text += part;
    const end = endOfMessage(text);
    if (end === undefined) continue;
    const found = Number(text.slice(9, 12));
    if (found !== status) throw new Error(`${request.split('\r\n')[0]} is answered with ${found} instead of ${status}`);
    return end;
  }
  throw new Error('it closed the connection');
}

/** Where the response at the start of the text ends; undefined if it is not complete. */
function endOfMessage(text: string): number | undefined {
  const head = text.indexOf('\r\n\r\n') + 4;
  if (head < 4) return undefined;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, head))?.[1];
  if (length !== undefined) return text.length >= head + Number(length) ? head + Number(length) : undefined;
  const last = text.indexOf('\r\n0\r\n\r\n', head - 2);
  return last === -1 ? undefined : last + 7;
}

/** Ports below those that the kernel gives to clients. */
const ports = { first: 17_000, last: 31_000 };
let lastPort = ports.first + (process.pid % 10_000);

/** A port that is free. Never the same twice in a row: old connections of a port may linger. */
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
