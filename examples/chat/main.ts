// A chat over WebSockets, with presence and history.
//
//   npm run --silent build && node build/examples/chat/main.js
//
//   main.ts    the room, and the thread of each WebSocket
//   page.html  the page

import { readFileSync } from 'node:fs';
import { serve, type Task, topic, type WebSocketConnection, webSocket } from 'sluice';

// This file runs from build/examples/chat; the page stays where it was written.
const html = readFileSync(new URL('../../../examples/chat/page.html', import.meta.url), 'utf8');

interface Said {
  kind: 'said';
  /** A page that reconnects names the last one that it has. */
  id: string;
  name: string;
  text: string;
  /** Milliseconds since the Unix epoch. */
  at: number;
}
interface Present {
  kind: 'present';
  names: string[];
}

const talk = topic<Said>('talk', { history: 200, policy: 'disconnect' });
// Of who is here only the newest state matters.
const presence = topic<Present>('presence', { history: 1, policy: 'latest', key: ({ kind }) => kind });

/** How many pages each person has open. */
const pages = new Map<string, number>();
const started = Date.now().toString(36);
let count = 0;

function say(name: string, text: string): void {
  const id = `${started}-${++count}`;
  talk.publish({ kind: 'said', id, name, text, at: Date.now() }, { id });
}

function opened(name: string, difference: 1 | -1): void {
  const number = (pages.get(name) ?? 0) + difference;
  if (number === 0) pages.delete(name);
  else pages.set(name, number);
  presence.publish({ kind: 'present', names: [...pages.keys()].sort() });
}

/** A client may say so many things in so many milliseconds. */
const pace = { messages: 20, milliseconds: 10_000 };

/** One page. The topics are sent to it without this thread, which only listens. */
function* converse(socket: WebSocketConnection, name: string, after: string): Task<void> {
  opened(name, 1);
  try {
    const { missed } = socket.follow(talk, after === '' ? { replay: true } : { after });
    if (missed) yield* socket.send(JSON.stringify({ kind: 'missed' }));
    socket.follow(presence, { replay: true });
    const times: number[] = [];
    for (let message: string | Uint8Array | undefined; (message = yield* socket.receive()) !== undefined; ) {
      const now = Date.now();
      times.push(now);
      if (times.length > pace.messages && now - (times.shift() ?? 0) < pace.milliseconds) {
        socket.close(1008, 'slower, please');
        return;
      }
      if (typeof message === 'string' && message.trim() !== '') say(name, message.trim());
    }
  } finally {
    opened(name, -1); // whether the page was closed, or its network is gone
  }
}

const server = await serve({
  port: Number(process.env.PORT ?? 8080),
  hostname: process.env.HOST ?? '127.0.0.1',
  fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === '/') return new Response(html, { headers: { 'content-type': 'text/html; charset=utf-8' } });
    if (pathname !== '/chat') return new Response('there is nothing here\n', { status: 404 });
    const name = (searchParams.get('name') ?? '').trim();
    if (name === '' || name.length > 24)
      return new Response('expected a name of 1 to 24 characters\n', { status: 400 });
    const after = searchParams.get('after') ?? '';
    return webSocket(request, (socket) => converse(socket, name, after), {
      maxPayloadLength: 4000,
      perMessageDeflate: true,
    });
  },
});

process.once('SIGINT', () => server.close({ deadline: 1000 }));
process.once('SIGTERM', () => server.close({ deadline: 1000 }));
console.log(`chat: ${server.url}`);
