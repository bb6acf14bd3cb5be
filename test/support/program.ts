// Child processes of tests, all of them: examples, the `sluice` command, programs for what concerns a process as a whole.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** How a program has ended. */
export interface Ending {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface SpawnOptions {
  cwd?: string;
  /** Variables in addition to those of this process. Those that are undefined are removed. */
  env?: Record<string, string | undefined>;
  /** Opens a channel for messages. */
  ipc?: boolean;
}

/** The command that runs a module. */
export function node(module: URL, ...args: string[]): string[] {
  return [process.execPath, fileURLToPath(module), ...args];
}

export class Program {
  readonly process: ChildProcess;
  stdout = '';
  stderr = '';
  /** Both, in the order in which they came. */
  output = '';
  readonly ended: Promise<Ending>;
  /** It has ended, and all its output has come. */
  #isOver = false;
  /** Called when there is more output, and at the end. */
  readonly #watchers = new Set<() => void>();

  constructor([command, ...args]: readonly string[], { cwd, env = {}, ipc = false }: SpawnOptions = {}) {
    // What the test runner puts into the environment would make the child report to it as a test file.
    const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
    this.process = spawn(command, args, {
      cwd,
      env: { ...inherited, ...env },
      stdio: ['pipe', 'pipe', 'pipe', ...(ipc ? (['ipc'] as const) : [])],
    });
    for (const name of ['stdout', 'stderr'] as const)
      this.process[name]?.setEncoding('utf8').on('data', (text: string) => {
        this[name] += text;
        this.output += text;
        this.#changed();
      });
    this.process.stdin?.on('error', () => {}); // it may end before it has read everything
    this.ended = this.#end();
    this.ended.catch(() => {}); // the caller may await it later
  }

  async #end(): Promise<Ending> {
    // Not `close`: it does not come where this process has closed the channel for messages.
    const pipes = [this.process.stdout, this.process.stderr].map((pipe) => pipe && once(pipe, 'close'));
    const [code, signal] = await once(this.process, 'exit');
    await Promise.all(pipes);
    this.#isOver = true;
    this.#changed();
    const { stdout, stderr } = this;
    return { code, signal, stdout, stderr };
  }

  #changed(): void {
    for (const look of this.#watchers) look();
    this.#watchers.clear();
  }

  /** Waits until it has printed something. @returns the match @throws if it ends without */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.output);
      if (found !== null) return found;
      if (this.#isOver) throw new Error(`it ended without printing ${pattern}: ${this.output}`);
      await new Promise<void>((resolve) => this.#watchers.add(resolve));
    }
  }

  /** Ends it whatever it is doing: for when a test is over, however. */
  kill(): void {
    this.process.kill('SIGKILL');
  }

  /** Sends a signal. SIGKILL follows after ten seconds. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ending> {
    this.process.kill(signal);
    return this.endsWithin(10_000);
  }

  /** Waits for its end. @param milliseconds after which it is killed */
  async endsWithin(milliseconds: number): Promise<Ending> {
    const late = setTimeout(() => this.kill(), milliseconds);
    try {
      return await this.ended;
    } finally {
      clearTimeout(late);
    }
  }
}

/** A module that answers messages: it calls `answering`. */
export class Child<Ask, Answer> extends Program {
  constructor(module: URL) {
    super([process.execPath, '--expose-gc', fileURLToPath(module)], { ipc: true });
  }

  async ask(message: Ask): Promise<Answer> {
    const done = new AbortController();
    const { signal } = done;
    const answer = once(this.process, 'message', { signal });
    const exit = this.ended.then(({ code, signal, stderr }) => {
      throw new Error(
        `the child process has ended (${code ?? signal}) without an answer to ${JSON.stringify(message)}: ${stderr}`,
      );
    });
    answer.catch(() => {}); // it is aborted when the process has ended
    this.process.send(message as object);
    try {
      const [result] = (await Promise.race([answer, exit])) as unknown[];
      return result as Answer; // what `answering` of the same module has sent
    } finally {
      done.abort();
    }
  }

  /** Closes the channel. @returns the exit code of the process, which ends by itself if it has left nothing open */
  async end(): Promise<number | null> {
    this.process.disconnect();
    return (await this.ended).code;
  }
}

/** The other side: answers each message. */
export function answering<Ask, Answer>(answer: (message: Ask) => Promise<Answer>): void {
  process.on('message', async (message) => {
    const reply = await answer(message as Ask); // what `ask` has sent
    process.send?.(reply as object);
  });
}

export interface ProgramOptions {
  /** Sent to it when it has printed a line `ready`. */
  signal?: NodeJS.Signals;
  /** What a shell is to do before it becomes the program. */
  shell?: string;
  execArgv?: string[];
  /** The event layer that the environment asks for; by default it asks for none. */
  eventLayer?: string;
  /** Called with the program when it has started. */
  use?: (program: Program) => Promise<void>;
}

/** Runs the text of a module to its end, which is SIGKILL if that has not come after half a minute. */
export async function runProgram(text: string, options: ProgramOptions = {}): Promise<Ending> {
  const { signal, shell, execArgv = [], eventLayer, use } = options;
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-'));
  try {
    const file = path.join(folder, 'program.mjs');
    writeFileSync(file, text);
    const command = [process.execPath, ...execArgv, file];
    const program = new Program(shell === undefined ? command : ['sh', '-c', `${shell}; exec "$@"`, 'sh', ...command], {
      env: { SLUICE_EVENT_LAYER: eventLayer },
    });
    const ended = program.endsWithin(30_000);
    if (signal !== undefined)
      program.printed(/^ready$/m).then(
        () => program.process.kill(signal),
        () => {},
      );
    await use?.(program);
    return await ended;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
