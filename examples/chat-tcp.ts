// A chat: what one says, the others hear. Two threads for each connection: one reads, its child writes.
//
//   nc localhost 7001

import { Channel, type Connection, listen, spawn, type Task } from 'sluice';

const longestLine = 512;
/** How many lines may wait for somebody who does not read. */
const backlog = 100;
const inboxes = new Set<Channel<string>>();

function say(line: string, except?: Channel<string>): void {
  for (const inbox of inboxes) {
    if (inbox === except || inbox.closed) continue;
    if (!inbox.trySend(line)) inbox.close();
  }
}

function* chat({ reader, writer }: Connection): Task<void> {
  yield* writer.write('your name? ');
  const name = yield* reader.readLine(longestLine);
  if (name === undefined) return;

  const inbox = new Channel<string>(backlog);
  // A child is unwound before its parent ends, wherever it is parked; if it fails, its parent is unwound.
  spawn(function* hear() {
    for (let line: string | undefined; (line = yield* inbox.receive()) !== undefined; ) {
      yield* writer.write(`${line}\n`);
    }
    yield* writer.end(); // it was too slow, and its inbox has been closed
  });

  inboxes.add(inbox);
  say(`${name} is here`, inbox);
  try {
    for (let line: string | undefined; (line = yield* reader.readLine(longestLine)) !== undefined; ) {
      say(`${name}: ${line}`, inbox);
    }
  } finally {
    inboxes.delete(inbox);
    say(`${name} has left`);
  }
}

const options = { port: Number(process.env.PORT ?? 7001), hostname: process.env.HOST ?? '127.0.0.1' };
const server = await listen(options, chat);

process.once('SIGINT', () => server.close({ deadline: 100 }));
process.once('SIGTERM', () => server.close({ deadline: 100 }));
console.log(`chat: ${server.address}`);
