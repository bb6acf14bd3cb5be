// Event streams read by the browser's own EventSource: reconnection, retry, and a server that is started again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { events } from '#sluice/events/events.js';
import { Response } from '#sluice/http/fetch/response.js';
import { type Server, serve } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import { browserFor, withPage } from './browser.js';

const page = `<!doctype html><title>events</title><script>
  const seen = [];
  const source = new EventSource('/events');
  source.addEventListener('tick', ({ data, lastEventId }) => seen.push({ data, lastEventId, at: performance.now() }));
  source.onerror = () => seen.push({ error: source.readyState, at: performance.now() });
</script>`;

interface Seen {
  data?: string;
  lastEventId?: string;
  error?: number;
  at: number;
}

/** What the page has seen, once there are so many events. How many errors there are before depends on how long a server takes to start again. */
async function seen(page: Page, count: number): Promise<Seen[]> {
  await page.waitForFunction(`seen.filter(({ data }) => data !== undefined).length >= ${count}`);
  return (await page.evaluate('seen')) as Seen[];
}

/** What the page asked for, connection by connection. */
const asked: string[] = [];

/** Each stream has three events of those that follow the last one. */
function start(port: number): Promise<Server> {
  return serve({
    hostname: '127.0.0.1',
    port,
    globals: false,
    fetch: (request) => {
      if (new URL(request.url).pathname !== '/events')
        return new Response(page, { headers: { 'content-type': 'text/html' } });
      return events(
        request,
        function* (client) {
          asked.push(client.lastEventId);
          const last = Number(client.lastEventId.split('-')[1] ?? 0);
          for (let id = last + 1; id <= last + 3; id++)
            yield* client.send({ id: `ü-${id}`, event: 'tick', data: `a\r\n${id}`, retry: 300 });
          if (last >= 3) yield* sleep(Infinity);
        },
        { retryOnClose: 400 },
      );
    },
  });
}

test('the EventSource of a browser', async (t) => {
  const executable = browserFor(t);
  if (executable === undefined) return;
  let server = await start(0);
  const { port = 0 } = server;
  await withPage(executable, async (page) => {
    await page.goto(server.url.href);
    await t.test('gets events, and reconnects after `retry` with the last id', async () => {
      const [one, , three, error, four] = await seen(page, 4);
      assert.equal(one.data, 'a\n1');
      assert.equal(three.lastEventId, 'ü-3');
      assert.equal(error.error, 0);
      assert.equal(four.lastEventId, 'ü-4');
      assert.ok(four.at - error.at >= 290, `it reconnected after ${four.at - error.at} ms`);
      assert.deepEqual(asked, ['', 'ü-3']);
    });
    await t.test('reconnects to a server that is started again, after the time of the last retry', async () => {
      await server.close();
      server = await start(port);
      const all = await seen(page, 7); // two times three, and what comes after
      const lost = all.findIndex(({ lastEventId }) => lastEventId === 'ü-6') + 1;
      const [error, next] = all.slice(lost);
      assert.equal(asked.at(-1), 'ü-6');
      assert.equal(error.error, 0);
      assert.ok(next.at - error.at >= 390, `it reconnected after ${next.at - error.at} ms`);
    });
  });
  await server.close();
});
