// Sealing and opening records with OpenSSL's ciphers (EVP_EncryptInit(3)), where the records are. A suite has one context for each direction, which gets the
// key of the connection at hand for each record: a context of its own for each connection would take more memory than all else.

import type { AeadCipher } from '../detached/aead-cipher.js';
import { nonceBytes, tagBytes } from '../detached/aead-cipher.js';
import type { CipherSuite } from '../detached/cipher-suites.js';
import { headerBytes } from '../session.js';
import type { Bios } from './bios.js';
import type { OpenSsl } from './library.js';

const EVP_CTRL_AEAD_SET_IVLEN = 9;
const EVP_CTRL_AEAD_GET_TAG = 16;
const EVP_CTRL_AEAD_SET_TAG = 17;

const ciphers = {
  'aes-128-gcm': 'EVP_aes_128_gcm',
  'aes-256-gcm': 'EVP_aes_256_gcm',
  'chacha20-poly1305': 'EVP_chacha20_poly1305',
} as const;

/** A byte for each content type, and one for the lengths that the functions return, of which none is used. */
const types = Uint8Array.from(new Uint8Array(new ArrayBuffer(256)), (_, type) => type);
const lengths = new Uint32Array(new ArrayBuffer(4));

export class EvpCipher implements AeadCipher {
  readonly #openssl: OpenSsl;
  readonly #bios: Bios;
  readonly #encrypt: number;
  readonly #decrypt: number;
  readonly #types: number;
  readonly #lengths: number;

  constructor(openssl: OpenSsl, bios: Bios, suite: CipherSuite) {
    this.#openssl = openssl;
    this.#bios = bios;
    const cipher = openssl[ciphers[suite.aead]]();
    this.#encrypt = this.#newContext(cipher, 1);
    this.#decrypt = this.#newContext(cipher, 0);
    this.#types = bios.addressOf(types);
    this.#lengths = bios.addressOf(new Uint8Array(lengths.buffer));
  }

  #newContext(cipher: number, encrypts: number): number {
    const openssl = this.#openssl;
    const context = openssl.EVP_CIPHER_CTX_new();
    if (context === 0 || openssl.EVP_CipherInit_ex(context, cipher, 0, 0, 0, encrypts) !== 1)
      throw new Error('OpenSSL has no context for a cipher suite of TLS 1.3');
    openssl.EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, nonceBytes, 0);
    return context;
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
    const bios = this.#bios;
    const context = this.#encrypt;
    const lengthsAt = this.#lengths;
    const { EVP_CipherInit_ex, EVP_EncryptUpdate, EVP_EncryptFinal_ex, EVP_CIPHER_CTX_ctrl } = this.#openssl;
    const to = bios.addressOf(output) + at;
    const typeAt = to + end - start;
    EVP_CipherInit_ex(context, 0, 0, bios.addressOf(keys) + keyAt, bios.addressOf(nonce), 1);
    EVP_EncryptUpdate(context, 0, lengthsAt, to - headerBytes, headerBytes);
    if (end > start) EVP_EncryptUpdate(context, to, lengthsAt, bios.addressOf(input) + start, end - start);
    EVP_EncryptUpdate(context, typeAt, lengthsAt, this.#types + type, 1);
    EVP_EncryptFinal_ex(context, typeAt + 1, lengthsAt);
    const result = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, tagBytes, typeAt + 1);
    if (result !== 1) throw new Error('OpenSSL has not encrypted a record'); // what is at `at` must not be sent
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
    const bios = this.#bios;
    const context = this.#decrypt;
    const lengthsAt = this.#lengths;
    const { EVP_CipherInit_ex, EVP_DecryptUpdate, EVP_DecryptFinal_ex, EVP_CIPHER_CTX_ctrl } = this.#openssl;
    const from = bios.addressOf(record) + start;
    const to = bios.addressOf(plain) + at;
    const length = end - start - tagBytes;
    EVP_CipherInit_ex(context, 0, 0, bios.addressOf(keys) + keyAt, bios.addressOf(nonce), 0);
    EVP_DecryptUpdate(context, 0, lengthsAt, from - headerBytes, headerBytes);
    if (length > 0) EVP_DecryptUpdate(context, to, lengthsAt, from, length);
    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tagBytes, from + length);
    if (EVP_DecryptFinal_ex(context, to + length, lengthsAt) === 1) return true;
    this.#openssl.ERR_clear_error();
    return false;
  }
}
