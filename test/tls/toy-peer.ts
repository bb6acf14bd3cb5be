// The toy TLS in tests: servers and clients that have it, and a peer that speaks it record by record over a plain connection, so that a test
// decides what is sent and sees what arrives.

import type { Connection } from '#sluice/connection/connection.js';
import { ConnectionError } from '#sluice/event-layer/event-layer.js';
import type { SecureTransport, SecureTransportFactory } from '#sluice/event-layer/secure-transport.js';
import type { Task } from '#sluice/threads/task.js';
import { headerBytes, maxContent, maxOverhead } from '#sluice/tls/session.js';
import { TlsTransport } from '#sluice/tls/tls-transport.js';
import { ToyEngine } from '#sluice/tls/toy-engine.js';

/** For the option `secure`, and the transport that it has created. */
export interface ToyTls {
  secure: SecureTransportFactory;
  readonly transport: SecureTransport;
}

export function toyTls(...protocols: string[]): ToyTls {
  let created: SecureTransport | undefined;
  return {
    secure: (layer) => {
      created = new TlsTransport(layer, new ToyEngine(protocols.length === 0 ? {} : { protocols }));
      return created;
    },
    get transport() {
      if (created === undefined) throw new Error('no listener and no client has used it');
      return created;
    },
  };
}

export const recordType = { alert: 21, handshake: 22, content: 23 } as const;

/** A record of any type, with a length that need not be that of the body. */
export function record(type: number, body: Uint8Array | string, length = body.length): Uint8Array {
  return Buffer.concat([Uint8Array.of(type, 3, 3, length >> 8, length & 255), Buffer.from(body)]);
}

export const closeNotify = record(recordType.alert, Uint8Array.of(1, 0));

export interface ReceivedRecord {
  type: number;
  /** Decrypted, if it is content and the handshake is complete. */
  body: Buffer;
}

export class ToyPeer {
  readonly connection: Connection;
  readonly #session = new ToyEngine().connect();
  readonly #plain = Buffer.alloc(maxContent);

  constructor(connection: Connection) {
    this.connection = connection;
  }

  /** The first record of a client. */
  hello(): Uint8Array {
    let hello: Uint8Array | undefined;
    this.#session.start((bytes) => {
      hello = bytes;
    });
    if (hello === undefined) throw new Error('the session has not started');
    return hello;
  }

  *handshake(): Task<void> {
    yield* this.connection.writer.write(this.hello());
    yield* this.next();
    if (!this.#session.isOpen) throw new Error('the handshake has failed');
  }

  /** A record with this content. */
  seal(text: string): Uint8Array {
    const bytes = Buffer.from(text, 'latin1');
    const output = new Uint8Array(bytes.length + maxOverhead);
    return output.slice(0, this.#session.seal(bytes, 0, bytes.length, output, 0));
  }

  /** The next record; undefined at the end of input, and at a reset. */
  *next(): Task<ReceivedRecord | undefined> {
    const { reader } = this.connection;
    try {
      const header = yield* reader.readExactly(headerBytes);
      const whole = Buffer.concat([header, yield* reader.readExactly((header[3] << 8) | header[4])]);
      const [type] = whole;
      if (type === recordType.alert) return { type, body: whole.subarray(headerBytes) };
      const before = this.#session.isOpen;
      this.#session.receive(whole, 0, whole.length, this.#plain, 0, () => {});
      const body = before ? this.#plain.subarray(0, this.#session.contentEnd) : whole.subarray(headerBytes);
      return { type, body: Buffer.from(body) };
    } catch (error) {
      if (error instanceof ConnectionError && ['ERR_ENDED', 'ECONNRESET'].includes(error.code)) return undefined;
      throw error;
    }
  }

  /** All records up to the end. */
  *rest(): Task<ReceivedRecord[]> {
    const records: ReceivedRecord[] = [];
    for (let next: ReceivedRecord | undefined; (next = yield* this.next()) !== undefined; ) records.push(next);
    return records;
  }
}

/** The number of the fatal alert among records; undefined if there is none. */
export function fatalAlert(records: readonly ReceivedRecord[]): number | undefined {
  return records.find(({ type, body }) => type === recordType.alert && body[0] === 2)?.body[1];
}
