// Descriptors run out: in a separate process that may have few, whose clients are in this one.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as later } from 'node:timers/promises';
import type { SocketLayerName } from '../../support/layers.js';
import { skip } from '../../support/linux.js';
import type { Program } from '../../support/program.js';
import { run } from './program.js';

/** Ticks of CPU that a process has had, 100 to the second; proc(5). */
function ticks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

class Client {
  readonly #socket: Socket;
  isServed = false;

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.on('error', () => {});
    this.#socket.on('data', () => {
      this.isServed = true;
    });
    this.#socket.write('ping');
  }

  leave(): void {
    this.#socket.destroy();
  }
}

async function until(isSo: () => boolean, what: string): Promise<void> {
  for (const deadline = performance.now() + 15_000; !isSo(); await later(5))
    if (performance.now() > deadline) assert.fail(`timed out waiting for ${what}`);
}

async function playClients(program: Program, port: number): Promise<void> {
  const pid = program.process.pid ?? 0;
  const clients: Client[] = [];
  const hasFailed = (): boolean => program.stdout.includes('failed');
  try {
    while (!hasFailed()) {
      const client = new Client(port);
      clients.push(client);
      await until(() => client.isServed || hasFailed(), 'an answer, or a failure');
    }
    assert.ok(clients.length > 20);
    for (let i = 0; i < 15; i++) clients.push(new Client(port));
    const before = ticks(pid);
    await later(1000);
    const spent = ticks(pid) - before;
    assert.ok(spent < 20, `${spent} ticks of CPU in a second of waiting`);
    const waiting = clients.filter(({ isServed }) => !isServed);
    assert.ok(waiting.length >= 15, `${waiting.length} are waiting`);
    for (const client of clients.filter(({ isServed }) => isServed).slice(0, 20)) client.leave();
    await until(() => waiting.every(({ isServed }) => isServed), 'those who were waiting');
  } finally {
    for (const client of clients) client.leave();
    process.kill(pid, 'SIGINT');
  }
}

function scenario(name: SocketLayerName, sizes: string): () => Promise<void> {
  return async () => {
    const ending = await run(
      name,
      `const { layer, sink } = start('${name}', ${sizes});
       sink.received = (slot, buffer, from, to) => send(layer, slot, buffer.subarray(from, to));
       sink.ended = (slot) => layer.finish(slot);
       sink.acceptFailed = (listener, error) => console.log('failed', error.code, /port \\d+/.test(error.message));
       process.once('SIGINT', () => layer.close());
       const { address } = await layer.listen({ address: local, backlog: 32 });
       console.log('port', address.port);`,
      {
        shell: 'ulimit -n 80',
        use: async (program) => {
          const [, port] = await program.printed(/^port (\d+)$/m);
          await playClients(program, Number(port));
        },
      },
    );
    assert.deepEqual(
      { ...ending, stdout: ending.stdout.replace(/^port \d+\n/, '') },
      { code: 0, signal: null, stderr: '', stdout: 'failed EMFILE true\nleft 0\n' },
    );
  };
}

describe('descriptors run out: accepting pauses, is reported once, and continues when connections have closed', {
  skip,
}, () => {
  it('epoll', scenario('epoll', '{}'));
  it('uring', scenario('uring', '{}'));
  it('uring, with ordinary descriptors', scenario('uring', '{ directDescriptors: 0 }'));
});
