// Each example does what its first lines promise, and ends on a signal.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import type { EventSourceMessage } from 'eventsource-parser';
import { EventSourceParserStream } from 'eventsource-parser/stream';
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

/** Reads an event stream, event by event. */
function eventsOf(response: Response): ReadableStreamDefaultReader<EventSourceMessage> {
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  assert.ok(response.body);
  return response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream()).getReader();
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
    const one = eventsOf(await fetch(`${url}events`, { signal: leave.signal }));
    const two = eventsOf(await fetch(`${url}events`));
    const post = async (body: string) => (await fetch(url, { method: 'POST', body })).text();
    assert.equal(await post('a\nb'), 'sent to 2\n');
    const { value } = await one.read();
    assert.equal(value?.data, 'a\nb');
    assert.deepEqual((await two.read()).value, value);

    leave.abort();
    await assert.rejects(one.read());
    while ((await post('c')) !== 'sent to 1\n');
    const back = eventsOf(await fetch(`${url}events`, { headers: { 'last-event-id': value.id ?? '' } }));
    assert.equal((await back.read()).value?.data, 'c');
    await Promise.all([two.cancel(), back.cancel()]);
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

test('tokens: an answer is relayed as it comes, goes on behind the last token, and ends at its source when the client leaves', async () => {
  await withExample('tokens/main.js', async (example) => {
    const url = `http://${await example.address()}/`;
    assert.match(await (await fetch(url)).text(), /<title>sluice: tokens/);
    const counts = async () => (await fetch(`${url}counts`)).json();
    assert.deepEqual(await counts(), { running: 0, completed: 0, cancelled: 0 });
    const ask = (signal: AbortSignal, lastId = '') =>
      fetch(`${url}answer?prompt=why`, { signal, headers: lastId === '' ? {} : { 'last-event-id': lastId } });

    const leave = new AbortController();
    const first = eventsOf(await ask(leave.signal));
    const tokens: unknown[] = [];
    for (let id = 1; id <= 5; id++) {
      const { value } = await first.read();
      assert.equal(value?.id, `${id}`);
      assert.equal(value.event, 'token');
      tokens.push(JSON.parse(value.data));
    }
    assert.match(tokens.join(''), /^You asked: “why/);
    assert.deepEqual(await counts(), { running: 1, completed: 0, cancelled: 0 });
    leave.abort();
    await assert.rejects(async () => {
      while (!(await first.read()).done);
    });
    while (Object(await counts()).cancelled === 0);
    assert.deepEqual(await counts(), { running: 0, completed: 0, cancelled: 1 });

    const again = new AbortController();
    const second = eventsOf(await ask(again.signal, '3'));
    for (let id = 4; id <= 5; id++) {
      const { value } = await second.read();
      assert.equal(value?.id, `${id}`);
      assert.equal(JSON.parse(value.data), tokens[id - 1]);
    }
    again.abort();
    await second.cancel().catch(() => {});
  });
});

test('dashboard: a viewer gets the state of things, and then each message; who comes back gets what was missed', async () => {
  const example = new Example('dashboard/main.js', { VIEWERS: '50' });
  try {
    const url = `http://${await example.address()}/`;
    assert.match(await (await fetch(url)).text(), /<title>sluice: dashboard/);
    const view = async (lastId = '') =>
      eventsOf(await fetch(`${url}events`, { headers: lastId === '' ? {} : { 'last-event-id': lastId } }));
    const viewer = await view();
    const state = await viewer.read();
    assert.equal(state.value?.event, 'state');
    const ids: string[] = [];
    let viewers = 0;
    while (viewers < 51 || ids.length < 5) {
      const { value } = await viewer.read();
      assert.ok(value?.id !== undefined);
      ids.push(value.id);
      if (value.event === 'health') viewers = JSON.parse(value.data).viewers;
      else assert.equal(JSON.parse(value.data).kind, 'reading');
    }
    await viewer.cancel();
    const back = await view(ids[0]);
    for (const id of ids.slice(1)) assert.equal((await back.read()).value?.id, id);
    await back.cancel();

    const open = (body: string, type = 'application/json') =>
      fetch(`${url}viewers`, { method: 'POST', body, headers: { 'content-type': type } });
    assert.equal((await open('{"count":1}', 'text/plain')).status, 415);
    assert.equal((await open('{"count":"x"}')).status, 400);
    assert.equal((await open('')).status, 400);
    assert.deepEqual(await (await open('{"count":20,"isStalled":true}')).json(), { opened: 20 });
    await example.stop('SIGINT');
  } finally {
    example.kill();
  }
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
