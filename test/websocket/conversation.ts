// One case of the corpus as its client sees it: what it sends, what a server that echoes must answer, and how that ends. It reads and writes
// frames by itself. The runners over threads and over node:net do what it says.

import assert from 'node:assert/strict';
import { constants, inflateRawSync } from 'node:zlib';
import { bytesOf, close, join, ping } from './corpus/build.js';
import { type Case, type EndpointName, endpoints, offer } from './corpus/case.js';
import type { Face } from './echo.js';
import type { Heard } from './feed.js';

const probe = 'still there?';
const headEnd = '\r\n\r\n';

/** The handshake of RFC 6455 §1.2. */
export function handshake(endpoint: EndpointName): Uint8Array {
  const lines = [
    'GET /echo HTTP/1.1',
    'host: a',
    'connection: Upgrade',
    'upgrade: websocket',
    'sec-websocket-version: 13',
    'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
  ];
  if ('perMessageDeflate' in endpoints[endpoint]) lines.push(`sec-websocket-extensions: ${offer}`);
  return bytesOf(lines.join('\r\n') + headEnd);
}

/** Frames of a server, each as what a client hears. */
class ServerFrames {
  readonly heard: Heard[] = [];
  #left: Buffer = Buffer.alloc(0);
  /** The message that has come in part: its first byte, and its payload. */
  #first = 0;
  #payload: Buffer[] = [];
  /** All compressed messages so far, where the context is taken over, and the length of their content. */
  #history: Buffer[] = [];
  #content = 0;
  readonly #endpoint: EndpointName;

  constructor(endpoint: EndpointName) {
    this.#endpoint = endpoint;
  }

  get isBetween(): boolean {
    return this.#left.length === 0 && this.#first === 0;
  }

  push(bytes: Uint8Array): void {
    const all = this.#left.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#left, bytes]);
    let at = 0;
    for (;;) {
      if (all.length - at < 2) break;
      const [first, second] = [all[at], all[at + 1]];
      assert.ok(second < 128, 'a server masks nothing');
      const extended = second === 126 ? 2 : second === 127 ? 8 : 0;
      if (all.length - at < 2 + extended) break;
      const length =
        extended === 0 ? second : extended === 2 ? all.readUInt16BE(at + 2) : Number(all.readBigUInt64BE(at + 2));
      assert.ok(extended === 0 || length > (extended === 2 ? 125 : 65_535), 'the length is in its shortest form');
      if (all.length - at < 2 + extended + length) break;
      const start = at + 2 + extended;
      this.#frame(first, all.subarray(start, start + length));
      at = start + length;
    }
    this.#left = Buffer.from(all.subarray(at));
  }

