// A server of the Model Context Protocol, over Streamable HTTP with sessions: a tool with progress, and a resource.
//
//   node mcp.mjs
//   npx @modelcontextprotocol/inspector     and connect to http://localhost:8080/mcp

import { randomUUID } from 'node:crypto';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';
import { serve } from 'sluice';
import { z } from 'zod';

function build() {
  const mcp = new McpServer({ name: 'primes', version: '1.0.0' });
  mcp.registerTool(
    'primes',
    { description: 'The first prime numbers', inputSchema: { count: z.number().int().min(1).max(1000) } },
    async ({ count }, { _meta, sendNotification }) => {
      const primes = [];
      for (let number = 2; primes.length < count; number++) {
        if (primes.some((prime) => number % prime === 0)) continue;
        primes.push(number);
        const progressToken = _meta?.progressToken;
        const params = { progressToken, progress: primes.length, total: count };
        if (progressToken !== undefined) await sendNotification({ method: 'notifications/progress', params });
      }
      return { content: [{ type: 'text', text: primes.join(' ') }] };
    },
  );
  mcp.registerResource('about', 'primes://about', { mimeType: 'text/plain' }, ({ href }) => ({
    contents: [{ uri: href, text: 'A prime number has two divisors.' }],
  }));
  return mcp;
}

const sessions = new Map();

async function handle(request) {
  if (new URL(request.url).pathname !== '/mcp') return new Response('not found', { status: 404 });
  const id = request.headers.get('mcp-session-id');
  if (id !== null) return sessions.get(id)?.handleRequest(request) ?? new Response('no such session', { status: 404 });
  const transport = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (session) => void sessions.set(session, transport),
    onsessionclosed: (session) => void sessions.delete(session),
  });
  await build().connect(transport);
  return transport.handleRequest(request);
}

const server = await serve({
  port: Number(process.env.PORT ?? 8080),
  hostname: process.env.HOST ?? '127.0.0.1',
  fetch: handle,
});

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close({ deadline: 1000 }));
console.log(`MCP: ${server.url}`);
