// The demo: one page that shows the threads of this server, live. `npm start`, then http://127.0.0.1:8080/.
//
//   main.ts        the server: which handler answers what
//   streams.ts     the handlers that the page shows: slow ones
//   feed.ts        the page's data
//   crowd.ts       clients, as many as you like
//   departures.ts  who has left, and when `finally` ran
//   page.html      the page

import { readFileSync } from 'node:fs';
import { run, type Server, serve, type Task, until } from 'sluice';
import { Crowd, type Kind, kinds } from './crowd.js';
import { leave } from './departures.js';
import { feed } from './feed.js';
import { clock, download, news, publish, report } from './streams.js';

// This file runs from build/examples/demo; the page stays where it was written.
const html = readFileSync(new URL('../../../examples/demo/page.html', import.meta.url), 'utf8');

// A plain handler.
function page(): Response {
  return new Response(html, { headers: { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-cache' } });
}

/** The code of the handlers, for the page. */
function code(): Response {
  const source = Object.entries({ clock, download, report, news }).map(([name, handler]) => [name, String(handler)]);
  return Response.json(Object.fromEntries(source));
}

// An async handler.
async function open(request: Request): Promise<Response> {
  const { kind, count } = await fields(request);
  if (!isKind(kind) || typeof count !== 'number') return refuse(`expected { kind: ${kinds.join(' | ')}, count }`);
  return Response.json({ opened: crowd.open(kind, count) });
}

async function say(request: Request): Promise<Response> {
  const { message } = await fields(request);
  return Response.json({ told: publish(`${message}\n`) });
}

async function pause(request: Request): Promise<Response> {
  paused = (await fields(request)).paused === true;
  return Response.json({ paused });
}

// Handlers that are threads.
function* leaveCrowd(request: Request): Task<Response> {
  const { kind, visitor } = yield* until(fields(request));
  if (typeof visitor === 'string') crowd.leave(visitor);
  else yield* crowd.leaveAll(isKind(kind) ? kind : undefined);
  return Response.json({ left: crowd.size });
}

/** Ends another thread where that one stands. */
function* unwind(request: Request): Task<Response> {
  const { id } = yield* until(fields(request));
  for (const connection of server.active()) {
    if (connection.thread === undefined || connection.thread.id !== id) continue;
    const url = connection.request && new URL(connection.request.url);
    leave(url?.searchParams.get('visitor') ?? '', 'server');
    connection.thread.unwind(new Error('the button was pressed'));
    return Response.json({ unwound: id });
  }
  return refuse(`no thread ${id} is at work`, 404);
}

const handlers = new Map<string, (request: Request) => Response | Promise<Response> | Task<Response>>([
  ['GET /', page],
  ['GET /code', code],
  ['GET /feed', () => feed(server)],
  ['GET /clock', clock],
  ['GET /download', download],
  ['GET /report', report],
  ['GET /news', news],
  ['POST /open', open],
  ['POST /leave', leaveCrowd],
  ['POST /say', say],
  ['POST /pause', pause],
  ['POST /unwind', unwind],
]);

function answer(request: Request) {
  const { pathname } = new URL(request.url);
  const method = request.method === 'HEAD' ? 'GET' : request.method; // the server sends the head alone
  const handler = handlers.get(`${method} ${pathname}`);
  if (handler === undefined) return refuse(`there is no ${pathname}`, 404);
  // Pages of other sites can post forms to this address, but not JSON.
  if (request.method === 'POST' && request.headers.get('content-type') !== 'application/json') {
    return refuse('expected JSON', 415);
  }
  return handler(request);
}

function refuse(message: string, status = 400): Response {
  return Response.json({ message }, { status });
}

/** The members of the object that a request carries as JSON; none if it does not. */
async function fields(request: Request): Promise<Record<string, unknown>> {
  const value: unknown = await request.json().catch(() => undefined);
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function isKind(value: unknown): value is Kind {
  return kinds.some((kind) => kind === value);
}

async function start(): Promise<Server> {
  const port = Number(process.env.PORT || 8080);
  const hostname = process.env.HOST || '127.0.0.1';
  try {
    // Who stops in the middle of a request head gets ten minutes, so that one can look at the thread.
    return await serve({ port, hostname, fetch: answer, headTimeout: 600_000 });
  } catch (error) {
    console.error(`demo: ${error instanceof Error ? error.message : error}`);
    process.exit(1);
  }
}

let paused = false;
const server = await start();

const crowd = new Crowd(server.url.href);
const background = new AbortController();
run(inTheBackground, { signal: background.signal }).catch(() => {});

function* inTheBackground(): Task<void> {
  yield* crowd.gather({ clock: 12, download: 4, report: 8, news: 8, half: 4 });
  yield* crowd.comeAndGo(() => paused);
}

let ending = false;
function end(): void {
  if (ending) process.exit(1);
  ending = true;
  background.abort();
  crowd.close();
  server.close({ deadline: 500 });
}
process.on('SIGINT', end);
process.on('SIGTERM', end);

console.log(`The demo is at ${server.url} (event layer: ${server.eventLayer})`);
