// The OpenSSL inside the Node binary, which exports its functions, called through koffi. It is loaded when the first secure transport is created.
// The manual pages of OpenSSL 3 describe the functions. Addresses are numbers; 0 is NULL.

import { createSecureContext } from 'node:tls';
import { ConnectionError } from '../../event-layer/event-layer.js';
import { declareFunctions, type Koffi, loadKoffi } from '../../event-layer/linux/koffi.js';
import { type Libc, loadLibraries } from '../../event-layer/linux/libc.js';
import { addressOfContext } from './context-address.js';

/** Memory of an argument, for the duration of a call. */
type Bytes = Uint8Array | null;

export interface OpenSsl {
  SSL_CTX_ctrl(context: number, command: number, number: number, pointer: number): number;
  SSL_CTX_callback_ctrl(context: number, command: number, callback: number): number;
  SSL_CTX_set_options(context: number, options: number): void;
  SSL_CTX_set_session_id_context(context: number, id: Bytes, length: number): number;
  SSL_CTX_set_num_tickets(context: number, count: number): number;
  SSL_CTX_set_alpn_select_cb(context: number, callback: number, argument: number): void;
  SSL_CTX_set_keylog_callback(context: number, callback: number): void;
  SSL_CTX_sess_set_new_cb(context: number, callback: number): void;
  SSL_CTX_sess_set_get_cb(context: number, callback: number): void;

  SSL_new(context: number): number;
  SSL_free(ssl: number): void;
  SSL_set_bio(ssl: number, input: number, output: number): void;
  SSL_set_accept_state(ssl: number): void;
  SSL_set_connect_state(ssl: number): void;
  SSL_set_verify(ssl: number, mode: number, callback: number): void;
  SSL_set_hostflags(ssl: number, flags: number): void;
  SSL_set1_host(ssl: number, name: string): number;
  SSL_get0_param(ssl: number): number;
  SSL_set_alpn_protos(ssl: number, protocols: Bytes, length: number): number;
  SSL_ctrl(ssl: number, command: number, number: number, pointer: number): number;
  /** The macro SSL_set_tlsext_host_name(3), with its arguments for SSL_ctrl. */
  SSL_set_tlsext_host_name(ssl: number, command: number, type: number, name: string): number;
  SSL_do_handshake(ssl: number): number;
  SSL_read(ssl: number, address: number, bytes: number): number;
  SSL_write(ssl: number, address: number, bytes: number): number;
  SSL_shutdown(ssl: number): number;
  SSL_get_error(ssl: number, result: number): number;
  SSL_get_version(ssl: number): string;
  SSL_session_reused(ssl: number): number;
  SSL_get_current_cipher(ssl: number): number;
  SSL_CIPHER_get_name(cipher: number): string;
  SSL_get0_alpn_selected(ssl: number, protocol: number, length: number): void;
  SSL_get_verify_result(ssl: number): number;
  SSL_get1_peer_certificate(ssl: number): number;
  SSL_get_peer_cert_chain(ssl: number): number;
  OPENSSL_sk_value(stack: number, index: number): number;

  X509_VERIFY_PARAM_set1_ip_asc(parameters: number, address: string): number;
  X509_verify_cert_error_string(result: number): string;
  X509_free(certificate: number): void;
  i2d_X509(certificate: number, output: BigUint64Array | null): number;

  BIO_new(method: number): number;
  BIO_s_mem(): number;
  BIO_new_mem_buf(bytes: Bytes, length: number): number;
  BIO_up_ref(bio: number): number;
  BIO_read(bio: number, address: number, bytes: number): number;
  BIO_ctrl(bio: number, command: number, number: number, pointer: BigUint64Array | null): number;
  BIO_ctrl_pending(bio: number): number;

  EVP_sha256(): number;
  EVP_sha384(): number;
  HMAC(
    digest: number,
    key: number,
    keyBytes: number,
    message: number,
    messageBytes: number,
    output: number,
    outputBytes: number,
  ): number;
  EVP_aes_128_gcm(): number;
  EVP_aes_256_gcm(): number;
  EVP_chacha20_poly1305(): number;
  EVP_CIPHER_CTX_new(): number;
  EVP_CipherInit_ex(
    context: number,
    cipher: number,
    engine: number,
    key: number,
    nonce: number,
    encrypts: number,
  ): number;
  EVP_CIPHER_CTX_ctrl(context: number, command: number, number: number, pointer: number): number;
  EVP_EncryptUpdate(context: number, output: number, outputLength: number, input: number, bytes: number): number;
  EVP_EncryptFinal_ex(context: number, output: number, outputLength: number): number;
  EVP_DecryptUpdate(context: number, output: number, outputLength: number, input: number, bytes: number): number;
  EVP_DecryptFinal_ex(context: number, output: number, outputLength: number): number;

