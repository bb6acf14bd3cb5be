// Steps that peers take, and the cases of one subject.

import type { Case, Ends, Step } from './case.js';
import { bytesOf, contentType, type Header, join, type SuiteName } from './wire.js';

/** Numbers of alerts (RFC 8446 §6). The library's own table is compared with this one. */
export const alertNumbers = {
  close_notify: 0,
  unexpected_message: 10,
  bad_record_mac: 20,
  record_overflow: 22,
  handshake_failure: 40,
  bad_certificate: 42,
  unsupported_certificate: 43,
  certificate_revoked: 44,
  certificate_expired: 45,
  certificate_unknown: 46,
  illegal_parameter: 47,
  unknown_ca: 48,
  access_denied: 49,
  decode_error: 50,
  decrypt_error: 51,
  protocol_version: 70,
  insufficient_security: 71,
  internal_error: 80,
  inappropriate_fallback: 86,
  user_canceled: 90,
  missing_extension: 109,
  unsupported_extension: 110,
  unrecognized_name: 112,
  bad_certificate_status_response: 113,
  unknown_psk_identity: 115,
  certificate_required: 116,
  no_application_protocol: 120,
} as const;
export type AlertName = keyof typeof alertNumbers;

/** Bytes as they are. */
export const raw =
  (...pieces: (string | Uint8Array)[]): Step =>
  () =>
    join(...pieces);

export const sealed =
  (type: number, content: string | Uint8Array, padding = 0, options?: Header): Step =>
  ({ own }) =>
    own.seal(type, content, padding, options);

/** A record with these bytes inside: content, type and padding. */
export const sealedInner =
  (inner: Uint8Array, options?: Header): Step =>
  ({ own }) =>
    own.sealInner(inner, options);

export const content = (text: string | Uint8Array, padding = 0): Step => sealed(contentType.content, text, padding);
export const handshake = (message: string | Uint8Array, padding = 0): Step =>
  sealed(contentType.handshake, message, padding);
export const alert = (number: number, level = 2): Step => sealed(contentType.alert, Uint8Array.of(level, number));
export const closeNotify = alert(0, 1);

/** A handshake message, with a length that need not be that of the body. */
export const message = (type: number, body: string | Uint8Array = '', length = body.length): Uint8Array =>
  join(Uint8Array.of(type, length >> 16, (length >> 8) & 255, length & 255), body);

export const keyUpdateMessage = (request: number): Uint8Array => message(24, Uint8Array.of(request));

/** The peer changes to its next keys. */
export const changeKeys: Step = ({ own }) => {
  own.update();
  return new Uint8Array(0);
};

/** A KeyUpdate, behind which the next keys are used. */
export const keyUpdate = (request: 0 | 1, padding = 0): Step =>
  all(handshake(keyUpdateMessage(request), padding), changeKeys);

export const all =
  (...steps: Step[]): Step =>
  (wire) =>
    join(...steps.map((step) => step(wire)));

export const times = (count: number, step: Step): Step => all(...Array.from({ length: count }, () => step));

/** The same bytes once more, or as often as that. */
export const repeated =
  (step: Step, count = 2): Step =>
  (wire) => {
    const bytes = step(wire);
    return join(...Array.from({ length: count }, () => bytes));
  };

/** In another order. */
export const swapped =
  (first: Step, second: Step): Step =>
  (wire) => {
    const bytes = first(wire);
    return join(second(wire), bytes);
  };

/** It is sealed, and does not arrive. */
export const lost =
  (step: Step): Step =>
  (wire) =>
    step(wire).subarray(0, 0);

export const changed =
  (step: Step, change: (bytes: Uint8Array) => Uint8Array): Step =>
  (wire) =>
    change(step(wire));

/** One bit of one byte is another. @param at from the end if it is less than 0 */
export const flipped = (step: Step, at: number, bit = 0): Step =>
  changed(step, (bytes) => {
    const copy = bytes.slice();
    copy[at < 0 ? copy.length + at : at] ^= 1 << bit;
    return copy;
  });

export const cutTo = (step: Step, length: number): Step => changed(step, (bytes) => bytes.slice(0, length));

/** The message in handshake records of so many bytes. */
export const inFragments = (bytes: Uint8Array, size: number): Step[] =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => handshake(bytes.subarray(i * size, (i + 1) * size)));

/** The sequence number is set, as if others had been sent. */
export const atSequence =
  (number: bigint, step: Step): Step =>
  (wire) => {
    wire.own.sequence = number;
    return step(wire);
  };

export interface TicketParts {
  nonce?: string;
  ticket?: string;
  extensions?: string | Uint8Array;
}

const vector = (text: string | Uint8Array): Uint8Array =>
  join(Uint8Array.of(text.length >> 8, text.length & 255), text);

/** The body of a NewSessionTicket (RFC 8446 §4.6.1). */
export const ticketBody = ({
  nonce = '12345678',
  ticket = 'a ticket',
  extensions = '',
}: TicketParts = {}): Uint8Array =>
  join(Uint8Array.of(0, 0, 28, 32, 1, 2, 3, 4, nonce.length), nonce, vector(ticket), vector(extensions));

export const ticket = (parts?: TicketParts): Uint8Array => message(4, ticketBody(parts));

type Options = Partial<Pick<Case, 'suite' | 'peer' | 'hears' | 'requests' | 'sequences' | 'renewals' | 'asks'>>;

/** Collects the cases of a subject. */
export class Subject {
  readonly cases: Case[] = [];
  #section: string;
  readonly #usual: Options;

  constructor(section: string, usual: Options = {}) {
    this.#section = section;
    this.#usual = usual;
  }

  section(section: string): void {
    this.#section = section;
  }

  add(name: string, steps: readonly Step[], hears: string | Uint8Array, ends: Ends, options: Options = {}): void {
    this.cases.push({
      name,
      section: this.#section,
      suite: 'aes-128-gcm' satisfies SuiteName,
      peer: 'client',
      requests: 0,
      renewals: 0,
      asks: 0,
      sequences: [0, 0],
      steps,
      hears: Buffer.from(bytesOf(hears)).toString('latin1'),
      ends,
      ...this.#usual,
      ...options,
    });
  }

  /** The session stays open. */
  readonly takes = (name: string, steps: readonly Step[], hears: string | Uint8Array, options?: Options): void =>
    this.add(name, steps, hears, 'open', options);

  /** What the steps lead to is an alert. Content before them is taken, and content behind them is not: it is added to them here. */
  readonly refuses = (name: string, steps: readonly Step[], alertName: AlertName, options?: Options): void => {
    const ends = { alert: alertNumbers[alertName] };
    this.add(name, [content('before'), ...steps, content('behind')], 'before', ends, options);
  };
}
