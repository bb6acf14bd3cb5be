// Processes that the bench starts: pinned to a core, watched through /proc, and ended by their own ids, whatever happens.

import { type ChildProcess, type StdioOptions, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Where the servers run, and where the load runs. */
export const serverCore = 0;
export const loadCore = 1;

/** The unit of CPU time in /proc/PID/stat. */
const ticksPerSecond = Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout) || 100;

const running = new Set<ChildProcess>();

export interface StartOptions {
  /** Where it may run. Default: on all cores. */
  core?: number | undefined;
  env?: Record<string, string>;
  stdio?: StdioOptions;
  /** Sends it SIGINT after so many milliseconds: for `output`, of programs that end in good order then. */
  interruptAfter?: number;
}

const taskset = spawnSync('taskset', ['--version']).status === 0;
/** Whether processes can be kept to a core. */
export const canPin = taskset;

/** A command that runs another one on a core, if that is possible here. taskset becomes the program: the process id is the same. */
export function pinned(command: readonly string[], core?: number): string[] {
  return taskset && core !== undefined ? ['taskset', '-c', String(core), ...command] : [...command];
}

export function start(command: readonly string[], options: StartOptions): ChildProcess {
  const [program = '', ...args] = pinned(command, options.core);
  const child = spawn(program, args, {
    env: { ...process.env, ...options.env },
    stdio: options.stdio ?? ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  child.once('error', () => running.delete(child));
  return child;
}

/** A program was sent SIGINT before it had come so far as to listen to it. */
export class InterruptedTooSoon extends Error {}

/** Runs a command to its end. @returns what it printed. @throws {Error} with what it complained of, if it fails */
export function output(command: readonly string[], options: StartOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = start(command, options);
    let printed = '';
    let complained = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      complained += text;
    });
    const { interruptAfter } = options;
    const timer = interruptAfter && setTimeout(() => child.kill('SIGINT'), interruptAfter);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(printed);
      else if (signal === 'SIGINT' && interruptAfter !== undefined)
        reject(new InterruptedTooSoon('it was interrupted too soon'));
      else reject(new Error(complaint(complained || printed) || `it ended with ${signal ?? code}`));
    });
  });
}

/** The line that says what a program has failed of, out of all that it printed: what an error says, else what it said first. */
export function complaint(text: string): string {
  return (/^(?:Uncaught )?\w*Error.*?: (.*)$/m.exec(text)?.[1] ?? text.trim().split('\n')[0] ?? '').trim();
}

/** Ends a process at once and waits until it is gone. */
export function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

/** For the end of the bench, planned or not: ends whatever is still running. */
export function endAll(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** The process and its descendants. */
function family(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return [pid, ...(children === '' ? [] : children.split(' ').flatMap((child) => family(Number(child))))];
  } catch {
    return [pid];
  }
}

/** In /proc/PID/stat a process may be so many ticks ahead of the sum of its threads, by rounding alone. */
const roundedTicks = 3;

/**
 * What CPU time a process and its children have used, user and system. The kernel tells it to the nanosecond of each thread that
 * is there, and to the tick (10 ms, a tenth of a short window) of all, those that have ended too. So it is the nanoseconds that
 * count, each thread's as they were last seen; and the ticks where they show that something has run unseen.
 */
export class CpuClock {
  readonly #pid: number;
  /** Nanoseconds by thread, also of those that have ended. */
  readonly #threads = new Map<string, number>();
  /** Seconds that only the ticks have told of. */
  #unseen = 0;

  constructor(pid: number) {
    this.#pid = pid;
  }

  /** Seconds used so far. */
  seconds(): number {
    let ticks = 0;
    for (const pid of family(this.#pid)) {
      for (const [thread, nanoseconds] of nanosecondsOfThreads(pid)) this.#threads.set(thread, nanoseconds);
      ticks += secondsInTicks(pid);
    }
    let seconds = this.#unseen;
    for (const nanoseconds of this.#threads.values()) seconds += nanoseconds / 1e9;
    if (ticks - seconds <= roundedTicks / ticksPerSecond) return seconds;
    this.#unseen += ticks - seconds;
    return ticks;
  }
}

function nanosecondsOfThreads(pid: number): [thread: string, nanoseconds: number][] {
  try {
    const tasks = `/proc/${pid}/task`;
    return readdirSync(tasks).map((thread) => {
      const [nanoseconds] = readFileSync(`${tasks}/${thread}/schedstat`, 'utf8').split(' ');
      return [thread, Number(nanoseconds)];
    });
  } catch {
    return []; // a kernel without it, or a thread has just ended
  }
}

function secondsInTicks(pid: number): number {
  // Fields are counted behind the name, which stands in parentheses and may hold anything.
  const fields = stat(pid);
  let ticks = 0;
  for (let field = 11; field <= 14; field++) ticks += Number(fields[field] ?? 0); // utime, stime, cutime, cstime
  return ticks / ticksPerSecond;
}

function stat(pid: number): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return []; // it has ended; its parent counts its time
  }
}

/**
 * Memory of a process and its children that is not the kernel's, in bytes: what is resident of it, but for pages of files. Those
 * are its program, of which the kernel maps now more, now less, in steps of 64 KiB; whoever else runs it shares them.
 */
export function residentBytes(pid: number): number {
  let kilobytes = 0;
  for (const each of family(pid)) {
    try {
      const status = readFileSync(`/proc/${each}/status`, 'utf8');
      for (const [, value] of status.matchAll(/^Rss(?:Anon|Shmem):\s*(\d+) kB/gm)) kilobytes += Number(value);
    } catch {
      // it has ended
    }
  }
  return kilobytes * 1024;
}

/** Bytes that a process has read so far, by `read` and its like, of files and sockets. @see {@link https://man7.org/linux/man-pages/man5/proc_pid_io.5.html | proc_pid_io(5)} */
export function bytesRead(pid: number): number {
  try {
    return Number(/^rchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
  } catch {
    return 0; // it has ended
  }
}

export function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
