// The header of the PROXY protocol, which a proxy sends first on each connection: it has the client's address. The parser takes the bytes in pieces of any size.
// https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt: version 1 is a line of text (§2.1), version 2 is binary (§2.2).

import { ConnectionError, formatAddress } from '../../event-layer/event-layer.js';
import { addressOfBytes, usualAddress } from '../../util/ip-address.js';

/** The error code for a header that is malformed, cut off, or late. */
export const proxyHeaderError = 'ERR_PROXY_HEADER';

const textStart = Uint8Array.from('PROXY ', (character) => character.charCodeAt(0));
const signature = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
/** The longest line of version 1, with its end (§2.1). */
const maxLine = 107;
/** The bytes of version 2 before the addresses; the last two are the length of what follows. */
const fixedBytes = 16;
/** The most bytes of a header of version 2. The format allows 65,551. With what proxies add, such as the client's certificate, a header has a few thousand. */
const maxBinary = 16_384;

const CR = 13;
const LF = 10;

/** Bytes of an address block (§2.2), by family: none, IPv4, IPv6, Unix. */
const addressBytes = [0, 12, 36, 216];
/** Address families (§2.2). */
const inet = 1;
const inet6 = 2;
const unix = 3;

const lineFormat = /^PROXY TCP([46]) (\S+) (\S+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})$/;

/** @param section of the specification @param found what is wrong */
function malformed(section: string, found: string): ConnectionError {
  return new ConnectionError(proxyHeaderError, `PROXY protocol §${section}: ${found}`);
}

export class ProxyHeader {
  /** The most bytes of memory that an object of this class takes; counts for `maxBufferedBytes`. */
  static readonly memory = 256;

  /** The whole header has arrived. */
  isComplete = false;
  /** The client's address; empty for a client on a Unix-domain socket; undefined if the header names none, so that the connection's own address counts. */
  peer: string | undefined;

  /** The bytes that have arrived and are parsed: the first `#length` of these. */
  readonly #kept = new Uint8Array(maxLine);
  #length = 0;
  /** How many bytes of version 2 are kept: up to the end of the addresses. */
  #wanted = fixedBytes;
  /** How many bytes follow these; they are skipped. */
  #skipped = 0;

  /**
   * Takes the bytes that belong to the header from `bytes[start … end-1]`.
   * @returns where the rest starts
   * @throws {ConnectionError} `ERR_PROXY_HEADER` if it is no header
   */
  push(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && !this.isComplete) {
      if (this.#length < this.#wanted || this.#kept[0] === textStart[0]) {
        this.#kept[this.#length++] = bytes[at++];
        this.#look();
      } else {
        const skipped = Math.min(this.#skipped, end - at);
        at += skipped;
        this.#skipped -= skipped;
        this.isComplete = this.#skipped === 0;
      }
    }
    return at;
  }

  /** Parses the last byte. */
  #look(): void {
    if (this.#kept[0] === textStart[0]) this.#lookAtText();
    else this.#lookAtBinary();
  }

  #lookAtText(): void {
    const length = this.#length;
    const last = this.#kept[length - 1];
    if (length <= textStart.length) {
      if (last !== textStart[length - 1]) throw malformed('2', 'the connection does not start with a header');
    } else if (last === LF) {
      if (this.#kept[length - 2] !== CR) throw malformed('2.1', 'a line feed without a carriage return');
      this.#parseLine(String.fromCharCode(...this.#kept.subarray(0, length - 2)));
      this.isComplete = true;
    } else if (this.#kept[length - 2] === CR || (last !== CR && (last < 0x20 || last > 0x7e))) {
      throw malformed('2.1', 'a control character in the line');
    } else if (length === maxLine) {
      throw malformed('2.1', `a line of more than ${maxLine} bytes`);
    }
  }

  #parseLine(line: string): void {
    if (/^PROXY UNKNOWN(?: |$)/.test(line)) return;
    const [, family, client = '', server = '', port, serverPort] = lineFormat.exec(line) ?? [];
    const isRight = (address: string) =>
      usualAddress(address) !== undefined && address.includes(':') === (family === '6');
    if (family === undefined || !isRight(client) || !isRight(server))
      throw malformed('2.1', 'the line does not name the addresses of a TCP connection');
    if (Number(port) > 65_535 || Number(serverPort) > 65_535) throw malformed('2.1', 'a port above 65535');
    this.peer = formatAddress({ hostname: usualAddress(client) ?? '', port: Number(port) });
  }

  #lookAtBinary(): void {
    const kept = this.#kept;
    const length = this.#length;
    if (length <= signature.length) {
      if (kept[length - 1] !== signature[length - 1])
        throw malformed('2', 'the connection does not start with a header');
    } else if (length === 13) {
      if (kept[12] >> 4 !== 2) throw malformed('2.2', `version ${kept[12] >> 4}; expected 2`);
      if ((kept[12] & 15) > 1) throw malformed('2.2', `command ${kept[12] & 15}; expected 0 (LOCAL) or 1 (PROXY)`);
    } else if (length === 14) {
      // The proxy's own connections, such as health checks, may name any family (§2.2).
      if (this.#isProxied && (kept[13] >> 4 > unix || (kept[13] & 15) > 2))
        throw malformed('2.2', `address family and protocol 0x${kept[13].toString(16)}`);
    } else if (length === fixedBytes) {
      this.#start((kept[14] << 8) | kept[15]);
    } else if (length === this.#wanted) {
      this.#end();
    }
  }

  get #isProxied(): boolean {
    return (this.#kept[12] & 15) === 1;
  }

  /** The family of the client's address; 0 if the connection's own address counts. */
  get #family(): number {
    return this.#isProxied && (this.#kept[13] & 15) !== 0 ? this.#kept[13] >> 4 : 0;
  }

  /** The fixed bytes have arrived. @param following how many bytes follow: addresses and TLVs */
  #start(following: number): void {
    const family = this.#family;
    if (fixedBytes + following > maxBinary) throw malformed('2.2', `a header of more than ${maxBinary} bytes`);
    if (following < addressBytes[family])
      throw malformed('2.2', `${following} bytes follow; expected at least ${addressBytes[family]} for the addresses`);
    if (family === inet || family === inet6) this.#wanted = fixedBytes + addressBytes[family];
    this.#skipped = fixedBytes + following - this.#wanted;
    if (this.#wanted === fixedBytes) this.#end();
  }

  /** The addresses have arrived. What follows is skipped. */
  #end(): void {
    const family = this.#family;
    if (family === unix) this.peer = '';
    if (family === inet || family === inet6) {
      const size = family === inet ? 4 : 16;
      const hostname = addressOfBytes(this.#kept.slice(fixedBytes, fixedBytes + size));
      const port = fixedBytes + 2 * size;
      this.peer = formatAddress({ hostname, port: (this.#kept[port] << 8) | this.#kept[port + 1] });
    }
    this.isComplete = this.#skipped === 0;
  }
}

/** The client has closed the connection before the header was complete. */
export function headerCutOff(header: ProxyHeader | undefined): ConnectionError {
  return header === undefined
    ? new ConnectionError('ECONNRESET', 'the client has closed the connection without sending anything')
    : malformed('2', 'the connection ends within the header');
}

/** @param timeout milliseconds */
export function headerTimedOut(timeout: number): ConnectionError {
  return malformed('2', `the header has not come within ${timeout} ms`);
}
