// sluice, on the event layer that SLUICE_EVENT_LAYER names. With THREADS, WebSockets on /echo have threads instead of handlers. SLUICE names
// another build of the library (`--against`), which may be older than WebSockets.

import type { BodyWriter, Channel, Server, Task } from 'sluice';
import { routes } from './fetch.js';
import { handlers, type Upgrader, upgrade } from './handlers.js';
import {
  deflates,
  eventHeaders,
  eventOf,
  everyInterval,
  greeting,
  idleSeconds,
  message,
  piece,
  pieces,
  port,
} from './shared.js';

const library = (await import(process.env.SLUICE ?? 'sluice')) as typeof import('sluice');
const subscribers = new Set<Channel<string>>();

function* subscribe(out: BodyWriter): Task<void> {
  const inbox = new library.Channel<string>(100);
  subscribers.add(inbox);
  try {
    yield* out.write(greeting);
    for (let text: string | undefined; (text = yield* inbox.receive()) !== undefined; ) yield* out.write(text);
  } finally {
    subscribers.delete(inbox);
  }
}

function sendToStreams(event: string): void {
  for (const inbox of subscribers) if (!inbox.trySend(event)) inbox.close();
}

everyInterval(() => sendToStreams(message()));

const streams = {
  flood: () =>
    library.stream(function* (out) {
      for (let i = 0; i < pieces; i++) yield* out.write(piece);
    }),
  events: () => library.stream(subscribe, { headers: eventHeaders }),
};

const socketOptions = { pingInterval: 0, perMessageDeflate: deflates };

function inThread(path: string, request: Request, server: Upgrader): Response | undefined {
  if (path !== '/echo') return upgrade(path, request, server);
  return library.webSocket(
    request,
    function* (socket) {
      for (let data: string | Uint8Array | undefined; (data = yield* socket.receive()) !== undefined; )
        yield* socket.send(data);
    },
    socketOptions,
  );
}

const server: Server = await library.serve({
  port,
  hostname: '127.0.0.1',
  idleTimeout: idleSeconds * 1000,
  fetch: routes(streams, process.env.THREADS === undefined ? upgrade : inThread),
  ...('webSocket' in library && {
    websocket: handlers((topic, text) => {
      server.publish(topic, text);
      sendToStreams(eventOf(text));
    }),
  }),
});
console.log(server.eventLayer);
