// The closed-loop load: wrk, on the clients' core.
//
// A load connects once, and is then run and stopped (SIGCONT, SIGSTOP), so that a window contains neither connecting nor
// the start and end of wrk. A window goes from one moment at which nothing is in flight to the next. When wrk stands still, the server
// answers what it was asked. Every connection then holds the same number of answers that wrk has not read. So the bytes that wrk has read
// between two such moments (/proc/PID/io) tell how many requests were answered between them.

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { folder } from '../peers.js';
import { bytesRead, clientCore, complaint, hasEnded, start, versionOf, wait } from '../processes.js';
import type { Server } from './server.js';
import { untilWarm, type WindowFigures } from './warm-up.js';
import { errorShare, requestFile, type Workload } from './workloads.js';

export interface LoadOptions {
  workload: Workload;
  connections: number;
  /** How many requests each connection sends at a time; default 1. */
  pipelined?: number;
}

/** Over all of a run of wrk; p50 and p99 in microseconds. */
interface Summary {
  requests: number;
  bytes: number;
  p50: number;
  p99: number;
  connect: number;
  read: number;
  write: number;
  timeout: number;
  status: number;
}

/** Times in milliseconds. */
const startLimit = 10_000;
const standstillLimit = 3_000;
const glance = 4;
/** More than a server sends in a TLS handshake, with a certificate on P-256 and session tickets. */
const handshakeBytes = 4096;
/** Lengths and statuses of answers may differ by so much from those of the probe, as a share. */
const tolerance = 0.02;

export function wrkVersion(): string | undefined {
  return versionOf('wrk', '--version')?.split(' Copyright')[0];
}

export class Load {
  readonly #server: Server;
  readonly #options: LoadOptions;
  readonly #answerBytes: number;
  /** What wrk reads from the kernel for an answer: more than the answer with TLS. */
  readonly #wireBytes: number;
  readonly #wrk: ChildProcess;
  #printed = '';
  #complaints = '';
  /** What wrk had read when it last stood still. */
  #bytes = 0;

