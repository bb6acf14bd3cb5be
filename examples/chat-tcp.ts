// A chat: what one says, the others hear. Two threads for each connection: one reads, its child writes.
//
//   nc localhost 7001

import { Channel, type Connection, currentThread, listen, spawn, type Task, type Thread } from 'sluice';

const longestLine = 512;
/** How many lines may wait for a client that does not read. */
const backlog = 100;
const inboxes = new Map<Channel<string>, Thread<unknown> | undefined>();

function say(line: string, except?: Channel<string>): void {
  for (const [inbox, thread] of inboxes) {
    if (inbox !== except && !inbox.trySend(line)) thread?.unwind('too slow'); // its connection is reset
  }
}

function* chat({ reader, writer }: Connection): Task<void> {
  yield* writer.write('your name? ');
  const name = yield* reader.readLine(longestLine);
  if (name === undefined) return;

  const inbox = new Channel<string>(backlog);
  // A child is unwound before its parent ends, wherever it is parked; if it fails, its parent is unwound.
  spawn(function* hear() {
    for (;;) yield* writer.write(`${yield* inbox.receive()}\n`);
  });

  inboxes.set(inbox, currentThread());
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
