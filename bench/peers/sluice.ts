// sluice, on the event layer that SLUICE_EVENT_LAYER names.

import { type BodyWriter, Channel, type Fetch, serve, stream, type Task } from 'sluice';
import {
  everyInterval,
  greeting,
  handler,
  headers,
  hello,
  idleSeconds,
  message,
  piece,
  pieces,
  port,
} from './settings.js';

const subscribers = new Set<Channel<string>>();

const handlers: Record<string, Fetch> = {
  hello: () => new Response(hello, { headers }),

  flood(request) {
    if (!request.url.endsWith('/flood')) return new Response(hello, { headers });
    return stream(function* (out) {
      for (let i = 0; i < pieces; i++) yield* out.write(piece);
    });
  },

  stream: () => stream(subscribe, { headers: { 'content-type': 'text/event-stream' } }),
};

function* subscribe(out: BodyWriter): Task<void> {
  const inbox = new Channel<string>(100);
  subscribers.add(inbox);
  try {
    yield* out.write(greeting);
    for (let text: string | undefined; (text = yield* inbox.receive()) !== undefined; ) yield* out.write(text);
  } finally {
    subscribers.delete(inbox);
  }
}

everyInterval(() => {
  const text = message();
  for (const inbox of subscribers) if (!inbox.trySend(text)) inbox.close();
});

const fetch = handlers[handler];
if (fetch === undefined) throw new Error(`HANDLER is ${handler}; expected one of ${Object.keys(handlers).join(', ')}`);
await serve({ port, hostname: '127.0.0.1', idleTimeout: idleSeconds * 1000, fetch });
