// A live dashboard: one topic, followed by thousands of event streams. It starts with 1,000 viewers (VIEWERS); a button on the page adds as many, another one
// 100 that read nothing.
//
//   npm run --silent build && node build/examples/dashboard/main.js
//
//   main.ts    the topic, and the event stream of each viewer
//   plant.ts   the readings
//   crowd.ts   viewers in great numbers
//   page.html  the page

import { readFileSync } from 'node:fs';
import { memoryUsage } from 'node:process';
import { type EventClient, events, serve, type Task, topic } from 'sluice';
import { Crowd } from './crowd.js';
import { type Reading, startPlant } from './plant.js';

// This file runs from build/examples/dashboard; the page stays where it was written.
const html = readFileSync(new URL('../../../examples/dashboard/page.html', import.meta.url), 'utf8');

/** How the server is, once a second. */
interface Health {
  kind: 'health';
  viewers: number;
  stalled: number;
  published: number;
  dropped: number;
  delay: { p50: number; p99: number };
  memory: number;
  cpu: number;
}
type Message = Reading | Health;

/** What a message replaces, where a viewer is too slow for all of them. */
const subject = (message: Message): string => (message.kind === 'reading' ? message.sensor : message.kind);

/** The last reading of each sensor, for those who come. */
const latest = new Map<string, Message>();
const messages = topic<Message>('plant', {
  policy: 'latest',
  key: subject,
  event: ({ kind }) => kind,
  history: 500,
});

function publish(message: Message): void {
  latest.set(subject(message), message);
  messages.publish(message);
}

/** A viewer. One that comes back within some seconds gets what it has missed, any other one the state of things. */
function* view(client: EventClient): Task<void> {
  if (messages.canResume(client.lastEventId)) {
    yield* client.follow(messages);
  } else {
    const after = messages.lastId;
    yield* client.send({ event: 'state', data: [...latest.values()] });
    yield* client.follow(messages, { after });
  }
}

async function open(request: Request): Promise<Response> {
  // Pages of other sites can post forms to this address, but not JSON.
  if (request.headers.get('content-type') !== 'application/json')
    return new Response('expected JSON\n', { status: 415 });
  const { count, isStalled } = Object(await request.json().catch(() => undefined));
  if (!Number.isInteger(count) || count < 1) return new Response('expected a count\n', { status: 400 });
  return Response.json({ opened: crowd.open(count, isStalled === true) });
}

const server = await serve({
  port: Number(process.env.PORT ?? 8080),
  hostname: process.env.HOST ?? '127.0.0.1',
  fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/') return new Response(html, { headers: { 'content-type': 'text/html; charset=utf-8' } });
    if (pathname === '/events') return events(request, view, { retryOnClose: 500 });
    if (pathname === '/viewers' && request.method === 'POST') return open(request);
    return new Response('there is nothing here\n', { status: 404 });
  },
});

const crowd = new Crowd(server);
crowd.open(Number(process.env.VIEWERS ?? 1000), false);
const stopPlant = startPlant(publish);
let used = process.cpuUsage();
const reporting = setInterval(() => {
  const { user, system } = process.cpuUsage(used);
  used = process.cpuUsage();
  const { subscribers, published, dropped } = messages.counts;
  publish({
    kind: 'health',
    viewers: subscribers,
    stalled: crowd.counts.stalled,
    published,
    dropped,
    delay: crowd.delays(),
    memory: memoryUsage.rss(),
    cpu: (user + system) / 1_000_000,
  });
}, 1000);

async function end(): Promise<void> {
  stopPlant();
  clearInterval(reporting);
  crowd.close();
  await server.close({ deadline: 1000 });
}
process.once('SIGINT', end);
process.once('SIGTERM', end);
console.log(`dashboard: ${server.url}`);
