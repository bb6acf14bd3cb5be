// Runs an application for the fetch convention on its usual server, and on sluice, and compares what clients see.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { describe, test } from 'node:test';
import { serve as honoServe } from '@hono/node-server';
import { serve } from 'sluice';
import { serve as srvxServe } from 'srvx';

const hostname = '127.0.0.1';

/** Servers that are usual with applications for the fetch convention on Node. Each takes the application. @returns its port, and what ends it */
export const usual = {
  // The light classes of node-server would stay in place of the platform's when it is closed.
  async nodeServer(app) {
    const server = honoServe({ fetch: app.fetch, port: 0, hostname, overrideGlobalObjects: false });
    if (!server.listening) await once(server, 'listening');
    return { port: server.address().port, close: () => closed(server) };
  },
  async srvx(app) {
    const server = srvxServe({ fetch: app.fetch, port: 0, hostname, silent: true, gracefulShutdown: false });
    await server.ready();
    return { port: Number(new URL(server.url).port), close: () => server.close(true) };
  },
  /** @param listenerOf makes a `(req, res)` function from the application */
  nodeHttp: (listenerOf) => async (app) => {
    const server = http.createServer(listenerOf(app)).listen(0, hostname);
    await once(server, 'listening');
    return { port: server.address().port, close: () => closed(server) };
  },
};

async function closed(server) {
  const end = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await end;
}

async function onSluice(app) {
  const server = await serve({ port: 0, hostname, fetch: (request, info) => app.fetch(request, info) });
  return { port: server.port, close: () => server.close({ deadline: 100 }) };
}

/**
 * @param build makes the application, `{ fetch }`, for each server
 * @param start starts its usual server
 * @param checks by name: `(url, app) => facts`, which must be the same on both. What a check asserts must hold on both
 * @param missing what sluice cannot do yet, by the name of a check: that fails once it can
 */
export function compare(name, build, start, checks, missing = {}) {
  describe(name, () => {
    const expected = new Map();
    for (const [server, run] of Object.entries({ 'its usual server': start, sluice: onSluice })) {
      test(server, async (t) => {
        const app = await build();
        const { port, close } = await run(app);
        try {
          for (const [what, check] of Object.entries(checks)) {
            const factsNow = () => check(`http://${hostname}:${port}`, app);
            const asExpected = async () => assert.deepEqual(await factsNow(), expected.get(what));
            if (run === start) await t.test(what, async () => void expected.set(what, await factsNow()));
            else if (missing[what] === undefined)
              await t.test(what, async () => {
                assert.ok(expected.has(what), 'the check passes on the usual server');
                await asExpected();
              });
            else
              await t.test(`${what}: not yet, for want of ${missing[what]}`, () =>
                assert.rejects(asExpected, undefined, `it works: ${what} is no longer missing`),
              );
          }
        } finally {
          await close();
        }
      });
    }
  });
}

/** Fields that servers add, or that differ from one request to the next. */
const ignored = new Set(['date', 'connection', 'keep-alive', 'transfer-encoding', 'content-length', 'server']);

/** @returns status, fields, and the body as text; without what differs from one server to the next by design */
export async function ask(url, options = {}) {
  const response = await fetch(url, { redirect: 'manual', ...options });
  const fields = [...response.headers]
    .filter(([field]) => !ignored.has(field))
    .map(([field, value]) => [field, field === 'content-type' ? value.replace('; ', ';').toLowerCase() : value]);
  return { status: response.status, fields, body: (await response.text()).replaceAll(new URL(url).origin, 'ORIGIN') };
}

/** The same with a body of JSON. */
export const send = (url, value, { method = 'POST', headers = {} } = {}) =>
  ask(url, { method, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(value) });

/** Waits until `condition()` holds. @throws if that takes more than two seconds */
export async function eventually(condition) {
  for (let tries = 0; !condition(); tries++) {
    assert.ok(tries < 200, `in time: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Reads a streamed response until a pattern is there, and then leaves. @returns what was read until the match ends */
export async function readUntil(url, pattern, options = {}) {
  const response = await fetch(url, options);
  const decoder = new TextDecoder();
  let text = '';
  for await (const part of response.body) {
    text += decoder.decode(part, { stream: true });
    const match = pattern.exec(text);
    if (match !== null) return text.slice(0, match.index + match[0].length);
  }
  assert.fail(`the response ended without ${pattern}: ${text}`);
}
