// Functions of ours that OpenSSL calls within a handshake: to choose a protocol (ALPN), to show the secrets, to staple an OCSP response, to accept a
// certificate that it could not verify. There is one C function of each for the process. A handshake runs within one call of ours, so the session that
// a callback belongs to is that of the call.

import { Buffer } from 'node:buffer';
import { map, type Region } from '../../event-layer/linux/memory.js';
import type { TlsIdentity } from '../config.js';
import * as o from './library.js';

/** The session of the call to OpenSSL that is under way. */
export interface CallbackTarget {
  readonly identity: TlsIdentity;
  /** The traffic secrets of TLS 1.3 are wanted for what comes after the handshake. */
  readonly wantsSecrets: boolean;
  secrets: TrafficSecrets | undefined;
}

/** The traffic secrets of a handshake. They stay in memory that can be wiped, and never become strings. */
export class TrafficSecrets {
  readonly client = new Uint8Array(maxSecretBytes);
  readonly server = new Uint8Array(maxSecretBytes);
  count = 0;

  wipe(): void {
    this.client.fill(0);
    this.server.fill(0);
  }
}

/** Those of SHA-384. */
const maxSecretBytes = 48;

/** What tells the labels `CLIENT_TRAFFIC_SECRET_0` and `SERVER_TRAFFIC_SECRET_0` from others. */
const clientLabel = Buffer.from('CLIENT_TRAFFIC', 'latin1');
const serverLabel = Buffer.from('SERVER_TRAFFIC', 'latin1');
const labelBytes = clientLabel.length;
/** The offset in a line of the key log of the secret, which follows the label and the client's random number. */
const secretOffset = 'CLIENT_TRAFFIC_SECRET_0 '.length + 64 + 1;
/** No line is longer: strncpy(3) fills with zeros what the line does not. */
const lineBytes = 256;

/** A list of protocols has at most so many bytes: its length has two. */
const scratchBytes = 65_536;

export class Callbacks {
  /** Set it for the duration of each call that may be one of a handshake. */
  target: CallbackTarget | undefined;
  readonly #openssl: o.OpenSsl;
  readonly #scratch: Region;
  readonly #alpn: number;
  readonly #keyLog: number;
  readonly #ocsp: number;
  /** For SSL_set_verify: continues whatever the result is. */
  readonly acceptAny: number;

  constructor({ openssl, koffi, libc }: o.LoadedOpenSsl) {
    this.#openssl = openssl;
    this.#scratch = map(libc, scratchBytes);
    const register = (prototype: string, called: (...values: never[]) => unknown): number =>
      Number(koffi.register(called, koffi.pointer(koffi.proto(prototype))));
    const p = 'uintptr_t';
    this.#alpn = register(`int SluiceAlpn(${p}, ${p}, ${p}, ${p}, uint32_t, ${p})`, this.#selectProtocol);
    this.#keyLog = register(`void SluiceKeyLog(${p}, ${p})`, this.#noteSecret);
    this.#ocsp = register(`int SluiceOcsp(${p}, ${p})`, this.#staple);
    this.acceptAny = register(`int SluiceVerify(int, ${p})`, () => 1);
  }

  /** Has OpenSSL call them for all sessions of a context. */
  install(context: number): void {
    this.#openssl.SSL_CTX_set_alpn_select_cb(context, this.#alpn, 0);
    this.#openssl.SSL_CTX_set_keylog_callback(context, this.#keyLog);
    this.#openssl.SSL_CTX_callback_ctrl(context, o.SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB, this.#ocsp);
  }

  /** SSL_CTX_set_alpn_select_cb(3). The input is a list of protocols, each after a byte with its length; the output is an address in it. */
  readonly #selectProtocol = (_ssl: number, output: number, outputLength: number, input: number, length: number) => {
    const wanted = this.target?.identity.alpnProtocols ?? [];
    if (wanted.length === 0) return o.SSL_TLSEXT_ERR_NOACK;
    const { address, bytes } = this.#scratch;
    const { memcpy } = this.#openssl;
    memcpy(address, input, length);
    const at = findProtocol(bytes, length, wanted);
    if (at === -1) return o.SSL_TLSEXT_ERR_ALERT_FATAL;
    bytes.writeBigUInt64LE(BigInt(input) + BigInt(at) + 1n, scratchBytes - 8);
    memcpy(output, address + scratchBytes - 8, 8);
    memcpy(outputLength, address + at, 1);
    return o.SSL_TLSEXT_ERR_OK;
  };

  /** SSL_CTX_set_keylog_callback(3): a line has the label, the client's random number and the secret, in hexadecimal. */
  readonly #noteSecret = (_ssl: number, line: number): void => {
    const { target } = this;
    if (target === undefined || !target.wantsSecrets) return;
    const { address, bytes } = this.#scratch;
    const { memcpy, strncpy } = this.#openssl;
    memcpy(address, line, labelBytes); // most lines have another label, and all are longer
    const isClients = startsWith(bytes, clientLabel);
    if (!isClients && !startsWith(bytes, serverLabel)) return;
    strncpy(address, line, lineBytes);
    target.secrets ??= new TrafficSecrets();
    decodeHex(bytes, secretOffset, isClients ? target.secrets.client : target.secrets.server);
    target.secrets.count++;
    bytes.fill(0, 0, lineBytes);
  };

  /** SSL_CTX_set_tlsext_status_cb(3). */
  readonly #staple = (ssl: number): number => {
    const response = this.target?.identity.ocsp;
    if (response === undefined) return o.SSL_TLSEXT_ERR_NOACK;
    const openssl = this.#openssl;
    const copy = openssl.CRYPTO_malloc(response.length, 0, 0);
    if (copy === 0) return o.SSL_TLSEXT_ERR_NOACK;
    openssl.memcpyFrom(copy, response, response.length);
    openssl.SSL_ctrl(ssl, o.SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP, response.length, copy); // which frees it
    return o.SSL_TLSEXT_ERR_OK;
  };
}

/** @returns where the length stands of the first of `wanted` that is in the list; -1 if none is */
function findProtocol(list: Buffer, length: number, wanted: readonly string[]): number {
  for (const protocol of wanted) {
    const bytes = Buffer.from(protocol, 'latin1');
    for (let at = 0; at < length; at += 1 + list[at]) {
      if (list[at] === bytes.length && bytes.equals(list.subarray(at + 1, at + 1 + bytes.length))) return at;
    }
  }
  return -1;
}

/** Decodes lower or upper case digits, up to the zero behind them. */
function decodeHex(digits: Uint8Array, start: number, output: Uint8Array): void {
  let to = 0;
  for (let at = start; digits[at] !== 0 && to < output.length; at += 2, to++)
    output[to] = (digitOf(digits[at]) << 4) | digitOf(digits[at + 1]);
}

/** 0 to 9 are 0x30 to 0x39; the letters, whose 0x40 is set, start at 0x41 and 0x61. */
function digitOf(character: number): number {
  return (character & 0x40) === 0 ? character & 15 : (character & 15) + 9;
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  for (let i = 0; i < start.length; i++) if (bytes[i] !== start[i]) return false;
  return true;
}
