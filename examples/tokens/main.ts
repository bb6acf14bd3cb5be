// Tokens of a language model, relayed to browsers as they come. A client that leaves, or presses stop, ends the work of the source as well.
//
//   npm run --silent build && node build/examples/tokens/main.js
//
//   main.ts    the relay: an event stream for each answer
//   source.ts  the source of tokens, a separate service
//   page.html  the page

import { readFileSync } from 'node:fs';
import { type EventClient, events, serve, type Task, until } from 'sluice';
import { startSource } from './source.js';

// This file runs from build/examples/tokens; the page stays where it was written.
const html = readFileSync(new URL('../../../examples/tokens/page.html', import.meta.url), 'utf8');

/** Relays an answer, from the token behind the last one that the client has had. */
function* relay(client: EventClient, prompt: string): Task<void> {
  const leave = new AbortController();
  try {
    let id = Number(client.lastEventId) || 0;
    const body = JSON.stringify({ prompt, from: id });
    const answer = yield* until(fetch(`${source.url}generate`, { method: 'POST', body, signal: leave.signal }));
    for (const lines = linesOf(answer); ; ) {
      const { done, value } = yield* until(lines.next());
      if (done) break;
      yield* client.send({ id: ++id, event: 'token', data: value });
    }
    yield* client.send({ event: 'done', data: '' });
  } finally {
    leave.abort(); // the client may have left: the source stops at once
  }
}

async function* linesOf({ body }: Response): AsyncGenerator<string, void, void> {
  if (body === null) return;
  const decoder = new TextDecoder();
  let text = '';
  for await (const piece of body) {
    const lines = (text + decoder.decode(piece, { stream: true })).split('\n');
    text = lines.pop() ?? '';
    yield* lines;
  }
}

const source = await startSource();
const server = await serve({
  port: Number(process.env.PORT ?? 8080),
  hostname: process.env.HOST ?? '127.0.0.1',
  fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === '/') return new Response(html, { headers: { 'content-type': 'text/html; charset=utf-8' } });
    if (pathname === '/counts') return fetch(`${source.url}counts`);
    if (pathname !== '/answer') return new Response('there is nothing here\n', { status: 404 });
    const prompt = searchParams.get('prompt') ?? '';
    // An answer has an end: it may be completed while the server closes.
    return events(request, (client) => relay(client, prompt), { endOnClose: false });
  },
});

async function end(): Promise<void> {
  await server.close({ deadline: 1000 });
  await source.close({ deadline: 0 });
}
process.once('SIGINT', end);
process.once('SIGTERM', end);
console.log(`tokens: ${server.url}`);
