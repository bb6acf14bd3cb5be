// Handshakes of servers over OpenSSL: which certificate and protocol a client gets, what the server refuses and how, and how handshakes wait.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect as connectPlain, createServer, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, createSecureContext, type TLSSocket } from 'node:tls';
import { listen } from '#sluice/connection/listen.js';
import { Network } from '#sluice/connection/network.js';
import { Response } from '#sluice/http/fetch/response.js';
import { Alert } from '#sluice/tls/alerts.js';
import type { TlsIdentity } from '#sluice/tls/config.js';
import { opensslServerTransport } from '#sluice/tls/openssl/transport.js';
import { authority, local, signed } from '../../support/certificates.js';
import { linuxLayers } from '../../support/layers.js';
import { ask, connectTls, identity, serverConfig, withServer } from './setup.js';

const client = signed('client');
const other = signed('other.example');

const fetch = (): Response => new Response('hello');
const request = 'GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n';

const commonName = (socket: TLSSocket): unknown => socket.getPeerCertificate().subject.CN;

/** Everything that a plain socket receives. */
function received(socket: Socket): Promise<Buffer> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    socket.on('data', (piece) => pieces.push(piece)).on('error', () => {});
    socket.once('close', () => resolve(Buffer.concat(pieces)));
  });
}

/** A ClientHello that node:tls has sent, with the name localhost. */
const clientHello: Buffer = await new Promise((resolve) => {
  const server = createServer((socket) => {
    socket.once('data', (bytes) => {
      resolve(bytes);
      socket.destroy();
      server.close();
    });
  });
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo;
    connectTls(port).catch(() => {});
  });
});

/** The code of OpenSSL's error for a fatal alert. */
const alertCode = (error: unknown): unknown => (error as { code?: unknown }).code;

