// tRPC, oRPC, GraphQL Yoga, the Model Context Protocol, better-auth: services with clients of their own.

import assert from 'node:assert/strict';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';
import { ORPCError as ClientError, createORPCClient } from '@orpc/client';
import { RPCLink } from '@orpc/client/fetch';
import { ORPCError, os } from '@orpc/server';
import { RPCHandler } from '@orpc/server/fetch';
import { RPCHandler as NodeRPCHandler } from '@orpc/server/node';
import { createTRPCClient, httpBatchLink, httpLink } from '@trpc/client';
import { initTRPC, TRPCError, tracked } from '@trpc/server';
import { fetchRequestHandler } from '@trpc/server/adapters/fetch';
import { createHTTPHandler } from '@trpc/server/adapters/standalone';
import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { createSchema, createYoga } from 'graphql-yoga';
import { z } from 'zod';
import { ask, compare, eventually, readUntil, send, usual } from './compare.mjs';

compare(
  'tRPC',
  () => {
    const t = initTRPC.create({ isDev: false });
    let left = 0;
    const router = t.router({
      hello: t.procedure.input(z.object({ name: z.string() })).query(({ input }) => `hello ${input.name}`),
      add: t.procedure.input(z.array(z.number())).mutation(({ input }) => input.reduce((sum, one) => sum + one, 0)),
      fail: t.procedure.query(() => {
        throw new TRPCError({ code: 'FORBIDDEN', message: 'no' });
      }),
      ticks: t.procedure.input(z.any()).subscription(async function* ({ signal }) {
        try {
          for (let id = 1; !signal.aborted; id++) {
            yield tracked(String(id), { tick: id });
            await new Promise((resolve) => setTimeout(resolve, 2));
          }
        } finally {
          left++;
        }
      }),
    });
    const fetch = (req) => fetchRequestHandler({ endpoint: '', req, router, createContext: () => ({}) });
    return { fetch, router, left: () => left };
  },
  usual.nodeHttp(({ router }) => createHTTPHandler({ router })),
  {
    query: async (url) => {
      const answer = await createTRPCClient({ links: [httpLink({ url })] }).hello.query({ name: 'ü' });
      assert.equal(answer, 'hello ü');
    },
    mutation: async (url) =>
      assert.equal(await createTRPCClient({ links: [httpLink({ url })] }).add.mutate([1, 2, 3]), 6),
    batch: (url) => {
      const client = createTRPCClient({ links: [httpBatchLink({ url })] });
      return Promise.all([client.hello.query({ name: 'a' }), client.hello.query({ name: 'b' })]);
    },
    'the answer to a batch': (url) =>
      ask(`${url}/hello,fail?batch=1&input=${encodeURIComponent('{"0":{"name":"a"}}')}`),
    'an error': async (url) => {
      const client = createTRPCClient({ links: [httpLink({ url })] });
      await assert.rejects(client.fail.query(), ({ data }) => data.code === 'FORBIDDEN' && data.httpStatus === 403);
    },
    'invalid input': async (url) => (await ask(`${url}/hello?input=1`)).status,
    'no such procedure': async (url) => (await ask(`${url}/nowhere`)).status,
    'a subscription, until the client leaves': async (url, app) => {
      const text = await readUntil(`${url}/ticks?input=1`, /"tick":3\}.*?\n\n/s, {
        headers: { accept: 'text/event-stream' },
      });
      await eventually(() => app.left() === 1);
      return text;
    },
  },
);

compare(
  'oRPC',
  () => {
    const router = {
      hello: os.input(z.object({ name: z.string(), at: z.date() })).handler(({ input }) => ({ ...input, big: 10n })),
      file: os.input(z.instanceof(File)).handler(async ({ input }) => `${input.name} ${await input.text()}`),
      fail: os.handler(() => {
        throw new ORPCError('NOT_FOUND', { message: 'nothing', data: { a: 1 } });
      }),
      ticks: os.handler(async function* () {
        for (let tick = 1; tick <= 3; tick++) yield { tick };
        return 'done';
      }),
    };
    const handler = new RPCHandler(router);
    const fetch = async (request) =>
      (await handler.handle(request, { context: {} })).response ??
      new Response('nothing', { status: 404, headers: { 'content-type': 'text/plain' } });
    return { fetch, router };
  },
  usual.nodeHttp(({ router }) => {
    const handler = new NodeRPCHandler(router);
    return async (request, response) => {
      const { matched } = await handler.handle(request, response, { context: {} });
      if (!matched) response.writeHead(404, { 'content-type': 'text/plain' }).end('nothing');
    };
  }),
  {
    call: async (url) => {
      const answer = await createORPCClient(new RPCLink({ url })).hello({ name: 'ü', at: new Date(0) });
      assert.equal(answer.big, 10n);
      return answer;
    },
    'a file': async (url) => {
      const file = new File(['content'], 'file.txt', { type: 'text/plain' });
      assert.equal(await createORPCClient(new RPCLink({ url })).file(file), 'file.txt content');
    },
    'an error': async (url) => {
      const failed = createORPCClient(new RPCLink({ url })).fail();
      await assert.rejects(
        failed,
        (error) => error instanceof ClientError && error.status === 404 && error.data.a === 1,
      );
    },
    'events of an iterator': async (url) => {
      const ticks = [];
      for await (const { tick } of await createORPCClient(new RPCLink({ url })).ticks()) ticks.push(tick);
      assert.deepEqual(ticks, [1, 2, 3]);
    },
    'no such procedure': (url) => ask(`${url}/nowhere`),
  },
);

