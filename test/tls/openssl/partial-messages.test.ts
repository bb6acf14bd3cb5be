// Handshake messages that come in part after the handshake, where OpenSSL keeps the session: it sends nothing until it has the rest.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { listen } from '#sluice/connection/listen.js';
import { Network } from '#sluice/connection/network.js';
import { ConnectionError } from '#sluice/event-layer/event-layer.js';
import { opensslServerTransport } from '#sluice/tls/openssl/transport.js';
import { authority } from '../../support/certificates.js';
import { linuxLayers } from '../../support/layers.js';
import { keyUpdateMessage } from '../records/build.js';
import { shakeHands } from '../records/real-peer.js';
import { contentType, Direction } from '../records/wire.js';
import { connectTls, serverConfig } from './setup.js';

const hostname = '127.0.0.1';

for (const layer of linuxLayers)
  test(`output is due while a KeyUpdate has come in part: the session ends, and others go on, ${layer.name}`, {
    skip: layer.skip,
  }, async () => {
    const network = new Network(layer.make());
    const uncaught: unknown[] = [];
    network.scheduler.report = (error) => uncaught.push(error);
    const ends: unknown[] = [];
    const secure = opensslServerTransport(serverConfig(undefined, { detached: false }));
    const server = await listen({ network, hostname, port: 0, secure }, function* ({ reader, writer }) {
      try {
        for (let piece: Uint8Array | undefined; (piece = yield* reader.read()) !== undefined; )
          yield* writer.write(Uint8Array.from(piece));
        ends.push('end');
      } catch (error) {
        ends.push(error instanceof ConnectionError ? error.code : error);
      } finally {
        ends.push('over');
      }
    });
    const port = server.port ?? 0;
    const raw = connect({ host: hostname, port, allowHalfOpen: true });
    await once(raw, 'connect');
    const ciphers = 'TLS_AES_128_GCM_SHA256';
    const { socket, secrets } = await shakeHands(raw, true, { ca: authority.cert, servername: 'localhost', ciphers });
    const keys = new Direction('aes-128-gcm', secrets.client);
    const content = keys.seal(contentType.content, 'content that is sent back');
    const part = keys.seal(contentType.handshake, keyUpdateMessage(0).subarray(0, 4));
    socket.resume().write(Buffer.concat([content, part]));
    await once(socket, 'end');
    socket.destroy();
    const other = await connectTls(port);
    other.write('others go on');
    const [echo] = await once(other, 'data');
    assert.equal(String(echo), 'others go on');
    other.end();
    await once(other, 'close');
    await server.close();
    await network.layer.close();
    assert.deepEqual(ends, ['over', 'end', 'over'], 'the first is unwound');
    assert.deepEqual(uncaught, []);
  });