  #frame(first: number, payload: Buffer): void {
    const code = first & 15;
    assert.ok(!this.heard.some((each) => 'close' in each), 'nothing comes behind a Close frame');
    assert.equal(first & 0x30, 0, 'RSV2 and RSV3 have no meaning');
    if (code >= 8) {
      assert.equal(first & 0xf0, 0x80, 'a control frame is neither in fragments nor compressed');
      assert.ok(payload.length <= 125);
      if (code === 8)
        // Some servers repeat the reason, and some do not (RFC 6455 §5.5.1).
        this.heard.push({ close: payload.length === 0 ? 1005 : payload.readUInt16BE(0), reason: '' });
      else this.heard.push(code === 9 ? { ping: payload.toString('hex') } : { pong: payload.toString('hex') });
      return;
    }
    assert.equal(code === 0, this.#first !== 0, 'a message starts when the one before has ended');
    if (code !== 0) this.#first = first;
    else assert.equal(first & 0x40, 0, 'RSV1 is on the first frame only');
    this.#payload.push(Buffer.from(payload));
    if (first < 128) return;
    const whole = Buffer.concat(this.#payload);
    const content = (this.#first & 0x40) === 0 ? whole : this.#inflated(whole);
    this.heard.push(
      (this.#first & 15) === 1 ? { text: content.toString('utf8') } : { binary: content.toString('hex') },
    );
    this.#first = 0;
    this.#payload = [];
  }

  #inflated(payload: Buffer): Buffer {
    assert.ok('perMessageDeflate' in endpoints[this.#endpoint], 'nothing has been negotiated');
    if (this.#endpoint !== 'takeover') {
      this.#history = [];
      this.#content = 0;
    }
    this.#history.push(payload, Buffer.of(0, 0, 0xff, 0xff));
    const all = inflateRawSync(Buffer.concat(this.#history), { finishFlush: constants.Z_SYNC_FLUSH });
    const content = all.subarray(this.#content);
    this.#content = all.length;
    return content;
  }
}

const isControl = (each: Heard): boolean => !isData(each);
const isData = (each: Heard): boolean => 'text' in each || 'binary' in each;

/** What a server that echoes messages sends for what it has heard. */
function echoOf(heard: readonly Heard[]): Heard[] {
  return heard.flatMap((each): Heard[] => {
    if ('ping' in each) return [{ pong: each.ping }];
    if ('pong' in each) return [];
    if ('failed' in each) return [{ close: each.failed, reason: '' }];
    if ('close' in each) return [{ close: each.close, reason: '' }];
    return [each];
  });
}

export class Conversation {
  readonly case: Case;
  ending: 'open' | 'FIN' | 'reset' = 'open';
  readonly #frames: ServerFrames;
  readonly #expected: Heard[];
  #head = '';
  #isHeadOver = false;

  constructor(c: Case) {
    this.case = c;
    this.#frames = new ServerFrames(c.endpoint);
    this.#expected = echoOf(c.heard);
  }

  /** Bytes have come from the server. */
  push(bytes: Uint8Array): void {
    if (this.#isHeadOver) {
      this.#frames.push(bytes);
      return;
    }
    this.#head += Buffer.from(bytes).toString('latin1');
    const end = this.#head.indexOf(headEnd);
    if (end === -1) return;
    this.#isHeadOver = true;
    this.#frames.push(Buffer.from(this.#head.slice(end + headEnd.length), 'latin1'));
    this.#head = this.#head.slice(0, end);
  }

  /** The server has answered the handshake. */
  get isUpgraded(): boolean {
    return this.#isHeadOver;
  }

  /** All has come that the case's bytes are answered with. */
  get isAnswered(): boolean {
    return this.#frames.heard.length >= this.#expected.length || this.ending !== 'open';
  }

  /** The server has answered what follows the case, too. */
  get isOver(): boolean {
    return this.ending !== 'open';
  }

  /** What the client sends when it has got all answers, if the socket is still open: a ping, and a Close frame. Undefined: FIN, in the middle of a frame. */
  get farewell(): Uint8Array | undefined {
    return this.case.left === 'frame' ? undefined : join(ping(probe), close(1000));
  }

  get staysOpen(): boolean {
    const last = this.case.heard.at(-1);
    return last === undefined || !('failed' in last || 'close' in last);
  }

  /**
   * @param face A thread echoes a message when it is its turn: a pong may have been sent before, and the Close frame, behind which nothing is sent
   * @throws if it has not come out as it should
   */
  check(face: Face): void {
    try {
      assert.match(this.#head, /^HTTP\/1\.1 101 /);
      const expected = [...this.#expected];
      if (this.staysOpen && this.farewell !== undefined)
        expected.push({ pong: Buffer.from(probe).toString('hex') }, { close: 1000, reason: '' });
      const { heard } = this.#frames;
      if (face === 'handlers') assert.deepEqual(heard, expected);
      else {
        const echoes = heard.filter(isData);
        const all = expected.filter(isData);
        assert.deepEqual(echoes, this.staysOpen ? all : all.slice(0, echoes.length));
        assert.deepEqual(heard.filter(isControl), expected.filter(isControl));
      }
      assert.ok(this.#frames.isBetween, 'no frame is cut short');
      assert.equal(this.ending, 'FIN');
    } catch (error) {
      throw new Error(`${this.case.section}: ${this.case.name}: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      });
    }
  }
}
