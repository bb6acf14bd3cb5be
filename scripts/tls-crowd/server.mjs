// A server that speaks TLS. Arguments: the files of the key and the certificate, and the version of TLS.
import { readFileSync } from 'node:fs';
import { serve } from '../../dist/index.js';

const [, , key, cert, version] = process.argv;
const server = await serve({
  port: 0,
  hostname: '127.0.0.1',
  idleTimeout: 3_600_000,
  maxConnectionsPerAddress: 100_000,
  backlog: 20_000,
  tls: { key, cert, minVersion: version, maxVersion: version, handshakeTimeout: 120_000 },
  fetch: () => new Response('hello'),
});
process.send({ port: server.port, eventLayer: server.eventLayer });

/** Resident bytes, without the program, after a garbage collection. */
function memory() {
  for (let i = 0; i < 3; i++) globalThis.gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  const status = readFileSync('/proc/self/status', 'utf8');
  let bytes = 0;
  for (const [, kilobytes] of status.matchAll(/^Rss(?:Anon|Shmem):\s*(\d+) kB/gm)) bytes += Number(kilobytes) * 1024;
  return bytes;
}

function cpu() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

process.on('message', (question) => process.send(question === 'cpu' ? cpu() : memory()));
process.on('disconnect', () => process.exit());
