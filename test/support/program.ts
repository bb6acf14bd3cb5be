// Programs that run in a process of their own: for what concerns a process as a whole, such as the ways out of it. A program is the
// text of a module.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** How a program has ended. */
export interface Ending {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface ProgramOptions {
  /** Sent to it when it has printed a line `ready`. */
  signal?: NodeJS.Signals;
  /** What a shell is to do before it becomes the program. */
  shell?: string;
  execArgv?: string[];
  /** The event layer that the environment asks for; by default it asks for none. */
  eventLayer?: string;
  /** Told whenever there is more output. */
  onOutput?: (child: ChildProcess, output: () => string) => void;
}

/** Runs a program to its end, which is SIGKILL if that has not come after half a minute. */
export async function runProgram(text: string, options: ProgramOptions = {}): Promise<Ending> {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-'));
  try {
    const file = path.join(folder, 'program.mjs');
    writeFileSync(file, text);
    const command = [process.execPath, ...(options.execArgv ?? []), file];
    const [program, ...args] =
      options.shell === undefined ? command : ['sh', '-c', `${options.shell}; exec "$@"`, 'sh', ...command];
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, SLUICE_EVENT_LAYER: options.eventLayer },
      timeout: 30_000,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      if (options.signal !== undefined && text.includes('ready')) child.kill(options.signal);
      options.onOutput?.(child, () => stdout);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    return await new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
