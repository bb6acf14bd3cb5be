// Each example does what its first lines promise, and ends on a signal.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { Example, occupiedPort, withExample } from './example.js';

/** A client of a protocol of lines. */
class Lines {
  readonly socket: Socket;
  readonly #lines: AsyncIterator<string>;

  constructor(address: string) {
    const [host, port] = address.split(':');
    this.socket = connect(Number(port), host);
    this.#lines = createInterface(this.socket)[Symbol.asyncIterator]();
  }

  send(line: string): void {
    this.socket.write(`${line}\n`);
  }

  async next(): Promise<string | undefined> {
    const { value, done } = await this.#lines.next();
    return done ? undefined : value;
  }
}

/** Reads a response piece by piece, as text. */
async function* pieces(response: Response): AsyncGenerator<string> {
  assert.ok(response.body);
  const decoder = new TextDecoder();
  for await (const piece of response.body) yield decoder.decode(piece, { stream: true });
}

test('hello: plain, async, thread and stream', async () => {
  await withExample('hello.js', async (example) => {
    const url = `http://${await example.address()}/`;
    const text = async (path: string) => (await fetch(url + path)).text();
    assert.equal(await text(''), 'hello\n');
    assert.equal(await text('async'), 'hello from an async function\n');
    assert.equal(await text('thread'), 'hello from a thread\n');
    assert.equal(await text('stream'), 'one\ntwo\nthree\n');
  });
});

test('events: what is posted goes to everybody who listens', async () => {
  await withExample('events.js', async (example) => {
    const url = `http://${await example.address()}/`;
    const leave = new AbortController();
    const first = await fetch(`${url}events`, { signal: leave.signal });
    assert.equal(first.headers.get('content-type'), 'text/event-stream');
    const second = await fetch(`${url}events`);
    const [one, two] = [pieces(first), pieces(second)];
    assert.equal((await one.next()).value, ': 1 listening\n\n');
    assert.equal((await two.next()).value, ': 2 listening\n\n');
    const posted = await fetch(url, { method: 'POST', body: 'a\nb' });
    assert.equal(await posted.text(), 'sent to 2\n');
    assert.equal((await one.next()).value, 'data: a\ndata: b\n\n');
    assert.equal((await two.next()).value, 'data: a\ndata: b\n\n');

    leave.abort();
    await assert.rejects(one.next());
    for (let answer = ''; answer !== 'sent to 1\n'; )
      answer = await (await fetch(url, { method: 'POST', body: 'c' })).text();
    await two.return(undefined);
  });
});

test('echo-tcp: each line comes back', async () => {
  await withExample('echo-tcp.js', async (example) => {
    const client = new Lines(await example.address());
    for (const line of ['hello', 'straight lines', 'über']) {
      client.send(line);
      assert.equal(await client.next(), line);
    }
    client.socket.end();
    assert.equal(await client.next(), undefined);
  });
});

test('chat-tcp: what one says, the others hear', async () => {
  await withExample('chat-tcp.js', async (example) => {
    const address = await example.address();
    const ann = new Lines(address);
    ann.send('Ann');
    const bob = new Lines(address);
    bob.send('Bob');
    assert.equal(await ann.next(), 'your name? Bob is here');
    ann.send('hello');
    assert.equal(await bob.next(), 'your name? Ann: hello');
    bob.send('hello yourself');
    assert.equal(await ann.next(), 'Bob: hello yourself');
    bob.socket.resetAndDestroy();
    assert.equal(await ann.next(), 'Bob has left');
    ann.socket.end();
    assert.equal(await ann.next(), undefined);
  });
});

