// `serve({ fetch, node })`: requests for which `fetch` returns nothing go to an application for Node, on the same connection.

import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { test } from 'node:test';
import type { SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import { Response } from '#sluice/http/fetch/response.js';
import type { ServeOptions } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { field, type ReceivedResponse } from '../support/response-parser.js';
import { get, pauseReading, post, resumeReading, World } from '../support/world.js';
import { exchange, received } from './support.js';

const last = 'connection: close';

async function echo(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let text = '';
  for await (const part of request.setEncoding('latin1')) text += part;
  response.end(`node ${request.method} ${request.url} ${text}`);
}

/** Answers what begins with `/fast`, in one of three ways, and passes everything else on. */
const fetch: ServeOptions['fetch'] = (request) => {
  const { pathname } = new URL(request.url);
  if (pathname === '/fast/thread' || pathname === '/thread') return inThread(pathname);
  if (pathname === '/fast/later' || pathname === '/later') return later(pathname);
  return answer(pathname);
};

function answer(pathname: string): Response | undefined {
  return pathname.startsWith('/fast') ? new Response(`fetch ${pathname}`) : undefined;
}

async function later(pathname: string): Promise<Response | undefined> {
  await new Promise((resolve) => setImmediate(resolve));
  return answer(pathname);
}

function* inThread(pathname: string): Task<Response | undefined> {
  yield* sleep(5);
  return answer(pathname);
}

function open(
  node: ServeOptions['node'],
  options: Partial<ServeOptions> = {},
  simulated?: SimulatedOptions,
): Promise<World> {
  return World.open({ fetch, node, ...options }, simulated);
}

const bodies = (responses: ReceivedResponse[]): string[] => responses.map(({ body }) => body);

test('each request of a connection is offered to fetch, however the requests are cut', async () => {
  const chunked = `${get('/chunks', 'transfer-encoding: chunked').replace('GET', 'POST')}3\r\none\r\n3;x=y\r\ntwo\r\n0\r\nx-trailer: 1\r\n\r\n`;
  const text = [
    get('/fast'),
    get('/slow'),
    post('/body', 'content'),
    get('/fast/thread'),
    chunked,
    get('/later'),
    get('/thread'),
    get('/fast/later'),
    post('/empty', ''),
    get('/end', last),
  ].join('');
  for (const pieces of ['whole', 'random', 1, 7] as const) {
    const world = await open(echo, {}, { pieces, seed: 3 });
    const together = exchange(world, text);
    const apart = world.client(function* (connection) {
      for (const part of text.split(/(?<=\r\n\r\n)(?=[A-Z]+ \/)/)) {
        yield* connection.writer.write(part);
        yield* sleep(200);
      }
      return yield* received(connection);
    });
    await world.pass();
    for (const { responses, ending } of [await together, await apart]) {
      assert.deepEqual(bodies(responses), [
        'fetch /fast',
        'node GET /slow ',
        'node POST /body content',
        'fetch /fast/thread',
        'node POST /chunks onetwo',
        'node GET /later ',
        'node GET /thread ',
        'fetch /fast/later',
        'node POST /empty ',
        'node GET /end ',
      ]);
      assert.equal(ending, 'FIN');
    }
    await world.close();
    assert.deepEqual(world.errors, []);
  }
});

test('between two requests a connection is idle, without a socket of Node', async () => {
  const world = await open(echo);
  const client = world.client(function* (connection) {
    yield* connection.writer.write(get('/slow'));
    yield* sleep(200);
    const counts = world.server.connections;
    yield* connection.writer.write(get('/slow', last));
    return { counts, ...(yield* received(connection)) };
  });
  await world.pass();
  const { counts, responses } = await client;
  assert.deepEqual([counts.idle, counts.handling, counts.total], [1, 0, 1]);
  assert.equal(responses.length, 2);
  await world.close();
});

test('a request that is being answered counts as handled, and its client that leaves closes the response', async () => {
  const closed: boolean[] = [];
  const world = await open((_: IncomingMessage, response: ServerResponse) => {
    response.on('close', () => closed.push(response.writableFinished));
  });
  const client = world.client(function* (connection) {
    yield* connection.writer.write(get('/'));
    yield* sleep(100);
    const { handling } = world.server.connections;
    connection.reset();
    return handling;
  });
  await world.pass();
  assert.equal(await client, 1);
  assert.deepEqual(closed, [false]);
  assert.deepEqual(world.server.connections.total, 0);
  await world.close();
});

test('fetch that has read the body cannot pass the request on: a 500, and a message that says so', async () => {
  const world = await World.open({
    node: echo,
    async fetch(request) {
      await request.text();
      return undefined;
    },
  });
  const client = exchange(world, post('/', 'body', last));
  await world.pass();
  assert.equal((await client).responses[0].status, 500);
  assert.match(String(world.errors[0]), /has read from its body; expected that it reads none of it/);
  assert.equal(world.errors.length, 1);
  world.errors.length = 0;
  await world.close();
});

test('without the option node, nothing is no response', async () => {
  const world = await World.open({ fetch: () => undefined });
  const client = exchange(world, get('/', last));
  await world.pass();
  assert.equal((await client).responses[0].status, 500);
  assert.match(String(world.errors[0]), /fetch returned undefined/);
  await world.close();
});

test('an upgrade stays with the application, with what has come early', async () => {
  const server = createServer();
  server.on('upgrade', (_, socket, head) => {
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n\r\nearly ${head};`);
    socket.on('data', (data) => socket.write(`${data};`)).on('end', () => socket.end('bye'));
  });
  const world = await open(server);
  const client = world.client(function* ({ reader, writer }) {
    yield* writer.write(`${get('/', 'upgrade: echo', 'connection: upgrade')}one`);
    yield* sleep(50);
    yield* writer.write(get('/fast'));
    yield* sleep(50);
    yield* writer.end();
    return Buffer.from(yield* reader.readAll(1000)).toString();
  });
  await world.pass();
  assert.match(await client, /early (one)?;(one;)?GET \/fast HTTP\/1\.1\r\nhost: a\r\n\r\n;bye$/);
  await world.close();
});

test('100 Continue is sent by node:http, and a body that is not read ends with its request', async () => {
  const world = await open((request: IncomingMessage, response: ServerResponse) => {
    if (request.url === '/read') echo(request, response);
    else response.end('not read');
  });
  const expecting = world.client(function* (connection) {
    yield* connection.writer.write(
      get('/read', 'content-length: 3', 'expect: 100-continue', last).replace('GET', 'PUT'),
    );
    yield* sleep(50);
    yield* connection.writer.write('abc');
    return yield* received(connection);
  });
  const unread = exchange(world, `${post('/', 'x'.repeat(300_000))}${get('/fast', last)}`);
  await world.pass();
  const [response] = (await expecting).responses;
  assert.deepEqual([response.interim, response.body], [[100], 'node PUT /read abc']);
  assert.deepEqual(bodies((await unread).responses), ['not read', 'fetch /fast']);
  await world.close();
});

test('what is malformed behind a chunk is refused by node:http, and nothing behind it is a request', async () => {
  const world = await open(echo);
  const head = get('/', 'transfer-encoding: chunked').replace('GET', 'POST');
  const client = exchange(world, `${head}3\r\nabc\nGET /fast HTTP/1.1\r\nhost: a\r\n\r\n`);
  await world.pass();
  const { responses } = await client;
  assert.deepEqual(bodies(responses.filter(({ status }) => status === 200)), []);
  await world.close();
});

test('large bodies and responses wait for each other, and the connection goes on', async () => {
  const size = 1_000_000;
  const world = await open((request: IncomingMessage, response: ServerResponse) => {
    request.pipe(response);
  });
  const client = world.client(function* (connection) {
    yield* connection.writer.write(get('/', `content-length: ${size}`).replace('GET', 'POST'));
    pauseReading(connection);
    const { scheduler } = world.network;
    const sending = world.run(function* () {
      yield* connection.writer.write('x'.repeat(size));
      yield* connection.writer.write(get('/fast', last));
    });
    yield* sleep(2000);
    const { held } = world.server.buffered;
    resumeReading(connection);
    const result = yield* received(connection);
    return { held, sending, scheduler, ...result };
  });
  await world.pass();
  const { held, responses } = await client;
  assert.ok(held < 300_000, `${held} bytes are held`);
  assert.deepEqual(
    responses.map(({ body }) => body.length),
    [size, 'fetch /fast'.length],
  );
  await world.close();
});

test('a handler that throws is reported once; a response that closes the connection closes it', async () => {
  const world = await open((request: IncomingMessage, response: ServerResponse) => {
    if (request.url === '/late') response.write('half');
    if (request.url !== '/close') throw new Error(`broken ${request.url}`);
    response.setHeader('connection', 'close');
    response.end('closed');
  });
  const early = exchange(world, `${get('/early')}${get('/fast', last)}`);
  const late = exchange(world, get('/late'));
  const closing = exchange(world, `${get('/close')}${get('/fast')}`);
  await world.pass();
  assert.deepEqual(
    (await early).responses.map(({ status }) => status),
    [500, 200],
  );
  assert.equal((await late).ending, 'reset');
  assert.deepEqual(bodies((await closing).responses), ['closed']);
  assert.deepEqual(world.errors.map(String).sort(), ['Error: broken /early', 'Error: broken /late']);
  await world.close();
});

test('maxRequests and close count passed requests: the last response says that the connection closes', async () => {
  const world = await open(
    (request: IncomingMessage, response: ServerResponse) => {
      if (request.url === '/slow')
        world.run(function* () {
          yield* sleep(500);
          response.end('slow');
        });
      else response.end('quick');
    },
    { maxRequests: 2 },
  );
  const counted = exchange(world, `${get('/1')}${get('/2')}${get('/3')}`);
  const slow = exchange(world, get('/slow'));
  await world.pass(100);
  const closed = world.server.close();
  await world.pass();
  await closed;
  const { responses } = await counted;
  assert.deepEqual(
    responses.map((response) => [response.body, field(response, 'connection')]),
    [
      ['quick', 'keep-alive'],
      ['quick', 'close'],
    ],
  );
  const [response] = (await slow).responses;
  assert.deepEqual([response.body, field(response, 'connection')], ['slow', 'close']);
  await world.close();
});

test('what is no application is an error that says what was found', async () => {
  const world = new World();
  await assert.rejects(world.serve({ fetch, node: {} }), /serve: node is .*; expected a \(req, res\) function/);
  await assert.rejects(
    world.serve({ fetch, node: 'app' as never }),
    /serve: node is "app"; expected a \(req, res\) function/,
  );
  await world.close();
});

test('a request whose fetch fails is answered by error, and not passed on', async () => {
  const fail = (): never => {
    throw new Error('fetch');
  };
  for (const fetch of [fail, async () => fail()]) {
    const world = await open(echo, { fetch, error: () => new Response('error', { status: 503 }) });
    const exchanged = exchange(world, get('/') + post('/', 'body', last));
    await world.pass();
    const { responses } = await exchanged;
    assert.deepEqual(bodies(responses), ['error', 'error']);
    world.errors.length = 0;
    await world.close();
  }
});
