// Runs an application on node:http, and in each way that sluice serves it, and compares what clients see.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { describe, test } from 'node:test';
import { serve } from 'sluice';
import { createServer, listen } from 'sluice/node';

const hostname = '127.0.0.1';

/** Each starts a server, which `build` makes by a function like `createServer` of node:http. @returns its port, and what ends it */
const ways = {
  async 'node:http'(build) {
    return started(await build(http.createServer));
  },
  async createServer(build) {
    return started(await build(createServer));
  },
  async listen(build) {
    const listening = await listen(await build(http.createServer), { port: 0, hostname });
    return { port: listening.port, close: () => listening.close({ deadline: 1000 }) };
  },
  async serve(build) {
    const node = await build(http.createServer);
    const server = await serve({ port: 0, hostname, fetch: () => undefined, node });
    return { port: server.port, close: () => server.close({ deadline: 1000 }) };
  },
};

async function started(server) {
  server.listen(0, hostname);
  await once(server, 'listening');
  const close = async () => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  return { port: server.address().port, close };
}

/**
 * @param build `(createServer) => server`, with the application
 * @param checks by name: `(port) => facts`, which must be the same on each server
 */
export function compare(name, build, checks) {
  describe(name, () => {
    const expected = {};
    for (const [way, start] of Object.entries(ways)) {
      test(way, async (t) => {
        const { port, close } = await start(build);
        try {
          for (const [what, check] of Object.entries(checks)) {
            await t.test(what, async () => {
              const facts = await check(port);
              expected[what] ??= facts;
              assert.deepEqual(facts, expected[what]);
            });
          }
        } finally {
          await close();
        }
      });
    }
  });
}

/** Sends a request. @returns its status, the fields that the application has set, and its body */
export async function ask(port, path, { method = 'GET', headers = {}, body } = {}) {
  const request = http.request({ host: hostname, port, path, method, headers });
  if (typeof body?.pipe === 'function') body.pipe(request);
  else request.end(body);
  const [response] = await once(request, 'response');
  const parts = [];
  for await (const part of response) parts.push(part);
  const fields = Object.fromEntries(Object.entries(response.headers).filter(([field]) => !ignored.has(field)));
  return { status: response.statusCode, fields, body: Buffer.concat(parts).toString(), trailers: response.trailers };
}

/** Fields that differ from one request to the next. */
const ignored = new Set(['date', 'etag', 'last-modified', 'set-cookie', 'x-powered-by']);
