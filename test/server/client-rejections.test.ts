// Promises that a handler leaves alone, and that are rejected because the client has left, do not end the process. All others do what they
// do without a server. Each program is a separate process, which it may take down with it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layers } from '../support/layers.js';
import { type Ending, type ProgramOptions, runProgram } from '../support/program.js';

/** Clients that leave in the middle of a body, with FIN and with RST, one of each for each of the `ways`. Ends by itself. */
const program = (ways: string, prelude = '') => `
  import { connect } from 'node:net';
  import { run, serve, sleep } from ${JSON.stringify(import.meta.resolve('#sluice/index.js'))};
  ${prelude}
  const ways = [${ways}];
  const server = await serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === '/never') return new Promise(() => {});
      ways[Number(pathname.slice(1))](request);
      return new Response('early');
    },
    onError: (error) => console.log('onError', error),
  });
  const head = 'content-type: multipart/form-data; boundary=x\\r\\ncontent-length: 9';
  const client = (way, how) =>
    new Promise((resolve) => {
      const socket = connect(server.port, '127.0.0.1', () => {
        socket.write('POST /' + way + ' HTTP/1.1\\r\\nhost: a\\r\\n' + head + '\\r\\n\\r\\n[1,');
        setTimeout(() => (how === 'FIN' ? socket.end() : socket.resetAndDestroy()), 50);
      });
      socket.on('error', () => {});
      socket.on('close', resolve).resume();
    });
  await Promise.all(ways.flatMap((_, way) => [client(way, 'FIN'), client(way, 'RST')]));
  await new Promise((resolve) => setTimeout(resolve, 50));
  await server.close({ deadline: 100 });
  await new Promise((resolve) => setTimeout(resolve, 10));
  console.log('alive, listeners:', process.listenerCount('unhandledRejection'));
`;

const careless = `
  (request) => request.json(),
  (request) => request.json().then(() => {}),
  async (request) => { await request.text(); },
  async (request) => { for await (const piece of request.body); },
  async (request) => { const reader = request.body.getReader(); for (;;) await reader.read(); },
  (request) => request.body.pipeTo(new WritableStream()),
  (request) => request.formData(),
  (request) => request.clone().blob(),
  async (request) => { try { await request.bytes(); } catch (cause) { throw new Error('failed', { cause }); } },
  ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  ({ signal }) => run(() => sleep(Infinity), { signal }),
  ({ signal }) => fetch(server.url + 'never', { signal }),
`;

async function outcome(
  text: string,
  options: ProgramOptions,
): Promise<Omit<Ending, 'signal' | 'stdout'> & { stdout: string[] }> {
  const { code, stdout, stderr } = await runProgram(text, options);
  return { code, stdout: stdout.trim().split('\n'), stderr };
}

const isAlive = { code: 0, stdout: ['alive, listeners: 0'], stderr: '' };

for (const { name: layer, skip } of layers) {
  test(`${layer}: a client that leaves in the middle of a body does not end the process`, {
    skip,
  }, async () => {
    assert.deepEqual(await outcome(program(careless), { eventLayer: layer }), isAlive);
  });
}

/** Half a body, for handlers that fail while they read it: prints the statuses of the responses. */
const failing = `
  import { connect } from 'node:net';
  import { serve, sleep } from ${JSON.stringify(import.meta.resolve('#sluice/index.js'))};
  const ways = [
    (request) => { request.text(); throw new Error('x'); },
    async (request) => { const body = request.text(); await new Promise((go) => setTimeout(go, 5)); throw new Error(await body); },
    async (request) => { const body = request.json(); await new Promise((go) => setTimeout(go, 5)); throw new Error('x'); },
    function* (request) { const body = request.json(); yield* sleep(5); throw new Error('x'); },
    function* (request) { yield request.json(); },
    function* (request) { yield Promise.reject(new Error('of a promise that was yielded')); },
  ];
  const server = await serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: (request) => ways[Number(new URL(request.url).pathname.slice(1))](request),
    bodyTimeout: 300,
    onError() {},
  });
  const client = (way) =>
    new Promise((resolve) => {
      let text = '';
      const socket = connect(server.port, '127.0.0.1', () =>
        socket.write('POST /' + way + ' HTTP/1.1\\r\\nhost: a\\r\\ncontent-length: 9\\r\\n\\r\\n[1,'),
      );
      socket.setEncoding('latin1').on('data', (part) => { text += part; });
      socket.on('error', () => {});
      socket.on('close', () => resolve(text.slice(9, 12)));
    });
  console.log((await Promise.all(ways.map((_, way) => client(way)))).join());
  await server.close({ deadline: 100 });
  await new Promise((resolve) => setTimeout(resolve, 10));
  console.log('alive, listeners:', process.listenerCount('unhandledRejection'));
`;

for (const { name: layer, skip } of layers) {
  test(`${layer}: a handler that fails while it reads half a body does not end the process`, {
    skip,
  }, async () => {
    assert.deepEqual(await outcome(failing, { eventLayer: layer }), {
      ...isAlive,
      stdout: ['500,408,500,500,500,500', ...isAlive.stdout],
    });
  });
}

test('the error of a handler that nothing awaits ends the process as it does without a server', async () => {
  for (const way of ["async () => { throw new TypeError('of the handler'); }", "() => Promise.reject('no error')"]) {
    const { code, stdout, stderr } = await outcome(program(way), { eventLayer: 'portable' });
    assert.deepEqual([code, stdout], [1, ['']]);
    assert.match(stderr, /TypeError: of the handler\n +at|ERR_UNHANDLED_REJECTION/);
  }
});

test('handlers of uncaught exceptions get other rejections, and later disconnects have no effect', async () => {
  const prelude = `process.on('uncaughtException', (error, origin) => console.log(origin, error.message));`;
  const ways = `async () => { throw new Error('of the handler'); }, ${careless}`;
  const reported = 'unhandledRejection of the handler';
  assert.deepEqual(await outcome(program(ways, prelude), { eventLayer: 'portable' }), {
    ...isAlive,
    stdout: [reported, reported, ...isAlive.stdout],
  });
});

test('the application’s own listener gets other rejections once', async () => {
  const prelude = `process.on('unhandledRejection', (error) => { if (error.message === 'of the handler') console.log(error.message); });`;
  const { stdout } = await outcome(program("async () => { throw new Error('of the handler'); }", prelude), {
    eventLayer: 'portable',
  });
  assert.deepEqual(stdout, ['of the handler', 'of the handler', 'alive, listeners: 1']);
});

test('the mode for unhandled rejections on the command line is respected', async () => {
  const options = { eventLayer: 'portable', execArgv: ['--unhandled-rejections=warn'] };
  const { code, stderr } = await outcome(program('(request) => request.json()'), options);
  assert.equal(code, 0);
  assert.match(stderr, /UnhandledPromiseRejectionWarning: AbortError/);
});
