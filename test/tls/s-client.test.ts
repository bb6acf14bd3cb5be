// `serve` with the option `tls` on every layer, and what openssl s_client does that the clients of node:tls cannot; clients that leave at each stage.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { Network } from '#sluice/connection/network.js';
import { Response } from '#sluice/http/fetch/response.js';
import { type Server, serve } from '#sluice/server/serve.js';
import { missingEngine } from '#sluice/tls/engines.js';
import type { TlsServerOptions } from '#sluice/tls/options/options.js';
import { authority, local } from '../support/certificates.js';
import { layers } from '../support/layers.js';
import { runClient } from '../support/tls-clients.js';

const { key, cert } = local;
const folder = mkdtempSync(path.join(tmpdir(), 'sluice-s-client-'));
after(() => rmSync(folder, { recursive: true }));
const caFile = path.join(folder, 'ca.pem');
writeFileSync(caFile, authority.cert);

const request = 'GET / HTTP/1.1\r\nhost: localhost\r\n\r\n';
const argsFor = (port: number) => ['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', caFile];

for (const { name, make, skip } of layers) {
  const layer = make();
  const missing = skip || (missingEngine(layer) ?? false);
  after(() => layer.close());

  describe(`TLS with s_client, on ${name}`, { skip: missing }, () => {
    const withServer = async (tls: TlsServerOptions, use: (port: number, server: Server) => Promise<void>) => {
      const network = new Network(layer);
      const fetch = () => new Response('answer');
      const server = await serve({ port: 0, hostname: '127.0.0.1', globals: false, network, tls, fetch });
      try {
        await use(server.port ?? assert.fail('no port'), server);
      } finally {
        await server.close({ deadline: 1000 });
      }
    };

    it('a client without a certificate learns from an alert that it needs one, however fast it answers', () =>
      withServer({ key, cert, ca: authority.cert, requestCert: true }, async (port) => {
        for (const [version, alert] of [
          ['-tls1_2', /alert handshake failure/],
          ['-tls1_3', /alert certificate required/],
        ] as const)
          for (let i = 0; i < 3; i++)
            assert.match(await runClient('openssl', [...argsFor(port), '-ign_eof', version], request), alert);
      }));

    it('keys are replaced in both directions between requests; tickets offer no early data', () =>
      withServer({ key, cert }, async (port) => {
        const child = spawn('openssl', [...argsFor(port), '-tls1_3', '-msg'], { timeout: 5000 });
        let output = '';
        for (const stream of [child.stdout, child.stderr])
          stream.setEncoding('latin1').on('data', (piece: string) => {
            output += piece;
          });
        const sees = async (pattern: RegExp): Promise<void> => {
          while (!pattern.test(output) && child.exitCode === null && child.signalCode === null) await sleep(2);
          assert.match(output, pattern);
          output = '';
        };
        await sees(/Verify return code: 0/);
        child.stdin.write(request);
        await sees(/Max Early Data: 0[\s\S]*answer/);
        // K asks for the server's new keys as well, k does not. A command must be all that one read of s_client gets.
        child.stdin.write('K\n');
        await sees(/KEYUPDATE/);
        child.stdin.write(request);
        await sees(/<<< TLS 1\.3, Handshake \[length 0005\], KeyUpdate[\s\S]*answer/);
        child.stdin.write('k\n');
        await sees(/KEYUPDATE/);
        child.stdin.write(request);
        await sees(/answer/);
        child.stdin.end('Q\n');
        assert.deepEqual(await once(child, 'close'), [0, null]);
      }));

    it('clients that reset or end before, in and after the handshake leave nothing', () =>
      withServer({ key, cert }, async (port, server) => {
        for (const [maxVersion, isReset] of [
          ['TLSv1.2', true],
          ['TLSv1.3', true],
          ['TLSv1.2', false],
          ['TLSv1.3', false],
        ] as const)
          for (const stage of ['connect', 'keylog', 'secure', 'request'] as const) {
            const below = net.connect(port, '127.0.0.1');
            const socket = connect({ socket: below, servername: 'localhost', ca: authority.cert, maxVersion });
            socket.on('error', () => {});
            if (stage === 'connect') await once(below, 'connect');
            else if (stage === 'keylog')
              await once(socket, 'keylog'); // the server's flight has come
            else await once(socket, 'secureConnect');
            if (stage === 'request') await new Promise((resolve) => socket.write(request, resolve));
            if (isReset) below.resetAndDestroy();
            else below.destroy();
          }
        for (let i = 0; server.connections.total > 0 && i < 500; i++) await sleep(2);
        assert.equal(server.connections.total, 0);
      }));
  });
}
