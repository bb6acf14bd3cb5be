// An engine that encrypts nothing worth the name, for the simulated network alone: the records, the handshake in one round trip, the alerts and the
// orderly end are those of TLS in form, so that everything above and around a session is tested without a library of cryptography.

import type { ConnectionError } from '../event-layer/event-layer.js';
import type { TlsInfo } from '../event-layer/tls-info.js';
import { Alert, alertReceived, alertSent } from './alerts.js';
import {
  headerBytes,
  majorVersion,
  maxContent,
  Received,
  type SendRecords,
  type TlsEngine,
  type TlsSession,
} from './session.js';

const Type = { alert: 21, handshake: 22, content: 23 } as const;
/** Bytes behind the content of a record: a checksum in place of a tag. */
const tagBytes = 4;
/** Two bytes that no client of HTTP begins with. */
const greeting = 'toy ';

export interface ToyOptions {
  /** Protocols in the order of preference (RFC 7301). */
  protocols?: readonly string[];
}

export class ToyEngine implements TlsEngine {
  readonly #protocols: readonly string[];

  constructor({ protocols = ['http/1.1'] }: ToyOptions = {}) {
    this.#protocols = protocols;
  }

  accept(): TlsSession {
    return new ToySession(this.#protocols, false);
  }

  connect(): TlsSession {
    return new ToySession(this.#protocols, true);
  }
}

class ToySession implements TlsSession {
  readonly #protocols: readonly string[];
  readonly #isClient: boolean;
  isOpen = false;
  #protocol: string | undefined;
  failure: ConnectionError | undefined;
  contentEnd = 0;
  /** Records sent and received: each is encrypted by its number, so that one that is lost, or comes twice, is found. */
  #sent = 0;
  #received = 0;

  constructor(protocols: readonly string[], isClient: boolean) {
    this.#protocols = protocols;
    this.#isClient = isClient;
  }

  get info(): TlsInfo | undefined {
    if (!this.isOpen) return undefined;
    return {
      protocol: 'TLSv1.3',
      cipher: 'toy',
      serverName: undefined,
      alpnProtocol: this.#protocol,
      isResumed: false,
      peerCertificate: undefined,
      isAuthorized: false,
    };
  }

  start(send: SendRecords): void {
    send(handshake(greeting + this.#protocols.join(',')));
  }

  receive(bytes: Uint8Array, start: number, end: number, plain: Uint8Array, at: number, send: SendRecords): Received {
    const fail = (alert: Alert): Received => {
      this.failure = alertSent(alert);
      send(Uint8Array.of(Type.alert, 3, 3, 0, 2, 2, alert));
      return Received.failure;
    };
    const length = (bytes[start + 3] << 8) | bytes[start + 4];
    if (!isType(bytes[start])) return fail(Alert.unexpectedMessage);
    if (bytes[start + 1] !== majorVersion) return fail(Alert.protocolVersion);
    if (length > maxContent + tagBytes) return fail(Alert.recordOverflow);
    switch (bytes[start]) {
      case Type.handshake:
        return this.isOpen
          ? fail(Alert.unexpectedMessage)
          : this.#greet(bytes.subarray(start + headerBytes, end), send, fail);
      case Type.content:
        if (!this.isOpen) return fail(Alert.unexpectedMessage);
        if (length < tagBytes) return fail(Alert.decodeError);
        if (!this.#open(bytes, start + headerBytes, end - tagBytes, plain, at)) return fail(Alert.badRecordMac);
        return this.contentEnd > at ? Received.content : Received.nothing;
      default: // an alert
        if (length !== 2) return fail(Alert.decodeError);
        if (bytes[start + 6] === Alert.closeNotify) return Received.end;
        this.failure = alertReceived(bytes[start + 6]);
        return Received.failure;
    }
  }

  #greet(message: Uint8Array, send: SendRecords, fail: (alert: Alert) => Received): Received {
    const text = Buffer.from(message).toString('latin1');
    if (!text.startsWith(greeting)) return fail(Alert.decodeError);
    const offered = text.slice(greeting.length).split(',');
    const protocol = this.#protocols.find((name) => offered.includes(name));
    if (protocol === undefined) return fail(Alert.noApplicationProtocol);
    this.#protocol = protocol;
    this.isOpen = true;
    if (!this.#isClient) send(handshake(greeting + protocol));
    return Received.nothing;
  }

  #open(bytes: Uint8Array, start: number, end: number, plain: Uint8Array, at: number): boolean {
    const mask = this.#received++;
    let sum = mask;
    for (let i = start, to = at; i < end; i++, to++) {
      plain[to] = bytes[i] ^ maskOf(mask, i - start);
      sum = (Math.imul(sum, 31) + plain[to]) | 0;
    }
    this.contentEnd = at + end - start;
    return sum === readTag(bytes, end);
  }

  seal(bytes: Uint8Array, start: number, end: number, output: Uint8Array, at: number): number {
    const length = end - start + tagBytes;
    output.set([Type.content, 3, 3, length >> 8, length & 255], at);
    const mask = this.#sent++;
    let sum = mask;
    let to = at + headerBytes;
    for (let i = start; i < end; i++, to++) {
      output[to] = bytes[i] ^ maskOf(mask, i - start);
      sum = (Math.imul(sum, 31) + bytes[i]) | 0;
    }
    for (let shift = 24; shift >= 0; shift -= 8) output[to++] = sum >>> shift;
    return to;
  }

  sealEnd(output: Uint8Array, at: number): number {
    output.set([Type.alert, 3, 3, 0, 2, 1, Alert.closeNotify], at);
    return at + headerBytes + 2;
  }

  free(): void {}
}

function handshake(text: string): Uint8Array {
  return Buffer.concat([Uint8Array.of(Type.handshake, 3, 3, text.length >> 8, text.length & 255), Buffer.from(text)]);
}

function isType(byte: number): boolean {
  return byte === Type.alert || byte === Type.handshake || byte === Type.content;
}

function maskOf(record: number, place: number): number {
  return (0xa5 + 7 * record + 13 * place) & 255;
}

function readTag(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
}
