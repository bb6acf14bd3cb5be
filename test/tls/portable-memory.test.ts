// The portable layer keeps nothing for connections with TLS that are gone.

import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, it } from 'node:test';
import { queryObjects } from 'node:v8';
import { Network } from '#sluice/connection/network.js';
import { PortableLayer } from '#sluice/event-layer/portable/portable.js';
import type { SocketSecurity } from '#sluice/event-layer/socket-security.js';
import { Response } from '#sluice/http/fetch/response.js';
import { serve } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import { run } from '#sluice/threads/thread.js';
import { local } from '../support/certificates.js';

const { key, cert } = local;
const clients = 20;

function leave(socket: net.Socket, how: 'resetAndDestroy' | 'destroy'): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
    socket[how]();
  });
}

type Visit = (port: number) => Promise<void>;

const visits: Record<string, Visit> = {
  'leaves within its handshake': (port) =>
    new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => {
        socket.write(Uint8Array.of(22, 3, 1, 2, 0), () => void leave(socket, 'destroy').then(resolve));
      });
    }),
  'speaks HTTP': (port) =>
    new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\n\r\n'));
      socket.once('data', () => void leave(socket, 'resetAndDestroy').then(resolve));
    }),
};

describe('the portable layer keeps no socket', () => {
  for (const [name, visit] of Object.entries(visits))
    it(`of a client that ${name}`, async () => {
      const network = new Network(new PortableLayer());
      const options = { port: 0, hostname: '127.0.0.1', network, tls: { key, cert } };
      const server = await serve({ ...options, fetch: () => new Response() });
      try {
        const count = (): number => queryObjects(net.Socket) as number;
        const before = count();
        for (let i = 0; i < clients; i++) await visit(server.port ?? 0);
        for (let i = 0; i < 100 && server.connections.total > 0; i++) await run(() => sleep(5));
        assert.equal(server.connections.total, 0);
        const kept = count() - before;
        assert.ok(kept < clients / 2, `${kept} sockets are reachable, of ${clients} clients that have left`);
      } finally {
        await server.close();
        await network.layer.close();
      }
    });
});

it('a socket of node:tls that reports its error after its close is not kept', async () => {
  class Plain extends net.Socket {}
  const layer = new PortableLayer(); // without a sink
  const security: SocketSecurity = {
    // A client has reset its connection, and the carrier is gone before the session's write fails.
    secure(carrier, events) {
      setImmediate(() => {
        const plain = new Plain();
        events.secured(plain);
        setImmediate(() => {
          carrier.destroy();
          plain.emit('close');
          setImmediate(() => plain.emit('error', new Error('write ECONNRESET')));
        });
      });
    },
    explain: (error) => error,
    info: () => assert.fail('not asked for'),
  };
  const { listener, address } = await layer.listen({
    address: { hostname: '127.0.0.1', port: 0 },
    backlog: 1,
    security,
  });
  const client = net.connect('port' in address ? address.port : 0, '127.0.0.1');
  await run(() => sleep(20));
  assert.equal(queryObjects(Plain), 0);
  client.destroy();
  await layer.unlisten(listener);
  await layer.close();
});
