// The two memory BIOs of the process, from which every SSL reads and into which it writes: both are empty between two calls. What an SSL reads is where
// the event layer received it.

import { map, type Region } from '../../event-layer/linux/memory.js';
import { headerBytes, type SendRecords } from '../session.js';
import * as o from './library.js';

/** More than the tickets at the end of a handshake have. */
const scratchBytes = 262_144;

export class Bios {
  readonly #openssl: o.OpenSsl;
  readonly #koffi: o.LoadedOpenSsl['koffi'];
  readonly #input: number;
  readonly #output: number;
  /** The BUF_MEM of the input: length, address and capacity, eight bytes each (openssl/buffer.h). A read-only memory BIO reads from what it says. */
  readonly #window: Uint32Array;
  readonly #scratch: Region;

  constructor({ openssl, koffi, libc }: o.LoadedOpenSsl) {
    this.#openssl = openssl;
    this.#koffi = koffi;
    this.#scratch = map(libc, scratchBytes);
    this.#output = openssl.BIO_new(openssl.BIO_s_mem());
    this.#input = openssl.BIO_new_mem_buf(this.#scratch.bytes, 1);
    openssl.BIO_ctrl(this.#input, o.BIO_C_SET_BUF_MEM_EOF_RETURN, -1, null); // an empty BIO is no end of input
    const pointer = new BigUint64Array(1);
    openssl.BIO_ctrl(this.#input, o.BIO_C_GET_BUF_MEM_PTR, 0, pointer);
    this.#window = new Uint32Array(koffi.view(pointer[0], 24));
    this.setInput(0, 0);
  }

  /** Gives an SSL its BIOs. */
  attach(ssl: number): void {
    const openssl = this.#openssl;
    openssl.BIO_up_ref(this.#input); // the SSL frees them
    openssl.BIO_up_ref(this.#output);
    openssl.SSL_set_bio(ssl, this.#input, this.#output);
  }

  /** What the next call reads. Set it to 0 bytes afterwards, unless all was read. */
  setInput(address: number, bytes: number): void {
    const window = this.#window;
    window[0] = bytes;
    window[1] = 0;
    window[2] = address >>> 0;
    window[3] = address / 2 ** 32;
    window[4] = bytes;
    window[5] = 0;
  }

  /** Passes on what was written. @returns how many records that was; NaN if it was so much that it went in several pieces */
  drain(send: SendRecords): number {
    const { bytes, address } = this.#scratch;
    let records = 0;
    for (let left = this.#openssl.BIO_ctrl_pending(this.#output); left > 0; ) {
      const count = this.#openssl.BIO_read(this.#output, address, Math.min(left, scratchBytes));
      if (count <= 0) throw new Error(`BIO_read returned ${count} with ${left} bytes pending; this is a bug in sluice`);
      send(bytes.subarray(0, count));
      if (count < left) records = NaN;
      else if (records === 0) for (let at = 0; at < count; records++) at += headerBytes + bytes.readUInt16BE(at + 3);
      left -= count;
    }
    return records;
  }

  /** Moves what was written to `output`, from `at` on. @returns where it ends */
  take(output: Uint8Array, at: number): number {
    const room = output.length - at;
    const count = this.#openssl.BIO_read(this.#output, this.addressOf(output) + at, room);
    return at + Math.max(0, count);
  }

  /** A copy of memory of OpenSSL, at most 256 KiB. */
  copyOf(address: number, bytes: number): Buffer {
    this.#openssl.memcpy(this.#scratch.address, address, bytes);
    return Buffer.from(this.#scratch.bytes.subarray(0, bytes));
  }

  readonly #addresses = new WeakMap<ArrayBufferLike, number>();
  #lastBuffer: ArrayBufferLike | undefined;
  #lastAddress = 0;

  /** The address of memory, which must be the same for as long as its ArrayBuffer lives: that of typed arrays which have one of their own moves. */
  addressOf(bytes: Uint8Array): number {
    const { buffer } = bytes;
    if (buffer !== this.#lastBuffer) {
      let address = this.#addresses.get(buffer);
      if (address === undefined) {
        address = Number(this.#koffi.address(buffer));
        this.#addresses.set(buffer, address);
      }
      this.#lastBuffer = buffer;
      this.#lastAddress = address;
    }
    return this.#lastAddress + bytes.byteOffset;
  }
}
