// Scenarios of requests as fast as they are answered, on a number of connections that stay.

import { Server } from '../load/server.js';
import { type Workload, workloads } from '../load/workloads.js';
import { Load, type LoadOptions, warmUp } from '../load/wrk.js';
import type { Service } from '../peers.js';
import { type Column, type Context, getReady, interleave, type Scenario, type Table } from './scenario.js';

interface Size {
  /** How often all servers are started: two processes of the same program do not cost quite the same. */
  generations: number;
  rounds: number;
  /** Of a window. */
  seconds: number;
  /** Rounds in which delays are measured, and for how long each. */
  delayRounds: number;
  delaySeconds: number;
}

const quickSize: Size = { generations: 1, rounds: 8, seconds: 0.1, delayRounds: 2, delaySeconds: 0.5 };
const wholeSize: Size = { generations: 3, rounds: 14, seconds: 0.15, delayRounds: 2, delaySeconds: 1 };

const cpu: Column = { key: 'cpu', title: 'CPU for a request', unit: 'µs', digits: 2, ratio: true, chart: true };
const throughput: Column = { key: 'throughput', title: 'requests a second', digits: 0 };
const delays: Column[] = [
  { key: 'p50', title: 'p50', unit: 'µs', digits: 0 },
  { key: 'p99', title: 'p99', unit: 'µs', digits: 0 },
];

interface Loading extends Table {
  options: LoadOptions;
}

export function table(workload: Workload, connections: number, pipelined = 1): Loading {
  const plural = connections === 1 ? '1 connection' : `${connections} connections`;
  return {
    name: `${connections}${pipelined > 1 ? ' pipelined' : ''}`,
    title: pipelined > 1 ? `${plural}, ${pipelined} requests at a time` : plural,
    // wrk does not know the delays of pipelined requests.
    columns: pipelined > 1 ? [cpu, throughput] : [cpu, throughput, ...delays],
    options: { workload, connections, pipelined },
  };
}

interface RequestOptions {
  /** How many times longer than usual the windows are. */
  slowdown?: number;
  isSecure?: boolean;
  /** What the peers must be able to do; default: `requests`, or `tls`. */
  service?: Service;
}

export function requests(
  about: Pick<Scenario, 'name' | 'title' | 'text'>,
  tables: Loading[],
  { slowdown = 1, isSecure = false, service = isSecure ? 'tls' : 'requests' }: RequestOptions = {},
): Scenario {
  const sizeOf = (quick: boolean): Size => {
    const size = quick ? quickSize : wholeSize;
    return { ...size, seconds: size.seconds * slowdown };
  };
  return {
    ...about,
    tables,
    size(quick) {
      const { generations, rounds, seconds } = sizeOf(quick);
      return `${generations * rounds} rounds of ${seconds.toFixed(2)} s, servers started ${generations === 1 ? 'once' : `${generations} times`}`;
    },
    async run(context) {
      const size = sizeOf(context.quick);
      for (let generation = 0; generation < size.generations; generation++)
        await runGeneration(context, about.name, tables, size, generation, { isSecure, service });
    },
  };
}

async function runGeneration(
  context: Context,
  scenario: string,
  tables: readonly Loading[],
  size: Size,
  generation: number,
  { isSecure, service }: Required<Pick<RequestOptions, 'isSecure' | 'service'>>,
): Promise<void> {
  const peers = context.peers.filter(
    ({ isFloor, services }) =>
      services.includes(service) && (!isFloor || tables.every(({ options }) => options.workload.onFloor)),
  );
  const servers = await getReady(context, peers, async (peer) => {
    context.progress(`${scenario}: start ${peer.title}`);
    return Server.start(peer, { isSecure });
  });
  const { rounds, seconds, delayRounds, delaySeconds } = size;
  for (const { name, options } of tables) {
    const loads = await getReady(context, peers, async (peer) => {
      const server = servers.find((ready) => ready.peer === peer)?.what;
      if (server === undefined) throw new Error('the server did not start');
      context.progress(`${scenario}, ${name}: warm up ${peer.title}`);
      await warmUp(server, options, context.quick);
      return { server, load: await Load.start(server, options) };
    });
    context.progress(`${scenario}, ${name}: generation ${generation + 1}, ${rounds} rounds`);
    await interleave(context, name, loads, { first: generation * rounds, count: rounds }, async ({ load }) => ({
      ...(await load.window(seconds)),
    }));
    for (const { peer, what } of loads) {
      const { problems } = await what.load.end();
      for (const problem of problems) context.problem(peer, `${scenario}, ${name}: ${problem}`);
    }
    if ((options.pipelined ?? 1) > 1) continue;
    context.progress(`${scenario}, ${name}: delays`);
    // Rounds of their own: these windows start and end wrk.
    const first = 1000 + generation * delayRounds;
    await interleave(context, name, loads, { first, count: delayRounds }, async ({ server }, peer) => {
      const { p50, p99, problems } = await Load.delays(server, options, delaySeconds);
      for (const problem of problems) context.problem(peer, `${scenario}, ${name}, delays: ${problem}`);
      return { p50, p99 };
    });
  }
  await Promise.all(servers.map(({ what }) => what.stop()));
}

const { hello, mixed, upload, download } = workloads;
const postJson = workloads['post-json'];

export const requestScenarios: Scenario[] = [
  requests(
    {
      name: 'mixed',
      title: 'Mixed requests',
      text:
        'Four requests in turn, with the header fields of a browser: 200 B, 5 KB and 50 KB of JSON, and a 404. The handler parses the URL, reads ' +
        'its query and a header field, and answers with text that it has ready.',
    },
    [table(mixed, 16), table(mixed, 256)],
  ),
  requests(
    {
      name: 'post-json',
      title: 'JSON in, JSON out',
      text: 'POST of 1 KB of JSON. The handler parses it and answers with JSON of about the same size.',
    },
    [table(postJson, 64)],
  ),
  requests(
    {
      name: 'hello',
      title: 'Hello, world',
      text: 'GET of 13 bytes of text: what the server itself costs.',
    },
    [table(hello, 1), table(hello, 16), table(hello, 256), table(hello, 256, 16)],
  ),
  {
    ...requests(
      {
        name: 'frameworks',
        title: 'Frameworks',
        text: 'GET of 13 bytes of text, answered by applications of Hono and of Express: each on the servers that it is used with, and on sluice.',
      },
      [table(hello, 64)],
      { service: 'frameworks' },
    ),
    baselines: ['hono', 'honobun', 'express'],
  },
  requests(
    {
      name: 'upload',
      title: 'Upload',
      text: 'POST of 1 MiB. The handler reads the whole body and answers with its length.',
    },
    [table(upload, 16)],
    { slowdown: 3 },
  ),
  requests(
    { name: 'download', title: 'Download', text: 'GET of 1 MiB of bytes that the handler has in memory.' },
    [table(download, 16)],
    { slowdown: 3 },
  ),
];
