// A server among others: several processes on one port, the workers of node:cluster, a worker thread.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { layers } from '../support/layers.js';
import { skip } from '../support/linux.js';
import { runProgram } from '../support/program.js';

const prelude = `
  import { fork } from 'node:child_process';
  import cluster from 'node:cluster';
  import { once } from 'node:events';
  import http from 'node:http';
  import process from 'node:process';
  import { isMainThread, parentPort, Worker } from 'node:worker_threads';
  import { serve, sleep } from ${JSON.stringify(import.meta.resolve('#sluice/index.js'))};

  /** Asks on a separate connection. Resolves with the answer's text, or with the code of the error. */
  const ask = (port) =>
    new Promise((resolve) => {
      const request = http.get({ port, host: '127.0.0.1', agent: false }, async (response) => {
        let text = '';
        for await (const part of response.setEncoding('utf8')) text += part;
        resolve(text);
      });
      request.on('error', (error) => resolve(error.code));
    });
  /** Of so many answers, how many there were of each. */
  const tally = async (port, times) => {
    const counts = {};
    for (let i = 0; i < times; i++) {
      const answer = await ask(port);
      counts[answer] = (counts[answer] ?? 0) + 1;
    }
    return counts;
  };
  const start = (name, port, options) =>
    serve({ port, hostname: '127.0.0.1', fetch: () => new Response(name), ...options });
  /** A port that is free. */
  const freePort = async () => {
    const server = await start('', 0);
    await server.close();
    return server.port;
  };

  // What a process that was started by another one does: serves and closes as messages ask.
  async function serveOnDemand() {
    const reported = once(process, 'message');
    process.send('here');
    const [{ name, port, reusePort }] = await reported;
    try {
      const server = await start(name, port, { reusePort });
      process.once('message', async () => {
        await server.close();
        process.disconnect();
      });
      process.send({ port: server.port, eventLayer: server.eventLayer });
    } catch (error) {
      process.send({ code: error.code, message: error.message.replaceAll(String(port), 'PORT') });
      process.disconnect();
    }
  }
  const here = async (child) => {
    await once(child, 'message');
    return child;
  };
  const command = async (child, message) => {
    child.send(message);
    const [answer] = await Promise.race([once(child, 'message'), once(child, 'exit').then((exit) => [{ exit }])]);
    return answer;
  };
  const end = async (child) => {
    const over = once(child, 'exit');
    child.send('close');
    return over;
  };
`;

const good = { code: 0, signal: null, stderr: '' };
const lines = (stdout: string): unknown[] =>
  stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));

