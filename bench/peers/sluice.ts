// sluice, on the event layer that SLUICE_EVENT_LAYER names. SLUICE names another build of the library (`--against`).

import type { BodyWriter, Channel, Task } from 'sluice';
import { routes } from './fetch.js';
import { eventHeaders, everyInterval, greeting, idleSeconds, message, piece, pieces, port } from './shared.js';

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

everyInterval(() => {
  const text = message();
  for (const inbox of subscribers) if (!inbox.trySend(text)) inbox.close();
});

const server = await library.serve({
  port,
  hostname: '127.0.0.1',
  idleTimeout: idleSeconds * 1000,
  fetch: routes({
    flood: () =>
      library.stream(function* (out) {
        for (let i = 0; i < pieces; i++) yield* out.write(piece);
      }),
    events: () => library.stream(subscribe, { headers: eventHeaders }),
  }),
});
console.log(server.eventLayer);
