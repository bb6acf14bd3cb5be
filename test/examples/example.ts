// An example, run as a separate process, as a reader would run it; on a free port.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type Ending, node, Program } from '../support/program.js';

export class Example extends Program {
  /** @param file the compiled example */
  constructor(file: string, env: Record<string, string> = {}) {
    super(node(new URL(`../../examples/${file}`, import.meta.url)), { env: { HOST: undefined, PORT: '0', ...env } });
  }

  /** Waits until it listens. @returns host and port */
  async address(): Promise<string> {
    const [, address] = await this.printed(/(127\.0\.0\.1:\d+)/);
    return address;
  }

  /** Ends it as Ctrl-C or a service manager would. @throws if it does not end cleanly */
  override async stop(signal: 'SIGINT' | 'SIGTERM' = 'SIGTERM'): Promise<Ending> {
    const ending = await super.stop(signal);
    assert.equal(ending.code, 0, this.output);
    return ending;
  }
}

/** Starts an example, has it tested, and stops it however the test ends. */
export async function withExample(file: string, use: (example: Example) => Promise<void>): Promise<void> {
  const example = new Example(file);
  try {
    await use(example);
    await example.stop();
  } finally {
    example.kill();
  }
}

/** A port that somebody else listens on. */
export async function occupiedPort(): Promise<{ port: number; free: () => void }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { port, free: () => server.close() };
}