const graphql = (url, query, more = {}) =>
  send(`${url}/graphql`, { query, ...more }, { headers: { accept: 'application/json' } });

compare(
  'GraphQL Yoga',
  () => {
    let left = 0;
    const schema = createSchema({
      typeDefs: /* GraphQL */ `
        scalar File
        type Query { hello(name: String = "world"): String! fail: String }
        type Mutation { add(numbers: [Int!]!): Int! upload(file: File!): String! }
        type Subscription { count(to: Int!): Int! endless: Int! }
      `,
      resolvers: {
        Query: {
          hello: (_parent, { name }) => `hello ${name}`,
          fail: () => {
            throw new Error('on purpose');
          },
        },
        Mutation: {
          add: (_parent, { numbers }) => numbers.reduce((sum, one) => sum + one, 0),
          upload: async (_parent, { file }) => `${file.name} ${await file.text()}`,
        },
        Subscription: {
          count: {
            async *subscribe(_parent, { to }) {
              for (let count = 1; count <= to; count++) yield { count };
            },
          },
          endless: {
            async *subscribe() {
              try {
                for (let endless = 1; ; endless++) {
                  yield { endless };
                  await new Promise((resolve) => setTimeout(resolve, 2));
                }
              } finally {
                left++;
              }
            },
          },
        },
      },
    });
    const yoga = createYoga({ schema, logging: false, batching: true });
    return { fetch: (request, info) => yoga.fetch(request, info), yoga, left: () => left };
  },
  usual.nodeHttp(({ yoga }) => yoga),
  {
    query: async (url) => {
      const answer = await graphql(url, '{ hello(name: "ü") }');
      assert.equal(answer.body, '{"data":{"hello":"hello ü"}}');
      return answer;
    },
    'a query by GET': (url) => ask(`${url}/graphql?query={hello}`, { headers: { accept: 'application/json' } }),
    'a mutation with variables': (url) =>
      graphql(url, 'mutation ($numbers: [Int!]!) { add(numbers: $numbers) }', { variables: { numbers: [1, 2] } }),
    'an error of a resolver': (url) => graphql(url, '{ fail }'),
    'an invalid query': (url) => graphql(url, '{ nothing }'),
    batch: (url) => send(`${url}/graphql`, [{ query: '{ hello }' }, { query: '{ hello(name: "b") }' }]),
    'an upload': (url) => {
      const body = new FormData();
      const query = 'mutation ($file: File!) { upload(file: $file) }';
      body.append('operations', JSON.stringify({ query, variables: { file: null } }));
      body.append('map', JSON.stringify({ 0: ['variables.file'] }));
      body.append('0', new File(['content'], 'file.txt', { type: 'text/plain' }));
      return ask(`${url}/graphql`, { method: 'POST', body });
    },
    'a subscription': (url) =>
      ask(`${url}/graphql?query=${encodeURIComponent('subscription { count(to: 3) }')}`, {
        headers: { accept: 'text/event-stream' },
      }),
    'a subscription, until the client leaves': async (url, app) => {
      const target = `${url}/graphql?query=${encodeURIComponent('subscription { endless }')}`;
      const text = await readUntil(target, /"endless":3\}\}\n\n/, { headers: { accept: 'text/event-stream' } });
      await eventually(() => app.left() === 1);
      return text;
    },
    page: async (url) => {
      const { status, body } = await ask(`${url}/graphql`, { headers: { accept: 'text/html' } });
      return [status, body.length > 1000];
    },
  },
);

