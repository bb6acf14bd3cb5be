// A program of the bench's own that stands ready in a process, and measures something whenever it is told to. They speak over the
// channel that Node gives a child process.

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { folder } from './paths.js';
import { node } from './peers.js';
import { end, serverCore, start } from './processes.js';

export class Subject<Order extends object, Answer> {
  readonly #child: ChildProcess;

  /** @param program its file, below the folder that the bench is built into */
  constructor(program: string, args: readonly string[]) {
    this.#child = start([node, '--expose-gc', join(folder, 'build', program), ...args], {
      core: serverCore,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
  }

  /** What it says by itself when it is ready. */
  ready<First>(): Promise<First> {
    return this.#message<First>();
  }

  measure(order: Order): Promise<Answer> {
    this.#child.send(order);
    return this.#message<Answer>();
  }

  leave(): Promise<void> {
    return end(this.#child);
  }

  async #message<T>(): Promise<T> {
    const over = new AbortController();
    const { signal } = over;
    try {
      const gone = once(this.#child, 'exit', { signal }).then(([code]) => {
        throw new Error(`it ended with ${code}`);
      });
      const [message] = await Promise.race([once(this.#child, 'message', { signal }), gone]);
      return message as T;
    } finally {
      over.abort();
    }
  }
}
