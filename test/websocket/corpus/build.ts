// Frames as a peer would write them, right or wrong; and the cases of one subject. Nothing here uses the library's own writing of frames.

import { constants, deflateRawSync, type ZlibOptions } from 'node:zlib';
import type { Heard } from '../feed.js';
import type { Case } from './case.js';

/** The key of the example in RFC 6455 §5.7. */
export const exampleKey = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d);

export const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameOptions {
  /** Default true. */
  fin?: boolean;
  /** The three reserved bits, as a number from 0 to 7; RSV1 is 4. */
  reserved?: number;
  /** The masking key; undefined in frames of a server. */
  key?: Uint8Array | undefined;
  /** In how many bytes the length is: default, as few as can be. */
  lengthBytes?: 1 | 2 | 8;
  /** What the header says, if it is not the payload's length. */
  length?: number | bigint;
}

export const bytesOf = (payload: string | Uint8Array): Uint8Array =>
  typeof payload === 'string' ? Buffer.from(payload) : payload;

/** Bytes in hexadecimal, with spaces where one likes. */
export const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));

export const join = (...pieces: (string | Uint8Array)[]): Uint8Array =>
  Uint8Array.from(Buffer.concat(pieces.map(bytesOf)));

/** A frame of a client, unless there is no key. */
export function frame(code: number, payload: string | Uint8Array = '', options: FrameOptions = {}): Uint8Array {
  const { fin = true, reserved = 0 } = options;
  const key = 'key' in options ? options.key : exampleKey;
  const bytes = bytesOf(payload);
  const length = BigInt(options.length ?? bytes.length);
  const lengthBytes = options.lengthBytes ?? (length < 126n ? 1 : length < 65536n ? 2 : 8);
  const header = Buffer.alloc(2 + (lengthBytes === 1 ? 0 : lengthBytes));
  header[0] = (fin ? 0x80 : 0) | (reserved << 4) | code;
  header[1] = (key ? 0x80 : 0) | (lengthBytes === 1 ? Number(length) : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) header.writeUInt16BE(Number(length), 2);
  if (lengthBytes === 8) header.writeBigUInt64BE(length, 2);
  const masked = key === undefined ? bytes : bytes.map((byte, i) => byte ^ key[i % 4]);
  return join(header, key ?? '', masked);
}

export const text = (payload: string | Uint8Array, options?: FrameOptions): Uint8Array =>
  frame(opcode.text, payload, options);
export const binary = (payload: string | Uint8Array, options?: FrameOptions): Uint8Array =>
  frame(opcode.binary, payload, options);
export const continuation = (payload: string | Uint8Array, options?: FrameOptions): Uint8Array =>
  frame(opcode.continuation, payload, options);
export const ping = (payload: string | Uint8Array = '', options?: FrameOptions): Uint8Array =>
  frame(opcode.ping, payload, options);
export const pong = (payload: string | Uint8Array = '', options?: FrameOptions): Uint8Array =>
  frame(opcode.pong, payload, options);

/** The payload of a Close frame. */
export function closing(code: number, reason: string | Uint8Array = ''): Uint8Array {
  return join(Uint8Array.of(code >> 8, code & 255), reason);
}
export const close = (code?: number, reason?: string | Uint8Array, options?: FrameOptions): Uint8Array =>
  frame(opcode.close, code === undefined ? '' : closing(code, reason), options);

/** A message in several frames. */
export function fragments(code: number, pieces: (string | Uint8Array)[], first: FrameOptions = {}): Uint8Array {
  return join(
    ...pieces.map((piece, i) =>
      frame(i === 0 ? code : opcode.continuation, piece, {
        ...(i === 0 ? first : {}),
        fin: i === pieces.length - 1,
      }),
    ),
  );
}

/** A message compressed as RFC 7692 §7.2.1 says. */
export function deflated(content: string | Uint8Array, options: ZlibOptions = {}): Uint8Array {
  const all = deflateRawSync(bytesOf(content), { ...options, finishFlush: constants.Z_SYNC_FLUSH });
  return Uint8Array.from(all.subarray(0, all.length - 4));
}

/** RSV1: the message is compressed. */
export const compressed: FrameOptions = { reserved: 4 };

export const heardText = (content: string): Heard => ({ text: content });
export const heardBinary = (content: string | Uint8Array): Heard => ({
  binary: Buffer.from(bytesOf(content)).toString('hex'),
});
export const heardPing = (content: string | Uint8Array = ''): Heard => ({
  ping: Buffer.from(bytesOf(content)).toString('hex'),
});
export const heardPong = (content: string | Uint8Array = ''): Heard => ({
  pong: Buffer.from(bytesOf(content)).toString('hex'),
});
export const heardClose = (code = 1005, reason = ''): Heard => ({ close: code, reason });
export const failed = (code: number): Heard => ({ failed: code });

/** What comes behind a frame that ends the socket, and must not be read. */
export const unread = text('must not be read');

type Options = Partial<Pick<Case, 'endpoint' | 'peer' | 'left'>>;

/** Collects the cases of one subject. */
export class Subject {
  readonly cases: Case[] = [];
  #section: string;
  readonly #defaults: Options;

  constructor(section: string, defaults: Options = {}) {
    this.#section = section;
    this.#defaults = defaults;
  }

  /** The section of the cases that follow. */
  section(section: string): void {
    this.#section = section;
  }

  hears = (name: string, sent: Uint8Array | Uint8Array[], heard: Heard | Heard[], options: Options = {}): void => {
    this.cases.push({
      name,
      section: this.#section,
      endpoint: 'usual',
      peer: 'client',
      left: 'nothing',
      ...this.#defaults,
      ...options,
      sent: Array.isArray(sent) ? join(...sent) : sent,
      heard: Array.isArray(heard) ? heard : [heard],
    });
  };

  /** The socket is failed with that code, and what follows is not read. `before` has been heard by then. */
  fails = (
    name: string,
    sent: Uint8Array | Uint8Array[],
    code: number,
    options: Options & { before?: Heard[] } = {},
  ): void => {
    const { before = [], ...others } = options;
    const pieces = Array.isArray(sent) ? sent : [sent];
    this.hears(name, [...pieces, unread], [...before, failed(code)], others);
  };

  /** The same as soon as these bytes have come, although the frame that they are of is not complete. */
  failsAt = (name: string, sent: Uint8Array, code: number, options: Options & { before?: Heard[] } = {}): void => {
    const { before = [], ...others } = options;
    this.hears(`${name}, before the rest of the frame`, sent, [...before, failed(code)], others);
  };
}
