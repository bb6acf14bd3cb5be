// The part of the key schedule that follows the handshake: from a traffic secret to its key and IV (RFC 8446 §7.3), and to the next secret (§7.2).

import { createHmac } from 'node:crypto';

export type Hash = 'sha256' | 'sha384';

/**
 * What HKDF-Expand hashes for a label without context (RFC 8446 §7.1): the HkdfLabel, and the number of the block, which is 1, because nothing here
 * is longer than a hash (RFC 5869 §2.3).
 */
function hkdfBlock(label: string, length: number): Uint8Array {
  const text = `tls13 ${label}`;
  return Buffer.concat([Uint8Array.of(0, length, text.length), Buffer.from(text, 'latin1'), Uint8Array.of(0, 1)]);
}

const blocks = new Map<string, Uint8Array>();

/** Writes the first `length` bytes of an HMAC (RFC 2104) into `output`, from `at` on. Nothing of it remains elsewhere. `key` and `output` may overlap. */
export type WriteHmac = (
  hash: Hash,
  key: Uint8Array,
  message: Uint8Array,
  output: Uint8Array,
  at: number,
  length: number,
) => void;

/** With node:crypto. */
export const nodeHmac: WriteHmac = (hash, key, message, output, at, length) => {
  const derived = createHmac(hash, key).update(message).digest();
  output.set(derived.subarray(0, length), at);
  derived.fill(0);
};

/**
 * HKDF-Expand-Label(secret, label, "", length), RFC 8446 §7.1. Writes the result into `output[at … at+length-1]`.
 * @param length at most that of the hash
 */
export function expandLabel(
  hash: Hash,
  secret: Uint8Array,
  label: string,
  output: Uint8Array,
  at: number,
  length: number,
  writeHmac: WriteHmac = nodeHmac,
): void {
  const name = `${label} ${length}`;
  let block = blocks.get(name);
  if (block === undefined) {
    block = hkdfBlock(label, length);
    blocks.set(name, block); // few: a label for each purpose, with the lengths of three suites
  }
  writeHmac(hash, secret, block, output, at, length);
}
