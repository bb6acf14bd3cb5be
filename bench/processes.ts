// Processes that the bench starts: pinned to a core, measured through /proc, and ended by their own ids.

import { type ChildProcess, type StdioOptions, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Servers run on one core, clients on the other. */
export const serverCore = 0;
export const clientCore = 1;

export const canPin = spawnSync('taskset', ['--version']).status === 0;

const running = new Set<ChildProcess>();

export interface StartOptions {
  /** The core to run on. Default: any. */
  core?: number | undefined;
  env?: Record<string, string>;
  stdio?: StdioOptions;
}

export function start(command: readonly string[], { core, env, stdio }: StartOptions): ChildProcess {
  // taskset replaces itself by the program, so the process id is the program's.
  const pinned = canPin && core !== undefined ? ['taskset', '-c', String(core), ...command] : command;
  const [program = '', ...args] = pinned;
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: stdio ?? ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  child.once('exit', () => running.delete(child));
  child.once('error', () => running.delete(child));
  return child;
}

export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

/** Kills a process and waits until it is gone. */
export function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

/** Kills whatever still runs when the bench exits. */
export function endAll(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** The line of a program's output that says why it failed. */
export function complaint(text: string): string {
  return (/^(?:Uncaught )?\w*Error.*?: (.*)$/m.exec(text)?.[1] ?? text.trim().split('\n')[0] ?? '').trim();
}

/** The first line that a program prints about its version; undefined if there is no such program. */
export function versionOf(program: string, ...args: string[]): string | undefined {
  const { error, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (error !== undefined) return undefined;
  return `${stdout}${stderr}`.trim().split('\n')[0];
}

/**
 * The CPU time of a process, user and system, in nanosecond resolution (the schedstat of each of its threads). The ticks of `/proc/PID/stat` are
 * 10 ms, which is too coarse for a short window.
 */
export class CpuClock {
  readonly #tasks: string;
  /** Nanoseconds by thread. Threads that have ended keep their last value. */
  readonly #threads = new Map<string, number>();

  constructor(child: ChildProcess) {
    this.#tasks = `/proc/${child.pid}/task`;
  }

  /** Seconds used so far. */
  seconds(): number {
    try {
      for (const thread of readdirSync(this.#tasks)) {
        const [nanoseconds] = readFileSync(`${this.#tasks}/${thread}/schedstat`, 'utf8').split(' ');
        this.#threads.set(thread, Number(nanoseconds));
      }
    } catch {
      // A thread, or the process, ended meanwhile: its last value counts.
    }
    let sum = 0;
    for (const nanoseconds of this.#threads.values()) sum += nanoseconds;
    return sum / 1e9;
  }
}

/** Resident memory of a process in bytes, without pages of files: those are its program, shared with others that run it. */
export function residentBytes(child: ChildProcess): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  let kilobytes = 0;
  for (const [, value] of status.matchAll(/^Rss(?:Anon|Shmem):\s*(\d+) kB/gm)) kilobytes += Number(value);
  return kilobytes * 1024;
}

/** Bytes that a process has read so far, from files and sockets: proc_pid_io(5). */
export function bytesRead(child: ChildProcess): number {
  try {
    return Number(/^rchar: (\d+)$/m.exec(readFileSync(`/proc/${child.pid}/io`, 'utf8'))?.[1]);
  } catch {
    return 0; // it has ended
  }
}

export function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
