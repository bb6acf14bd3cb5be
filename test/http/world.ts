// A simulated world with one server, for tests that look at more than what comes back.

import assert from 'node:assert/strict';
import { type ConnectOptions, connect } from '#sluice/connection/connect.js';
import type { Connection } from '#sluice/connection/connection.js';
import { Network } from '#sluice/connection/network.js';
import { ConnectionError } from '#sluice/event-layer/event-layer.js';
import { SimulatedLayer, type SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import { type ServeOptions, type Server, serve } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { run } from '#sluice/threads/thread.js';
import { type ReceivedResponse, ResponseParser } from './client.js';

export class World {
  readonly layer: SimulatedLayer;
  readonly network: Network;
  readonly server: Server;
  /** What `onError` was told. */
  readonly errors: unknown[];
  readonly #escaped: unknown[];
  readonly #clients: Promise<unknown>[] = [];

  private constructor(layer: SimulatedLayer, network: Network, server: Server, errors: unknown[], escaped: unknown[]) {
    this.layer = layer;
    this.network = network;
    this.server = server;
    this.errors = errors;
    this.#escaped = escaped;
  }

  static async open(
    options: ServeOptions,
    simulated: SimulatedOptions = { latency: 0.01, pieces: 'whole' },
  ): Promise<World> {
    const layer = new SimulatedLayer(simulated);
    const network = new Network(layer);
    const errors: unknown[] = [];
    const escaped: unknown[] = [];
    network.scheduler.report = (error) => escaped.push(error);
    const onError = (error: unknown) => {
      errors.push(error);
    };
    const server = await serve({ network, onError, hostname: '127.0.0.1', port: 0, globals: false, ...options });
    return new World(layer, network, server, errors, escaped);
  }

  get now(): number {
    return this.network.scheduler.now;
  }

  /** Starts a client: a thread with a connection. @param options of `connect` */
  client<T>(task: (connection: Connection) => Task<T>, options: ConnectOptions = {}): Promise<T> {
    const { network, server } = this;
    const result = run(
      function* () {
        return yield* task(yield* connect({ port: server.port ?? 0, network, ...options }));
      },
      { scheduler: network.scheduler },
    );
    this.#clients.push(result);
    result.catch(() => {}); // whoever asks for it is told
    return result;
  }

  /** Starts a client that sends this and reads to the end. */
  exchange(text: string, ...methods: string[]): Promise<Exchanged> {
    return this.client(function* (connection) {
      yield* connection.writer.write(Buffer.from(text, 'latin1'));
      return yield* received(connection, methods);
    });
  }

  /** Lets the world run until nothing happens any more, or for so many milliseconds. */
  async pass(milliseconds = Infinity): Promise<void> {
    await this.layer.run(milliseconds === Infinity ? Infinity : this.layer.now() + milliseconds);
  }

  /** Closes the server, lets the world run to its end, and looks at what is left of it. */
  async close(): Promise<void> {
    const closing = this.server.close();
    await this.pass();
    await closing;
    await Promise.allSettled(this.#clients);
    assert.deepEqual(this.#escaped, [], 'errors that nobody was told of');
    assert.equal(this.server.connections.total, 0, 'connections');
    assert.equal(this.server.buffered.held, 0, 'bytes that are counted as held');
    assert.equal(this.layer.open, 0, 'connections of the layer');
    assert.equal(this.network.scheduler.timers.size, 0, 'timers');
    await this.layer.close();
  }
}

export interface Exchanged {
  responses: ReceivedResponse[];
  ending: 'FIN' | 'reset';
  isCutShort: boolean;
  /** What has come of a response that is cut short. */
  partialBody: string | undefined;
  /** When the end came. */
  at: number;
}

/** Everything up to the end of the connection. */
export function* received(connection: Connection, methods: readonly string[] = []): Task<Exchanged> {
  const parser = new ResponseParser(methods);
  const { scheduler } = connection.network;
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
