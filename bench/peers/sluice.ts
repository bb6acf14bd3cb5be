// sluice, on the event layer that SLUICE_EVENT_LAYER names. With THREADS, WebSockets have threads instead of handlers. SLUICE names another build of
// the library (`--against`), which may be older than WebSockets and topics.

import type { Server, Task, Topic, WebSocketConnection } from 'sluice';
import { routes } from './fetch.js';
import { handlers, type Upgrader, upgrade } from './handlers.js';
import { deflates, everyInterval, idleSeconds, piece, pieces, port, timestamp, tls } from './shared.js';

const library = (await import(process.env.SLUICE ?? 'sluice')) as typeof import('sluice');
const hasTopics = 'topic' in library;

/** What event streams follow, and WebSockets in threads. */
const news = hasTopics ? library.topic<string>('news') : undefined;

everyInterval(() => news?.publish(timestamp()));

/** Always the same id, since the bench compares what comes byte by byte. */
const publishOptions = { id: 'news' };

const streams = {
  flood: () =>
    library.stream(function* (out) {
      for (let i = 0; i < pieces; i++) yield* out.write(piece);
    }),
  events: (request: Request) =>
    library.events(request, (client) => client.follow(news as Topic<string>), { keepAlive: 0 }),
};

const socketOptions = { pingInterval: 0, perMessageDeflate: deflates };

function* echo(socket: WebSocketConnection): Task<void> {
  for (let data: string | Uint8Array | undefined; (data = yield* socket.receive()) !== undefined; )
    yield* socket.send(data);
}

function* follow(socket: WebSocketConnection): Task<void> {
  socket.follow(news as Topic<string>);
  yield* socket.receive();
}

function inThread(path: string, request: Request, server: Upgrader): Response | undefined {
  if (path === '/echo') return library.webSocket(request, echo, socketOptions);
  if (path === '/topic') return library.webSocket(request, follow, socketOptions);
  return upgrade(path, request, server);
}

const server: Server = await library.serve({
  port,
  hostname: '127.0.0.1',
  idleTimeout: idleSeconds * 1000,
  ...(tls && { tls }),
  fetch: routes(streams, process.env.THREADS === undefined ? upgrade : inThread),
  ...(hasTopics && {
    websocket: handlers((topic, text) => {
      server.publish(topic, text);
      news?.publish(text, publishOptions);
    }),
  }),
});
console.log(server.eventLayer);