test('hono: an application for another server runs unchanged, and streams', async () => {
  await withExample('hono.js', async (example) => {
    const url = `http://${await example.address()}/`;
    assert.equal(await (await fetch(url)).text(), 'hello from Hono');
    const user = await fetch(`${url}users/7`, { headers: { 'user-agent': 'test' } });
    assert.deepEqual(await user.json(), { id: 7, agent: 'test' });
    const sum = await fetch(`${url}sum`, { method: 'POST', body: '[1,2,3]' });
    assert.deepEqual(await sum.json(), { sum: 6 });
    const missing = await fetch(`${url}nowhere`);
    assert.equal(missing.status, 404);
    await missing.body?.cancel();

    const leave = new AbortController();
    const ticks = pieces(await fetch(`${url}ticks`, { signal: leave.signal }));
    assert.equal((await ticks.next()).value, 'tick 1\n');
    assert.equal((await ticks.next()).value, 'tick 2\n');
    leave.abort();
    await assert.rejects(ticks.next());
    await example.printed(/ticks: unwound/);
  });
});

test('demo: a port that is in use is one line on standard error, and exit code 1', async () => {
  const { port, free } = await occupiedPort();
  const example = new Example('demo/main.js', { PORT: String(port) });
  assert.equal((await example.ended).code, 1);
  assert.match(example.output, /^demo: [^\n]*EADDRINUSE[^\n]*\n$/);
  free();
});

test('demo: the page, the feed, and a thread unwound from the server; SIGINT ends it', async () => {
  const example = new Example('demo/main.js');
  try {
    const url = `http://${await example.address()}/`;
    assert.match(await (await fetch(url)).text(), /<title>sluice/);
    const code = Object(await (await fetch(`${url}code`)).json());
    for (const [name, mark] of Object.entries({
      clock: 'timer',
      download: 'flooded',
      report: 'promise',
      news: 'channel',
    })) {
      assert.ok(code[name].includes(`// parked: ${mark}`), `${name} shows where it parks`);
    }
    const post = async (path: string, body: object, type = 'application/json') =>
      fetch(url + path, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': type } });

    const own = await fetch(`${url}clock?visitor=me`);
    const ticks = pieces(own);
    assert.equal((await ticks.next()).value, 'tick 1\n');

    let id = 0;
    let unwound: { visitor: string; by: string; after: number } | undefined;
    const leave = new AbortController();
    const feed = pieces(await fetch(`${url}feed`, { signal: leave.signal }));
    let text = '';
    for await (const piece of feed) {
      text += piece;
      const events = text.split('\n\n');
      text = events.pop() ?? '';
      for (const event of events) {
        const { changed, departures } = JSON.parse(event.slice('data: '.length));
        for (const [thread, wait, , request] of changed) {
          if (request !== '/clock?visitor=me' || id !== 0) continue;
          id = thread;
          assert.equal(wait, 'timer');
          assert.deepEqual(await (await post('unwind', { id })).json(), { unwound: id });
        }
        unwound ??= departures.find((departure: { visitor: string }) => departure.visitor === 'me');
      }
      if (unwound !== undefined) break;
    }
    leave.abort();
    assert.equal(unwound?.by, 'server');
    assert.ok(unwound.after >= 0);
    await assert.rejects(async () => {
      for await (const _ of ticks); // what is cut short must not look complete
    });

    const statusOf = async (response: Promise<Response>) => {
      const { status, body } = await response;
      await body?.cancel();
      return status;
    };
    assert.equal(await statusOf(post('open', { kind: 'clock', count: 1 }, 'text/plain')), 415);
    assert.equal(await statusOf(post('open', { kind: 'none', count: 1 })), 400);
    assert.equal(await statusOf(post('unwind', { id })), 404);
    const opened = await post('open', { kind: 'news', count: 5 });
    assert.deepEqual(await opened.json(), { opened: 5 });
    await example.stop('SIGINT');
  } finally {
    example.kill();
  }
});

test('a socket of an example that is left open does not hold it', async () => {
  await withExample('echo-tcp.js', async (example) => {
    const client = new Lines(await example.address());
    await once(client.socket, 'connect');
    client.socket.on('error', () => {});
  });
});
