// Runs cases of the corpus over sockets of node:net, which know nothing of this project.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { Network } from '#sluice/connection/network.js';
import type { EventLayer } from '#sluice/event-layer/event-layer.js';
import { type Server, serve } from '#sluice/server/serve.js';
import { Conversation, handshake } from './conversation.js';
import { type Case, type EndpointName, endpoints, isBulky } from './corpus/case.js';
import { echoing, type Face } from './echo.js';

/** How a client hands its bytes to the system: as few as may be in each write, or as many. */
export type Cut = 'bytes' | 'whole';

/** So many clients at once. */
const crowd = 50;
/** A client that waits for so many milliseconds has lost its server: a failure, so that the test ends. */
const patience = 30_000;

/** Runs the cases against servers on a layer, and closes both. @throws if one does not come out as it should */
export async function overSockets(layer: EventLayer, face: Face, cases: readonly Case[], cut: Cut): Promise<void> {
  const network = new Network(layer);
  const errors: unknown[] = [];
  const report = (error: unknown): void => {
    errors.push(error);
  };
  network.scheduler.report = report;
  const open = new Map<EndpointName, Server>();
  for (const name of Object.keys(endpoints) as EndpointName[]) {
    const own = { network, onError: report, hostname: '127.0.0.1', port: 0, globals: false };
    open.set(name, await serve({ ...own, ...echoing(face, name) }));
  }
  try {
    const waiting = [...cases];
    const work = async (): Promise<void> => {
      for (let c: Case | undefined; (c = waiting.shift()) !== undefined; )
        (await converse(open.get(c.endpoint)?.port ?? 0, c, cut)).check(face);
    };
    await Promise.all(Array.from({ length: crowd }, work));
  } finally {
    for (const server of open.values()) await server.close();
    await layer.close();
  }
  assert.deepEqual(errors, [], 'what clients do is no error of the server');
}

/** Runs a case against any server that echoes. The result is to be checked. */
export async function converse(port: number, c: Case, cut: Cut): Promise<Conversation> {
  const conversation = new Conversation(c);
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  const guard = setTimeout(() => socket.destroy(), patience);
  let wake = (): void => {};
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition() && !conversation.isOver)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  };
  const over = new Promise<void>((resolve) => {
    const end = (how: 'FIN' | 'reset') => () => {
      if (conversation.ending === 'open') conversation.ending = how;
      wake();
      resolve();
    };
    socket.once('end', end('FIN')).once('close', end('reset')).on('error', end('reset'));
  });
  socket.on('data', (bytes: Buffer) => {
    conversation.push(bytes);
    wake();
  });
  const send = async (bytes: Uint8Array): Promise<void> => {
    const size = cut === 'whole' ? Infinity : isBulky(c) ? 1499 : 1;
    for (let at = 0; at < bytes.length && socket.writable && !conversation.isOver; at += size)
      await new Promise<void>((resolve) => {
        socket.write(bytes.subarray(at, at + size), () => resolve());
      });
  };
  socket.write(handshake(c.endpoint));
  await until(() => conversation.isUpgraded);
  await send(c.sent);
  if (conversation.staysOpen) {
    await until(() => conversation.isAnswered);
    const { farewell } = conversation;
    if (farewell === undefined) socket.end();
    else await send(farewell);
  }
  await over;
  socket.destroy();
  clearTimeout(guard);
  return conversation;
}
