// Clients over OpenSSL: `connect` to servers of node:tls, and to servers of this project.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { createServer, type SecureContextOptions, type TlsOptions } from 'node:tls';
import { connect } from '#sluice/connection/connect.js';
import type { Connection } from '#sluice/connection/connection.js';
import { listen } from '#sluice/connection/listen.js';
import { Network } from '#sluice/connection/network.js';
import type { Task } from '#sluice/threads/task.js';
import { run } from '#sluice/threads/thread.js';
import type { TlsClientConfig } from '#sluice/tls/config.js';
import { opensslClientTransport, opensslServerTransport } from '#sluice/tls/openssl/transport.js';
import { authority, local, signed } from '../../support/certificates.js';
import { linuxLayers, type SocketLayer } from '../../support/layers.js';
import { identity, serverConfig } from './setup.js';

const client = signed('client');
const other = signed('other.example');

interface ClientOptions extends Partial<TlsClientConfig> {
  context?: SecureContextOptions;
  alpn?: string[];
}

function clientConfig({ context = {}, alpn = [], ...more }: ClientOptions = {}): TlsClientConfig {
  return {
    identity: identity(context, { alpnProtocols: alpn }),
    serverName: 'localhost',
    host: 'localhost',
    detached: true,
    handshakeTimeout: 10_000,
    ...more,
  };
}

/** A server of node:tls that sends back what it gets, in capitals, and its end. */
async function withNodeServer(options: TlsOptions, use: (port: number) => Promise<void>): Promise<void> {
  const server = createServer({ ...local, ALPNProtocols: ['http/1.1'], allowHalfOpen: true, ...options }, (socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes) => socket.write(bytes.toString('latin1').toUpperCase())).on('end', () => socket.end());
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await use((server.address() as AddressInfo).port);
  } finally {
    server.close();
    await once(server, 'close');
  }
}

/** Runs a task with a connection on a network of its own. */
async function asClient<T>(
  layer: SocketLayer,
  port: number,
  options: ClientOptions,
  task: (connection: Connection) => Task<T>,
): Promise<T> {
  const network = new Network(layer.make());
  try {
    const secure = opensslClientTransport(clientConfig(options));
    return await run(
      function* () {
        return yield* task(yield* connect({ port, network, secure }));
      },
      { scheduler: network.scheduler },
    );
  } finally {
    await network.layer.close();
  }
}

function* shout({ reader, writer }: Connection, size = 100): Task<string> {
  yield* writer.write('a'.repeat(size));
  yield* writer.end();
  return Buffer.from(yield* reader.readAll(10_000_000)).toString('latin1');
}

for (const layer of linuxLayers)
  describe(layer.name, { skip: layer.skip }, () => {
    for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const)
      for (const detached of [true, false])
        test(`${maxVersion}${detached ? '' : ', not detached'}: a server of node:tls, bytes in both directions, both ends`, async () => {
          await withNodeServer({ maxVersion }, async (port) => {
            const text = await asClient(layer, port, { detached, alpn: ['http/1.1'] }, (connection) =>
              shout(connection, 300_000),
            );
            assert.equal(text, 'A'.repeat(300_000));
          });
        });

    test('a certificate for another host, of an unknown authority, or that has expired is refused', async () => {
      await withNodeServer({}, async (port) => {
        const fails = (options: ClientOptions, message: RegExp) =>
          assert.rejects(asClient(layer, port, options, shout), { code: 'ERR_TLS_CERTIFICATE', message });
        await fails(
          { host: 'other.example' },
          /Host: other\.example\. is not in the cert's altnames: DNS:localhost, .*\(ERR_TLS_CERT_ALTNAME_INVALID\)$/,
        );
        await fails({ host: '127.0.0.2', serverName: undefined }, /IP: 127\.0\.0\.2 is not in the cert's list: 127/);
        await fails(
          { context: { ca: client.cert } },
          /unable to .* \(UNABLE_TO_\w+\); the host is "localhost", the certificate is for DNS:localhost, /,
        );
        assert.equal(await asClient(layer, port, { host: '127.0.0.1', serverName: undefined }, shout), 'A'.repeat(100));
      });
      const day = 86_400_000;
      await withNodeServer(signed('old.example', { from: Date.now() - 2 * day, to: Date.now() - day }), (port) =>
        assert.rejects(
          asClient(layer, port, {}, shout),
          /certificate has expired \(CERT_HAS_EXPIRED\); the host is "localhost", the certificate is for DNS:old\.example$/,
        ),
      );
      await withNodeServer(other, async (port) => {
        const lax = clientConfig().identity;
        const text = await asClient(layer, port, { identity: { ...lax, rejectUnauthorized: false } }, shout);
        assert.equal(text, 'A'.repeat(100));
      });
    });

    test('a certificate of the client; a server that demands one refuses clients without', async () => {
      const options = { ca: authority.cert, requestCert: true, rejectUnauthorized: true };
      await withNodeServer(options, async (port) => {
        assert.equal(await asClient(layer, port, { context: client }, shout), 'A'.repeat(100));
        await assert.rejects(asClient(layer, port, {}, shout), { code: /ERR_TLS_ALERT|ECONNRESET/ });
      });
    });

    test('no protocol in common', async () => {
      await withNodeServer({}, (port) =>
        assert.rejects(asClient(layer, port, { alpn: ['h2'] }, shout), { code: 'ERR_TLS_ALPN' }),
      );
    });

    test('a server of sluice that speaks first, before the handshake is complete', async () => {
      const network = new Network(layer.make());
      const secure = opensslServerTransport(serverConfig(identity(undefined, { alpnProtocols: [] })));
      const server = await listen({ port: 0, hostname: '127.0.0.1', network, secure }, function* ({ reader, writer }) {
        yield* writer.write(`hello${'.'.repeat(100_000)}`);
        const text = Buffer.from(yield* reader.readAll(1000)).toString();
        yield* writer.write(text.toUpperCase());
      });
      const text = await asClient(layer, server.port ?? 0, {}, (connection) => shout(connection, 10));
      assert.equal(text, `hello${'.'.repeat(100_000)}${'A'.repeat(10)}`);
      await server.close();
      await network.layer.close();
    });
  });
