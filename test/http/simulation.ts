// Runs cases of the protocol suite in a simulated world: all of them at once, as clients of a few servers on one network.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import type { Connection } from '#sluice/connection/connection.js';
import { ConnectionError } from '#sluice/event-layer/event-layer.js';
import type { Random } from '#sluice/event-layer/simulated/random.js';
import type { SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import { HttpError } from '#sluice/http/errors.js';
import { ClientLeftError } from '#sluice/http/incoming-request.js';
import type { Server } from '#sluice/server/serve.js';
import { Channel } from '#sluice/threads/channel.js';
import { ThreadError } from '#sluice/threads/errors.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { spawn } from '#sluice/threads/thread.js';
import { describe, isInstance } from '#sluice/util/inspect.js';
import { writePaced } from '../support/paced.js';
import { World } from '../support/world.js';
import { type Case, type ServerName, servers } from './cases.js';
import { check, checkBeginning, Outcome, probe } from './check.js';
import { fetchFor, Ledger } from './handlers.js';

export interface Manner {
  network: SimulatedOptions;
  cases: readonly Case[];
  /** Whether the network breaks connections, so that what a client gets may be less than it should. */
  isFaulty?: boolean;
  /** Clients pause before they write and read, by a chance from here. */
  pace?: Random;
}

export interface Result {
  /** A digest of all that the clients saw, and when. */
  transcript: string;
  turns: number;
  outcomes: Outcome[];
}

/** @throws if a case does not come out as it should, or the servers leave anything behind */
export async function simulate(manner: Manner): Promise<Result> {
  const world = new World(manner.network);
  const ledger = new Ledger();
  const fetch = fetchFor(ledger);
  const open = new Map<ServerName, Server>();
  for (const name of new Set(manner.cases.map((c) => c.server)))
    open.set(name, await world.serve({ ...servers[name], fetch }));

  const transcript = createHash('sha256');
  const outcomes: Outcome[] = [];
  const clients = manner.cases.map((c, id) => {
    const outcome = new Outcome(c);
    outcomes.push(outcome);
    const note = (event: string) => {
      transcript.update(`${id} ${world.now} ${event}\n`);
    };
    return world.run(() => client(world, open.get(c.server)?.port, c, outcome, note, manner));
  });
  const ended = Promise.all(clients);
  await world.pass();
  await ended;
  await world.close();

  const expected = manner.cases.reduce((count, c) => count + c.errors, 0);
  if (manner.isFaulty === true) {
    manner.cases.forEach((c, id) => {
      checkBeginning(c, outcomes[id]);
    });
    assert.ok(world.errors.length <= expected, 'calls of onError');
    for (const error of world.errors) {
      const clients = [ConnectionError, ThreadError, ClientLeftError, HttpError].some((type) =>
        isInstance(error, type),
      );
      assert.ok(!clients, `onError was called for what a client did: ${inspect(error)}`);
    }
  } else {
    manner.cases.forEach((c, id) => {
      check(c, outcomes[id]);
    });
    const errors = world.errors.slice(0, 20).map(describe).join('; ');
    assert.equal(world.errors.length, expected, `calls of onError: ${errors}`);
  }
  assert.deepEqual(ledger.smuggled, [], 'what was refused has been executed');
  assert.equal(ledger.left, ledger.entered, 'handlers, and streams that were made, that have been left');
  return { transcript: transcript.digest('hex'), turns: world.layer.turns, outcomes };
}

function* client(
  world: World,
  port: number | undefined,
  c: Case,
  outcome: Outcome,
  note: (event: string) => void,
  manner: Manner,
): Task<void> {
  const { pace } = manner;
  try {
    const connection = yield* world.connect({ port });
    const news = new Channel<true>(1);
    spawn(() => write(connection, c, outcome, news, pace));
    for (let piece: Uint8Array | undefined; (piece = yield* connection.reader.read()) !== undefined; ) {
      outcome.push(piece);
      note(`received ${piece.length}`);
      news.trySend(true);
      if (pace?.chance(0.2)) yield* sleep(pace.whole(1, 50));
      if (manner.isFaulty && pace?.chance(0.01)) yield* sleep(pace.whole(1_000, 20_000));
    }
    outcome.end();
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error;
    outcome.ending = 'reset';
  }
  note(outcome.ending);
}

/** Does what the case says, and then, if the connection is to stay, asks whether the server is still in step. */
function* write(connection: Connection, c: Case, outcome: Outcome, news: Channel<true>, pace?: Random): Task<void> {
  const { writer } = connection;
  const { parser } = outcome;
  const send = (text: string): Task<void> => writePaced(writer, Buffer.from(text, 'latin1'), pace);
  try {
    for (const step of c.steps) {
      if (typeof step !== 'string') {
        if ('wait' in step) yield* sleep(step.wait);
        else if ('interims' in step) while (parser.interimCount < step.interims) yield* news.receive();
        else while (parser.responses.length < step.responses) yield* news.receive();
      } else if (step === 'FIN') {
        yield* writer.end();
      } else {
        yield* send(step);
      }
    }
    if (c.ending !== 'stays') return;
    while (parser.responses.length < c.responses.length) yield* news.receive();
    yield* send(probe);
    while (parser.responses.length < c.responses.length + 1) yield* news.receive();
    yield* writer.end();
  } catch (error) {
    // The server may have closed, and the reader sees how.
    if (!(error instanceof ConnectionError)) throw error;
  }
}