for (const { name: layer, skip } of layers) {
  describe(`servers on ${layer}`, { skip }, () => {
    const run = async (body: string, eventLayer: string | undefined = layer): Promise<unknown[]> => {
      const { stdout, ...ending } = await runProgram(prelude + body, { eventLayer });
      assert.deepEqual(ending, good);
      return lines(stdout);
    };
    const mayReuse = layer !== 'portable';

    it('in two processes share a port if both set reusePort, and one gets all connections when the other has ended', {
      skip: mayReuse ? false : 'the portable layer leaves this to node:net, which has it since Node 22.12',
    }, async () => {
      const [together, alone] = await run(`
        if (process.argv[2] === 'child') {
          await serveOnDemand();
        } else {
          const port = await freePort();
          const children = [];
          for (const name of ['a', 'b']) {
            const child = await here(fork(process.argv[1], ['child']));
            await command(child, { name, port, reusePort: true });
            children.push(child);
          }
          console.log(JSON.stringify(await tally(port, 64)));
          await end(children[0]);
          console.log(JSON.stringify(await tally(port, 16)));
          await end(children[1]);
        }`);
      const { a, b, ...others } = together as Record<string, number>;
      assert.deepEqual(others, {});
      assert.equal(a + b, 64);
      assert.deepEqual(alone, { b: 16 });
    });

    const inCluster = (reusePort: boolean) =>
      run(`
        if (cluster.isWorker) {
          await serveOnDemand();
        } else {
          const port = await freePort();
          const workers = [await here(cluster.fork()), await here(cluster.fork())];
          const answers = [];
          for (const [i, worker] of workers.entries())
            answers.push(await command(worker, { name: 'w' + i, port, reusePort: ${reusePort} }));
          const counts = await tally(port, 32);
          console.log(JSON.stringify(answers.map(({ port: got, ...answer }) => (got === port ? 'serves' : answer))));
          console.log(JSON.stringify(counts));
          for (const [i, worker] of workers.entries()) if (answers[i].port === port) await end(worker);
        }`);

    if (mayReuse) {
      it('in two workers of node:cluster share a port if both set reusePort', async () => {
        const [answers, counts] = await inCluster(true);
        assert.deepEqual(answers, ['serves', 'serves']);
        const { w0, w1, ...others } = counts as Record<string, number>;
        assert.deepEqual([w0 + w1, others], [32, {}]);
      });

      it('in two workers of node:cluster do not share a port otherwise, and the error of the second says what to do', async () => {
        const [answers, counts] = await inCluster(false);
        const message =
          'cannot listen on 127.0.0.1:PORT: bind EADDRINUSE: address already in use (workers of node:cluster share a port if all say reusePort)';
        assert.deepEqual(answers, ['serves', { code: 'EADDRINUSE', message }]);
        assert.deepEqual(counts, { w0: 32 });
      });
    } else {
      it('in two workers of node:cluster share a port, as all of node:net does', async () => {
        const [answers, counts] = await inCluster(false);
        assert.deepEqual(answers, ['serves', 'serves']);
        const { w0, w1, ...others } = counts as Record<string, number>;
        assert.deepEqual([w0 + w1, others], [32, {}]);
      });
    }

    for (const [who, disconnect] of [
      ['the primary', 'workers[0].disconnect()'],
      ['the worker itself', "workers[0].send('disconnect')"],
    ]) {
      it(`in a worker of node:cluster closes when ${who} disconnects it, though a client stays idle`, async () => {
        const reported = await run(`
          if (cluster.isWorker) {
            process.once('message', () => cluster.worker.disconnect());
            const server = await start('worker', 0);
            process.send(server.port);
          } else {
            const workers = [cluster.fork()];
            const over = once(workers[0], 'exit');
            const [port] = await once(workers[0], 'message');
            const agent = new http.Agent({ keepAlive: true });
            const [response] = await once(http.get({ port, host: '127.0.0.1', agent }), 'response');
            await response.resume();
            await once(response, 'end');
            ${disconnect};
            console.log(JSON.stringify([await over, await ask(port)]));
            agent.destroy();
          }`);
        assert.deepEqual(reported, [[[0, null], 'ECONNREFUSED']]);
      });
    }

    it('in a worker of node:cluster ends with its primary, though that is killed', async () => {
      const ending = await runProgram(
        `${prelude}
        if (cluster.isWorker) {
          const server = await start('worker', 0);
          process.send([process.pid, server.port]);
        } else {
          const [reported] = await once(cluster.fork({ ...process.env }), 'message');
          console.log(JSON.stringify(reported));
          process.kill(process.pid, 'SIGKILL');
        }`,
        { eventLayer: layer },
      );
      assert.equal(ending.signal, 'SIGKILL', ending.stderr);
      const [[worker]] = lines(ending.stdout) as [number, number][];
      const isThere = () => {
        try {
          return process.kill(worker, 0);
        } catch {
          return false;
        }
      };
      for (let i = 0; i < 1000 && isThere(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
      assert.equal(isThere(), false, 'the worker goes on');
    });

    it('serve beside one in a worker thread, which is on the portable layer, and which may be terminated', async () => {
      const reported = await run(
        `
        const layer = ${JSON.stringify(layer)};
        if (isMainThread) {
          process.env.SLUICE_EVENT_LAYER = layer;
          const server = await start('main', 0);
          const worker = new Worker(new URL(import.meta.url), { env: {} });
          const [port] = await once(worker, 'message');
          console.log(JSON.stringify([server.eventLayer, await tally(server.port, 8), await tally(port, 8)]));
          await worker.terminate();
          console.log(JSON.stringify([await tally(server.port, 8), await ask(port)]));
          await server.close();
        } else {
          const server = await start('worker', 0);
          console.log(JSON.stringify(server.eventLayer));
          parentPort.postMessage(server.port);
        }`,
        undefined,
      );
      assert.deepEqual(reported, ['portable', [layer, { main: 8 }, { worker: 8 }], [{ main: 8 }, 'ECONNREFUSED']]);
    });
  });
}

describe('a worker thread whose environment asks for a layer that needs the main thread', { skip }, () => {
  for (const layer of ['uring', 'epoll']) {
    it(`gets an error that says why: ${layer}`, async () => {
      const ending = await runProgram(
        `${prelude}
         if (isMainThread) await once(new Worker(new URL(import.meta.url)), 'exit');
         else await start('worker', 0).catch((error) => console.log(error.code + ' ' + error.message));`,
        { eventLayer: layer },
      );
      const why = 'which is unavailable: it needs the main thread, and this is a worker';
      assert.deepEqual(ending, {
        ...good,
        stdout: `ERR_EVENT_LAYER SLUICE_EVENT_LAYER is "${layer}", ${why}\n`,
      });
    });
  }
});
