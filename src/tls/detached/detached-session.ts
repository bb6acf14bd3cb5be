// The session of a TLS 1.3 connection after its handshake (RFC 8446 §5 and §6): it needs nothing but the traffic secrets, so whatever did the
// handshake can be freed. An idle connection is this object and two rows of keys.

import type { ConnectionError } from '../../event-layer/event-layer.js';
import type { TlsInfo } from '../../event-layer/tls-info.js';
import { Alert, alertReceived, alertSent } from '../alerts.js';
import { headerBytes, maxContent, maxExpansion, Received, type SendRecords, type TlsSession } from '../session.js';
import { tagBytes } from './aead-cipher.js';
import type { CipherSuite } from './cipher-suites.js';
import { HandshakeMessage, isTicket, MessageType } from './handshake-messages.js';
import { applicationData, type RecordKeys } from './record-keys.js';

/** A connection whose handshake is complete. */
export interface Established {
  suite: CipherSuite;
  isClient: boolean;
  /** The traffic secrets of both sides: `CLIENT_TRAFFIC_SECRET_0` and `SERVER_TRAFFIC_SECRET_0` of a key log. Copied: the caller wipes its own. */
  clientSecret: Uint8Array;
  serverSecret: Uint8Array;
  /** How many records were received with these secrets before, and sent: tickets, for a server. */
  received: number;
  sent: number;
  info: TlsInfo | undefined;
}

/** Content types inside encrypted records (RFC 8446 §5.1). */
const ContentType = { alert: 21, handshake: 22, content: applicationData } as const;

/** The version in the header of every encrypted record (RFC 8446 §5.2). */
const recordVersion = 0x0303;

/**
 * So many messages in a row may come without content between them: empty records, KeyUpdates, tickets, alerts that are only warnings. Each of them
 * costs work, and moves nothing. BoringSSL and OpenSSL have the same bound for some of them.
 */
export const maxWithoutContent = 32;
/**
 * After so many milliseconds one more may come. A client that only listens may replace its keys for days: what costs is many at once, so the rate is
 * bounded, and not how many come in all.
 */
const timePerMessage = 10_000;
/** Times are kept in this unit of milliseconds: as small integers for years, which take no memory of their own. */
const tick = 100;
const ticksPerMessage = timePerMessage / tick;
const tooMany = `messages without content, more than ${maxWithoutContent} at once and one each ${timePerMessage / 1000} seconds`;

/** The message or the alert that is being sealed. Over an `ArrayBuffer` of its own, as ciphers expect. */
const ownContent = new Uint8Array(new ArrayBuffer(8));
/** The record that it becomes, on its way to `send`. */
const ownRecord = new Uint8Array(new ArrayBuffer(64));

/** What is true of a session, packed to save memory. */
const Flag = {
  isClient: 1,
  /** The peer has asked for new keys: a KeyUpdate precedes the next content (RFC 8446 §4.6.3). Until then any number of requests is one. */
  owesKeyUpdate: 2,
  /** close_notify or a fatal alert has been sent, or the session is free: nothing more is sealed. */
  sendEnded: 4,
  /** close_notify or a fatal alert has come, or the session is free: nothing more is opened. */
  receiveEnded: 8,
} as const;

export class DetachedSession implements TlsSession {
  readonly info: TlsInfo | undefined;
  failure: ConnectionError | undefined;
  contentEnd = 0;
  readonly #keys: RecordKeys;
  /** The row of the keys for receiving. The next one is that for sending. -1 when the session is free. */
  #row: number;
  #flags: number;
  /** The time, in ticks, from which on as many messages without content may come at once as ever. Each puts it off; content brings it back to 0. */
  #restoredAt = 0;
  /** A handshake message that has come in part. */
  #message: HandshakeMessage | undefined;

  /** @param row the first of two rows that it may use */
  constructor(established: Established, keys: RecordKeys, row: number) {
    const { isClient, clientSecret, serverSecret, received, sent, info } = established;
    this.info = info;
    this.#keys = keys;
    this.#row = row;
    this.#flags = isClient ? Flag.isClient : 0;
    keys.set(row, isClient ? serverSecret : clientSecret, received);
    keys.set(row + 1, isClient ? clientSecret : serverSecret, sent);
  }

  get isOpen(): boolean {
    return true;
  }

  /** The handshake was complete before there was this session. */
  start(): void {}

