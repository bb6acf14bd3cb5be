// Runs cases of the corpus in a simulated world: all of them at once, against a server and clients that send back what they hear, in threads.

import assert from 'node:assert/strict';
import type { Connection } from '#sluice/connection/connection.js';
import { listen } from '#sluice/connection/listen.js';
import { ConnectionError } from '#sluice/event-layer/event-layer.js';
import type { SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { spawn } from '#sluice/threads/thread.js';
import { cipherSuites } from '#sluice/tls/detached/cipher-suites.js';
import { TlsTransport } from '#sluice/tls/tls-transport.js';
import { type ClientHello, helloRecord, RecordEngine, secretsFrom } from '../../support/record-engine.js';
import { World } from '../../support/world.js';
import type { Case } from './case.js';
import { bytesOfCase, check, farewell, type Outcome, sendBack, wireOf } from './outcome.js';
import { join, type RecordReader } from './wire.js';

const protocols = ['http/1.1'];

/** @throws if a case does not come out as it should, or anything is left behind */
export async function simulate(cases: readonly Case[], simulated: SimulatedOptions): Promise<void> {
  const world = new World(simulated, 'plain');
  const outcomes = cases.map((): Partial<Outcome> => ({}));
  const addressOf = (index: number): string => `127.1.${index >> 8}.${index & 255}`;
  const indexOf = ({ peer }: Connection): number => {
    const [, , high, low] = peer.split(':')[0].split('.').map(Number);
    return (high << 8) | low;
  };
  const hostname = '127.0.0.1';
  const { network } = world;
  const engine = new RecordEngine({ protocols });
  const secure = (layer: ConstructorParameters<typeof TlsTransport>[0]) => new TlsTransport(layer, engine);

  const endpoint = await listen({ port: 0, hostname, network, secure }, function* (connection) {
    yield* sendBack(connection, outcomes[indexOf(connection)]);
  });
  const peer = await listen({ port: 0, hostname, network }, function* (connection) {
    const index = indexOf(connection);
    const c = cases[index];
    const hello = JSON.parse((yield* readHello(connection)).toString('latin1')) as ClientHello; // what RecordEngine has sent
    const { wire, reader } = wireOf(c, secretsFrom(cipherSuites[hello.suite], hello.seed));
    outcomes[index].reader = reader;
    // The case's sequence numbers are the peer's, which is the server here, and the client's.
    const answer = helloRecord({ protocol: protocols[0], sequences: [c.sequences[1], c.sequences[0]] });
    const sent = join(answer, bytesOfCase(c, wire), c.ends === 'open' ? farewell(wire) : '');
    yield* converse(connection, c, sent, reader);
  });

  for (const [index, c] of cases.entries()) {
    const localAddress = addressOf(index);
    if (c.peer === 'server') {
      // A suite for each client: the engines of clients with one suite are cheap.
      const own = new RecordEngine({ protocols, suites: cipherSuites.filter(({ aead }) => aead === c.suite) });
      world.client((connection) => sendBack(connection, outcomes[index]), {
        port: peer.port,
        localAddress,
        secure: (layer) => new TlsTransport(layer, own),
      });
      continue;
    }
    world.client(
      function* (connection) {
        const suite = cipherSuites.findIndex(({ aead }) => aead === c.suite);
        const { wire, reader } = wireOf(c, secretsFrom(cipherSuites[suite], index));
        outcomes[index].reader = reader;
        const hello: ClientHello = { suite, seed: index, alpn: protocols, sequences: c.sequences };
        yield* connection.writer.write(helloRecord(hello));
        yield* readHello(connection);
        yield* converse(connection, c, join(bytesOfCase(c, wire), c.ends === 'open' ? farewell(wire) : ''), reader);
      },
      { port: endpoint.port, localAddress },
    );
  }
  await world.pass(100_000);
  const closing = Promise.all([endpoint.close(), peer.close()]);
  await world.pass();
  await closing;
  await world.close();
  for (const [index, c] of cases.entries()) {
    const { heard, ending, reader } = outcomes[index];
    assert.ok(heard !== undefined && ending !== undefined && reader !== undefined, `${c.name}: it has not ended`);
    check(c, { heard, ending, reader }, false);
  }
}

function* readHello({ reader }: Connection): Task<Buffer> {
  const header = yield* reader.readExactly(5);
  const length = (header[3] << 8) | header[4];
  return Buffer.from(yield* reader.readExactly(length));
}

/** The peer: sends the bytes, and reads to the end. */
function* converse(connection: Connection, c: Case, sent: Uint8Array, records: RecordReader): Task<void> {
  const { reader, writer } = connection;
  spawn(function* () {
    try {
      yield* writer.write(sent);
      if (c.ends === 'cut') yield* writer.end();
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error; // the endpoint has closed
    }
  });
  try {
    for (let piece: Uint8Array | undefined; (piece = yield* reader.read()) !== undefined; ) records.push(piece);
    yield* sleep(1);
    yield* writer.end();
  } catch (error) {
    // A client that has received an alert, or sent one, closes at once.
    if (!(error instanceof ConnectionError)) throw error;
  }
}
