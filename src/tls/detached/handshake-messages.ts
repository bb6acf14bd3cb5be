// The handshake messages that may come after the handshake (RFC 8446 §4.6): KeyUpdate, and NewSessionTicket for a client. One may come in several
// records, and several in one record (§5.1).

import { Alert } from '../alerts.js';

export const MessageType = { newSessionTicket: 4, certificateRequest: 13, keyUpdate: 24 } as const;

/** Bytes of a message's header: type, length. */
const headerBytes = 4;
/** The most bytes of a ticket's message. RFC 8446 allows 128 KiB; tickets that hold the certificates of a client have some KiB. */
const maxTicketMessage = 16_384;

/** Why a message is refused. */
export interface Refusal {
  readonly alert: Alert;
  /** What the peer has sent, for the error. */
  readonly found: string;
}

/** A message, as its records come. */
export class HandshakeMessage {
  #bytes = new Uint8Array(headerBytes + 1); // a KeyUpdate
  #length = 0;

  get type(): number {
    return this.#bytes[0];
  }

  get isComplete(): boolean {
    return this.#length >= headerBytes && this.#length === headerBytes + this.#bodyLength;
  }

  /** The message without its header; complete. */
  get body(): Uint8Array {
    return this.#bytes.subarray(headerBytes, this.#length);
  }

  get #bodyLength(): number {
    return (this.#bytes[1] << 16) | (this.#bytes[2] << 8) | this.#bytes[3];
  }

  /**
   * Takes as much of `bytes[start … end-1]` as belongs to the message and was not refused. The memory is at most twice what has come: a length alone
   * takes none.
   * @returns where the next message starts, or why this one is refused
   */
  add(bytes: Uint8Array, start: number, end: number, isClient: boolean): number | Refusal {
    let at = start;
    while (at < end && !this.isComplete) {
      const isHeader = this.#length < headerBytes;
      const wanted = isHeader ? headerBytes : headerBytes + this.#bodyLength;
      const next = Math.min(end, at + wanted - this.#length);
      this.#append(bytes, at, next);
      at = next;
      const refusal = isHeader ? this.#refusal(isClient) : undefined; // the type is looked at before the rest has come
      if (refusal !== undefined) return refusal;
    }
    return at;
  }

  #append(bytes: Uint8Array, start: number, end: number): void {
    const length = this.#length + end - start;
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(2 * length);
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes.subarray(start, end), this.#length);
    this.#length = length;
  }

  /** Why a message with this header is refused, as far as it has come. */
  #refusal(isClient: boolean): Refusal | undefined {
    const { type } = this;
    const isTicket = isClient && type === MessageType.newSessionTicket;
    if (type !== MessageType.keyUpdate && !isTicket) {
      const name =
        type === MessageType.certificateRequest ? 'a CertificateRequest' : `a handshake message of type ${type}`;
      return { alert: Alert.unexpectedMessage, found: `${name} after the handshake` };
    }
    if (this.#length < headerBytes) return undefined;
    const length = this.#bodyLength;
    if (!isTicket) {
      if (length === 1) return undefined;
      return { alert: Alert.decodeError, found: `a KeyUpdate of ${length} bytes instead of 1` };
    }
    if (length <= maxTicketMessage) return undefined;
    return {
      alert: Alert.illegalParameter,
      found: `a NewSessionTicket of ${length} bytes, of which ${maxTicketMessage} are allowed`,
    };
  }
}

/** Whether the body of a NewSessionTicket is well-formed (RFC 8446 §4.6.1). What it says is not used. */
export function isTicket(body: Uint8Array): boolean {
  const lifetimeAndAge = 8;
  if (body.length <= lifetimeAndAge) return false;
  const nonceEnd = lifetimeAndAge + 1 + body[lifetimeAndAge];
  const ticketEnd = vectorEnd(body, nonceEnd);
  if (ticketEnd === nonceEnd + 2) return false; // an empty ticket
  let at = ticketEnd;
  if (vectorEnd(body, at) !== body.length) return false;
  // Extensions: type, length, data.
  for (at += 2; at < body.length; ) at = vectorEnd(body, at + 2);
  return at === body.length;
}

/** Where a vector ends whose length is the two bytes at `at`; beyond the end of the bytes, or NaN, if that is cut short. */
function vectorEnd(bytes: Uint8Array, at: number): number {
  return at + 2 + ((bytes[at] ?? Number.NaN) * 256 + (bytes[at + 1] ?? Number.NaN));
}
