// Runs cases of the corpus over sockets: peers of node:tls and of the test, against a server and clients of the OpenSSL engine, which go on without OpenSSL
// after the handshake.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket, connect as tcpConnect } from 'node:net';
import { connect } from '#sluice/connection/connect.js';
import type { Connection } from '#sluice/connection/connection.js';
import { listen } from '#sluice/connection/listen.js';
import { Network } from '#sluice/connection/network.js';
import { run } from '#sluice/threads/thread.js';
import { opensslClientTransport, opensslServerTransport } from '#sluice/tls/openssl/transport.js';
import { authority, local } from '../../support/certificates.js';
import type { SocketLayer } from '../../support/layers.js';
import { identity, serverConfig } from '../openssl/setup.js';
import type { Case } from './case.js';
import { bytesOfCase, check, farewell, type Outcome, sendBack, wireOf } from './outcome.js';
import { shakeHands } from './real-peer.js';
import { join, type RecordReader, suites } from './wire.js';

/** So many peers at once. */
const crowd = 20;
/** A peer that waits for so many milliseconds has lost its endpoint: a failure, so that the test ends. */
const patience = 20_000;

export type Cut = 'bytes' | 'whole';

/** Those that can be run: here the sequence numbers start with 0. */
export const overSocketsToo = (c: Case): boolean => c.sequences[0] === 0 && c.sequences[1] === 0;

/** @throws if a case does not come out as it should */
export async function overSockets(layer: SocketLayer, cases: readonly Case[], cut: Cut): Promise<void> {
  const network = new Network(layer.make());
  const errors: unknown[] = [];
  network.scheduler.report = (error) => errors.push(error);
  const hostname = '127.0.0.1';
  /** By the port of the endpoint's peer, which is known when its handshake is complete. */
  const outcomes = new Map<string, Partial<Outcome>>();
  const outcomeOf = (address: string): Partial<Outcome> => {
    const known = outcomes.get(address) ?? {};
    outcomes.set(address, known);
    return known;
  };
  const server = await listen(
    { network, hostname, port: 0, secure: opensslServerTransport(serverConfig()) },
    function* (connection: Connection) {
      yield* sendBack(connection, outcomeOf(connection.peer));
    },
  );
  const secure = opensslClientTransport({
    ...{ identity: identity({ ca: authority.cert }), serverName: 'localhost', host: 'localhost' },
    ...{ detached: true, handshakeTimeout: 10_000 },
  });

  const tryServer = async (c: Case): Promise<Outcome> => {
    const socket = tcpConnect({ host: hostname, port: server.port ?? 0, allowHalfOpen: true, noDelay: true });
    await once(socket, 'connect');
    const outcome = outcomeOf(`${hostname}:${socket.localPort}`);
    const options = {
      ca: authority.cert,
      servername: 'localhost',
      ciphers: suites[c.suite].name,
      ALPNProtocols: ['http/1.1'],
    };
    outcome.reader = await converse(socket, c, options, cut);
    return ended(c, outcome);
  };

  const tryClient = async (c: Case): Promise<Outcome> => {
    const outcome: Partial<Outcome> = {};
    const listener = createServer({ allowHalfOpen: true, noDelay: true });
    listener.listen(0, hostname);
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo; // of TCP
    const client = run(
      function* () {
        yield* sendBack(yield* connect({ network, hostname, port, secure }), outcome);
      },
      { scheduler: network.scheduler },
    );
    const [socket] = (await once(listener, 'connection')) as [Socket];
    listener.close();
    outcome.reader = await converse(socket, c, { ...local, ciphers: suites[c.suite].name }, cut);
    await client;
    return ended(c, outcome);
  };

  try {
    const waiting = [...cases];
    const work = async (): Promise<void> => {
      for (let c: Case | undefined; (c = waiting.shift()) !== undefined; )
        check(c, await (c.peer === 'client' ? tryServer(c) : tryClient(c)), false);
    };
    await Promise.all(Array.from({ length: crowd }, work));
  } finally {
    await server.close({ deadline: 500 });
    await network.layer.close();
  }
  assert.deepEqual(errors, [], 'what peers do is no error of the endpoint');
}

function ended(c: Case, { heard, ending, reader }: Partial<Outcome>): Outcome {
  assert.ok(heard !== undefined && ending !== undefined && reader !== undefined, `${c.name}: it has not ended`);
  return { heard, ending, reader };
}

/** The peer: does the handshake, sends the bytes of the case, and reads to the end. */
async function converse(
  connected: Socket,
  c: Case,
  options: Parameters<typeof shakeHands>[2],
  cut: Cut,
): Promise<RecordReader> {
  const guard = setTimeout(() => connected.destroy(), patience);
  const { socket, secrets, rest } = await shakeHands(connected, c.peer === 'client', options);
  const { wire, reader } = wireOf(c, secrets);
  let isOver = false;
  const over = new Promise<void>((resolve) => {
    const end = (): void => {
      isOver = true;
      resolve();
    };
    socket.once('end', end).once('close', end).on('error', end);
  });
  let failure: unknown;
  const push = (bytes: Buffer): void => {
    try {
      reader.push(bytes);
    } catch (error) {
      failure ??= error;
      socket.destroy();
    }
  };
  push(rest);
  socket.on('data', push).resume();
  const bytes = join(bytesOfCase(c, wire), c.ends === 'open' ? farewell(wire) : '');
  const size = cut === 'whole' ? Infinity : Math.max(1, Math.ceil(bytes.length / 300));
  for (let at = 0; at < bytes.length && socket.writable && !isOver; at += size)
    await new Promise<void>((resolve) => {
      socket.write(bytes.subarray(at, at + size), () => resolve());
    });
  if (c.ends === 'cut') socket.end();
  await over;
  socket.end();
  clearTimeout(guard);
  if (failure !== undefined)
    throw new Error(`${c.name}: what the endpoint has sent cannot be read`, { cause: failure });
  dropTickets(reader);
  return reader;
}

/** Servers send tickets first, which is none of the case. */
function dropTickets({ records }: RecordReader): void {
  const isTicket = ({ type, content }: (typeof records)[number]): boolean => type === 22 && content[0] === 4;
  while (records.length > 0 && isTicket(records[0])) records.shift();
}
