// The keys of many connections of one cipher suite, as rows of typed arrays: at most 200 bytes for the two rows of a connection. A row is one
// direction: its traffic secret, key and IV, and the sequence number of the next record.

import { headerBytes } from '../session.js';
import { type AeadCipher, nonceBytes, tagBytes } from './aead-cipher.js';
import type { CipherSuite } from './cipher-suites.js';
import { expandLabel, type WriteHmac } from './key-schedule.js';

/** Connections of one block. A block is a single piece of memory that never moves, so that no copy of a key is left behind. */
export const connectionsPerBlock = 256;

/** The type of all encrypted records, whatever is in them (RFC 8446 §5.2). */
export const applicationData = 23;

/** The nonce of the record at hand, for all blocks. Over an `ArrayBuffer` of its own, as ciphers expect. */
const nonce = new Uint8Array(new ArrayBuffer(nonceBytes));

export class RecordKeys {
  readonly suite: CipherSuite;
  readonly #cipher: AeadCipher;
  readonly #rowBytes: number;
  /** Rows of secret, key, IV. */
  readonly #rows: Uint8Array;
  /** Sequence numbers. For a free pair, the first of the two is the number of the next free pair. */
  readonly #sequences = new Float64Array(2 * connectionsPerBlock);
  #firstFree = 0;
  /** Connections that have rows here. */
  used = 0;
  readonly #released: (block: RecordKeys) => void;
  readonly #writeHmac: WriteHmac;
  /** The clock of the sessions that have rows here, in milliseconds. */
  readonly now: () => number;

  /** @param released is called when a connection has given its rows back */
  constructor(
    suite: CipherSuite,
    cipher: AeadCipher,
    released: (block: RecordKeys) => void,
    writeHmac: WriteHmac,
    now: () => number,
  ) {
    this.#writeHmac = writeHmac;
    this.now = now;
    this.suite = suite;
    this.#cipher = cipher;
    this.#released = released;
    this.#rowBytes = suite.secretBytes + suite.keyBytes + nonceBytes;
    this.#rows = new Uint8Array(new ArrayBuffer(2 * connectionsPerBlock * this.#rowBytes));
    for (let pair = 0; pair < connectionsPerBlock; pair++) this.#sequences[2 * pair] = pair + 1;
  }

  get isFull(): boolean {
    return this.used === connectionsPerBlock;
  }

  /** Gives two rows to a connection: not if the block is full. @returns the first of them; the other is the next */
  take(): number {
    const row = 2 * this.#firstFree;
    this.#firstFree = this.#sequences[row];
    this.used++;
    return row;
  }

  /** Wipes two rows, and takes them back. @param row the first of them */
  release(row: number): void {
    this.wipe(row);
    this.wipe(row + 1);
    this.#sequences[row] = this.#firstFree;
    this.#firstFree = row / 2;
    this.used--;
    this.#released(this);
  }

  /** Sets the keys of a row. @param secret is copied @param sequence the number of the next record */
  set(row: number, secret: Uint8Array, sequence: number): void {
    this.#rows.set(secret, row * this.#rowBytes);
    this.#derive(row, sequence);
  }

  /** Replaces the keys of a row by the next ones (RFC 8446 §7.2). */
  renew(row: number): void {
    this.#expand(row, 'traffic upd', 0, this.suite.secretBytes);
    this.#derive(row, 0);
  }

  /** Derives the key and the IV of a row from its secret. */
  #derive(row: number, sequence: number): void {
    const { secretBytes, keyBytes } = this.suite;
    this.#expand(row, 'key', secretBytes, keyBytes);
    this.#expand(row, 'iv', secretBytes + keyBytes, nonceBytes);
    this.#sequences[row] = sequence;
  }

  /** HKDF-Expand-Label with the secret of a row. @param to where in the row the result goes */
  #expand(row: number, label: string, to: number, length: number): void {
    const { hash, secretBytes } = this.suite;
    const at = row * this.#rowBytes;
    const secret = this.#rows.subarray(at, at + secretBytes);
    expandLabel(hash, secret, label, this.#rows, at + to, length, this.#writeHmac);
  }

  wipe(row: number): void {
    const at = row * this.#rowBytes;
    this.#rows.fill(0, at, at + this.#rowBytes);
    this.#sequences[row] = 0;
  }

  /** How many records its keys have been used for. */
  sequence(row: number): number {
    return this.#sequences[row];
  }

  /** Writes `input[start … end-1]`, content of the given type, as one record into `output` from `at` on. @returns where that ends */
  seal(
    row: number,
    type: number,
    input: Uint8Array,
    start: number,
    end: number,
    output: Uint8Array,
    at: number,
  ): number {
    const length = end - start + 1 + tagBytes;
    output[at] = applicationData;
    output[at + 1] = 3;
    output[at + 2] = 3;
    output[at + 3] = length >> 8;
    output[at + 4] = length;
    this.#setNonce(row);
    const body = at + headerBytes;
    this.#cipher.seal(this.#rows, this.#keyAt(row), nonce, input, start, end, type, output, body);
    this.#sequences[row]++;
    return body + length;
  }

  /**
   * Decrypts `record[start … end-1]`, the encrypted part of a record, whose header is before it, into `plain` from `at` on.
   * @returns false if the record is not the next one that was sealed with these keys; nothing of it is then in `plain`
   */
  open(row: number, record: Uint8Array, start: number, end: number, plain: Uint8Array, at: number): boolean {
    this.#setNonce(row);
    const isAuthentic = this.#cipher.open(this.#rows, this.#keyAt(row), nonce, record, start, end, plain, at);
    if (isAuthentic) this.#sequences[row]++;
    else plain.fill(0, at, at + end - start - tagBytes);
    return isAuthentic;
  }

  #keyAt(row: number): number {
    return row * this.#rowBytes + this.suite.secretBytes;
  }

  /** The IV, XORed with the sequence number as 64 bits (RFC 8446 §5.3). */
  #setNonce(row: number): void {
    const rows = this.#rows;
    const at = this.#keyAt(row) + this.suite.keyBytes;
    for (let i = 0; i < nonceBytes; i++) nonce[i] = rows[at + i];
    const sequence = this.#sequences[row];
    const low = sequence >>> 0;
    nonce[11] ^= low;
    nonce[10] ^= low >>> 8;
    nonce[9] ^= low >>> 16;
    nonce[8] ^= low >>> 24;
    if (sequence < 2 ** 32) return;
    const high = sequence / 2 ** 32;
    nonce[7] ^= high;
    nonce[6] ^= high / 2 ** 8;
    nonce[5] ^= high / 2 ** 16;
  }
}
