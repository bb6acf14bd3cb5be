// Runs cases of the corpus in a simulated world: all of them at once, against a few servers or clients on one network.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Connection } from '#sluice/connection/connection.js';
import { listen } from '#sluice/connection/listen.js';
import { ConnectionError } from '#sluice/event-layer/event-layer.js';
import { Random } from '#sluice/event-layer/simulated/random.js';
import type { SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import type { Server } from '#sluice/server/serve.js';
import { Channel } from '#sluice/threads/channel.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { spawn } from '#sluice/threads/thread.js';
import { connectWebSocket } from '#sluice/websocket/client.js';
import { writePaced } from '../support/paced.js';
import { World } from '../support/world.js';
import { Conversation, handshake } from './conversation.js';
import { bytesOf, join } from './corpus/build.js';
import { type Case, type EndpointName, endpoints } from './corpus/case.js';
import { echoing, type Face } from './echo.js';
import { type Heard, hex } from './feed.js';

export interface Manner {
  network: SimulatedOptions;
  cases: readonly Case[];
  face: Face;
  /** Clients send all that they have at once, without waiting for the handshake's answer. */
  isEager?: boolean;
  /** Clients pause before they write and read, by a chance from here. */
  pace?: Random;
}

/** The cases that clients send, against servers. @throws if one does not come out as it should, or anything is left behind */
export async function simulate(manner: Manner): Promise<void> {
  const world = new World(manner.network);
  const open = new Map<EndpointName, Server>();
  for (const name of new Set(manner.cases.map((c) => c.endpoint)))
    open.set(name, await world.serve(echoing(manner.face, name)));
  const conversations = manner.cases.map((c) => {
    const conversation = new Conversation(c);
    world.run(() => client(world, open.get(c.endpoint)?.port, conversation, manner));
    return conversation;
  });
  await world.pass();
  await world.close();
  for (const conversation of conversations) conversation.check(manner.face);
  assert.deepEqual(world.errors, [], 'what clients do is no error of the server');
}

function* client(world: World, port: number | undefined, conversation: Conversation, manner: Manner): Task<void> {
  const { pace } = manner;
  try {
    const connection = yield* world.connect({ port });
    const news = new Channel<true>(1);
    spawn(() => write(connection, conversation, news, manner));
    for (let piece: Uint8Array | undefined; (piece = yield* connection.reader.read()) !== undefined; ) {
      conversation.push(piece);
      news.trySend(true);
      if (pace?.chance(0.2)) yield* sleep(pace.whole(1, 50));
    }
    conversation.ending = 'FIN';
    news.trySend(true);
    yield* connection.writer.end();
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error;
    conversation.ending = 'reset';
  }
}

function* write(
  connection: Connection,
  conversation: Conversation,
  news: Channel<true>,
  { isEager, pace }: Manner,
): Task<void> {
  const { writer } = connection;
  const send = (bytes: Uint8Array): Task<void> => writePaced(writer, bytes, pace);
  try {
    const { case: c } = conversation;
    if (isEager) yield* send(join(handshake(c.endpoint), c.sent));
    else {
      yield* send(handshake(c.endpoint));
      while (!conversation.isUpgraded && !conversation.isOver) yield* news.receive();
      yield* send(c.sent);
    }
    if (!conversation.staysOpen) return;
    while (!conversation.isAnswered) yield* news.receive();
    const { farewell } = conversation;
    if (farewell === undefined) yield* writer.end();
    else yield* send(farewell);
  } catch (error) {
    // The server may have closed, and the reader sees how.
    if (!(error instanceof ConnectionError)) throw error;
  }
}

/** The cases that servers send, against `connectWebSocket`. @throws as `simulate` */
export async function simulateClients(network: SimulatedOptions, cases: readonly Case[]): Promise<void> {
  const world = new World(network);
  const random = new Random(network.seed ?? 1);
  const server = await listen({ port: 0, network: world.network }, function* (connection) {
    const { reader, writer } = connection;
    let key = '';
    let index = -1;
    for (let line: string | undefined; (line = yield* reader.readLine(1000)); ) {
      if (line.startsWith('GET /')) index = Number(line.slice(5).split(' ')[0]);
      if (line.startsWith('sec-websocket-key: ')) key = line.slice(19);
    }
    const c = cases[index];
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    const head = [
      'HTTP/1.1 101 Switching Protocols',
      'upgrade: websocket',
      'connection: Upgrade',
      `sec-websocket-accept: ${accept}`,
    ];
    if ('perMessageDeflate' in endpoints[c.endpoint])
      head.push(
        `sec-websocket-extensions: permessage-deflate${c.endpoint === 'takeover' ? '' : '; server_no_context_takeover; client_no_context_takeover'}`,
      );
    yield* writer.write(join(bytesOf(`${head.join('\r\n')}\r\n\r\n`), c.sent));
    if (random.chance(0.5)) yield* sleep(random.whole(1, 20));
    yield* writer.end();
    yield* reader.readAll(10_000_000);
  });
  const all = cases.map((c, i) => {
    const heard: Heard[] = [];
    const ended = world.run(function* () {
      const url = `ws://127.0.0.1:${server.port}/${i}`;
      const socket = yield* connectWebSocket(url, { ...endpoints[c.endpoint], network: world.network });
      for (let message: string | Uint8Array | undefined; (message = yield* socket.receive()) !== undefined; )
        heard.push(typeof message === 'string' ? { text: message } : { binary: hex(message) });
      heard.push({ close: socket.code, reason: socket.reason });
    });
    return { c, heard, ended };
  });
  const closed = Promise.all(all.map(({ ended }) => ended)).then(() => server.close());
  await world.pass();
  await closed;
  await world.close();
  for (const { c, heard } of all) {
    // RFC 6455 §7.1.5: no Close frame has come where the server has broken a rule.
    const expected: Heard[] = c.heard
      .filter((each) => !('ping' in each || 'pong' in each))
      .map((each) => ('failed' in each ? { close: 1006, reason: '' } : each));
    // The server has sent FIN without a Close frame.
    if (!expected.some((each) => 'close' in each)) expected.push({ close: 1006, reason: '' });
    assert.deepEqual(heard, expected, `${c.section}: ${c.name}`);
  }
}
