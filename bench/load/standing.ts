// A load that stays: wrk connects once, and then goes on and stands still as it is told (SIGCONT, SIGSTOP). So a window has neither
// its connecting nor its starting and ending in it, and many short ones can be had.
//
// A window goes from one moment at which nothing is on its way to the next: when wrk stands still, the server answers what it has been
// asked, each connection then holds the same number of answers that wrk has not read, and what wrk has read since the last such
// moment (/proc/PID/io) is what the server has answered since then.

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { bytesRead, complaint, loadCore, start, wait } from '../processes.js';
import type { Server } from './server.js';
import { type LoadOptions, problemsOf, summaryOf, wrkCommand } from './wrk.js';

/** What a window has shown. */
export interface WindowFigures {
  /** How many requests were answered. */
  requests: number;
  /** CPU microseconds of the server for each request. */
  cpu: number;
  /** Requests a second. */
  throughput: number;
}

/** How long wrk may take until it reads answers, in milliseconds. */
const patience = 10_000;
/** How long nothing may be answered in a window, in milliseconds: less than the shortest time that servers keep connections for. */
const standstill = 3_000;
/** wrk reads that much of files before it begins, at most, in bytes. */
const readAtStart = 64 * 1024;
/** A server is given so long to answer each request that is on its way, in milliseconds, if it does not fall silent before. */
const perRequest = 0.1;
/** It is silent when it has used next to no CPU in so many glances of so long, in milliseconds: longer than a tick of the kernel's. */
const glance = 4;
const glances = 3;
const nextToNone = 0.0003;

export class StandingLoad {
  readonly #server: Server;
  readonly #options: LoadOptions;
  readonly #wrk: ChildProcess;
  #printed = '';
  #complained = '';
  /** What wrk had read when it last stood still. */
  #bytes = 0;

  private constructor(server: Server, options: LoadOptions) {
    this.#server = server;
    this.#options = options;
    this.#wrk = start(wrkCommand(server, options), { core: loadCore });
    this.#wrk.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#printed += text;
    });
    this.#wrk.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#complained += text;
    });
  }

  /** Has it connect, and stand still. @throws {Error} if it gets no answers within 10 s */
  static async start(server: Server, options: LoadOptions): Promise<StandingLoad> {
    const load = new StandingLoad(server, options);
    const { connections, pipelined = 1 } = options;
    const enough = readAtStart + connections * pipelined * server.answerBytes;
    const deadline = performance.now() + patience;
    while (load.#read() < enough) {
      if (performance.now() > deadline || load.#hasEnded) {
        const problems = await load.end();
        throw new Error(problems.join('; ') || `wrk got no answers within ${patience / 1000} s`);
      }
      await wait(5);
    }
    await load.#stand();
    return load;
  }

  /**
   * Goes on for so many seconds; for longer, up to 3 s, if nothing is answered meanwhile. What was waited
   * for counts in its throughput: a server, or a whole machine, has stood still.
   * @throws {Error} if nothing is answered within 3 s: the server is stuck, or wrk has ended
   */
  async window(seconds: number): Promise<WindowFigures> {
    const bytes = this.#bytes;
    const cpu = this.#server.cpu(); // others may have loaded it since
    const begun = performance.now();
    this.#wrk.kill('SIGCONT');
    await wait(seconds * 1000);
    while (this.#read() - bytes < this.#server.answerBytes && performance.now() - begun < standstill && !this.#hasEnded)
      await wait(glance);
    const used = (await this.#stand()) - cpu;
    const took = (performance.now() - begun) / 1000;
    const requests = (this.#bytes - bytes) / this.#server.answerBytes;
    if (requests < 1) throw new Error('no request was answered');
    return { requests, cpu: (used * 1e6) / requests, throughput: requests / took };
  }

  /** Ends it. @returns what has gone wrong over all the time */
  async end(): Promise<string[]> {
    if (!this.#hasEnded) {
      const closed = once(this.#wrk, 'close');
      this.#wrk.kill('SIGCONT');
      // SIGINT is for wrk's first thread. Until it is awake, another one may get it, and is over then.
      const again = setInterval(() => this.#wrk.kill('SIGINT'), glance);
      await closed;
      clearInterval(again);
    }
    const summary = summaryOf(this.#printed);
    if (summary === undefined) return [...this.#server.problems(), `wrk has ended: ${complaint(this.#complained)}`];
    // What waited while it stood still was late by its clock.
    return problemsOf({ ...summary, timeout: 0 }, this.#server, this.#options);
  }

  get #hasEnded(): boolean {
    return this.#wrk.exitCode !== null || this.#wrk.signalCode !== null;
  }

  #read(): number {
    return bytesRead(this.#wrk.pid ?? 0);
  }

  /** Has it stand still, and waits until nothing is on its way. @returns the CPU seconds that the server has used by then */
  async #stand(): Promise<number> {
    this.#wrk.kill('SIGSTOP');
    const { connections, pipelined = 1 } = this.#options;
    const deadline = performance.now() + connections * pipelined * perRequest;
    let cpu = this.#server.cpu();
    let silent = 0;
    do {
      const before = cpu;
      await wait(glance);
      cpu = this.#server.cpu();
      silent = cpu - before < nextToNone ? silent + 1 : 0;
    } while (silent < glances && performance.now() < deadline);
    this.#bytes = this.#read();
    return cpu;
  }
}
