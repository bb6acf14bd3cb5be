// Clients of TLS that are not of this project: node:https, curl, openssl.

import { execFile } from 'node:child_process';
import https, { type RequestOptions as HttpsOptions } from 'node:https';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { authority } from './certificates.js';

/** https passes on what node:tls has. */
export type RequestOptions = HttpsOptions & Pick<ConnectionOptions, 'ALPNProtocols'>;

export interface Got {
  status: number;
  text: string;
}

/** A request by node:https, on a connection of its own. */
export function get(url: string, options: RequestOptions = {}): Promise<Got> {
  return new Promise((resolve, reject) => {
    const request = https.get(url, { ca: authority.cert, agent: false, ...options }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text })).on('error', reject);
    });
    request.on('error', reject);
  });
}

/** A connection by node:tls, from when its handshake is complete. @throws (rejects) if that fails */
export function open(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, ca: authority.cert, servername: 'localhost', ...options });
    socket.once('secureConnect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

/** Runs a program to its end. @param input is its standard input @returns what it printed on both outputs; it may have failed */
export function runClient(program: string, args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve) => {
    const child = execFile(program, args, { timeout: 10_000 }, (_, stdout, stderr) => resolve(stdout + stderr));
    child.stdin?.on('error', () => {}); // it may end before it has read everything
    child.stdin?.end(input);
  });
}
