// That a load that stays counts what the server has answered in a window, and its CPU in no other.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startServer } from '../load/server.js';
import { StandingLoad } from '../load/standing.js';
import { wrkVersion } from '../load/wrk.js';
import { wait } from '../processes.js';

const temporary = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
after(() => rmSync(temporary, { recursive: true, force: true }));
const skip = wrkVersion() === undefined && 'wrk is missing';

/** Answers hello, and writes down how often it has done so when it is asked for a garbage collection. */
const counting = `
  let answered = 0;
  process.on('SIGUSR2', () => require('node:fs').writeFileSync(process.env.COUNT, String(answered)));
  require('node:http').createServer((_request, response) => {
    answered++;
    response.end('Hello, World!');
  }).listen(process.env.PORT, '127.0.0.1');
`;

function startCounting() {
  const count = join(temporary, 'count');
  const command = [process.execPath, '-e', counting];
  const peer = { name: 'counting', title: 'counting', version: '', command, env: { COUNT: count }, compiled: false };
  return startServer(peer, { handler: 'hello' }).then((server) => ({
    server,
    async answered(): Promise<number> {
      await server.collect();
      return Number(readFileSync(count, 'utf8'));
    },
  }));
}

test('a window counts what was answered in it', { skip, timeout: 60_000 }, async () => {
  const { server, answered } = await startCounting();
  try {
    for (const options of [{ connections: 1 }, { connections: 64 }, { connections: 64, pipelined: 8 }]) {
      const load = await StandingLoad.start(server, options);
      const before = await answered();
      const { requests, throughput } = await load.window(0.2);
      const really = (await answered()) - before;
      // wrk may be stopped between having read an answer and having asked again.
      const asked = options.connections * (options.pipelined ?? 1);
      assert.ok(
        requests > 100 && Math.abs(requests - really) <= Math.min(asked, 100),
        `${requests}, and really ${really}`,
      );
      assert.ok(throughput > 0 && throughput < requests / 0.2);
      assert.deepEqual(await load.end(), []);
    }
  } finally {
    await server.stop();
  }
});

test('what other loads cost the server between two windows is in neither', { skip, timeout: 60_000 }, async () => {
  const { server } = await startCounting();
  try {
    const [one, other] = [
      await StandingLoad.start(server, { connections: 1 }),
      await StandingLoad.start(server, { connections: 64 }),
    ];
    await one.window(0.1);
    const between = server.cpu();
    await other.window(1);
    const others = server.cpu() - between;
    const { requests, cpu } = await one.window(0.1);
    assert.ok((requests * cpu) / 1e6 < others / 2, `${(requests * cpu) / 1e6} s, beside ${others} s of the other`);
    assert.deepEqual([...(await one.end()), ...(await other.end())], []);
  } finally {
    await server.stop();
  }
});

test('a window in which a server is stuck has no figures, and says so', { skip, timeout: 60_000 }, async () => {
  const { server } = await startCounting();
  try {
    const load = await StandingLoad.start(server, { connections: 4 });
    server.freeze();
    await load.window(0.1); // the answers that wrk had not read
    await assert.rejects(load.window(0.1), /no request was answered/);
    server.thaw();
    await load.window(0.1);
    assert.deepEqual(await load.end(), []);
  } finally {
    await server.stop();
  }
});

test('a load that gets no answers says so', { skip, timeout: 60_000 }, async () => {
  const { server } = await startCounting();
  await server.stop();
  await assert.rejects(StandingLoad.start(server, { connections: 4 }), /the server ended with SIGKILL/);
});

test('a window in which nothing can be answered lasts until something is', { skip, timeout: 60_000 }, async () => {
  const { server } = await startCounting();
  try {
    const load = await StandingLoad.start(server, { connections: 4 });
    server.freeze();
    const window = load.window(0.1);
    await wait(400);
    server.thaw();
    assert.ok((await window).requests >= 1);
    assert.deepEqual(await load.end(), []);
  } finally {
    await server.stop();
  }
});
