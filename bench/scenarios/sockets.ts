// Scenarios of WebSockets, and of messages that are published to many clients.

import type { Exchange } from '../load/messages.js';
import { Server } from '../load/server.js';
import { compileSockets, Sockets, type SocketsOptions } from '../load/sockets.js';
import { untilWarm } from '../load/warm-up.js';
import type { Service } from '../peers.js';
import { type Column, type Context, getReady, interleave, type Scenario, type Table } from './scenario.js';

const shortText = 'Hello, WebSocket! 20';
/** About 2 KB of JSON: longer than the 1 KiB below which ws and sluice compress nothing. */
const longText = JSON.stringify(
  Array.from({ length: 24 }, (_, id) => ({
    id,
    name: `item ${id}`,
    price: id * 1.25,
    tags: ['a', 'b'],
    isNew: id % 3 === 0,
  })),
);
/** A price, as a feed has it. */
const news = JSON.stringify({
  symbol: 'SLUICE',
  price: 103.25,
  bid: 103.2,
  ask: 103.3,
  volume: 18250,
  time: 1764500000000,
});

interface Size {
  /** How often all servers are started. */
  generations: number;
  rounds: number;
  /** Of a window. */
  seconds: number;
}

const cpu: Column = { key: 'cpu', title: 'CPU for a message', unit: 'µs', digits: 2, ratio: true, chart: true };
const throughput: Column = { key: 'throughput', title: 'messages a second', digits: 0 };
const answerBytes: Column = { key: 'bytes', title: 'bytes of an answer', digits: 0 };

interface Exchanging extends Table {
  needs: readonly Service[];
  options(quick: boolean): SocketsOptions;
}

function exchanges(
  about: Pick<Scenario, 'name' | 'title' | 'text'>,
  tables: Exchanging[],
  sizeOf: (quick: boolean) => Size,
): Scenario {
  return {
    ...about,
    tables,
    size(quick) {
      const { generations, rounds, seconds } = sizeOf(quick);
      return `${generations * rounds} rounds of ${seconds.toFixed(2)} s, servers started ${generations === 1 ? 'once' : `${generations} times`}`;
    },
    obstacle() {
      try {
        compileSockets();
      } catch (error) {
        return (error as Error).message;
      }
      return undefined;
    },
    async run(context) {
      const size = sizeOf(context.quick);
      for (let generation = 0; generation < size.generations; generation++)
        for (const table of tables) await runTable(context, about.name, table, size, generation);
    },
  };
}

/** Each table has servers of its own: compression is an option of the server. */
async function runTable(
  context: Context,
  scenario: string,
  table: Exchanging,
  size: Size,
  generation: number,
): Promise<void> {
  const { name, needs } = table;
  const options = table.options(context.quick);
  const peers = context.peers.filter(({ services }) => needs.every((service) => services.includes(service)));
  const ready = await getReady(context, peers, async (peer) => {
    context.progress(`${scenario}, ${name}: start ${peer.title}`);
    const server = await Server.start(peer, { deflate: options.exchange.deflate === true });
    try {
      const load = await Sockets.start(server, options);
      await untilWarm(server, load, context.quick);
      return { server, load };
    } catch (error) {
      await server.stop();
      throw error;
    }
  });
  context.progress(`${scenario}, ${name}: generation ${generation + 1}, ${size.rounds} rounds`);
  await interleave(context, name, ready, { first: generation * size.rounds, count: size.rounds }, async ({ load }) => ({
    ...(await load.window(size.seconds)),
    bytes: load.answerBytes,
  }));
  for (const { peer, what } of ready) {
    for (const problem of what.server.problems()) context.problem(peer, `${scenario}, ${name}: ${problem}`);
    await what.load.end();
    await what.server.stop();
  }
}

function echo(connections: number, pipelined: number, exchange: Exchange): Exchanging {
  const { deflate = false, text } = exchange;
  const what = deflate ? `${text.length} bytes of JSON, compressed` : `${text.length} bytes of text`;
  return {
    name: `${connections}${pipelined > 1 ? ' pipelined' : ''}${deflate ? ' deflated' : ''}`,
    title: `${connections} connections, ${pipelined > 1 ? `${pipelined} messages at a time` : 'one message at a time'}: ${what}`,
    columns: deflate ? [cpu, throughput, answerBytes] : [cpu, throughput],
    needs: deflate ? ['sockets', 'deflate'] : ['sockets'],
    options: () => ({ exchange, connections, pipelined }),
  };
}

const short: Exchange = { kind: 'echo', text: shortText };
const deflated: Exchange = { kind: 'echo', text: longText, deflate: true };

const subscribers = (quick: boolean) => (quick ? 2000 : 5000);

function publish(to: 'sockets' | 'events', title: string, needs: readonly Service[]): Exchanging {
  return {
    name: to,
    title: `One message to many ${title}`,
    columns: [cpu, throughput],
    needs,
    options: (quick) => ({ exchange: { kind: 'publish', text: news, to }, connections: subscribers(quick) }),
  };
}

export const socketScenarios: Scenario[] = [
  exchanges(
    {
      name: 'echo',
      title: 'WebSocket echo',
      text:
        'The server sends each message back. The compressed messages do without context takeover in both directions, so all peers do the same ' +
        'work for each of them; the bytes of an answer show how well they compress.',
    },
    [echo(16, 1, short), echo(256, 1, short), echo(256, 16, short), echo(64, 1, deflated)],
    (quick) => (quick ? { generations: 1, rounds: 8, seconds: 0.1 } : { generations: 3, rounds: 14, seconds: 0.15 }),
  ),
  exchanges(
    {
      name: 'publish',
      title: 'Publishing',
      text:
        `A WebSocket sends a message of ${news.length} bytes, which the server publishes to all others. The next one is sent when it has come to ` +
        `all of them: ${subscribers(false)}, and ${subscribers(true)} in a quick run. CPU is that of one message to one of them.`,
    },
    [publish('sockets', 'WebSockets', ['topics']), publish('events', 'event streams', ['topics', 'events'])],
    (quick) => (quick ? { generations: 1, rounds: 6, seconds: 0.1 } : { generations: 2, rounds: 12, seconds: 0.2 }),
  ),
];
