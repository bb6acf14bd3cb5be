// Ways out of a process that a handler takes, while the server has as much under way as there can be. What is asked for must be
// what happens: the exit code, the message, and never a crash.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { layers } from '../support/layers.js';
import { type Ending, type ProgramOptions, runProgram } from '../support/program.js';

/**
 * A server whose clients are here, too, each at something else: idle, in the middle of a head, waiting for an answer, reading a
 * stream, not reading one. `leave` serves with what a handler does for `/leave`, and asks for that when all of it is under way.
 */
const prelude = `
  import net from 'node:net';
  import { Worker } from 'node:worker_threads';
  import { serve, sleep, stream } from ${JSON.stringify(import.meta.resolve('#sluice/index.js'))};

  let server;
  let opened = 0;
  let finished = 0;
  const failures = [];
  const piece = new Uint8Array(16384);
  function* body(out) {
    opened++;
    try {
      for (;;) {
        yield* out.write(piece);
        if (out.slow) yield* sleep(1);
      }
    } finally {
      finished++;
    }
  }
  const routes = {
    '/hello': () => new Response('hello'),
    '/promise': () => {
      opened++;
      return new Promise(() => {});
    },
    '/flood': () => stream((out) => body(out)),
    '/slow': () => stream((out) => body({ write: (bytes) => out.write(bytes.subarray(0, 10)), slow: true })),
  };
  const head = (path) => 'GET ' + path + ' HTTP/1.1\\r\\nHost: here\\r\\n\\r\\n';

  function client(text, isReading = true) {
    const socket = net.connect(server.port, '127.0.0.1', () => socket.write(text));
    socket.on('error', () => {});
    if (isReading) socket.resume();
    else socket.pause();
    return socket;
  }

  async function leave(way) {
    server = await serve({
      port: 0,
      hostname: '127.0.0.1',
      onError: (error) => failures.push(error),
      fetch: (request) => (request.url.endsWith('/leave') ? way(request) : routes[new URL(request.url).pathname]()),
    });
    console.log(server.eventLayer);
    for (let i = 0; i < 3; i++) {
      client(head('/hello'));
      client('GET / HT');
      client(head('/promise'));
      client(head('/slow'));
      client(head('/flood'), false);
      const echo = client(head('/hello'));
      echo.on('data', () => echo.write(head('/hello')));
    }
    while (opened < 9) await new Promise((resolve) => setTimeout(resolve, 1));
    client(head('/leave'));
  }
  process.on('exit', (code) => console.log('left', code));
  const fail = () => {
    throw new Error('nobody catches this');
  };
`;

for (const { name: layer, skip } of layers) {
  describe(`a handler, on ${layer}`, { skip }, () => {
    const leave = (way: string, options: ProgramOptions = {}): Promise<Ending> =>
      runProgram(`${prelude}\nawait leave(${way});`, { eventLayer: layer, ...options });

    for (const [kind, way] of [
      ['a plain', '() => process.exit(3)'],
      ['an async', 'async () => { await null; process.exit(3); }'],
      ['a thread', 'function* () { yield* sleep(1); process.exit(3); }'],
      ['a stream of a', '() => stream(function* (out) { yield* out.write("hello"); process.exit(3); })'],
      ['a tick of a', '() => { process.nextTick(() => process.exit(3)); return new Response("hello"); }'],
      ['a timer of a', '() => { setTimeout(() => process.exit(3), 2); return new Response("hello"); }'],
      ['a closing', '() => { server.close(); process.exit(3); }'],
    ]) {
      it(`ends the process by process.exit: ${kind} handler`, async () => {
        assert.deepEqual(await leave(way), { code: 3, signal: null, stdout: `${layer}\nleft 3\n`, stderr: '' });
      });
    }

    for (const [where, way] of [
      ['a timer', '() => { setTimeout(fail, 2); return new Response("hello"); }'],
      ['an immediate', '() => { setImmediate(fail); return new Response("hello"); }'],
      ['a tick', '() => { process.nextTick(fail); return new Response("hello"); }'],
      ['a promise', '() => { Promise.resolve().then(fail); return new Response("hello"); }'],
    ]) {
      it(`ends the process by an uncaught error, in ${where} that it has left behind`, async () => {
        const { code, signal, stdout, stderr } = await leave(way);
        assert.deepEqual({ code, signal, stdout }, { code: 1, signal: null, stdout: `${layer}\nleft 1\n` });
        assert.match(stderr, /^Error: nobody catches this\n {4}at .*fail/m);
      });
    }

    for (const [kind, way] of [
      ['a plain', '() => fail()'],
      ['an async', 'async () => fail()'],
      ['a thread', 'function* () { yield* sleep(1); fail(); }'],
    ]) {
      it(`does not end the process by an error of its own: ${kind} handler`, async () => {
        const { code, signal, stdout, stderr } = await leave(`${way});
          while (failures.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
          console.log(failures.map(String).join());
          await server.close({ deadline: 0 }`);
        const expected = `${layer}\nError: nobody catches this\nleft 0\n`;
        assert.deepEqual({ code, signal, stdout, stderr }, { code: 0, signal: null, stdout: expected, stderr: '' });
      });
    }

    it('ends the process by a signal that it sends to itself', async () => {
      const ending = await leave(`() => {
        process.kill(process.pid, 'SIGTERM');
        return new Response('hello');
      }`);
      assert.deepEqual(ending, { code: null, signal: 'SIGTERM', stdout: `${layer}\n`, stderr: '' });
    });

    it('closes the server by a signal that it sends to itself, if that is what is done for it', async () => {
      const ending = await leave(`() => {
        process.once('SIGTERM', () =>
          server.close({ deadline: 20 }).then(() => console.log('closed', server.connections.total, opened, finished)),
        );
        process.kill(process.pid, 'SIGTERM');
        return new Response('hello');
      }`);
      assert.deepEqual(ending, { code: 0, signal: null, stdout: `${layer}\nclosed 0 9 6\nleft 0\n`, stderr: '' });
    });

    for (const deadline of [0, 20]) {
      it(`closes the server from within a turn, in ${deadline} ms, and everything that was in flight is unwound`, async () => {
        const ending = await leave(`() => {
          server
            .close({ deadline: ${deadline} })
            .then(() => console.log('closed', server.connections.total, opened, finished, failures.length));
          return new Response('hello');
        }`);
        assert.deepEqual(ending, { code: 0, signal: null, stdout: `${layer}\nclosed 0 9 6 0\nleft 0\n`, stderr: '' });
      });
    }
  });
}
