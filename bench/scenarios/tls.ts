// Scenarios of TLS: requests on connections that stay, and handshakes. What an idle connection costs is in memory.ts.

import { once } from 'node:events';
import { join } from 'node:path';
import { certificateObstacle } from '../load/certificate.js';
import { Server } from '../load/server.js';
import { workloads } from '../load/workloads.js';
import { folder, node } from '../peers.js';
import { clientCore, complaint, start } from '../processes.js';
import { requests, table } from './requests.js';
import { type Column, getReady, interleave, type Scenario } from './scenario.js';

const { hello, download } = workloads;

const kept: Scenario = {
  ...requests(
    {
      name: 'tls',
      title: 'TLS',
      text: 'GET of 13 bytes of text, and of 1 MiB, over TLS 1.3 connections that stay. The certificate is ECDSA on P-256.',
    },
    [table(hello, 64), { ...table(download, 16), title: '16 connections, 1 MiB' }],
    { slowdown: 2, isSecure: true },
  ),
  obstacle: certificateObstacle,
};

const handshakeSize = (quick: boolean) => (quick ? { rounds: 4, count: 100 } : { rounds: 12, count: 300 });

const cost = (key: string, title: string): Column => ({ key, title, unit: 'µs', digits: 0, ratio: true, chart: true });

const handshakes: Scenario = {
  name: 'handshakes',
  title: 'TLS handshakes',
  text:
    'CPU for a connection that is accepted, completes its TLS 1.3 handshake (ECDSA on P-256; X25519MLKEM768 if the server has it, else X25519), and ' +
    'is closed: a full handshake, and one that resumes a session by its ticket. 8 at a time. Servers that resume a session only once have no figure for that.',
  size(quick) {
    const { rounds, count } = handshakeSize(quick);
    return `${rounds} rounds of ${count} handshakes of each kind`;
  },
  tables: [
    {
      name: 'handshakes',
      title: 'CPU for a handshake',
      columns: [cost('full', 'full'), cost('resumed', 'resumed')],
    },
  ],
  obstacle: certificateObstacle,
  async run(context) {
    const { rounds, count } = handshakeSize(context.quick);
    const peers = context.peers.filter(({ services }) => services.includes('tls'));
    const ready = await getReady(context, peers, async (peer) => {
      context.progress(`handshakes: start ${peer.title}`);
      const server = await Server.start(peer, { isSecure: true });
      await shake(server, 2 * count, 'full'); // compilers have done their work
      return { server, resumes: (await shake(server, 2 * count, 'resumed')) !== undefined };
    });
    await interleave(context, 'handshakes', ready, { first: 0, count: rounds }, async ({ server, resumes }, peer) => {
      context.progress(`handshakes: ${peer.title}`);
      const full = (await shake(server, count, 'full')) ?? Number.NaN;
      const resumed = resumes ? await shake(server, count, 'resumed') : undefined;
      return { full, ...(resumed !== undefined && { resumed }) };
    });
    for (const { peer, what } of ready) {
      for (const problem of what.server.problems()) context.problem(peer, `handshakes: ${problem}`);
      await what.server.stop();
    }
  },
};

/** @returns microseconds of the server's CPU for a handshake; undefined if it does not resume a session more than once */
async function shake(server: Server, count: number, kind: 'full' | 'resumed'): Promise<number | undefined> {
  const before = await server.silence();
  const program = [node, join(folder, 'build', 'crowd', 'handshakes.js'), String(server.port), String(count), kind];
  const child = start(program, { core: clientCore });
  let complaints = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaints += text;
  });
  const [code] = await once(child, 'close');
  if (code === 3) return undefined;
  if (code !== 0) throw new Error(`${kind} handshakes fail: ${complaint(complaints)}`);
  return (((await server.silence()) - before) * 1e6) / count;
}

export const tlsScenarios: Scenario[] = [kept, handshakes];