  ERR_get_error(): number;
  ERR_clear_error(): void;
  ERR_reason_error_string(error: number): string | null;

  /** OPENSSL_malloc(3), which is a macro. @param file 0 @param line 0 */
  CRYPTO_malloc(bytes: number, file: number, line: number): number;
  /** memcpy(3), of the C library. */
  memcpy(to: number, from: number, bytes: number): void;
  /** strncpy(3), of the C library. */
  strncpy(to: number, from: number, bytes: number): void;
  /** memcpy(3) from memory of JavaScript. */
  memcpyFrom(to: number, from: Bytes, bytes: number): void;
}

const signatures = {
  SSL_CTX_ctrl: ['long', 'uintptr_t', 'int', 'long', 'uintptr_t'],
  SSL_CTX_callback_ctrl: ['long', 'uintptr_t', 'int', 'uintptr_t'],
  SSL_CTX_set_options: ['void', 'uintptr_t', 'uint64_t'],
  SSL_CTX_set_session_id_context: ['int', 'uintptr_t', 'void *', 'uint32_t'],
  SSL_CTX_set_num_tickets: ['int', 'uintptr_t', 'size_t'],
  SSL_CTX_set_alpn_select_cb: ['void', 'uintptr_t', 'uintptr_t', 'uintptr_t'],
  SSL_CTX_set_keylog_callback: ['void', 'uintptr_t', 'uintptr_t'],
  SSL_CTX_sess_set_new_cb: ['void', 'uintptr_t', 'uintptr_t'],
  SSL_CTX_sess_set_get_cb: ['void', 'uintptr_t', 'uintptr_t'],
  SSL_new: ['uintptr_t', 'uintptr_t'],
  SSL_free: ['void', 'uintptr_t'],
  SSL_set_bio: ['void', 'uintptr_t', 'uintptr_t', 'uintptr_t'],
  SSL_set_accept_state: ['void', 'uintptr_t'],
  SSL_set_connect_state: ['void', 'uintptr_t'],
  SSL_set_verify: ['void', 'uintptr_t', 'int', 'uintptr_t'],
  SSL_set_hostflags: ['void', 'uintptr_t', 'uint32_t'],
  SSL_set1_host: ['int', 'uintptr_t', 'const char *'],
  SSL_get0_param: ['uintptr_t', 'uintptr_t'],
  SSL_set_alpn_protos: ['int', 'uintptr_t', 'void *', 'uint32_t'],
  SSL_ctrl: ['long', 'uintptr_t', 'int', 'long', 'uintptr_t'],
  SSL_do_handshake: ['int', 'uintptr_t'],
  SSL_read: ['int', 'uintptr_t', 'uintptr_t', 'int'],
  SSL_write: ['int', 'uintptr_t', 'uintptr_t', 'int'],
  SSL_shutdown: ['int', 'uintptr_t'],
  SSL_get_error: ['int', 'uintptr_t', 'int'],
  SSL_get_version: ['const char *', 'uintptr_t'],
  SSL_session_reused: ['int', 'uintptr_t'],
  SSL_get_current_cipher: ['uintptr_t', 'uintptr_t'],
  SSL_CIPHER_get_name: ['const char *', 'uintptr_t'],
  SSL_get0_alpn_selected: ['void', 'uintptr_t', 'uintptr_t', 'uintptr_t'],
  SSL_get_verify_result: ['long', 'uintptr_t'],
  SSL_get1_peer_certificate: ['uintptr_t', 'uintptr_t'],
  SSL_get_peer_cert_chain: ['uintptr_t', 'uintptr_t'],
  OPENSSL_sk_value: ['uintptr_t', 'uintptr_t', 'int'],
  X509_VERIFY_PARAM_set1_ip_asc: ['int', 'uintptr_t', 'const char *'],
  X509_verify_cert_error_string: ['const char *', 'long'],
  X509_free: ['void', 'uintptr_t'],
  i2d_X509: ['int', 'uintptr_t', 'void *'],
  BIO_new: ['uintptr_t', 'uintptr_t'],
  BIO_s_mem: ['uintptr_t'],
  BIO_new_mem_buf: ['uintptr_t', 'void *', 'int'],
  BIO_up_ref: ['int', 'uintptr_t'],
  BIO_read: ['int', 'uintptr_t', 'uintptr_t', 'int'],
  BIO_ctrl: ['long', 'uintptr_t', 'int', 'long', 'void *'],
  BIO_ctrl_pending: ['size_t', 'uintptr_t'],
  EVP_sha256: ['uintptr_t'],
  EVP_sha384: ['uintptr_t'],
  HMAC: ['uintptr_t', 'uintptr_t', 'uintptr_t', 'int', 'uintptr_t', 'size_t', 'uintptr_t', 'uintptr_t'],
  EVP_aes_128_gcm: ['uintptr_t'],
  EVP_aes_256_gcm: ['uintptr_t'],
  EVP_chacha20_poly1305: ['uintptr_t'],
  EVP_CIPHER_CTX_new: ['uintptr_t'],
  EVP_CipherInit_ex: ['int', 'uintptr_t', 'uintptr_t', 'uintptr_t', 'uintptr_t', 'uintptr_t', 'int'],
  EVP_CIPHER_CTX_ctrl: ['int', 'uintptr_t', 'int', 'int', 'uintptr_t'],
  EVP_EncryptUpdate: ['int', 'uintptr_t', 'uintptr_t', 'uintptr_t', 'uintptr_t', 'int'],
  EVP_EncryptFinal_ex: ['int', 'uintptr_t', 'uintptr_t', 'uintptr_t'],
  EVP_DecryptUpdate: ['int', 'uintptr_t', 'uintptr_t', 'uintptr_t', 'uintptr_t', 'int'],
  EVP_DecryptFinal_ex: ['int', 'uintptr_t', 'uintptr_t', 'uintptr_t'],
  ERR_get_error: ['unsigned long'],
  ERR_clear_error: ['void'],
  ERR_reason_error_string: ['const char *', 'unsigned long'],
  CRYPTO_malloc: ['uintptr_t', 'size_t', 'uintptr_t', 'int'],
  memcpy: ['void', 'uintptr_t', 'uintptr_t', 'size_t'],
  strncpy: ['void', 'uintptr_t', 'uintptr_t', 'size_t'],
} as const;

