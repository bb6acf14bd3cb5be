// An example, run as a process of its own, as a reader would run it; on a free port.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

export class Example {
  /** What it has printed, to standard output and standard error. */
  output = '';
  readonly child: ChildProcess;
  readonly #ended: Promise<unknown[]>;
  readonly #changed = new Set<() => void>();

  private constructor(file: string, env: Record<string, string>) {
    const path = fileURLToPath(new URL(`../../examples/${file}`, import.meta.url));
    const { HOST: _, ...inherited } = process.env;
    this.child = spawn(process.execPath, [path], { env: { ...inherited, PORT: '0', ...env } });
    this.#ended = once(this.child, 'close');
    const changed = () => {
      for (const look of this.#changed) look();
    };
    for (const pipe of [this.child.stdout, this.child.stderr]) {
      pipe?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
        changed();
      });
    }
    this.#ended.then(changed);
  }

  /** Starts the compiled example. It is stopped when it goes out of the hands of the caller: by `stop`. */
  static start(file: string, env: Record<string, string> = {}): Example {
    return new Example(file, env);
  }

  /** Waits until it has printed something. @returns the match */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.output);
      if (found !== null) return found;
      if (this.child.exitCode !== null) throw new Error(`it ended without printing ${pattern}: ${this.output}`);
      await new Promise<void>((resolve) => {
        const look = () => {
          this.#changed.delete(look);
          resolve();
        };
        this.#changed.add(look);
      });
    }
  }

  /** Waits until it listens. @returns host and port */
  async address(): Promise<string> {
    const [, address] = await this.printed(/(127\.0\.0\.1:\d+)/);
    return address;
  }

  /** Waits for its end. @returns its exit code */
  async ended(): Promise<unknown> {
    const [code, signal] = await this.#ended;
    return code ?? signal;
  }

  /** Tells it to end, as Ctrl-C or a service manager would, and expects it to do so cleanly. */
  async stop(signal: 'SIGINT' | 'SIGTERM' = 'SIGTERM'): Promise<void> {
    this.child.kill(signal);
    const late = setTimeout(() => this.child.kill('SIGKILL'), 10_000);
    const code = await this.ended();
    clearTimeout(late);
    assert.equal(code, 0, this.output);
  }
}

/** Starts an example, has it tested, and stops it however the test ends. */
export async function withExample(file: string, use: (example: Example) => Promise<void>): Promise<void> {
  const example = Example.start(file);
  try {
    await use(example);
    await example.stop();
  } finally {
    example.child.kill('SIGKILL');
  }
}

/** A port that somebody else listens on. */
export async function occupiedPort(): Promise<{ port: number; free: () => void }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { port, free: () => server.close() };
}