  receive(bytes: Uint8Array, start: number, end: number, plain: Uint8Array, at: number, send: SendRecords): Received {
    if (this.#has(Flag.receiveEnded)) return this.failure === undefined ? Received.nothing : Received.failure;
    const type = bytes[start];
    const version = (bytes[start + 1] << 8) | bytes[start + 2];
    const length = (bytes[start + 3] << 8) | bytes[start + 4];
    if (type !== applicationData)
      return this.#fail(Alert.unexpectedMessage, `an unencrypted record of type ${type} after the handshake`, send);
    if (version !== recordVersion)
      return this.#fail(Alert.decodeError, `a record of version 0x${version.toString(16)} instead of 0x303`, send);
    if (length > maxContent + maxExpansion)
      return this.#fail(Alert.recordOverflow, `a record of ${length} bytes`, send);
    const body = start + headerBytes;
    if (end - body !== length)
      return this.#fail(Alert.decodeError, `${end - body} bytes of a record whose header says ${length}`, send);
    const inner = length - tagBytes;
    if (inner > maxContent + 1)
      return this.#fail(Alert.recordOverflow, `a record of ${inner - 1} bytes of content and padding`, send);
    if (inner < 0 || !this.#keys.open(this.#row, bytes, body, end, plain, at))
      return this.#fail(Alert.badRecordMac, 'a record that was not sealed with its keys, or not as the next one', send);
    const received = this.#opened(plain, at, at + inner, send);
    if (received < Received.end) this.#renewInTime(send);
    return received;
  }

  /** `plain[at … end-1]` is what a record had in it: content, type, padding of zeros (RFC 8446 §5.4). */
  #opened(plain: Uint8Array, at: number, end: number, send: SendRecords): Received {
    let typeAt = end - 1;
    while (typeAt >= at && plain[typeAt] === 0) typeAt--;
    if (typeAt < at) return this.#fail(Alert.unexpectedMessage, 'a record without a content type', send);
    switch (plain[typeAt]) {
      case ContentType.content:
        return this.#content(at, typeAt, send);
      case ContentType.handshake:
        return this.#handshake(plain, at, typeAt, send);
      case ContentType.alert:
        return this.#alert(plain, at, typeAt, send);
      default:
        return this.#fail(Alert.unexpectedMessage, `an encrypted record of type ${plain[typeAt]}`, send);
    }
  }

  #content(at: number, end: number, send: SendRecords): Received {
    if (this.#message !== undefined)
      return this.#fail(Alert.unexpectedMessage, 'content between the parts of a handshake message', send);
    if (end === at) return this.#withoutContentAgain(send);
    this.#restoredAt = 0;
    this.contentEnd = end;
    return Received.content;
  }

  #alert(plain: Uint8Array, at: number, end: number, send: SendRecords): Received {
    if (end === at) return this.#fail(Alert.unexpectedMessage, 'an empty record of type alert', send);
    if (end - at !== 2) return this.#fail(Alert.decodeError, `an alert of ${end - at} bytes instead of 2`, send);
    // The level before it means nothing (RFC 8446 §6).
    const alert = plain[at + 1];
    if (alert !== Alert.closeNotify && alert !== Alert.userCanceled) {
      this.failure = alertReceived(alert);
      this.#endReceiving();
      this.#endSending();
      return Received.failure;
    }
    if (this.#message !== undefined)
      return this.#fail(Alert.unexpectedMessage, 'an alert between the parts of a handshake message', send);
    if (alert === Alert.closeNotify) {
      this.#endReceiving();
      return Received.end;
    }
    return this.#withoutContentAgain(send);
  }

  #handshake(plain: Uint8Array, start: number, end: number, send: SendRecords): Received {
    if (start === end) return this.#fail(Alert.unexpectedMessage, 'an empty record of type handshake', send);
    for (let at = start; at < end; ) {
      this.#message ??= new HandshakeMessage();
      const message = this.#message;
      const next = message.add(plain, at, end, this.#has(Flag.isClient));
      if (typeof next !== 'number') return this.#fail(next.alert, next.found, send);
      at = next;
      if (!message.isComplete) break;
      this.#message = undefined;
      const received = this.#withoutContentAgain(send);
      if (received !== Received.nothing) return received;
      if (message.type === MessageType.newSessionTicket) {
        if (!isTicket(message.body)) return this.#fail(Alert.decodeError, 'a malformed NewSessionTicket', send);
        continue;
      }
      // RFC 8446 §5.1: what follows a KeyUpdate is sealed with other keys.
      if (at < end) return this.#fail(Alert.unexpectedMessage, 'a KeyUpdate that does not end its record', send);
      const [request] = message.body;
      if (request > 1) return this.#fail(Alert.illegalParameter, `a KeyUpdate with the value ${request}`, send);
      this.#keys.renew(this.#row);
      if (request === 1) this.#flags |= Flag.owesKeyUpdate;
    }
    return Received.nothing;
  }

  /** A message has come that is no content: too many of these in a row are refused, unless they come slowly. */
  #withoutContentAgain(send: SendRecords): Received {
    const now = Math.floor(this.#keys.now() / tick);
    this.#restoredAt = Math.max(this.#restoredAt, now) + ticksPerMessage;
    if (this.#restoredAt - now <= maxWithoutContent * ticksPerMessage) return Received.nothing;
    return this.#fail(Alert.unexpectedMessage, tooMany, send);
  }

  /** If the peer uses its keys for more records than it should, it is asked once for others (RFC 8446 §5.5). */
  #renewInTime(send: SendRecords): void {
    const { recordsPerKey } = this.#keys.suite;
    if (this.#keys.sequence(this.#row) !== recordsPerKey || this.#has(Flag.sendEnded)) return;
    send(ownRecord.subarray(0, this.#sealKeyUpdate(true, ownRecord, 0)));
  }

  seal(bytes: Uint8Array, start: number, end: number, output: Uint8Array, at: number): number {
    this.#checkSending();
    const keys = this.#keys;
    const row = this.#row + 1;
    const isUsedUp = keys.sequence(row) >= keys.suite.recordsPerKey;
    let to = at;
    if (isUsedUp || this.#has(Flag.owesKeyUpdate)) {
      to = this.#sealKeyUpdate(false, output, at);
      this.#flags &= ~Flag.owesKeyUpdate;
    }
    return keys.seal(row, ContentType.content, bytes, start, end, output, to);
  }

  sealEnd(output: Uint8Array, at: number): number {
    this.#checkSending();
    const end = this.#sealAlert(Alert.closeNotify, output, at);
    this.#endSending();
    return end;
  }

  free(): void {
    if (this.#row === -1) return;
    this.#flags |= Flag.sendEnded | Flag.receiveEnded;
    this.#message = undefined;
    this.#keys.release(this.#row);
    this.#row = -1;
  }

  #has(flag: number): boolean {
    return (this.#flags & flag) !== 0;
  }

  /** Sealing with keys that have been wiped would show the content to everyone. */
  #checkSending(): void {
    if (this.#has(Flag.sendEnded))
      throw new Error('a TLS session that has ended its output, failed or been freed cannot seal');
  }

  /** @param requested whether the peer is asked for new keys as well */
  #sealKeyUpdate(requested: boolean, output: Uint8Array, at: number): number {
    ownContent.set([MessageType.keyUpdate, 0, 0, 1, requested ? 1 : 0]);
    const row = this.#row + 1;
    const end = this.#keys.seal(row, ContentType.handshake, ownContent, 0, 5, output, at);
    this.#keys.renew(row);
    return end;
  }

  #sealAlert(alert: Alert, output: Uint8Array, at: number): number {
    const warning = 1;
    const fatal = 2;
    ownContent[0] = alert === Alert.closeNotify ? warning : fatal;
    ownContent[1] = alert;
    return this.#keys.seal(this.#row + 1, ContentType.alert, ownContent, 0, 2, output, at);
  }

  /** Ends the session with an alert. @param found what the peer has sent */
  #fail(alert: Alert, found: string, send: SendRecords): Received {
    this.failure = alertSent(alert, found);
    this.#endReceiving();
    if (!this.#has(Flag.sendEnded)) {
      send(ownRecord.subarray(0, this.#sealAlert(alert, ownRecord, 0)));
      this.#endSending();
    }
    return Received.failure;
  }

  #endReceiving(): void {
    this.#flags |= Flag.receiveEnded;
    this.#message = undefined;
    this.#keys.wipe(this.#row);
  }

  #endSending(): void {
    this.#flags |= Flag.sendEnded;
    this.#keys.wipe(this.#row + 1);
  }
}
