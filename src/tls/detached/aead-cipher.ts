// What seals and opens the records of a cipher suite. It has no state of its own between two calls: keys and nonces are given each time, so one
// object serves all connections.

/** Bytes of the nonce, for every suite (RFC 8446 §5.3). */
export const nonceBytes = 12;
/** Bytes of the tag behind the ciphertext, for every suite. */
export const tagBytes = 16;

/**
 * Authenticated encryption of records (RFC 8446 §5.2). `keys` and `nonce` are over memory of an `ArrayBuffer`, whose address does not change while the
 * `ArrayBuffer` lives; they are few, and the same in each call, so an address may be kept for each (in a `WeakMap`). The additional data are always
 * the 5 bytes of the record's header, which are directly before the ciphertext in memory.
 */
export interface AeadCipher {
  /**
   * Encrypts the content `input[start … end-1]` followed by the one byte `type`, and writes the ciphertext, and the tag behind it, into `output`
   * from `at` on: `end - start + 1 + tagBytes` bytes. The header is `output[at-5 … at-1]`, already written.
   * @param keys the key starts at `keys[keyAt]`; its length is the suite's
   * @param input does not overlap what is written
   */
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
  ): void;
  /**
   * Decrypts `record[start … end-1]`, which is ciphertext and tag, at least `tagBytes`, and writes `end - start - tagBytes` bytes into `plain` from
   * `at` on. The header is `record[start-5 … start-1]`.
   * @returns false if the tag is wrong; what has been written into `plain` is then undefined, and the caller wipes it
   */
  open(
    keys: Uint8Array,
    keyAt: number,
    nonce: Uint8Array,
    record: Uint8Array,
    start: number,
    end: number,
    plain: Uint8Array,
    at: number,
  ): boolean;
}
