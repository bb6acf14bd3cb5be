// The three kinds of handler, and a body that is a thread.
//
//   curl localhost:8080/          plain
//   curl localhost:8080/async     async
//   curl localhost:8080/thread    a thread
//   curl -N localhost:8080/stream a streamed body

import { setTimeout } from 'node:timers/promises';
import { serve, sleep, stream, type Task } from 'sluice';

const server = await serve({
  port: Number(process.env.PORT ?? 8080),
  hostname: process.env.HOST ?? '127.0.0.1',
  fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/async') return answerLater();
    if (pathname === '/thread') return answerInThread();
    if (pathname === '/stream') return countToThree();
    return new Response('hello\n');
  },
});

async function answerLater(): Promise<Response> {
  const word = await setTimeout(100, 'hello from an async function\n');
  return new Response(word);
}

function* answerInThread(): Task<Response> {
  yield* sleep(100);
  return new Response('hello from a thread\n');
}

function countToThree(): Response {
  return stream(function* (out) {
    for (const word of ['one', 'two', 'three']) {
      yield* out.write(`${word}\n`);
      yield* sleep(100);
    }
  });
}

process.once('SIGINT', () => server.close({ deadline: 1000 }));
process.once('SIGTERM', () => server.close({ deadline: 1000 }));
console.log(`hello: ${server.url}`);
