// A client over a socket of node:net, which knows nothing of this project.

import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { authority } from './certificates.js';

export class RawClient {
  readonly socket: Socket;
  /** What it has received, as Latin-1. */
  text = '';
  /** `FIN`, or the code of the error that ended the connection. */
  readonly ending: Promise<string>;
  #hasEnded = false;
  /** Called when there is more, and at the end. */
  readonly #watchers = new Set<() => void>();

  /**
   * @param to a port of 127.0.0.1, or where else. The client keeps its side open after the server's FIN
   * @param hasTls it uses node:tls
   */
  constructor(to: number | undefined | NetConnectOpts, hasTls = false) {
    const place = typeof to === 'object' ? to : { port: to ?? 0, host: '127.0.0.1' };
    const options = { allowHalfOpen: true, noDelay: true, ...place };
    this.socket = hasTls ? connectTls({ ...options, ca: authority.cert, servername: 'localhost' }) : connect(options);
    this.socket.setEncoding('latin1').on('data', (text: string) => {
      this.text += text;
      this.#changed();
    });
    this.ending = new Promise((resolve) => {
      const end = (how: string) => {
        this.#hasEnded = true;
        resolve(how);
        this.#changed();
      };
      this.socket.once('end', () => end('FIN'));
      this.socket.once('close', () => end('closed'));
      this.socket.on('error', (error: NodeJS.ErrnoException) => end(String(error.code)));
    });
  }

  /** Connects. */
  static async open(to: number | undefined | NetConnectOpts): Promise<RawClient> {
    const client = new RawClient(to);
    await new Promise((resolve, reject) => client.socket.once('connect', resolve).once('error', reject));
    return client;
  }

  #changed(): void {
    for (const look of this.#watchers) look();
    this.#watchers.clear();
  }

  /** Sends text, as Latin-1. */
  send(text: string): this {
    this.socket.write(text, 'latin1');
    return this;
  }

  /** Waits until what it has received is so, or the connection has ended. @returns whether it is so */
  async until(condition: (text: string) => boolean): Promise<boolean> {
    while (!condition(this.text)) {
      if (this.#hasEnded) return false;
      await new Promise<void>((resolve) => this.#watchers.add(resolve));
    }
    return true;
  }

  /** Closes its side, and waits for the server's. @returns all that it has received */
  async whole(): Promise<string> {
    await this.ending;
    this.socket.destroy();
    return this.text;
  }
}

/** Sends text and reads to the end of the connection, however it comes. @returns what was received */
export function exchange(to: number | undefined | NetConnectOpts, text: string | Uint8Array): Promise<string> {
  const client = new RawClient(to);
  client.socket.write(text);
  return client.whole();
}

/** Waits until the condition holds, for what comes from the kernel in its own time. @throws after ten seconds */
export async function eventually(what: string, condition: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 10_000; !condition(); ) {
    if (performance.now() > deadline) throw new Error(`timed out waiting for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
