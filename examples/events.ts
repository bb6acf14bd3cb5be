// Server-sent events, broadcast: whatever is posted goes to everybody who listens.
//
//   curl -N localhost:8080/events
//   curl -d 'some news' localhost:8080/

import { Channel, currentThread, serve, stream, type Thread } from 'sluice';

/** How many events may wait for a subscriber that is slower than the news. */
const backlog = 100;
const subscribers = new Map<Channel<string>, Thread<unknown> | undefined>();

function subscribe(): Response {
  return stream(
    function* (out) {
      const inbox = new Channel<string>(backlog);
      subscribers.set(inbox, currentThread());
      try {
        yield* out.write(`: ${subscribers.size} listening\n\n`);
        for (;;) {
          const news = (yield* inbox.receive()) ?? ''; // it is never closed
          yield* out.write(`data: ${news.replaceAll(/\r\n|\r|\n/g, '\ndata: ')}\n\n`);
        }
      } finally {
        subscribers.delete(inbox);
      }
    },
    { headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' } },
  );
}

async function publish(request: Request): Promise<Response> {
  const news = await request.text();
  const listening = subscribers.size;
  for (const [inbox, thread] of subscribers) {
    if (!inbox.trySend(news)) thread?.unwind('too slow'); // too far behind: its stream ends, and an EventSource comes back
  }
  return new Response(`sent to ${listening}\n`);
}

const server = await serve({
  port: Number(process.env.PORT ?? 8080),
  hostname: process.env.HOST ?? '127.0.0.1',
  fetch(request) {
    if (request.method === 'POST') return publish(request);
    if (new URL(request.url).pathname === '/events') return subscribe();
    return new Response('try /events\n', { status: 404 });
  },
});

process.once('SIGINT', () => server.close({ deadline: 100 }));
process.once('SIGTERM', () => server.close({ deadline: 100 }));
console.log(`events: ${server.url}events`);
