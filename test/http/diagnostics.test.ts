// What is published on the diagnostics channels of connections and requests: on a simulated network, plain and secure, for each way that a request
// is handled.

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, describe, it } from 'node:test';
import type { ConnectionMessage } from '#sluice/connection/diagnostics.js';
import { Network } from '#sluice/connection/network.js';
import type { RequestErrorMessage, RequestMessage } from '#sluice/http/diagnostics.js';
import { Response } from '#sluice/http/fetch/response.js';
import type { RefusedRequest } from '#sluice/http/settings.js';
import { stream } from '#sluice/http/stream.js';
import { takeOver } from '#sluice/http/take-over.js';
import { type Fetch, type ServeOptions, serve } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import { layers } from '../support/layers.js';
import { RawClient } from '../support/raw-client.js';
import { get, World } from '../support/world.js';

let stop: (() => void)[] = [];

afterEach(() => {
  for (const unsubscribe of stop) unsubscribe();
  stop = [];
});

function observe<Message>(name: string, onMessage: (message: Message) => void): void {
  const subscriber = (message: unknown) => onMessage(message as Message);
  subscribe(name, subscriber);
  stop.push(() => unsubscribe(name, subscriber));
}

/** Milliseconds rounded down to tens: timers fire up to some milliseconds late. */
const tens = (duration: number | undefined) => Math.floor((duration ?? Number.NaN) / 10) * 10;

const line = ({ request }: RequestMessage | RequestErrorMessage) =>
  `${request.method} ${new URL(request.url).pathname}`;

/** Records what is published about requests, as lines of text. */
function record(): string[] {
  const lines: string[] = [];
  observe<RequestMessage>('sluice.request.start', (message) => lines.push(`start ${line(message)}`));
  observe<RequestMessage>('sluice.response.start', (message) => lines.push(`response ${message.status}`));
  observe<RequestMessage>('sluice.request.end', (message) => {
    const { status, duration, isComplete } = message;
    lines.push(`end ${line(message)} ${status} ${isComplete ? 'complete' : 'incomplete'} ${tens(duration)}`);
  });
  observe<RequestErrorMessage>('sluice.request.error', (message) => {
    lines.push(`error ${line(message)} ${message.error instanceof Error && message.error.message}`);
  });
  observe<RefusedRequest>('sluice.request.refused', ({ status, code }) => lines.push(`refused ${status} ${code}`));
  return lines;
}

/** Records what one request causes. @param leavesAfter the client resets its connection so many milliseconds later */
async function recorded(options: ServeOptions, request: string, leavesAfter?: number): Promise<string[]> {
  const lines = record();
  const world = await World.open(options);
  const client = world.client(function* (connection) {
    yield* connection.writer.write(request);
    if (leavesAfter === undefined) while ((yield* connection.reader.read()) !== undefined);
    else yield* sleep(leavesAfter);
    connection.reset();
  });
  client.catch(() => {}); // of a connection that is reset
  await world.pass(60_000);
  await world.close();
  return lines;
}

const hello = () => new Response('hello');
const fail = (): never => {
  throw new Error('on purpose');
};
const last = (path = '/a') => get(path).replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n');
const post = (length: number, body: string) =>
  `POST /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: ${length}\r\n\r\n${body}`;

