// Runs a module of the tests as a separate process, and talks to it: one message asks, one answers.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export class Child<Ask, Answer> {
  readonly #process: ChildProcess;

  /** @param module its compiled file: `new URL('flood-server.js', import.meta.url)` */
  constructor(module: URL) {
    this.#process = fork(fileURLToPath(module), { execArgv: ['--expose-gc'] });
  }

  async ask(message: Ask): Promise<Answer> {
    const done = new AbortController();
    const { signal } = done;
    const answer = once(this.#process, 'message', { signal });
    const exit = once(this.#process, 'exit', { signal }).then(([code, by]) => {
      throw new Error(`the child process has ended (${code ?? by}) without an answer to ${JSON.stringify(message)}`);
    });
    exit.catch(() => {}); // it loses the race when the answer comes
    answer.catch(() => {});
    this.#process.send(message as object);
    try {
      const [result] = (await Promise.race([answer, exit])) as unknown[];
      return result as Answer; // what `answering` of the same module has sent
    } finally {
      done.abort();
    }
  }

  /** Ends the process whatever it is doing: for when a test has failed. */
  kill(): void {
    this.#process.kill('SIGKILL');
  }

  /** Closes the channel. @returns the exit code of the process, which ends by itself if it has left nothing open */
  async end(): Promise<number | null> {
    const exit = once(this.#process, 'exit');
    this.#process.disconnect();
    const [code] = await exit;
    return code;
  }
}

/** The other side: answers each message. */
export function answering<Ask, Answer>(answer: (message: Ask) => Promise<Answer>): void {
  process.on('message', async (message) => {
    const reply = await answer(message as Ask); // what `ask` has sent
    process.send?.(reply as object);
  });
}
