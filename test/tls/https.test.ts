// `serve`, `listen` and `connect` with the option `tls`, over real sockets, on every layer, with the clients that people have.

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net, { type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { type ConnectOptions, connect } from '#sluice/connection/connect.js';
import type { ConnectionMessage } from '#sluice/connection/diagnostics.js';
import { listen } from '#sluice/connection/listen.js';
import { Network } from '#sluice/connection/network.js';
import type { EventLayer } from '#sluice/event-layer/event-layer.js';
import { Response } from '#sluice/http/fetch/response.js';
import { stream } from '#sluice/http/stream.js';
import { type Fetch, type ServeOptions, type Server, serve } from '#sluice/server/serve.js';
import { run } from '#sluice/threads/thread.js';
import { missingEngine } from '#sluice/tls/engines.js';
import type { TlsServerOptions } from '#sluice/tls/options/options.js';
import { connectWebSocket } from '#sluice/websocket/client.js';
import { webSocket } from '#sluice/websocket/server.js';
import { authority, local, signed } from '../support/certificates.js';
import { layers } from '../support/layers.js';
import { get, open, runClient } from '../support/tls-clients.js';

const { key, cert } = local;
const clientOf = (name: string) => {
  const { key, cert } = signed(name);
  return { key, cert };
};
const folder = mkdtempSync(path.join(tmpdir(), 'sluice-https-'));
after(() => rmSync(folder, { recursive: true }));
const caFile = path.join(folder, 'ca.pem');
writeFileSync(caFile, authority.cert);

/** Answers with what is known of the session. */
const show: Fetch = (request, info) => {
  const { peerCertificate, ...tls } = info.tls ?? assert.fail('no TLS');
  return Response.json({ url: request.url, ...tls, client: peerCertificate?.subject });
};

/** Why connections of the process have closed, while the function runs. */
async function reasonsWhile(use: () => Promise<void>): Promise<(string | undefined)[]> {
  const reasons: (string | undefined)[] = [];
  const listener = (message: unknown): void => {
    const { side, reason } = message as ConnectionMessage; // the channel's
    if (side === 'server') reasons.push(reason?.code);
  };
  subscribe('sluice.connection.close', listener);
  try {
    await use();
  } finally {
    unsubscribe('sluice.connection.close', listener);
  }
  return reasons;
}

for (const { name, make, skip } of layers) {
  let layer: EventLayer;
  let network: Network;
  const missing = skip || reasonAgainst(make);

  describe(`TLS, on ${name}`, { skip: missing }, () => {
    before(() => {
      layer = make();
      network = new Network(layer);
    });
    after(() => layer.close());

    const withServer = async (
      options: Partial<ServeOptions>,
      use: (server: Server, port: number) => Promise<void>,
    ): Promise<void> => {
      const defaults = { port: 0, hostname: '127.0.0.1', globals: false, network, tls: { key, cert }, fetch: show };
      const server = await serve({ ...defaults, ...options });
      try {
        await use(server, server.port ?? assert.fail('no port'));
      } finally {
        await server.close({ deadline: 1000 });
      }
    };
    const ask = async (url: string, options?: Parameters<typeof get>[1]) => JSON.parse((await get(url, options)).text);

    it('serves node:https, and says what the handshake has agreed on', () =>
      withServer({}, async (server) => {
        assert.match(server.url.href, /^https:\/\/127\.0\.0\.1:/);
        const seen = await ask(`${server.url}path?query`, {
          servername: 'localhost',
          ALPNProtocols: ['h2', 'http/1.1'],
        });
        assert.match(seen.cipher, /^TLS_/);
        assert.deepEqual(seen, {
          url: `${server.url}path?query`,
          protocol: 'TLSv1.3',
          cipher: seen.cipher,
          serverName: 'localhost',
          alpnProtocol: 'http/1.1',
          isResumed: false,
          isAuthorized: false,
        });
        const old = await ask(server.url.href, { maxVersion: 'TLSv1.2' });
        assert.deepEqual([old.protocol, old.serverName], ['TLSv1.2', undefined]);
      }));

    it('serves curl', () =>
      withServer({}, async (_, port) => {
        const args = ['-sS', '--max-time', '5', '--cacert', caFile, `https://localhost:${port}/`];
        assert.match(await runClient('curl', args), /"protocol":"TLSv1.3".*"serverName":"localhost"/);
        assert.match(await runClient('curl', ['--tls-max', '1.2', ...args]), /"protocol":"TLSv1.2"/);
        assert.match(await runClient('curl', ['--head', '--http1.1', ...args]), /^HTTP\/1\.1 200 OK/);
      }));

    it('serves openssl s_client', () =>
      withServer({}, async (_, port) => {
        const args = [
          's_client',
          '-connect',
          `127.0.0.1:${port}`,
          '-CAfile',
          caFile,
          '-servername',
          'localhost',
          '-ign_eof',
        ];
        const request = 'GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n';
        for (const version of ['-tls1_3', '-tls1_2']) {
          const printed = await runClient('openssl', [...args, version], request);
          assert.match(printed, /Verify return code: 0 \(ok\)/);
          assert.match(printed, /HTTP\/1\.1 200 OK/);
        }
        const refused = await runClient('openssl', [...args, '-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'], request);
        assert.match(refused, /alert protocol version|no protocols available/);
      }));

    it('carries large bodies both ways, whole', () => {
      const size = 3_000_000;
      const fetch: Fetch = async (request) => {
        const bytes = await request.bytes();
        return stream(function* (out) {
          for (let at = 0; at < bytes.length; at += 100_000) yield* out.write(bytes.subarray(at, at + 100_000));
        });
      };
      return withServer({ fetch }, async (_, port) => {
        const socket = await open(port);
        const body = Buffer.alloc(size, 'sluice ');
        socket.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${size}\r\nconnection: close\r\n\r\n`);
        socket.write(body);
        const chunks: Buffer[] = [];
        for await (const chunk of socket) chunks.push(chunk);
        const text = Buffer.concat(chunks).toString('latin1');
        const content = text
          .slice(text.indexOf('\r\n\r\n') + 4)
          .replaceAll(/(?:^|\r\n)[0-9a-f]+\r\n/g, '')
          .slice(0, size);
        assert.ok(content === body.toString('latin1'), 'the body came back otherwise');
      });
    });

    it('chooses the certificate by the name, also by a promise of one', () => {
      const [one, two, three] = ['one.example', '*.two.example', 'three.example'].map(clientOf);
      const sni = async (name: string) => (name === 'three.example' ? three : undefined);
      return withServer({ tls: [{ ...one, sni }, two] }, async (_, port) => {
        const subjectFor = async (servername: string | undefined) => {
          const socket = await open(port, { servername, checkServerIdentity: () => undefined });
          const subject = socket.getPeerCertificate().subject.CN;
          socket.destroy();
          return subject;
        };
        assert.deepEqual(
          [await subjectFor('one.example'), await subjectFor('a.two.example'), await subjectFor('three.example')],
          ['one.example', '*.two.example', 'three.example'],
        );
        assert.deepEqual([await subjectFor(''), await subjectFor('none.example')], ['one.example', 'one.example']);
      });
    });

    it('refuses a name that neither a certificate nor sni has, by the alert for it', () =>
      withServer({ tls: { sni: () => undefined } }, async (_, port) => {
        await assert.rejects(open(port), /unrecognized.name|alert number 112/i);
        await assert.rejects(open(port, { servername: '' }), /unrecognized.name|alert number 112/i);
      }));

    it('refuses clients whose name sni fails for, also beside a certificate', () => {
      const sni = (name: string) => (name === 'none.example' ? undefined : assert.fail('thrown'));
      const errors: unknown[] = [];
      return withServer({ tls: { key, cert, sni }, onError: (error) => void errors.push(error) }, async (_, port) => {
        await assert.rejects(open(port, { servername: 'x.example' }), /unrecognized.name|alert number 112/i);
        (await open(port, { servername: 'none.example', checkServerIdentity: () => undefined })).destroy();
        assert.match(
          String(errors),
          /^TlsConfigError: sni\("x\.example"\) has failed, and the client is refused: thrown$/,
        );
      });
    });

    it('asks for client certificates, and refuses clients without one that it trusts', () =>
      withServer({ tls: { key, cert, ca: authority.cert, requestCert: true } }, async (server) => {
        const seen = await ask(server.url.href, clientOf('some client'));
        assert.deepEqual([seen.client, seen.isAuthorized], ['CN=some client', true]);
        const reasons = await reasonsWhile(async () => {
          await assert.rejects(get(server.url.href));
          await assert.rejects(get(server.url.href, stranger()));
          await assert.rejects(get(server.url.href, { maxVersion: 'TLSv1.2' }));
        });
        assert.deepEqual(new Set(reasons.filter((code) => code !== undefined)), new Set(['ERR_TLS_CERTIFICATE']));
      }));

    it('lets clients in with rejectUnauthorized: false, and says whom it has verified', () =>
      withServer(
        { tls: { key, cert, ca: authority.cert, requestCert: true, rejectUnauthorized: false } },
        async (server) => {
          const of = async (options: Parameters<typeof get>[1]) => {
            const { client, isAuthorized } = await ask(server.url.href, options);
            return [client, isAuthorized];
          };
          assert.deepEqual(await of({}), [undefined, false]);
          assert.deepEqual(await of(stranger()), ['CN=stranger', false]);
          assert.deepEqual(await of(clientOf('friend')), ['CN=friend', true]);
        },
      ));

    it('resumes sessions by tickets', () =>
      withServer({}, async (_, port) => {
        for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
          const first = await open(port, { maxVersion });
          // With TLS 1.3 the tickets come after the handshake, and with the response at the latest.
          let session = first.getSession();
          first.on('session', (ticket) => {
            session = ticket;
          });
          first.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
          await once(first, 'data');
          first.destroy();
          const second = await open(port, { maxVersion, session });
          assert.equal(second.isSessionReused(), true, maxVersion);
          second.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
          assert.match(await textOf(second), /"isResumed":true/);
        }
      }));

    it('answers HTTP without TLS with a 400 in plain text, and closes', () =>
      withServer({}, async (_, port) => {
        for (const request of [
          'GET / HTTP/1.1\r\nhost: a\r\n\r\n',
          'POST /a HTTP/1.0\r\n\r\n',
          'PRI * HTTP/2.0\r\n\r\n',
          'PROPFIND / HTTP/1.1\r\nhost: a\r\n\r\n',
          'COPY /a HTTP/1.1\r\nhost: a\r\n\r\n',
        ]) {
          const text = await textOf(plain(port, request));
          assert.match(text, /^HTTP\/1\.1 400 Bad Request\r\n/);
          assert.match(text, /content-type: text\/plain/);
          assert.match(text, /https:\/\//);
        }
        assert.match(await runClient('curl', ['-sS', '--max-time', '5', `http://127.0.0.1:${port}/`]), /https:\/\//);
      }));

    it('ends connections that send no TLS, drip, or say nothing, and serves others meanwhile', () =>
      withServer({ tls: { key, cert, handshakeTimeout: 150 } }, async (server, port) => {
        const reasons = await reasonsWhile(async () => {
          const peers = ['', '\x16\x03\x01\x02\x00\x01', 'garbage\r\n', '\x00\x00\x00'].map((bytes) =>
            plain(port, bytes),
          );
          const ended = peers.map(textOf);
          assert.equal((await get(server.url.href)).status, 200);
          await Promise.all(ended);
          await until(() => server.connections.total === 0);
        });
        assert.ok(reasons.length >= 4, `${reasons}`);
      }));

    it('ends a connection for a forged record, with the alert for it', () =>
      withServer({}, async (server, port) => {
        for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
          let text = '';
          const reasons = await reasonsWhile(async () => {
            const below = net.connect(port, '127.0.0.1');
            const socket = await open(port, { maxVersion, socket: below });
            socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
            await once(socket, 'data');
            socket.on('error', ({ message }) => {
              text = message;
            });
            below.write(Buffer.concat([Buffer.of(23, 3, 3, 0, 40), Buffer.alloc(40, 7)]));
            await new Promise((resolve) => socket.once('close', resolve));
            await until(() => server.connections.total === 0);
          });
          assert.match(text, /alert bad record mac/);
          assert.deepEqual(reasons, ['ERR_TLS_PROTOCOL']);
        }
      }));

    it('tells a client that its certificate is missing, which it learns after the handshake with TLS 1.3', () =>
      withServer({ tls: { key, cert, ca: authority.cert, requestCert: true } }, async (_, port) => {
        const tls = { ca: authority.cert, serverName: 'localhost' };
        await assert.rejects(inThread({ port, tls }, String), {
          code: 'ERR_TLS_ALERT',
          message: /certificate required/,
        });
      }));

    it('refuses a client with other protocols only', () =>
      withServer({}, async (_, port) => {
        await assert.rejects(open(port, { ALPNProtocols: ['h2'] }), /no.application.protocol|alert number 120/i);
      }));

    it('reloads certificates without touching connections; a reload that fails changes nothing', () =>
      withServer({}, async (server, port) => {
        const subject = async () => {
          const socket = await open(port, { checkServerIdentity: () => undefined });
          const { CN } = socket.getPeerCertificate().subject;
          socket.destroy();
          return CN;
        };
        const kept = await open(port);
        await assert.rejects(server.reload({ tls: { key, cert: '/none' } }), /reload: tls\.cert is "\/none"/);
        assert.equal(await subject(), 'localhost');
        await server.reload({ tls: clientOf('new.example') });
        assert.equal(await subject(), 'new.example');
        kept.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
        assert.match(await textOf(kept), /200 OK/);
        await assert.rejects(server.reload({}), /reload: none of tls, fetch and error is given/);
        await server.close();
        await assert.rejects(server.reload({ tls: clientOf('late.example') }), { code: 'ERR_CLOSED' });
      }));

    it('a plain server has no TLS to reload, and no info.tls', async () => {
      const fetch: Fetch = (request, info) => Response.json([request.url.slice(0, 5), info.tls === undefined]);
      await withServer({ tls: undefined, fetch }, async (server, port) => {
        await assert.rejects(server.reload({ tls: { key, cert } }), /the server was started without tls/);
        const text = await textOf(plain(port, 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'));
        assert.match(text, /\["http:",true\]/);
      });
    });

    it('close answers what has arrived, ends idle connections, and leaves nothing', async () => {
      const server = await serve({
        port: 0,
        hostname: '127.0.0.1',
        globals: false,
        network,
        tls: { key, cert },
        fetch: show,
      });
      const idle = await open(server.port ?? 0);
      const busy = await open(server.port ?? 0);
      const shaking = plain(server.port ?? 0, '\x16\x03\x01');
      await until(() => server.connections.total === 3);
      busy.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      const texts = Promise.all([textOf(busy), textOf(idle), textOf(shaking)]);
      await server.close({ deadline: 500 });
      const [answer] = await texts;
      assert.match(answer, /200 OK/);
      assert.equal(server.connections.total, 0);
    });

    const inThread = <T>(options: ConnectOptions, use: (text: string) => T): Promise<T> =>
      run(
        function* () {
          const { reader, writer, tls } = yield* connect({ network, ...options });
          yield* writer.write('ping\n');
          return use(`${tls?.protocol} ${tls?.alpnProtocol} ${tls?.isAuthorized} ${yield* reader.readLine(1000)}`);
        },
        { scheduler: network.scheduler },
      );
    const echo = (tls: TlsServerOptions) =>
      listen({ port: 0, hostname: '127.0.0.1', network, tls, onError() {} }, function* (connection) {
        const line = yield* connection.reader.readLine(1000);
        const { serverName, peerCertificate } = connection.tls ?? assert.fail('no TLS');
        yield* connection.writer.write(`${line} ${serverName} ${peerCertificate?.subject}\n`);
      });

    it('carries WebSockets, as wss:', () => {
      const fetch: Fetch = (request) =>
        webSocket(request, function* (socket) {
          yield* socket.send(`${yield* socket.receive()}, over ${request.url.split(':')[0]}`);
        });
      return withServer({ fetch }, async (_, port) => {
        const heard = await run(
          function* () {
            const socket = yield* connectWebSocket(`wss://localhost:${port}/`, {
              tls: { ca: authority.cert },
              network,
            });
            yield* socket.send('hello');
            return yield* socket.receive();
          },
          { scheduler: network.scheduler },
        );
        assert.equal(heard, 'hello, over https');
      });
    });

    it('listen and connect speak TLS to each other, for any protocol, with certificates on both sides', async () => {
      const server = await echo({ key, cert, ca: authority.cert, requestCert: true, alpnProtocols: ['echo', 'other'] });
      const tls = {
        ca: authority.cert,
        alpnProtocols: ['other', 'echo'],
        ...clientOf('client'),
        serverName: 'localhost',
      };
      const text = await inThread({ port: server.port, tls }, (text) => text);
      assert.equal(text, 'TLSv1.3 echo true ping localhost CN=client');
      await server.close({ deadline: 100 });
    });

    it('a handler of listen starts when the handshake is complete, knows the client, and may speak first', async () => {
      const tls = { key, cert, ca: authority.cert, requestCert: true, handshakeTimeout: 100 };
      let started = 0;
      const server = await listen({ port: 0, hostname: '127.0.0.1', network, tls }, function* ({ tls, writer }) {
        started++;
        yield* writer.write(`welcome ${tls?.peerCertificate?.subject}, ${tls?.isAuthorized}, ${tls?.protocol}\n`);
      });
      const port = server.port ?? 0;
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const)
        assert.equal(
          await textOf(await open(port, { ...clientOf('ann'), maxVersion })),
          `welcome CN=ann, true, ${maxVersion}\n`,
        );
      assert.equal((await textOf(plain(port, 'garbage\r\n'))).includes('welcome'), false);
      await textOf(plain(port, '\x16\x03\x01'));
      for (const refused of [stranger(), {}]) {
        const socket = await open(port, { ...refused, maxVersion: 'TLSv1.3' }); // complete for the client
        assert.equal(await textOf(socket), '');
      }
      assert.equal(started, 2);
      await server.close({ deadline: 100 });
    });

    it('a connection in its handshake counts as idle, has no thread, and does not keep its server from closing', async () => {
      const server = await listen(
        { port: 0, hostname: '127.0.0.1', network, tls: { key, cert } },
        function* ({ reader }) {
          yield* reader.read();
        },
      );
      const port = server.port ?? 0;
      const silent = plain(port, '\x16\x03\x01');
      const secured = await open(port);
      while (server.connections.total < 2 || server.connections.handling < 1) await wait(1);
      assert.deepEqual(server.connections, { idle: 1, reading: 0, handling: 1, writing: 0, closing: 0, total: 2 });
      assert.equal([...server.threads()].length, 1);
      const closing = server.close();
      await textOf(silent);
      secured.end();
      secured.resume();
      await closing;
    });

    it('connect refuses a server that it does not trust, or that is another', async () => {
      const server = await echo({ ...clientOf('other.example') });
      const { port } = server;
      const codeOf = (tls: ConnectOptions['tls']) =>
        inThread({ port, tls }, (text) => text).catch((error) => `${error.code}: ${error.message}`);
      const unknown =
        /^ERR_TLS_CERTIFICATE: .* \(UNABLE_TO_\w+\); the host is "127\.0\.0\.1", the certificate is for DNS:other\.example$/;
      assert.match(await codeOf(true), unknown);
      assert.match(await codeOf({ ca: authority.cert }), /^ERR_TLS_CERTIFICATE: /);
      assert.match(await codeOf({ ca: authority.cert, serverName: 'other.example' }), /true ping other\.example/);
      assert.match(await codeOf({ rejectUnauthorized: false }), /^TLSv1\.3 undefined false ping/);
      await server.close({ deadline: 100 });
    });

    it('connect fails where the other side has no TLS, or leaves in the handshake', async () => {
      const server = net
        .createServer((socket) => socket.once('data', () => socket.end('not TLS at all\r\n')))
        .listen(0);
      await once(server, 'listening');
      const { port } = server.address() as net.AddressInfo;
      await assert.rejects(inThread({ port, tls: true }, String), { code: 'ERR_TLS_PROTOCOL' });
      server.removeAllListeners('connection').on('connection', (socket) => socket.once('data', () => socket.end()));
      await assert.rejects(inThread({ port, tls: true }, String), { code: 'ECONNRESET' });
      server.removeAllListeners('connection').on('connection', (socket) => socket.on('error', () => {}));
      const tls = { handshakeTimeout: 50 };
      await assert.rejects(inThread({ port, tls }, String), { code: 'ERR_TLS_HANDSHAKE_TIMEOUT' });
      server.close();
      await assert.rejects(inThread({ port, tls: true }, String), { code: 'ECONNREFUSED' });
    });
  });
}

function reasonAgainst(make: () => EventLayer): string | false {
  const layer = make();
  const reason = missingEngine(layer);
  void layer.close();
  return reason ?? false;
}

/** A certificate of a client that no server here trusts. */
function stranger(): { key: string; cert: string } {
  const issuer = { key: local.keyObject, subject: 'Somebody' };
  const { key, cert } = signed('stranger', { issuer });
  return { key, cert };
}

function plain(port: number, bytes: string): Socket {
  const socket = net.connect(port, '127.0.0.1');
  if (bytes !== '') socket.write(bytes, 'latin1');
  return socket;
}

/** What a socket gets until its end, however it ends. */
async function textOf(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('latin1').on('data', (piece) => {
    text += piece;
  });
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('close', resolve));
  return text;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}
