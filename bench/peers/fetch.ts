// The handlers of the runtimes that serve the fetch convention by themselves, Bun and Deno: they differ in how they are started.

import { everyInterval, greeting, handler, headers, hello, message, piece, pieces } from './settings.js';

const encoder = new TextEncoder();
const subscribers = new Set<ReadableStreamDefaultController<Uint8Array>>();

function flood(): ReadableStream<Uint8Array> {
  let sent = 0;
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(piece);
      if (++sent === pieces) controller.close();
    },
  });
}

function subscribe(): ReadableStream<Uint8Array> {
  let mine: ReadableStreamDefaultController<Uint8Array>;
  return new ReadableStream({
    start(controller) {
      mine = controller;
      mine.enqueue(encoder.encode(greeting));
      subscribers.add(mine);
    },
    cancel() {
      subscribers.delete(mine);
    },
  });
}

const handlers: Record<string, (request: Request) => Response> = {
  hello: () => new Response(hello, { headers }),
  flood: (request) => (request.url.endsWith('/flood') ? new Response(flood()) : new Response(hello, { headers })),
  stream: () => new Response(subscribe(), { headers: { 'content-type': 'text/event-stream' } }),
};

everyInterval(() => {
  const bytes = encoder.encode(message());
  for (const controller of subscribers) controller.enqueue(bytes);
});

export const fetch = handlers[handler] ?? (() => new Response(`no handler ${handler}`, { status: 500 }));
