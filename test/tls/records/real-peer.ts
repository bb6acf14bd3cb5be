// A peer over a socket whose handshake of TLS 1.3 node:tls does. Afterwards the test has the secrets, from the key log, and the socket: it writes and reads
// records by itself.

import { once } from 'node:events';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { type ConnectionOptions, connect, createSecureContext, TLSSocket } from 'node:tls';
import type { Secrets } from './outcome.js';

const headerBytes = 5;
const encrypted = 23;

/** What is between node:tls and the socket. */
class HandshakeStream extends Duplex {
  readonly #socket: Socket;
  readonly #isClient: boolean;
  /** Bytes that are no whole record yet. */
  #partial = Buffer.alloc(0);
  /** The client's Finished has passed: what follows is sealed with the secrets of the application data. */
  isOver = false;
  /** What has come since. */
  readonly rest: Buffer[] = [];

  constructor(socket: Socket, isClient: boolean) {
    super();
    this.#socket = socket;
    this.#isClient = isClient;
    socket.on('data', this.#received);
  }

  override _read(): void {}

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: () => void): void {
    // The client's first record that is encrypted is its Finished. Behind it node:tls would send tickets, and at the end close_notify.
    if (!this.isOver) {
      if (this.#isClient && recordsOf(bytes).some((record) => record[0] === encrypted)) this.isOver = true;
      this.#socket.write(bytes);
    }
    done();
  }

  override _destroy(_error: Error | null, done: () => void): void {
    done(); // the socket is the test's
  }

  readonly #received = (bytes: Buffer): void => {
    if (this.isOver) {
      this.rest.push(bytes);
      return;
    }
    if (this.#isClient) {
      this.push(bytes);
      return;
    }
    const all = Buffer.concat([this.#partial, bytes]);
    let at = 0;
    for (const record of recordsOf(all)) {
      at += record.length;
      this.isOver = record[0] === encrypted; // before node:tls answers it
      this.push(record);
      if (!this.isOver) continue;
      this.rest.push(all.subarray(at));
      return;
    }
    this.#partial = all.subarray(at);
  };

  /** Gives the socket to the test. */
  detach(): void {
    this.#socket.off('data', this.#received);
  }
}

/** The whole records at the beginning of the bytes. */
function recordsOf(bytes: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let at = 0; bytes.length - at >= headerBytes; ) {
    const end = at + headerBytes + bytes.readUInt16BE(at + 3);
    if (end > bytes.length) break;
    records.push(bytes.subarray(at, end));
    at = end;
  }
  return records;
}

export interface RealPeer {
  readonly socket: Socket;
  readonly secrets: Secrets;
  /** What has come behind the handshake. */
  readonly rest: Buffer;
}

/** Does the handshake over a socket that is connected. @param options for a client those of `tls.connect`, for a server those of its certificate */
export async function shakeHands(socket: Socket, isClient: boolean, options: ConnectionOptions): Promise<RealPeer> {
  const stream = new HandshakeStream(socket, isClient);
  const both = { ...options, minVersion: 'TLSv1.3' as const };
  const tls = isClient
    ? connect({ ...both, socket: stream })
    : new TLSSocket(stream, { isServer: true, secureContext: createSecureContext(both), ALPNProtocols: ['http/1.1'] });
  const secrets: Partial<Secrets> = {};
  tls.on('keylog', (line: Buffer) => {
    const [label, , secret] = line.toString('latin1').trim().split(' ');
    if (label === 'CLIENT_TRAFFIC_SECRET_0') secrets.client = Buffer.from(secret, 'hex');
    if (label === 'SERVER_TRAFFIC_SECRET_0') secrets.server = Buffer.from(secret, 'hex');
  });
  await once(tls, isClient ? 'secureConnect' : 'secure');
  const { client, server } = secrets;
  if (client === undefined || server === undefined || !stream.isOver) throw new Error('the handshake is not complete');
  socket.pause();
  stream.detach();
  tls.on('error', () => {}); // it is left in the middle
  tls.destroy();
  return { socket, secrets: { client, server }, rest: Buffer.concat(stream.rest) };
}
