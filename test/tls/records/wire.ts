// Encrypted records as a peer of TLS 1.3 writes and reads them (RFC 8446 §5 and §7), right or wrong. Nothing here uses the library's own record layer.

import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';

/** By Node's names of the ciphers. */
export const suites = {
  'aes-128-gcm': { hash: 'sha256', secretBytes: 32, keyBytes: 16, name: 'TLS_AES_128_GCM_SHA256' },
  'aes-256-gcm': { hash: 'sha384', secretBytes: 48, keyBytes: 32, name: 'TLS_AES_256_GCM_SHA384' },
  'chacha20-poly1305': { hash: 'sha256', secretBytes: 32, keyBytes: 32, name: 'TLS_CHACHA20_POLY1305_SHA256' },
} as const;
export type SuiteName = keyof typeof suites;
export const suiteNames = Object.keys(suites) as SuiteName[];

export const contentType = { changeCipherSpec: 20, alert: 21, handshake: 22, content: 23, heartbeat: 24 } as const;

const headerBytes = 5;
const tagBytes = 16;

export const bytesOf = (data: string | Uint8Array): Uint8Array =>
  typeof data === 'string' ? Buffer.from(data, 'latin1') : data;

export const join = (...pieces: (string | Uint8Array)[]): Uint8Array =>
  Uint8Array.from(Buffer.concat(pieces.map(bytesOf)));

/** HKDF-Expand (RFC 5869 §2.3) of an HkdfLabel (RFC 8446 §7.1). */
export function expandLabel(hash: string, secret: Uint8Array, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.of(length >> 8, length & 255, name.length), name, Buffer.of(0)]);
  let result = Buffer.alloc(0);
  let last = Buffer.alloc(0);
  for (let i = 1; result.length < length; i++) {
    last = createHmac(hash, secret).update(last).update(info).update(Buffer.of(i)).digest();
    result = Buffer.concat([result, last]);
  }
  return result.subarray(0, length);
}

export interface Header {
  type?: number;
  version?: number;
  /** What it says of the length of the rest. */
  length?: number;
}

export function header({ type = contentType.content, version = 0x0303, length = 0 }: Header): Uint8Array {
  return Uint8Array.of(type, version >> 8, version & 255, length >> 8, length & 255);
}

/** A record that is not encrypted. */
export function plainRecord(type: number, body: string | Uint8Array, options: Header = {}): Uint8Array {
  return join(header({ type, length: body.length, ...options }), body);
}

/** The keys of one direction, and how many records they were used for. */
export class Direction {
  readonly suite: SuiteName;
  sequence: bigint;
  #secret: Uint8Array;

  constructor(suite: SuiteName, secret: Uint8Array, sequence = 0n) {
    this.suite = suite;
    this.#secret = secret;
    this.sequence = sequence;
  }

  /** The next keys (§7.2). */
  update(): void {
    const { hash, secretBytes } = suites[this.suite];
    this.#secret = expandLabel(hash, this.#secret, 'traffic upd', secretBytes);
    this.sequence = 0n;
  }

  get key(): Buffer {
    const { hash, keyBytes } = suites[this.suite];
    return expandLabel(hash, this.#secret, 'key', keyBytes);
  }

  get iv(): Buffer {
    return expandLabel(suites[this.suite].hash, this.#secret, 'iv', 12);
  }

  #nonce(): Buffer {
    const nonce = this.iv;
    nonce.writeBigUInt64BE(nonce.readBigUInt64BE(4) ^ this.sequence, 4);
    return nonce;
  }

  /** Seals any bytes as the inside of a record, as the next one. The header may say what it likes, and is authenticated as it is. */
  sealInner(inner: Uint8Array, options: Header = {}): Uint8Array {
    const own = header({ length: inner.length + tagBytes, ...options });
    const cipher = createCipheriv(this.suite as 'aes-128-gcm', this.key, this.#nonce(), { authTagLength: tagBytes });
    this.sequence++;
    cipher.setAAD(own);
    return join(own, cipher.update(inner), cipher.final(), cipher.getAuthTag());
  }

  seal(type: number, content: string | Uint8Array, padding = 0, options?: Header): Uint8Array {
    return this.sealInner(join(content, Uint8Array.of(type), new Uint8Array(padding)), options);
  }

  /** @throws if the record is not the next one of these keys */
  open(record: Uint8Array): { type: number; content: Buffer } {
    const decipher = createDecipheriv(this.suite as 'aes-128-gcm', this.key, this.#nonce(), {
      authTagLength: tagBytes,
    });
    decipher.setAAD(record.subarray(0, headerBytes));
    decipher.setAuthTag(record.subarray(-tagBytes));
    const inner = Buffer.concat([decipher.update(record.subarray(headerBytes, -tagBytes)), decipher.final()]);
    this.sequence++;
    let end = inner.length - 1;
    while (end >= 0 && inner[end] === 0) end--;
    return { type: inner[end], content: inner.subarray(0, end) };
  }
}

/** One record that has come. */
export interface ReceivedRecord {
  type: number;
  content: Buffer;
}

/** Reads the records of a stream of bytes. */
export class RecordReader {
  readonly records: ReceivedRecord[] = [];
  readonly #direction: Direction;
  #left: Buffer = Buffer.alloc(0);

  constructor(direction: Direction) {
    this.#direction = direction;
  }

  /** All bytes belonged to whole records. */
  get isBetween(): boolean {
    return this.#left.length === 0;
  }

  /** @throws if a record is not as it should be */
  push(bytes: Uint8Array): void {
    let all = Buffer.concat([this.#left, bytes]);
    for (; all.length >= headerBytes; ) {
      const end = headerBytes + all.readUInt16BE(3);
      if (all.length < end) break;
      if (all.readUIntBE(0, 3) !== 0x170303) throw new Error(`a record with the header ${all.toString('hex', 0, 5)}`);
      if (end > headerBytes + 16_384 + 256) throw new Error(`a record of ${end} bytes`);
      const record = this.#direction.open(all.subarray(0, end));
      if (record.content.length > 16_384) throw new Error(`${record.content.length} bytes of content`);
      this.records.push(record);
      if (record.type === contentType.handshake && record.content[0] === 24) this.#direction.update();
      all = all.subarray(end);
    }
    this.#left = all;
  }
}