for (const layer of linuxLayers)
  describe(layer.name, { skip: layer.skip }, () => {
    test('several names, chosen at once or by a promise, with and without a name; a name that is refused gets an alert', async () => {
      const identities: Record<string, TlsIdentity> = { localhost: identity(), 'other.example': identity(other) };
      const names: unknown[] = [];
      const config = serverConfig(undefined, {
        identityFor: (name) => {
          names.push(name);
          if (name === undefined) return identities.localhost;
          return name.startsWith('other') ? delay(5, identities[name]) : identities[name];
        },
      });
      await withServer(layer, config, { fetch }, async ({ port, server, errors }) => {
        for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
          const one = await connectTls(port, { maxVersion });
          const two = await connectTls(port, { servername: 'OTHER.example', maxVersion });
          const none = await connectTls(port, { servername: '', maxVersion, checkServerIdentity: () => undefined });
          assert.deepEqual([one, two, none].map(commonName), ['localhost', 'other.example', 'localhost']);
          for (const socket of [one, two, none]) assert.match(await ask(socket, request), /hello$/);
        }
        assert.deepEqual(names.slice(0, 3), ['localhost', 'other.example', undefined]);
        for (const servername of ['unknown.example', 'other.unknown'])
          await assert.rejects(connectTls(port, { servername }), { code: 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME' });
        while (server.connections.total > 0) await delay(1);
        assert.deepEqual(errors, []);
      });
    });

    test('a client that leaves, or sends more, while its certificate is being chosen', async () => {
      const gate: (() => void)[] = [];
      const one = identity();
      const config = serverConfig(one, {
        identityFor: () => new Promise((resolve) => gate.push(() => resolve(one))),
      });
      await withServer(layer, config, { fetch }, async ({ port, server }) => {
        const leaving = connectTls(port).catch(() => undefined);
        const flooding = connectPlain(port, '127.0.0.1');
        const staying = connectTls(port);
        while (gate.length < 2) await delay(1);
        flooding.on('error', () => {}).write(Buffer.concat([clientHello, Buffer.alloc(40_000, 1)]));
        while (gate.length < 3) await delay(1);
        flooding.destroy();
        for (const open of gate) open();
        assert.match(await ask(await staying, request), /hello$/);
        (await leaving)?.destroy();
        while (server.connections.total > 0) await delay(1);
        assert.equal(server.buffered.held, 0);
      });
    });

    test('more handshakes at once than a turn starts: all are served', async () => {
      await withServer(layer, serverConfig(undefined, { maxHandshakesPerTurn: 1 }), { fetch }, async ({ port }) => {
        const all = Array.from({ length: 30 }, async () => ask(await connectTls(port), request));
        for (const text of await Promise.all(all)) assert.match(text, /hello$/);
      });
    });

    test('a ClientHello that comes byte by byte, and one in many small records', async () => {
      await withServer(layer, serverConfig(), { fetch }, async ({ port }) => {
        const small: number[] = [];
        for (let at = 5; at < clientHello.length; at += 7) {
          const part = clientHello.subarray(at, at + 7);
          small.push(22, 3, 1, 0, part.length, ...part);
        }
        for (const [bytes, size] of [
          [clientHello, 1],
          [Buffer.from(small), 64],
        ] as const) {
          const socket = connectPlain({ port, host: '127.0.0.1', noDelay: true });
          for (let at = 0; at < bytes.length; at += size) {
            socket.write(bytes.subarray(at, at + size));
            if (at % 16 === 0) await delay(1);
          }
          const [first] = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
          assert.equal(first, 22, 'a handshake record answers it');
          socket.destroy();
        }
      });
    });

    test('a ClientHello without an end, in as many records as there can be, counts as memory and is refused at its limit', async () => {
      await withServer(layer, serverConfig(), { fetch }, async ({ port, server }) => {
        const socket = connectPlain(port, '127.0.0.1');
        const answer = received(socket);
        socket.write(Buffer.from([22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff]));
        const records = (count: number) =>
          Buffer.concat(Array.from({ length: count }, () => Buffer.from([22, 3, 1, 0, 1, 0])));
        socket.write(records(2000));
        while (server.buffered.held < 12_000) await delay(1);
        const { user } = process.cpuUsage();
        socket.write(records(4000));
        assert.deepEqual([...(await answer)], [21, 3, 3, 0, 2, 2, Alert.decodeError]);
        assert.ok(process.cpuUsage().user - user < 500_000, 'each byte costs as much as another');
        assert.equal(server.buffered.held, 0);
      });
    });

    test('a handshake that is not complete within handshakeTimeout ends, and others go on', async () => {
      await withServer(
        layer,
        serverConfig(undefined, { handshakeTimeout: 60 }),
        { fetch },
        async ({ port, server }) => {
          const open = await connectTls(port);
          const silent = received(connectPlain(port, '127.0.0.1'));
          const half = connectPlain(port, '127.0.0.1');
          half.write(clientHello);
          await Promise.all([silent, received(half)]);
          assert.match(await ask(open, request), /hello$/);
          while (server.connections.total > 0) await delay(1);
        },
      );
    });

    test('HTTP without TLS gets a response that says so', async () => {
      await withServer(layer, serverConfig(), { fetch }, async ({ port }) => {
        const socket = connectPlain(port, '127.0.0.1');
        socket.write(request);
        assert.match((await received(socket)).toString(), /^HTTP\/1\.1 400 .*https:/s);
      });
    });

    test('no protocol in common, no version in common, no cipher suite in common: alerts', async () => {
      const one = identity();
      const newest = identity(undefined, {
        context: createSecureContext({ ca: authority.cert, ...other, minVersion: 'TLSv1.3' }),
      });
      const config = serverConfig(one, { identityFor: (name) => (name === 'other.example' ? newest : one) });
      await withServer(layer, config, { fetch }, async ({ port, errors }) => {
        await assert.rejects(connectTls(port, { ALPNProtocols: ['h2'] }), {
          code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
        });
        const old = connectTls(port, { servername: 'other.example', maxVersion: 'TLSv1.2' });
        assert.match(String(await old.catch(alertCode)), /PROTOCOL_VERSION/);
        const rsa = connectTls(port, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' });
        assert.match(String(await rsa.catch(alertCode)), /HANDSHAKE_FAILURE/);
        assert.deepEqual(errors, []);
      });
    });

    for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
      test(`${maxVersion}: client certificates, demanded and wished for`, async () => {
        const demanding = identity(undefined, { requestCert: true });
        const wishing = identity(other, { requestCert: true, rejectUnauthorized: false });
        const config = serverConfig(demanding, { identityFor: (name) => (name === 'localhost' ? demanding : wishing) });
        await withServer(layer, config, { fetch }, async ({ port }) => {
          const own = { maxVersion, ...client };
          assert.match(await ask(await connectTls(port, own), request), /hello$/);
          // With TLS 1.3 the client learns of it when it reads: its own part of the handshake is complete before.
          const without = connectTls(port, { maxVersion }).then((socket) => ask(socket, request));
          assert.match(
            String(await without.catch(alertCode)),
            maxVersion === 'TLSv1.3' ? /CERTIFICATE_REQUIRED/ : /HANDSHAKE_FAILURE/,
          );
          const wished = { maxVersion, servername: 'other.example' };
          assert.match(await ask(await connectTls(port, wished), request), /hello$/);
          assert.match(await ask(await connectTls(port, { ...own, ...wished }), request), /hello$/);
        });
      });

      test(`${maxVersion}: sessions are resumed by tickets, also by another server with the same keys`, async () => {
        const ticketKeys = Buffer.alloc(48, 7);
        const fresh = () =>
          identity(undefined, { context: createSecureContext({ ca: authority.cert, ...local, ticketKeys }) });
        let session: Buffer | undefined;
        for (let round = 0; round < 3; round++)
          await withServer(layer, serverConfig(fresh()), { fetch }, async ({ port }) => {
            const socket = await connectTls(port, { maxVersion, ...(session && { session }) });
            socket.on('session', (ticket) => {
              session = ticket;
            });
            assert.match(await ask(socket, request), /hello$/);
            assert.equal(socket.isSessionReused(), round > 0);
            if (maxVersion === 'TLSv1.2') session = socket.getSession(); // there the ticket comes before the end of the handshake
          });
      });
    }

    test('an OCSP response is stapled for a client that asks for one', async () => {
      const ocsp = Uint8Array.from({ length: 300 }, (_, i) => i);
      await withServer(layer, serverConfig(identity(undefined, { ocsp })), { fetch }, async ({ port }) => {
        const options = { host: '127.0.0.1', port, ca: authority.cert, servername: 'localhost', requestOCSP: true };
        const socket = connect(options);
        const [response] = await once(socket, 'OCSPResponse');
        assert.deepEqual(Uint8Array.from(response), ocsp);
        socket.destroy();
      });
    });

    test('a client that ends without close_notify: what was read up to the end of input may not be whole', async () => {
      const network = new Network(layer.make());
      const seen: unknown[] = [];
      const onError = (error: unknown) => seen.push((error as { code?: unknown }).code);
      const secure = opensslServerTransport(serverConfig());
      const server = await listen({ port: 0, network, secure, onError }, function* ({ reader }) {
        seen.push(yield* reader.readLine(100));
        seen.push(Buffer.from(yield* reader.readAll(100)).toString());
      });
      for (const isCut of [false, true]) {
        const raw = connectPlain(server.port ?? 0, '127.0.0.1');
        const socket = connect({ socket: raw, ca: authority.cert, servername: 'localhost' });
        await once(socket, 'secureConnect');
        socket.on('error', () => {}); // the connection of a handler that throws is reset
        await new Promise((resolve) => socket.write('a line\nand the rest', resolve));
        (isCut ? raw : socket).end();
        await once(raw, 'close');
      }
      assert.deepEqual(seen, ['a line', 'and the rest', 'a line', 'ERR_TLS_CUT']);
      await server.close();
      await network.layer.close();
    });

    test('a client that renegotiates is refused, and served', async () => {
      await withServer(layer, serverConfig(), { fetch }, async ({ port }) => {
        const socket = await connectTls(port, { maxVersion: 'TLSv1.2' });
        const error = await new Promise<Error | null>((resolve) => {
          socket.once('error', resolve);
          socket.renegotiate({}, resolve);
        });
        assert.match(String(error), /renegotiation/i);
      });
    });
  });
