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
  core: number;
  env?: Record<string, string>;
  stdio?: StdioOptions;
  /** Sends it SIGINT after so many milliseconds: for `output`, of programs that end in good order then. */
  interruptAfter?: number;
}

const taskset = spawnSync('taskset', ['--version']).status === 0;
/** Whether processes can be kept to a core. */
export const canPin = taskset;

/** A command that runs another one on a core, if that is possible here. taskset becomes the program: the process id is the same. */
export function pinned(command: readonly string[], core: number): string[] {
  return taskset ? ['taskset', '-c', String(core), ...command] : [...command];
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

/**
 * CPU time that a process and its children have used so far, in seconds: user and system. The kernel tells it to the nanosecond of
 * each thread that runs, and to the tick (10 ms, a tenth of a short window) of all, those that have ended too. So each sum may
 * lack something, and neither has too much.
 */
export function cpuSeconds(pid: number): number {
  return family(pid).reduce((sum, each) => sum + Math.max(secondsOfThreads(each), secondsInTicks(each)), 0);
}

function secondsOfThreads(pid: number): number {
  try {
    const tasks = `/proc/${pid}/task`;
    const nanoseconds = readdirSync(tasks).map(
      (thread) => readFileSync(`${tasks}/${thread}/schedstat`, 'utf8').split(' ')[0],
    );
    return nanoseconds.reduce((sum, each) => sum + Number(each), 0) / 1e9;
  } catch {
    return 0; // a kernel without it, or a thread has just ended
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

/** Memory of a process and its children that is not the kernel's, in bytes (resident set). */
export function residentBytes(pid: number): number {
  let kilobytes = 0;
  for (const each of family(pid)) {
    try {
      const line = /^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${each}/status`, 'utf8'));
      kilobytes += Number(line?.[1] ?? 0);
    } catch {
      // it has ended
    }
  }
  return kilobytes * 1024;
}

export function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