  private constructor(server: Server, options: LoadOptions, answerBytes: number, wireBytes: number) {
    this.#server = server;
    this.#options = options;
    this.#answerBytes = answerBytes;
    this.#wireBytes = wireBytes;
    const { workload, connections, pipelined = 1 } = options;
    const script = [
      '-s',
      join(folder, 'load', 'load.lua'),
      `${server.isSecure ? 'https' : 'http'}://127.0.0.1:${server.port}/`,
    ];
    const args = ['-t1', `-c${connections}`, '-d36000s', '--timeout=30s', ...script];
    const command = ['wrk', ...args, '--', requestFile(workload), String(pipelined)];
    this.#wrk = start(command, { core: clientCore });
    this.#wrk.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#printed += text;
    });
    this.#wrk.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#complaints += text;
    });
  }

  /** Connects, and stands still. @throws {Error} if the server does not answer */
  static async start(server: Server, options: LoadOptions): Promise<Load> {
    const load = await Load.#running(server, options);
    await load.#stand();
    return load;
  }

  static async #running(server: Server, options: LoadOptions): Promise<Load> {
    const answerBytes = await server.answerBytes(options.workload);
    const wireBytes = await server.wireBytes(options.workload);
    const load = new Load(server, options, answerBytes, wireBytes);
    const deadline = performance.now() + startLimit;
    await wait(100); // wrk reads its script and the requests
    const handshake = server.isSecure ? handshakeBytes : 0;
    const enough = bytesRead(load.#wrk) + (wireBytes + handshake) * options.connections;
    while (bytesRead(load.#wrk) < enough) {
      if (performance.now() > deadline || hasEnded(load.#wrk)) {
        const { problems } = await load.end();
        throw new Error(problems.join('; ') || `wrk got no answers within ${startLimit / 1000} s`);
      }
      await wait(5);
    }
    return load;
  }

  /** Runs wrk once from start to end, to learn how long clients wait: a load that was stopped cannot measure it. */
  static async delays(
    server: Server,
    options: LoadOptions,
    seconds: number,
  ): Promise<{ p50: number; p99: number; problems: string[] }> {
    const load = await Load.#running(server, options);
    await wait(seconds * 1000);
    const { summary, problems } = await load.end();
    if (summary === undefined) throw new Error(problems.join('; '));
    return { p50: summary.p50, p99: summary.p99, problems };
  }

  /**
   * Runs for so many seconds; longer, up to 3 s, if nothing is answered meanwhile.
   * @throws {Error} if nothing is answered within 3 s
   */
  async window(seconds: number): Promise<WindowFigures> {
    const bytes = this.#bytes;
    const cpu = this.#server.cpu();
    const began = performance.now();
    this.#wrk.kill('SIGCONT');
    await wait(seconds * 1000);
    while (bytesRead(this.#wrk) - bytes < this.#wireBytes && performance.now() - began < standstillLimit) {
      if (hasEnded(this.#wrk)) break;
      await wait(glance);
    }
    const took = (performance.now() - began) / 1000;
    const used = (await this.#stand()) - cpu;
    const requests = (this.#bytes - bytes) / this.#wireBytes;
    if (requests < 1) throw new Error('no request was answered');
    return { cpu: (used * 1e6) / requests, throughput: requests / took };
  }

  /** @returns what wrk says of the whole time, and what went wrong in it */
  async end(): Promise<{ summary: Summary | undefined; problems: string[] }> {
    if (!hasEnded(this.#wrk)) {
      const closed = once(this.#wrk, 'close');
      this.#wrk.kill('SIGCONT');
      // wrk listens to SIGINT in its first thread. A signal that another thread gets is lost, so it is sent until wrk ends.
      const again = setInterval(() => this.#wrk.kill('SIGINT'), 20);
      await closed;
      clearInterval(again);
    }
    const last = this.#printed.trim().split('\n').at(-1) ?? '';
    if (!last.startsWith('{'))
      return {
        summary: undefined,
        problems: [...this.#server.problems(), `wrk ended: ${complaint(this.#complaints)}`],
      };
    const summary = JSON.parse(last) as Summary;
    return { summary, problems: [...this.#server.problems(), ...this.#problemsOf(summary)] };
  }

  #problemsOf({ requests, bytes, status, connect, read, write }: Summary): string[] {
    const problems: string[] = [];
    if (requests === 0) return ['no request was answered'];
    const { workload, connections, pipelined = 1 } = this.#options;
    const inFlight = connections * pipelined;
    const expectedErrors = requests * errorShare(workload);
    if (Math.abs(status - expectedErrors) > expectedErrors * tolerance + (expectedErrors > 0 ? inFlight : 0))
      problems.push(
        `${status} of ${requests} answers had an error status; ${Math.round(expectedErrors)} were expected`,
      );
    const expected = requests * this.#answerBytes;
    if (Math.abs(bytes - expected) > expected * tolerance + inFlight * this.#answerBytes)
      problems.push(`${requests} answers had ${bytes} bytes; ${Math.round(expected)} were expected`);
    for (const [kind, count] of Object.entries({ connect, read, write }))
      if (count > 0) problems.push(`${count} connections had a ${kind} error`);
    return problems;
  }

  /** Stops wrk, and waits until nothing is in flight. @returns the CPU seconds that the server has used by then */
  async #stand(): Promise<number> {
    this.#wrk.kill('SIGSTOP');
    const cpu = await this.#server.silence();
    this.#bytes = bytesRead(this.#wrk);
    return cpu;
  }
}

/** Loads a server until its requests get no cheaper. */
export async function warmUp(server: Server, options: LoadOptions, quick: boolean): Promise<void> {
  const load = await Load.start(server, options);
  await untilWarm(server, load, quick);
  const { problems } = await load.end();
  if (problems.length > 0) throw new Error(problems.join('; '));
}
