// Servers over OpenSSL, with clients of node:tls: every version and cipher suite, with and without the record layer of TLS 1.3.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import { Response } from '#sluice/http/fetch/response.js';
import { stream } from '#sluice/http/stream.js';
import { linuxLayers } from '../../support/layers.js';
import { ask, connectTls, serverConfig, withServer } from './setup.js';

const request = (path: string, ...fields: string[]): string =>
  `GET ${path} HTTP/1.1\r\nhost: localhost\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;

const clients: Record<string, ConnectionOptions> = {
  'TLS 1.3': { minVersion: 'TLSv1.3' },
  'TLS 1.3, AES-128-GCM': { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' },
  'TLS 1.3, AES-256-GCM': { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_256_GCM_SHA384' },
  'TLS 1.3, ChaCha20-Poly1305': { minVersion: 'TLSv1.3', ciphers: 'TLS_CHACHA20_POLY1305_SHA256' },
  'TLS 1.2': { maxVersion: 'TLSv1.2' },
  'TLS 1.2, ChaCha20-Poly1305': { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305' },
  'TLS 1.2, CBC': { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-SHA384' },
};

for (const layer of linuxLayers)
  describe(layer.name, { skip: layer.skip }, () => {
    for (const detached of [true, false])
      for (const [name, options] of Object.entries(clients))
        test(`${name}${detached ? '' : ', not detached'}: requests, a body each way, a large response, both ends`, async () => {
          const large = '~'.repeat(3_000_000);
          const fetch = (incoming: Request) => {
            if (incoming.method === 'POST') return incoming.text().then((text) => new Response(`${text.length}`));
            if (!incoming.url.endsWith('/large')) return new Response('first');
            return stream(function* (writer) {
              yield* writer.write(large);
            });
          };
          await withServer(
            layer,
            serverConfig(undefined, { detached }),
            { fetch },
            async ({ port, errors, server }) => {
              const socket = await connectTls(port, { ALPNProtocols: ['h2', 'http/1.1'], ...options });
              assert.equal(socket.alpnProtocol, 'http/1.1');
              const post = `POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 200000\r\n\r\n${'y'.repeat(200_000)}`;
              const text = await ask(socket, request('/') + post + request('/large', 'connection: close'));
              assert.match(text, /^HTTP\/1\.1 200 OK\r\n.*firstHTTP\/1\.1 200 OK\r\n.*200000HTTP\/1\.1 200 OK\r\n/s);
              assert.equal(text.match(/~/g)?.length, large.length);
              socket.end();
              await new Promise((resolve) => socket.once('close', resolve));
              assert.deepEqual(errors, []);
              assert.equal(server.buffered.held, 0);
            },
          );
        });
  });
