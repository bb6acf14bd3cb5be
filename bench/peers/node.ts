// node:http, and node:https. With ON_SLUICE, its connections come from sluice (`sluice/node`).

import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  confirm,
  documents,
  download,
  eventHeaders,
  everyInterval,
  greeting,
  hello,
  idleSeconds,
  jsonHeaders,
  message,
  piece,
  pieces,
  port,
  statusFor,
  textHeaders,
  tls,
} from './shared.js';

const subscribers = new Set<ServerResponse>();

function body(request: IncomingMessage, done: (bytes: Buffer) => void): void {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => done(Buffer.concat(parts)));
}

/** `writeHead` before `end` would make Node send chunks, which cost it more. */
function answer(response: ServerResponse, status: number, headers: Record<string, string>, text: string): void {
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(text) }).end(text);
}

const listener: RequestListener = (request, response) => {
  switch (request.url) {
    case '/':
      answer(response, 200, textHeaders, hello);
      return;
    case '/order':
      body(request, (bytes) => {
        answer(response, 200, jsonHeaders, JSON.stringify(confirm(JSON.parse(bytes.toString()))));
      });
      return;
    case '/upload':
      body(request, (bytes) => response.end(String(bytes.length)));
      return;
    case '/download':
      response.end(download);
      return;
    case '/flood':
      pipeline(Readable.from(flood()), response).catch(() => {}); // the client has disconnected
      return;
    case '/events':
      response.writeHead(200, eventHeaders);
      response.write(greeting);
      subscribers.add(response);
      response.on('close', () => subscribers.delete(response));
      return;
    default: {
      const { pathname, searchParams } = new URL(request.url ?? '', `http://${request.headers.host}`);
      const document = documents[pathname];
      if (document === undefined) {
        answer(response, 404, textHeaders, 'not found');
        return;
      }
      const header = request.headers['x-client'];
      answer(response, statusFor(searchParams.get('page'), String(header)), jsonHeaders, document);
    }
  }
};

function* flood(): Generator<Uint8Array> {
  for (let i = 0; i < pieces; i++) yield piece;
}

everyInterval(() => {
  const text = message();
  for (const response of subscribers) response.write(text);
});

const options = { keepAliveTimeout: idleSeconds * 1000 };
const onSluice = process.env.ON_SLUICE === undefined ? undefined : await import('sluice/node');
const server =
  onSluice?.createServer({ ...options, ...(tls && { tls }) }, listener) ??
  (tls === undefined ? createServer(options, listener) : createSecureServer({ ...options, ...tls }, listener));
server.listen(port, '127.0.0.1');
