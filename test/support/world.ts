// A simulated world: a network in memory on a simulated clock, with servers and clients on it. When a test closes its world, the
// world checks that nothing is left: no connection, no timer, no byte that counts as held, no unreported error.

import assert from 'node:assert/strict';
import { type ConnectOptions, connect } from '#sluice/connection/connect.js';
import type { Connection } from '#sluice/connection/connection.js';
import { Network } from '#sluice/connection/network.js';
import { ConnectionError } from '#sluice/event-layer/event-layer.js';
import type { SimulatedLayer, SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import { armedTimers, usedTransports } from '#sluice/observe/inspect.js';
import { type ServeOptions, type Server, serve } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { run } from '#sluice/threads/thread.js';
import { type ReceivedResponse, ResponseParser } from './response-parser.js';
import { Traffic } from './traffic.js';
import { simulatedTransport, type TransportName } from './transport.js';

export class World {
  /** The clock, and the network below the transport. */
  readonly layer: SimulatedLayer;
  readonly traffic: Traffic;
  readonly network: Network;
  /** Errors that `onError` of the servers was called with. */
  readonly errors: unknown[] = [];
  readonly #servers: Server[] = [];
  readonly #unreported: unknown[] = [];
  readonly #clients: Promise<unknown>[] = [];

  /** @param transportName default: the one that the environment names */
  constructor(simulated: SimulatedOptions = { latency: 0.01, pieces: 'whole' }, transportName?: TransportName) {
    const { layer, transport } = simulatedTransport(simulated, transportName);
    this.layer = layer;
    this.traffic = new Traffic(transport);
    this.network = new Network(this.traffic);
    this.network.scheduler.report = (error) => this.#unreported.push(error);
  }

  /** A world with one HTTP server. */
  static async open(options: ServeOptions, simulated?: SimulatedOptions): Promise<World> {
    const world = new World(simulated);
    await world.serve(options);
    return world;
  }

  /** Starts an HTTP server. */
  async serve(options: ServeOptions): Promise<Server> {
    const onError = (error: unknown) => {
      this.errors.push(error);
    };
    const own = { network: this.network, onError, hostname: '127.0.0.1', port: 0, globals: false };
    const server = await serve({ ...own, ...options });
    this.#servers.push(server);
    return server;
  }

  /** The first HTTP server. */
  get server(): Server {
    const [server] = this.#servers;
    if (server === undefined) throw new Error('this world has no server');
    return server;
  }

  get now(): number {
    return this.network.scheduler.now;
  }

  /** Starts a thread. */
  run<T>(task: () => Task<T>): Promise<T> {
    const result = run(task, { scheduler: this.network.scheduler });
    this.#clients.push(result);
    result.catch(() => {}); // the caller may await it later
    return result;
  }

  /** Connects the running thread, to the first server if no port is given. Every client of a simulated server connects here. */
  connect(options: ConnectOptions = {}): Task<Connection> {
    return connect({ ...options, network: this.network, port: options.port ?? this.server.port });
  }

  /** Starts a client: a thread with a connection. */
  client<T>(task: (connection: Connection) => Task<T>, options?: ConnectOptions): Promise<T> {
    const world = this;
    return this.run(function* () {
      return yield* task(yield* world.connect(options));
    });
  }

  /** Starts a client that sends this and reads to the end. */
  exchange(text: string, ...methods: string[]): Promise<Exchanged> {
    return this.client(function* (connection) {
      yield* connection.writer.write(Buffer.from(text, 'latin1'));
      return yield* received(connection, methods);
    });
  }

  /** Runs the world until nothing happens any more, or for that many milliseconds of its clock. */
  async pass(milliseconds = Infinity): Promise<void> {
    await this.layer.run(milliseconds === Infinity ? Infinity : this.layer.now() + milliseconds);
  }

  /** Closes the servers, runs the world to its end, and checks that nothing is left. */
  async close(): Promise<void> {
    const closing = Promise.all(this.#servers.map((server) => server.close()));
    await this.pass();
    await closing;
    await Promise.allSettled(this.#clients);
    assert.deepEqual(this.#unreported, [], 'errors that no thread and no onError received');
    for (const server of this.#servers) {
      assert.equal(server.connections.total, 0, 'connections of a closed server');
      assert.equal(server.buffered.held, 0, 'bytes that count as held');
    }
    assert.equal(this.layer.open, 0, 'connections of the layer');
    assert.equal(armedTimers(this.network), 0, 'armed timers');
    assert.equal(usedTransports(this.network), 0, 'secure transports');
    await this.layer.close();
  }
}

const seeds = [1, 2, 3, 4, 5, 6, 7, 8];

/** Runs the task to its end in a separate world, where no error may go unreported. @returns what it returns */
export async function inWorld<T>(simulated: SimulatedOptions, task: (world: World) => Task<T>): Promise<T> {
  const world = new World(simulated);
  const result = world.run(() => task(world));
  await world.close();
  return result;
}

/**
 * Runs the task for several seeds and ways to cut bytes; the message of a failure names them.
 * @param smallest bytes of the smallest pieces: each takes a turn, and a task that moves very many would take too long byte by byte
 */
export async function inManyWorlds(
  task: (world: World) => Task<void>,
  simulated: SimulatedOptions = {},
  smallest = 1,
): Promise<void> {
  for (const seed of seeds) {
    for (const cut of ['random', 'whole', smallest] as const) {
      try {
        await inWorld({ seed, pieces: cut, ...simulated }, task);
      } catch (error) {
        const message = error instanceof Error ? error.message : error;
        throw new Error(`seed ${seed}, pieces ${cut}: ${message}`, { cause: error });
      }
    }
  }
}

/** Stops a connection from receiving, as a client that does not read: what its peer sends stays with the kernels. */
export function pauseReading(connection: Connection): void {
  connection.pauseReading();
}

export function resumeReading(connection: Connection): void {
  connection.resumeReading();
}

export interface Exchanged {
  responses: ReceivedResponse[];
  ending: 'FIN' | 'reset';
  isCutShort: boolean;
  /** What was received of the body of a response that is cut short. */
  partialBody: string | undefined;
  /** The time of the end. */
  at: number;
}

/** Reads responses up to the end of the connection. @param isOfNode see `ResponseParser` */
export function* received(connection: Connection, methods: readonly string[] = [], isOfNode = false): Task<Exchanged> {
  const parser = new ResponseParser(methods, isOfNode);
  const { scheduler } = connection.owner.network;
  const result = (ending: 'FIN' | 'reset', isCutShort: boolean): Exchanged => {
    const { responses, partialBody } = parser;
    return { responses, ending, isCutShort, partialBody, at: scheduler.now };
  };
  try {
    for (let piece: Uint8Array | undefined; (piece = yield* connection.reader.read()) !== undefined; )
      parser.push(piece);
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error;
    return result('reset', !parser.isBetween);
  }
  try {
    parser.end();
    return result('FIN', false);
  } catch {
    return result('FIN', true);
  }
}

export const get = (target: string, ...fields: string[]): string =>
  ['GET ', target, ' HTTP/1.1\r\nhost: a\r\n', ...fields.map((field) => `${field}\r\n`), '\r\n'].join('');

export const post = (target: string, body: string, ...fields: string[]): string =>
  get(target, `content-length: ${body.length}`, ...fields).replace('GET', 'POST') + body;

/** A client that leaves after 100 ms. */
export function leave(world: World, how: 'FIN' | 'RST', sent = get('/')): Promise<Exchanged> {
  return world.client(function* (connection) {
    yield* connection.writer.write(sent);
    yield* sleep(100);
    if (how === 'RST') connection.reset();
    else yield* connection.writer.end();
    return yield* received(connection);
  });
}
