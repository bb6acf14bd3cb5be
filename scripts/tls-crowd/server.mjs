// A server that speaks TLS. Arguments: the files of the key and the certificate, and the version of TLS.
import { serve } from '../../dist/index.js';
import { memory } from '../memory.mjs';

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

function cpu() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

process.on('message', (question) => process.send(question === 'cpu' ? cpu() : memory()));
process.on('disconnect', () => process.exit());