const hostNameSignature = { SSL_set_tlsext_host_name: ['long', 'uintptr_t', 'int', 'long', 'const char *'] } as const;
const memcpyFromSignature = { memcpyFrom: ['void', 'uintptr_t', 'void *', 'size_t'] } as const;

/** OpenSSL with what calling it needs. */
export interface LoadedOpenSsl {
  readonly openssl: OpenSsl;
  readonly koffi: Koffi;
  readonly libc: Libc;
}

let loaded: LoadedOpenSsl | undefined;

/**
 * Loads OpenSSL, once in a process.
 * @throws {ConnectionError} `ERR_EVENT_LAYER` where it is unavailable, saying why
 */
export function loadOpenSsl(): LoadedOpenSsl {
  if (loaded !== undefined) return loaded;
  const { libc } = loadLibraries();
  const koffi = loadKoffi();
  let openssl: OpenSsl;
  try {
    const library = koffi.load(null);
    openssl = {
      ...declareFunctions<OpenSsl>(library, signatures),
      ...declareFunctions<OpenSsl>(library, hostNameSignature, 'SSL_ctrl'),
      ...declareFunctions<OpenSsl>(library, memcpyFromSignature, 'memcpy'),
    };
    addressOfContext(createSecureContext({ ca: [] }));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConnectionError('ERR_EVENT_LAYER', `the OpenSSL inside this Node cannot be called: ${reason}`, {
      cause: error,
    });
  }
  loaded = { openssl, koffi, libc };
  return loaded;
}

/** Why OpenSSL cannot be called here; undefined if it can. */
export function whyNoOpenSsl(): string | undefined {
  try {
    loadOpenSsl();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

// Numbers of the headers: openssl/ssl.h, openssl/bio.h, openssl/tls1.h, openssl/x509_vfy.h.

export const SSL_ERROR_WANT_READ = 2;
export const SSL_ERROR_ZERO_RETURN = 6;

export const SSL_CTRL_MODE = 33;
export const SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER = 2;
export const SSL_MODE_RELEASE_BUFFERS = 0x10;

export const SSL_CTRL_SET_SESS_CACHE_MODE = 44;
export const SSL_SESS_CACHE_OFF = 0;

export const SSL_CTRL_SET_TLSEXT_HOSTNAME = 55;
export const TLSEXT_NAMETYPE_host_name = 0;
export const SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB = 63;
export const SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP = 71;
export const SSL_TLSEXT_ERR_OK = 0;
export const SSL_TLSEXT_ERR_ALERT_FATAL = 2;
export const SSL_TLSEXT_ERR_NOACK = 3;

export const SSL_OP_NO_COMPRESSION = 2 ** 17;
export const SSL_OP_CIPHER_SERVER_PREFERENCE = 2 ** 22;
export const SSL_OP_NO_RENEGOTIATION = 2 ** 30;

export const SSL_VERIFY_PEER = 1;
export const SSL_VERIFY_FAIL_IF_NO_PEER_CERT = 2;
export const X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS = 4;
export const X509_V_OK = 0;

export const BIO_C_GET_BUF_MEM_PTR = 115;
export const BIO_C_SET_BUF_MEM_EOF_RETURN = 130;
