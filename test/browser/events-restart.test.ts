// An EventSource of a browser that follows a topic, while the process that serves it is killed, and started again. The source of the messages keeps its history, and
// goes on meanwhile.

import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { browserFor, withPage } from './browser.js';
import type { SourceMessage } from './event-server.js';

/** Publishes a number every few milliseconds, and keeps them. */
class Source {
  readonly history: number[] = [];
  server: ChildProcess | undefined;
  readonly #timer = setInterval(() => this.#next(), 5);

  #next(): void {
    const number = this.history.length + 1;
    this.history.push(number);
    this.#tell({ number });
  }

  #tell(message: SourceMessage): void {
    if (this.server?.connected) this.server.send(message);
  }

  /** Starts the server. @returns its port */
  async start(port: number): Promise<number> {
    const server = fork(new URL('event-server.js', import.meta.url), [String(port)]);
    this.server = server;
    this.#tell({ history: this.history });
    const [answer] = (await once(server, 'message')) as [{ port: number }];
    return answer.port;
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const { server } = this;
    this.server = undefined;
    if (server === undefined || server.exitCode !== null) return;
    const ended = once(server, 'exit');
    server.kill(signal);
    await ended;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

test('the EventSource of a browser misses nothing while its server is restarted, in good order or killed', async (t) => {
  const executable = browserFor(t);
  if (executable === undefined) return;
  const source = new Source();
  try {
    const port = await source.start(0);
    await withPage(executable, async (page) => {
      await page.goto(`http://127.0.0.1:${port}/`);
      const seen = async (): Promise<number[]> => (await page.evaluate('seen')) as number[];
      /** Waits until the page has seen what there is now, and more. */
      const caughtUp = (): Promise<unknown> => page.waitForFunction(`seen.at(-1) > ${source.history.length}`);
      await caughtUp();
      for (const signal of ['SIGTERM', 'SIGKILL', 'SIGTERM'] as const) {
        await source.end(signal);
        await new Promise((resolve) => setTimeout(resolve, 50)); // the source goes on
        await source.start(port);
        await caughtUp();
      }
      const [first, ...others] = await seen();
      others.forEach((number, i) => {
        assert.equal(number, first + i + 1, 'each number comes once, and in order');
      });
      assert.deepEqual(await page.evaluate('missed'), []);
      assert.ok(((await page.evaluate('errors')) as number) >= 3, 'it has reconnected');
    });
  } finally {
    source.stop();
    await source.end('SIGKILL');
  }
});
