// Uses each example with a client of its kind, as its first lines say, and ends it by a signal.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { createTRPCClient, httpLink } from '@trpc/client';
import { io } from 'socket.io-client';

/** Runs an example as a process, on a free port, and `use(url)`; then ends it as Ctrl-C would. */
async function withExample(file, use) {
  // With this variable of the test runner, the example would report to it like a test file.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const example = spawn(process.execPath, [fileURLToPath(new URL(file, import.meta.url))], {
    env: { ...env, PORT: '0', HOST: '127.0.0.1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const ended = once(example, 'exit');
  const listening = new Promise((resolve, reject) => {
    for (const stream of [example.stdout, example.stderr])
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
        const url = /http:\/\/127\.0\.0\.1:\d+/.exec(output);
        if (url !== null) resolve(url[0]);
      });
    example.on('error', reject);
    ended.then(([code]) => reject(new Error(`${file} ended with ${code}: ${output}`)), reject);
  });
  try {
    await use(await listening);
    example.kill('SIGINT');
    const [code, signal] = await ended;
    assert.deepEqual([code, signal], [0, null], output);
  } finally {
    example.kill('SIGKILL');
  }
}

const post = (url, value, headers = {}, signal = undefined) =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(value),
    signal,
  });

/** The data of an event stream, event by event. */
async function* eventData(response) {
  assert.match(response.headers.get('content-type'), /^text\/event-stream/);
  let text = '';
  for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
    text += part;
    const events = text.split('\n\n');
    text = events.pop();
    for (const event of events) {
      const data = /^data: ?(.*)$/m.exec(event);
      if (data !== null && data[1] !== '') yield JSON.parse(data[1]);
    }
  }
}

test('H3: routes, a body, an error, a stream', async () => {
  await withExample('h3.mjs', async (url) => {
    assert.deepEqual(await (await fetch(`${url}/users/7`)).json(), { id: 7 });
    assert.equal((await fetch(`${url}/users/x`)).status, 400);
    assert.deepEqual(await (await post(`${url}/sum`, [1, 2, 3])).json(), { sum: 6 });
    assert.equal(await (await fetch(`${url}/ticks`)).text(), 'tick 1\ntick 2\ntick 3\n');
  });
});

test('Express with Socket.IO: what one client says or posts reaches all', async () => {
  await withExample('express-socket-io.mjs', async (url) => {
    const page = await (await fetch(url)).text();
    assert.match(page, /socket\.io\.js/);
    assert.equal((await fetch(`${url}/socket.io/socket.io.js`)).status, 200);
    const sockets = [['websocket'], ['polling']].map((transports) => io(url, { transports, forceNew: true }));
    try {
      await Promise.all(sockets.map((socket) => once(socket, 'history')));
      const said = (text) => sockets.map(async (socket) => assert.deepEqual(await once(socket, 'said'), [text]));
      const first = said('one');
      assert.equal(await sockets[0].emitWithAck('say', 'one'), 1);
      await Promise.all(first);
      const second = said('two');
      assert.equal((await post(`${url}/history`, { text: 'two' })).status, 201);
      await Promise.all(second);
      assert.deepEqual(await (await fetch(`${url}/history`)).json(), ['one', 'two']);
    } finally {
      for (const socket of sockets) socket.close();
    }
  });
});

test('Fastify: a schema, a hook, the client’s address', async () => {
  await withExample('fastify.mjs', async (url) => {
    const greeted = await post(`${url}/greet`, { name: 'Ann' });
    assert.deepEqual(await greeted.json(), { greeting: 'hello Ann' });
    assert.equal(greeted.headers.get('x-served-by'), 'sluice');
    assert.equal((await post(`${url}/greet`, { name: '' })).status, 400);
    assert.deepEqual(await (await fetch(`${url}/address`)).json(), { ip: '127.0.0.1' });
  });
});

