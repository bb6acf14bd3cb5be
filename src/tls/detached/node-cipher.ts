// Sealing and opening with node:crypto: for simulated tests, and for runtimes and layers without OpenSSL's functions. An object for each record
// makes it several times as expensive as calling OpenSSL directly.

import { createCipheriv, createDecipheriv } from 'node:crypto';
import { headerBytes } from '../session.js';
import { type AeadCipher, tagBytes } from './aead-cipher.js';
import type { CipherSuite } from './cipher-suites.js';

const tagLength = { authTagLength: tagBytes };

export class NodeCipher implements AeadCipher {
  /** Typed as one for which Node's types have `setAAD`: ChaCha20-Poly1305 is used in the same way. */
  readonly #name: 'aes-128-gcm';
  readonly #keyBytes: number;

  constructor({ aead, keyBytes }: CipherSuite) {
    this.#name = aead as 'aes-128-gcm';
    this.#keyBytes = keyBytes;
  }

  seal(
    keys: Uint8Array,
    keyAt: number,
    nonce: Uint8Array,
    input: Uint8Array,
    start: number,
    end: number,
    type: number,
    output: Uint8Array,
    at: number,
  ): void {
    const key = keys.subarray(keyAt, keyAt + this.#keyBytes);
    const cipher = createCipheriv(this.#name, key, nonce, tagLength);
    cipher.setAAD(output.subarray(at - headerBytes, at));
    // Each call gives all that it was given: these ciphers have no blocks to fill.
    output.set(cipher.update(input.subarray(start, end)), at);
    const typeAt = at + end - start;
    output.set(cipher.update(Uint8Array.of(type)), typeAt);
    cipher.final();
    output.set(cipher.getAuthTag(), typeAt + 1);
  }

  open(
    keys: Uint8Array,
    keyAt: number,
    nonce: Uint8Array,
    record: Uint8Array,
    start: number,
    end: number,
    plain: Uint8Array,
    at: number,
  ): boolean {
    const key = keys.subarray(keyAt, keyAt + this.#keyBytes);
    const decipher = createDecipheriv(this.#name, key, nonce, tagLength);
    decipher.setAAD(record.subarray(start - headerBytes, start));
    decipher.setAuthTag(record.subarray(end - tagBytes, end));
    plain.set(decipher.update(record.subarray(start, end - tagBytes)), at);
    try {
      decipher.final();
      return true;
    } catch {
      return false; // the only reason for which it throws here is a tag that does not fit
    }
  }
}
