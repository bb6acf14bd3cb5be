// Server-sent events, broadcast: whatever is posted goes to everybody who listens. Who reconnects gets what was missed.
//
//   curl -N localhost:8080/events
//   curl -d 'some news' localhost:8080/

import { events, serve, topic } from 'sluice';

const news = topic<string>('news', { history: 100 });

async function publish(request: Request): Promise<Response> {
  news.publish(await request.text());
  return new Response(`sent to ${news.counts.subscribers}\n`);
}

const server = await serve({
  port: Number(process.env.PORT ?? 8080),
  hostname: process.env.HOST ?? '127.0.0.1',
  fetch(request) {
    if (request.method === 'POST') return publish(request);
    if (new URL(request.url).pathname === '/events') return events(request, (client) => client.follow(news));
    return new Response('try /events\n', { status: 404 });
  },
});

process.once('SIGINT', () => server.close({ deadline: 100 }));
process.once('SIGTERM', () => server.close({ deadline: 100 }));
console.log(`events: ${server.url}events`);