describe('the diagnostics channels of requests', () => {
  const answered: [string, Fetch, string, string[]][] = [
    ['without a thread', hello, last(), ['start GET /a', 'response 200', 'end GET /a 200 complete 0']],
    [
      'by an async handler',
      async () => {
        await undefined;
        return new Response(null, { status: 204 });
      },
      last(),
      ['start GET /a', 'response 204', 'end GET /a 204 complete 0'],
    ],
    [
      'by a thread',
      function* () {
        yield* sleep(10);
        return hello();
      },
      last(),
      ['start GET /a', 'response 200', 'end GET /a 200 complete 10'],
    ],
    [
      'by a stream',
      () =>
        stream(function* (out) {
          yield* out.write('a');
          yield* sleep(20);
          yield* out.write('b');
        }),
      last(),
      ['start GET /a', 'response 200', 'end GET /a 200 complete 20'],
    ],
    [
      'by a stream of the platform',
      () => new Response(new Blob(['hello']).stream()),
      last(),
      ['start GET /a', 'response 200', 'end GET /a 200 complete 0'],
    ],
    [
      'after its body has been read',
      async (request) => new Response(await request.text()),
      post(5, 'hello'),
      ['start POST /a', 'response 200', 'end POST /a 200 complete 0'],
    ],
  ];
  for (const [how, fetch, request, expected] of answered) {
    it(`tell the start, the response and the end of a request that is answered ${how}`, async () => {
      assert.deepEqual(await recorded({ fetch }, request), expected);
    });
  }

  it('tell the end of a request with its 101, while another protocol goes on with the connection', async () => {
    const fetch: Fetch = () =>
      takeOver(
        function* () {
          yield* sleep(100);
        },
        ['upgrade', 'test'],
      );
    assert.deepEqual(await recorded({ fetch }, get('/a')), [
      'start GET /a',
      'response 101',
      'end GET /a 101 complete 0',
    ]);
  });

  it('tell each of several requests on a connection', async () => {
    const lines = await recorded({ fetch: hello }, get('/1') + get('/2') + last('/3'));
    const each = (path: string) => [`start GET ${path}`, 'response 200', `end GET ${path} 200 complete 0`];
    assert.deepEqual(lines, [...each('/1'), ...each('/2'), ...each('/3')]);
  });

  for (const [kind, fetch, duration] of [
    ['a plain handler', fail, 0],
    ['an async handler', async () => fail(), 0],
    [
      'a thread handler',
      function* () {
        yield* sleep(10);
        return fail();
      },
      10,
    ],
  ] as [string, Fetch, number][]) {
    it(`tell the error of ${kind}, and the 500`, async () => {
      assert.deepEqual(await recorded({ fetch }, last()), [
        'start GET /a',
        'error GET /a on purpose',
        'response 500',
        `end GET /a 500 complete ${duration}`,
      ]);
    });
  }

  it('tell the error of a stream, whose response is incomplete', async () => {
    const body = function* (): Generator<never, void> {
      fail();
    };
    assert.deepEqual(await recorded({ fetch: () => stream(body) }, last()), [
      'start GET /a',
      'response 200',
      'error GET /a on purpose',
      'end GET /a 200 incomplete 0',
    ]);
  });

  it('tell the end of a request whose client leaves before the response', async () => {
    const fetch: Fetch = function* () {
      yield* sleep(1000);
      return hello();
    };
    assert.deepEqual(await recorded({ fetch }, get('/a'), 50), ['start GET /a', 'end GET /a undefined incomplete 50']);
  });

  it('tell the end of a stream whose client leaves', async () => {
    const fetch: Fetch = () =>
      stream(function* (out) {
        yield* out.write('a');
        yield* sleep(1000);
      });
    assert.deepEqual(await recorded({ fetch }, get('/a'), 50), [
      'start GET /a',
      'response 200',
      'end GET /a 200 incomplete 50',
    ]);
  });

  it('tell a refused request, which never starts', async () => {
    assert.deepEqual(await recorded({ fetch: hello }, 'GET\r\n\r\n'), ['refused 400 ERR_HTTP_400']);
    assert.deepEqual(await recorded({ fetch: hello, maxBodySize: 1 }, post(5, 'hello')), ['refused 413 ERR_HTTP_413']);
  });

  it('tell the refusal of a body that a handler reads', async () => {
    const chunked = 'POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nnothing\r\n';
    assert.deepEqual(await recorded({ fetch: async (request) => new Response(await request.text()) }, chunked), [
      'start POST /a',
      'refused 400 ERR_HTTP_400',
      'response 400',
      'end POST /a 400 complete 0',
    ]);
  });

  it('publish one object for each request, with the request and the address of its client', async () => {
    const messages: RequestMessage[] = [];
    const peers: string[] = [];
    let handled: unknown;
    observe<RequestMessage>('sluice.request.start', (message) => {
      messages.push(message);
      peers.push(message.peer);
    });
    for (const name of ['sluice.response.start', 'sluice.request.end'])
      observe<RequestMessage>(name, (message) => messages.push(message));
    const fetch: Fetch = (request) => {
      handled = request;
      return stream(function* (out) {
        yield* out.write('a');
      });
    };
    await recorded({ fetch }, last());
    assert.equal(messages.length, 3);
    assert.equal(new Set(messages).size, 1);
    assert.equal(messages[0].request, handled);
    assert.match(peers[0], /^127\.0\.0\.1:\d+$/);
    assert.equal(messages[0].peer, peers[0]);
  });

  it('run subscribers in the async context of the request', async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    observe<RequestMessage>('sluice.request.start', ({ request }) => storage.enterWith(new URL(request.url).pathname));
    observe('sluice.request.end', () => seen.push(storage.getStore()));
    const fetch: Fetch = (request) => {
      if (request.url.endsWith('plain')) return new Response(storage.getStore());
      return (function* () {
        yield* sleep(10);
        seen.push(storage.getStore());
        return hello();
      })();
    };
    await recorded({ fetch }, get('/plain') + get('/thread') + last('/plain'));
    assert.deepEqual(seen, ['/plain', '/thread', '/thread', '/plain']);
  });
});