test('tRPC: a query, a mutation, and the subscription that sees it', async () => {
  await withExample('trpc.mjs', async (url) => {
    const client = createTRPCClient({ links: [httpLink({ url: `${url}/api` })] });
    assert.deepEqual(await client.list.query(), []);
    const leave = new AbortController();
    const headers = { accept: 'text/event-stream' };
    const added = eventData(await fetch(`${url}/api/added`, { headers, signal: leave.signal }));
    assert.deepEqual((await added.next()).value, {}); // it is connected
    assert.equal(await client.add.mutate('milk'), 1);
    assert.equal((await added.next()).value, 'milk');
    leave.abort();
    await assert.rejects(client.add.mutate(''), ({ data }) => data.httpStatus === 400);
    assert.deepEqual(await client.list.query(), ['milk']);
  });
});

test('GraphQL Yoga: a query, a mutation, subscriptions, GraphiQL', async () => {
  await withExample('yoga.mjs', async (url) => {
    const ask = async (query) => (await post(`${url}/graphql`, { query })).json();
    const events = { accept: 'text/event-stream' };
    assert.deepEqual(await ask('{ notes }'), { data: { notes: [] } });
    const counts = [];
    const counted = await post(`${url}/graphql`, { query: 'subscription { count(to: 3) }' }, events);
    for await (const { data } of eventData(counted)) counts.push(data.count);
    assert.deepEqual(counts, [1, 2, 3]);
    const leave = new AbortController();
    const subscription = { query: 'subscription { added }' };
    const added = eventData(await post(`${url}/graphql`, subscription, events, leave.signal));
    assert.deepEqual(await ask('mutation { add(text: "milk") }'), { data: { add: 1 } });
    assert.deepEqual((await added.next()).value, { data: { added: 'milk' } });
    leave.abort();
    assert.deepEqual(await ask('{ notes }'), { data: { notes: ['milk'] } });
    const page = await fetch(`${url}/graphql`, { headers: { accept: 'text/html' } });
    assert.match(await page.text(), /graphiql/i);
  });
});

test('MCP: a tool with progress, wrong arguments, a resource, the end of a session', async () => {
  await withExample('mcp.mjs', async (url) => {
    const client = new Client({ name: 'test', version: '1' });
    const transport = new StreamableHTTPClientTransport(new URL(`${url}/mcp`));
    await client.connect(transport);
    const seen = [];
    const onprogress = ({ progress }) => seen.push(progress);
    const call = { name: 'primes', arguments: { count: 5 } };
    const { content } = await client.callTool(call, undefined, { onprogress });
    assert.deepEqual(content, [{ type: 'text', text: '2 3 5 7 11' }]);
    assert.deepEqual(seen, [1, 2, 3, 4, 5]);
    assert.equal((await client.callTool({ name: 'primes', arguments: { count: 0 } })).isError, true);
    const { contents } = await client.readResource({ uri: 'primes://about' });
    assert.match(contents[0].text, /two divisors/);
    const { sessionId } = transport;
    await transport.terminateSession();
    await client.close();
    const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
    const accept = 'application/json, text/event-stream';
    const late = await post(`${url}/mcp`, list, { accept, 'mcp-session-id': sessionId });
    assert.equal(late.status, 404);
  });
});

const [major, minor] = process.versions.node.split('.').map(Number);
const hasSqlite = major > 22 || (major === 22 && minor >= 13);

test('sqlite: notes are added, read and removed', { skip: !hasSqlite && 'needs Node 22.13' }, async () => {
  await withExample('sqlite.mjs', async (url) => {
    const added = await post(`${url}/notes`, { text: 'buy milk' });
    assert.equal(added.status, 201);
    const note = { id: 1, text: 'buy milk' };
    assert.deepEqual(await added.json(), note);
    assert.equal((await post(`${url}/notes`, { words: 1 })).status, 400);
    assert.deepEqual(await (await fetch(`${url}/notes`)).json(), [note]);
    assert.deepEqual(await (await fetch(`${url}/notes/1`)).json(), note);
    assert.equal((await fetch(`${url}/notes/1`, { method: 'DELETE' })).status, 204);
    assert.equal((await fetch(`${url}/notes/1`)).status, 404);
    assert.equal((await fetch(`${url}/notes`, { method: 'PUT' })).status, 405);
  });
});