/** Runs `use` with a client of the Model Context Protocol. */
async function withClient(url, use) {
  const client = new Client({ name: 'test', version: '1' });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`)));
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

compare(
  'MCP',
  () => {
    const sessions = new Map();
    const fetch = async (request) => {
      const session = sessions.get(request.headers.get('mcp-session-id'));
      if (session !== undefined) return session.handleRequest(request);
      const server = new McpServer({ name: 'numbers', version: '1' });
      server.registerTool('add', { inputSchema: { a: z.number(), b: z.number() } }, ({ a, b }) => ({
        content: [{ type: 'text', text: String(a + b) }],
      }));
      server.registerTool('slow', { inputSchema: {} }, async (_input, { _meta, sendNotification }) => {
        for (let progress = 1; progress <= 3; progress++) {
          const params = { progressToken: _meta?.progressToken ?? 0, progress, total: 3 };
          await sendNotification({ method: 'notifications/progress', params });
        }
        return { content: [{ type: 'text', text: 'done' }] };
      });
      server.registerResource('note', 'note://one', {}, () => ({ contents: [{ uri: 'note://one', text: 'ü' }] }));
      let last = 0;
      const transport = new WebStandardStreamableHTTPServerTransport({
        sessionIdGenerator: () => `session-${++last}-${sessions.size}`,
        onsessioninitialized: (id) => void sessions.set(id, transport),
      });
      await server.connect(transport);
      return transport.handleRequest(request);
    };
    return { fetch };
  },
  usual.nodeServer,
  {
    'tools are listed': (url) =>
      withClient(url, async (client) => {
        const names = (await client.listTools()).tools.map(({ name }) => name);
        assert.deepEqual(names, ['add', 'slow']);
      }),
    'a tool is called': (url) =>
      withClient(url, (client) => client.callTool({ name: 'add', arguments: { a: 1, b: 2 } })),
    'invalid arguments': (url) => withClient(url, (client) => client.callTool({ name: 'add', arguments: { a: 'x' } })),
    'a resource is read': (url) => withClient(url, (client) => client.readResource({ uri: 'note://one' })),
    'progress while a tool works': (url) =>
      withClient(url, async (client) => {
        const seen = [];
        const onprogress = ({ progress }) => seen.push(progress);
        const result = await client.callTool({ name: 'slow', arguments: {} }, undefined, { onprogress });
        assert.deepEqual(seen, [1, 2, 3]);
        return result;
      }),
    'a request without a session': (url) => send(`${url}/mcp`, { jsonrpc: '2.0', id: 1, method: 'tools/list' }),
  },
);

compare(
  'better-auth',
  () => {
    const tables = { user: [], session: [], account: [], verification: [] };
    const auth = betterAuth({
      baseURL: 'http://127.0.0.1/api/auth',
      secret: 'a secret of the tests, which is long enough',
      database: memoryAdapter(tables),
      emailAndPassword: { enabled: true },
      trustedOrigins: ['http://127.0.0.1:*'],
      telemetry: { enabled: false },
      logger: { disabled: true },
      rateLimit: { enabled: false },
    });
    return { fetch: (request) => auth.handler(request) };
  },
  usual.nodeServer,
  {
    'signing up, a session, signing out': async (url) => {
      const api = `${url}/api/auth`;
      const account = { name: 'Ann', email: 'ann@example.org', password: 'long enough' };
      const headers = { 'content-type': 'application/json', origin: url };
      const signedUp = await fetch(`${api}/sign-up/email`, { method: 'POST', headers, body: JSON.stringify(account) });
      assert.equal(signedUp.status, 200, await signedUp.clone().text());
      const cookie = signedUp.headers
        .getSetCookie()
        .map((field) => field.split(';')[0])
        .join('; ');
      const session = await (await fetch(`${api}/get-session`, { headers: { cookie } })).json();
      const out = await send(`${api}/sign-out`, {}, { headers: { cookie, origin: url } });
      const after = await (await fetch(`${api}/get-session`, { headers: { cookie } })).json();
      assert.equal(session.user.email, 'ann@example.org');
      assert.equal(after, null);
      return [out.status, out.body];
    },
    'a wrong password': async (url) => {
      const account = { email: 'ann@example.org', password: 'wrong enough' };
      const { status } = await send(`${url}/api/auth/sign-in/email`, account, { headers: { origin: url } });
      assert.equal(status, 401);
    },
    'another origin': async (url) => {
      const account = { email: 'ann@example.org', password: 'long enough' };
      const headers = { origin: 'http://evil.example', cookie: 'a=b' };
      return (await send(`${url}/api/auth/sign-in/email`, account, { headers })).status;
    },
    'not found': async (url) => (await ask(`${url}/api/auth/nowhere`)).status,
  },
);
