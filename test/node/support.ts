// Servers of node:http in a simulated world.

import { createServer, type RequestListener, type Server } from 'node:http';
import type { Connection } from '#sluice/connection/connection.js';
import type { SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import { listen, type NodeListening } from '#sluice/node/listen.js';
import type { NodeListenOptions } from '#sluice/node/node-listener.js';
import type { Task } from '#sluice/threads/task.js';
import { type Exchanged, received as receivedStrictly, World } from '../support/world.js';

/** Reads responses of node:http up to the end of the connection. */
export function received(connection: Connection, methods: readonly string[] = []): Task<Exchanged> {
  return receivedStrictly(connection, methods, true);
}

/** Starts a client that sends this and reads responses of node:http to the end. @param port default: of the world's first server */
export function exchange(
  world: World,
  text: string,
  methods: readonly string[] = [],
  port?: number,
): Promise<Exchanged> {
  return world.client(
    function* (connection) {
      yield* connection.writer.write(Buffer.from(text, 'latin1'));
      return yield* received(connection, methods);
    },
    { port },
  );
}

export class NodeWorld {
  readonly world: World;
  readonly server: Server;
  readonly listening: NodeListening;
  readonly errors: unknown[];

  private constructor(world: World, server: Server, listening: NodeListening, errors: unknown[]) {
    this.world = world;
    this.server = server;
    this.listening = listening;
    this.errors = errors;
  }

  static async open(
    handler: RequestListener | Server,
    options: Partial<NodeListenOptions> = {},
    simulated?: SimulatedOptions,
  ): Promise<NodeWorld> {
    const world = new World(simulated);
    const server = typeof handler === 'function' ? createServer(handler) : handler;
    const errors: unknown[] = [];
    const onError = (error: unknown) => errors.push(error);
    const own = { network: world.network, port: 0, hostname: '127.0.0.1', onError };
    return new NodeWorld(world, server, await listen(server, { ...own, ...options }), errors);
  }

  /** Starts a client: a thread with a connection. */
  client<T>(task: (connection: Connection) => Task<T>): Promise<T> {
    return this.world.client(task, { port: this.listening.port });
  }

  /** Starts a client that sends this and reads to the end. */
  exchange(text: string, ...methods: string[]): Promise<Exchanged> {
    return exchange(this.world, text, methods, this.listening.port);
  }

  pass(milliseconds?: number): Promise<void> {
    return this.world.pass(milliseconds);
  }

  /** Closes the server, runs the world to its end, and checks that nothing is left. */
  async close(): Promise<void> {
    const closed = this.listening.close();
    await this.pass();
    await closed;
    await this.world.close();
  }
}