describe('the diagnostics channels of connections', () => {
  it('tell the opening and the closing of both sides, with one object for each connection', async () => {
    const lines: string[] = [];
    const opened = new Set<ConnectionMessage>();
    observe<ConnectionMessage>('sluice.connection.open', (message) => {
      opened.add(message);
      lines.push(`open ${message.side} ${message.duration}`);
    });
    observe<ConnectionMessage>('sluice.connection.close', (message) => {
      assert.ok(opened.has(message));
      assert.match(message.peer, /^127\.0\.0\.1:\d+$/);
      lines.push(`close ${message.side} ${tens(message.duration)} ${message.reason?.code}`);
    });
    await recorded(
      {
        fetch: function* () {
          yield* sleep(1000);
          return hello();
        },
      },
      get('/a'),
      50,
    );
    assert.deepEqual(lines.sort(), [
      'close client 50 undefined',
      'close server 50 ECONNRESET',
      'open client undefined',
      'open server undefined',
    ]);
  });

  it('do not tell the closing of a connection that opened before anything was subscribed', async () => {
    const world = await World.open({ fetch: hello });
    const client = world.client(function* (connection) {
      yield* sleep(10);
      yield* connection.writer.write(last());
      while ((yield* connection.reader.read()) !== undefined);
    });
    await world.pass(5);
    let closings = 0;
    observe('sluice.connection.close', () => closings++);
    await world.pass(1000);
    await client;
    await world.close();
    assert.equal(closings, 0);
  });
});

describe('the diagnostics channels, over sockets', () => {
  for (const { name, make, skip } of layers) {
    it(`tell connections and requests on the event layer ${name}`, { skip }, async () => {
      const lines = record();
      const layer = make();
      const network = new Network(layer);
      const server = await serve({ network, hostname: '127.0.0.1', port: 0, globals: false, fetch: hello });
      const connections: ConnectionMessage[] = [];
      observe<ConnectionMessage>('sluice.connection.close', (message) => connections.push(message));
      const client = await RawClient.open(server.port);
      const { localPort } = client.socket;
      client.send(last());
      assert.equal(await client.ending, 'FIN');
      client.socket.destroy();
      await server.close();
      await layer.close();
      assert.deepEqual(lines, ['start GET /a', 'response 200', lines[2]]);
      assert.match(lines[2], /^end GET \/a 200 complete \d+$/);
      assert.equal(connections.length, 1);
      assert.equal(connections[0].peer, `127.0.0.1:${localPort}`);
      assert.equal(connections[0].side, 'server');
      assert.ok((connections[0].duration ?? -1) >= 0);
    });
  }
});
