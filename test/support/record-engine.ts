// An engine whose handshake is a toy and whose records are those of TLS 1.3: one message each way, in the clear, agrees on the suite and the secrets; what
// follows is sealed by the library's record layer, with ciphers of node:crypto.

import { createHash } from 'node:crypto';
import type { ConnectionError } from '#sluice/event-layer/event-layer.js';
import type { TlsInfo } from '#sluice/event-layer/tls-info.js';
import { Alert, alertReceived, alertSent } from '#sluice/tls/alerts.js';
import { type CipherSuite, cipherSuites } from '#sluice/tls/detached/cipher-suites.js';
import type { Established } from '#sluice/tls/detached/detached-session.js';
import { NodeCipher } from '#sluice/tls/detached/node-cipher.js';
import { RecordLayer } from '#sluice/tls/detached/record-layer.js';
import {
  headerBytes,
  majorVersion,
  Received,
  type SendRecords,
  type TlsEngine,
  type TlsSession,
} from '#sluice/tls/session.js';

const recordType = { alert: 21, handshake: 22 } as const;
/** The most bytes of a message of the handshake. */
const maxHello = 1000;

/** What a client says, in few bytes, as tests do not give a handshake much time. */
export interface ClientHello {
  /** Its place in `cipherSuites`. */
  suite: number;
  /** What the secrets are made of. */
  seed: number;
  alpn: readonly string[];
  /** Sequence numbers of the first records, of the client and of the server. */
  sequences?: readonly [number, number];
}

/** What a server answers. */
export interface ServerHello {
  protocol: string;
  sequences?: readonly [number, number];
}

/** The secrets that client and server agree on. */
export function secretsFrom({ hash }: CipherSuite, seed: number): { client: Buffer; server: Buffer } {
  const secret = (side: string): Buffer => createHash(hash).update(`${side} ${seed}`).digest();
  return { client: secret('client'), server: secret('server') };
}

export interface RecordEngineOptions {
  /** A client takes them in turn. */
  suites?: readonly CipherSuite[];
  protocols?: readonly string[];
}

/** A record of the handshake. */
export function helloRecord(hello: object): Uint8Array {
  const text = JSON.stringify(hello);
  return Buffer.concat([
    Uint8Array.of(recordType.handshake, 3, 3, text.length >> 8, text.length & 255),
    Buffer.from(text),
  ]);
}

export class RecordEngine implements TlsEngine {
  readonly layer = new RecordLayer((suite) => new NodeCipher(suite));
  readonly suites: readonly CipherSuite[];
  readonly protocols: readonly string[];
  /** Clients that were created: each has secrets of its own, the same in each run of a test. */
  #clients = 0;

  constructor({ suites = cipherSuites, protocols = ['http/1.1'] }: RecordEngineOptions = {}) {
    this.suites = suites;
    this.protocols = protocols;
  }

  accept(): TlsSession {
    return new RecordSession(this, undefined);
  }

  connect(): TlsSession {
    const seed = this.#clients++;
    const suite = cipherSuites.indexOf(this.suites[seed % this.suites.length]);
    return new RecordSession(this, { suite, seed, alpn: this.protocols });
  }
}

/** The handshake. Once that is complete, the transport goes on with the session that `detach` returns. */
class RecordSession implements TlsSession {
  readonly #engine: RecordEngine;
  /** What a client says; undefined for a server. */
  readonly #hello: ClientHello | undefined;
  #established: Established | undefined;
  failure: ConnectionError | undefined;
  readonly contentEnd = 0;

  constructor(engine: RecordEngine, hello: ClientHello | undefined) {
    this.#engine = engine;
    this.#hello = hello;
  }

  get isOpen(): boolean {
    return this.#established !== undefined;
  }

  get info(): TlsInfo | undefined {
    return this.#established?.info;
  }

  start(send: SendRecords): void {
    if (this.#hello !== undefined) send(helloRecord(this.#hello));
  }

  detach(): TlsSession {
    if (this.#established === undefined) throw new Error('the handshake is not complete');
    return this.#engine.layer.open(this.#established);
  }

  receive(bytes: Uint8Array, start: number, end: number, _plain: Uint8Array, _at: number, send: SendRecords): Received {
    const fail = (alert: Alert): Received => {
      this.failure = alertSent(alert);
      send(Uint8Array.of(recordType.alert, 3, 3, 0, 2, 2, alert));
      return Received.failure;
    };
    const length = (bytes[start + 3] << 8) | bytes[start + 4];
    if (bytes[start + 1] !== majorVersion) return fail(Alert.protocolVersion);
    const isWhole = end - start === headerBytes + length;
    if (bytes[start] === recordType.alert && isWhole && length === 2) {
      const alert = bytes[start + headerBytes + 1];
      if (alert === Alert.closeNotify) return Received.end;
      this.failure = alertReceived(alert);
      return Received.failure;
    }
    if (bytes[start] !== recordType.handshake) return fail(Alert.unexpectedMessage);
    if (!isWhole || length > maxHello) return fail(Alert.recordOverflow);
    const hello = parse(bytes.subarray(start + headerBytes, end));
    if (hello === undefined) return fail(Alert.decodeError);
    return this.#hello === undefined ? this.#accept(hello, send, fail) : this.#accepted(this.#hello, hello, fail);
  }

  #accept(hello: Hello, send: SendRecords, fail: (alert: Alert) => Received): Received {
    const { alpn = [] } = hello;
    const protocol = this.#engine.protocols.find((each) => alpn.includes(each));
    if (protocol === undefined) return fail(Alert.noApplicationProtocol);
    this.#established = establish(hello, hello, protocol, false);
    if (this.#established === undefined) return fail(Alert.illegalParameter);
    send(helloRecord({ protocol } satisfies ServerHello));
    return Received.nothing;
  }

  #accepted(own: ClientHello, answer: Hello, fail: (alert: Alert) => Received): Received {
    this.#established = establish(own, answer, answer.protocol, true);
    return this.#established === undefined ? fail(Alert.illegalParameter) : Received.nothing;
  }

  seal(): number {
    throw new Error('the session that detach has returned seals');
  }

  sealEnd(): number {
    return this.seal();
  }

  free(): void {}
}

/** @returns undefined if the client has named no suite */
function establish(
  { suite: place = -1, seed = 0 }: Hello,
  { sequences = [0, 0] }: Hello,
  alpnProtocol: string | undefined,
  isClient: boolean,
): Established | undefined {
  const suite = cipherSuites[place];
  if (suite === undefined) return undefined;
  const { client, server } = secretsFrom(suite, seed);
  const [sent, received] = isClient ? sequences : [sequences[1], sequences[0]];
  const info: TlsInfo = {
    ...{ protocol: 'TLSv1.3', cipher: suite.name, serverName: undefined, alpnProtocol },
    ...{ isResumed: false, peerCertificate: undefined, isAuthorized: false },
  };
  return { suite, isClient, clientSecret: client, serverSecret: server, received, sent, info };
}

/** What either side may say. */
type Hello = Partial<ClientHello & ServerHello>;

/** @returns undefined if it is no object in JSON */
function parse(bytes: Uint8Array): Hello | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('latin1'));
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
