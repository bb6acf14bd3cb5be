// What people write with `sluice/node`, and the members of its sockets. Compiled by packed-types.test.ts and scripts/packed.mjs against the types that are shipped.

import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createSecureServer } from 'node:http2';
import type { Duplex } from 'node:stream';
import { serve } from 'sluice';
import {
  createServer,
  listen,
  type NodeHandler,
  type NodeListening,
  type NodeServer,
  type NodeServerOptions,
  type NodeSocket,
  type TlsNodeSocket,
} from 'sluice/node';

const plain = (request: IncomingMessage, response: ServerResponse): void => {
  response.end(request.url);
};
const asynchronous: NodeHandler = async (request, response) => response.end(request.method);

const options: NodeServerOptions = { keepAliveTimeout: 1000, keepAlive: true, maxBufferedBytes: 2 ** 20 };
const server: NodeServer = createServer(options, plain).listen(3000, '127.0.0.1', () => {});
createServer(asynchronous)
  .listen({ port: 0, host: '::1' })
  .on('upgrade', (_, socket) => socket.end());
const layer: string | undefined = server.sluice?.eventLayer;
const listening: NodeListening = await listen(createHttpServer(plain), {
  port: 0,
  onError: (error, request) => console.error(error, request?.url),
});
await listen(asynchronous, { port: 0 });
await listen(createSecureServer(), { port: 0, tls: { key: 'key.pem', cert: 'cert.pem' } });
await listening.close({ deadline: 1 });
await serve({ fetch: () => undefined, node: plain });
await serve({ fetch: () => undefined, node: createHttpServer(asynchronous) });
// @ts-expect-error an option that there is not
createServer({ prot: 1 }, plain);
// @ts-expect-error what is no application
await listen({}, { port: 0 });

/** Names that differ; both are `never` if there are none. */
type Differences<Found, Expected> = {
  unexpected: Exclude<Found, Expected>;
  missing: Exclude<Expected, Found>;
};

type Same = Differences<never, never>;

declare const socket: Differences<
  Exclude<keyof NodeSocket, keyof Duplex>,
  | 'timeout'
  | 'remoteAddress'
  | 'remotePort'
  | 'remoteFamily'
  | 'localAddress'
  | 'localPort'
  | 'localFamily'
  | 'address'
  | 'connecting'
  | 'pending'
  | 'readyState'
  | 'bytesRead'
  | 'bytesWritten'
  | 'bufferSize'
  | 'setNoDelay'
  | 'setKeepAlive'
  | 'ref'
  | 'unref'
  | 'setTimeout'
  | 'resetAndDestroy'
  | 'destroySoon'
>;

declare const secure: Differences<
  Exclude<keyof TlsNodeSocket, keyof NodeSocket>,
  | 'encrypted'
  | 'authorized'
  | 'authorizationError'
  | 'alpnProtocol'
  | 'servername'
  | 'getPeerCertificate'
  | 'getPeerX509Certificate'
  | 'getProtocol'
  | 'getCipher'
  | 'isSessionReused'
>;

export const same: Same[] = [socket, secure];
export { layer };
