// HMAC(3) of OpenSSL, for the keys of the record layer: node:crypto makes an object and a buffer for each, which costs several times as much.

import type { WriteHmac } from '../detached/key-schedule.js';
import type { Bios } from './bios.js';
import type { OpenSsl } from './library.js';

/** The longest hash, SHA-512, for which HMAC(3) wants room. */
const result = new Uint8Array(new ArrayBuffer(64));

export function opensslHmac(openssl: OpenSsl, bios: Bios): WriteHmac {
  const digests = { sha256: openssl.EVP_sha256(), sha384: openssl.EVP_sha384() };
  const resultAt = bios.addressOf(result);
  return (hash, key, message, output, at, length) => {
    const { length: keyBytes } = key;
    const done = openssl.HMAC(
      digests[hash],
      bios.addressOf(key),
      keyBytes,
      bios.addressOf(message),
      message.length,
      resultAt,
      0,
    );
    if (done === 0) throw new Error('OpenSSL has not derived a key'); // it must not be guessed
    for (let i = 0; i < length; i++) output[at + i] = result[i];
    result.fill(0);
  };
}
