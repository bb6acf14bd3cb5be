// What the clients of the WebSocket scenarios send, and what has to come, as bytes. What comes is learnt from the server itself, once: its answer is
// decoded and checked here. After that each answer is compared with it byte by byte.

import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { wait } from '../processes.js';
import type { Server } from './server.js';

export interface Exchange {
  kind: 'echo' | 'publish';
  text: string;
  /** The messages are compressed. */
  deflate?: boolean;
  /** Who gets what is published: WebSockets or event streams. */
  to?: 'sockets' | 'events';
}

/** An exchange with one server. */
export interface Script {
  handshake: string;
  /** The status that answers the handshake. */
  status: number;
  /** Bytes that follow the head of the answer. */
  skip: number;
  /** The publisher's. */
  publisher: string;
  /** What is sent. */
  message: Uint8Array;
  /** What comes for it. */
  answer: Uint8Array;
}

const key = 'c2x1aWNlIGJlbmNoIGtleQ==';
const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

/** Neither side refers to messages before: so the same message always has the same bytes. */
const offer = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';

export function handshakeFor(path: string, deflate = false): string {
  return (
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
    `Sec-WebSocket-Key: ${key}\r\n${deflate ? `Sec-WebSocket-Extensions: ${offer}\r\n` : ''}\r\n`
  );
}

const FIN = 0x80;
const RSV1 = 0x40;
const textOpcode = 1;
const maskBit = 0x80;
/** RFC 7692 §7.2.1: a sender leaves out the end of the DEFLATE data. */
const tail = Buffer.of(0, 0, 0xff, 0xff);
const mask = Buffer.of(0x5a, 0x17, 0xc3, 0x88);

/** A text message of a client as one frame. */
function clientFrame(text: string, deflate: boolean): Buffer {
  const content = Buffer.from(text);
  const payload = deflate
    ? deflateRawSync(content, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -tail.length)
    : content;
  const { length } = payload;
  const header = length < 126 ? [maskBit | length] : [maskBit | 126, length >> 8, length & 255];
  const masked = payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0));
  return Buffer.concat([Buffer.of(FIN | (deflate ? RSV1 : 0) | textOpcode, ...header), mask, masked]);
}

/** @returns the length of the frame that the bytes start with; undefined if it is not complete */
function frameLength(bytes: Buffer): number | undefined {
  const short = (bytes[1] ?? 0) & 127;
  const header = short === 126 ? 4 : 2;
  if (bytes.length < header) return undefined;
  const length = header + (short === 126 ? bytes.readUInt16BE(2) : short);
  return bytes.length < length ? undefined : length;
}

/** @throws {Error} if the frame is not that text */
function checkFrame(frame: Buffer, text: string, deflate: boolean): void {
  const first = FIN | (deflate ? RSV1 : 0) | textOpcode;
  if (frame[0] !== first)
    throw new Error(`a frame starts with 0x${frame[0]?.toString(16)}; expected 0x${first.toString(16)}`);
  const payload = frame.subarray(frame[1] === 126 ? 4 : 2);
  const content = deflate
    ? inflateRawSync(Buffer.concat([payload, tail]), { finishFlush: constants.Z_SYNC_FLUSH })
    : payload;
  if (content.toString() !== text) throw new Error(`a message has the text ${JSON.stringify(content.toString())}`);
}

/** @throws {Error} if the bytes, without chunked framing and an id, are not the event */
function checkEvent(bytes: Buffer, text: string): void {
  const content = bytes.toString().replace(/^[0-9a-f]+\r\n([\s\S]*)\r\n$/i, '$1');
  if (content.replace(/^id: .*\n/, '') !== `data: ${text}\n\n`)
    throw new Error(`an event is ${JSON.stringify(content)}`);
}

/** How long a probe waits for what must come, and for what may come, in milliseconds. */
const answerLimit = 2000;
const greetingTime = 100;

/** A connection of the probe. */
class Probe {
  readonly #socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #isClosed = false;
  #changed: (() => void) | undefined;

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.on('data', (bytes) => {
      this.#bytes = Buffer.concat([this.#bytes, bytes]);
      this.#changed?.();
    });
    this.#socket.on('error', () => {}); // `close` follows
    this.#socket.on('close', () => {
      this.#isClosed = true;
      this.#changed?.();
    });
  }

  send(bytes: string | Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Receives until `end` finds the end of what is wanted, and takes it. @throws {Error} if it does not come */
  async take(end: (bytes: Buffer) => number | undefined): Promise<Buffer> {
    const deadline = performance.now() + answerLimit;
    for (;;) {
      const length = end(this.#bytes);
      if (length !== undefined) return this.#taken(length);
      if (this.#isClosed) throw new Error('the server has closed the connection');
      await this.#change(deadline - performance.now());
      if (performance.now() >= deadline) throw new Error(`no answer within ${answerLimit / 1000} s`);
    }
  }

  /** Takes what comes, if anything does. */
  async takeGreeting(): Promise<Buffer> {
    await wait(greetingTime);
    return this.#taken(this.#bytes.length);
  }

  #taken(length: number): Buffer {
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return taken;
  }

  #change(limit: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, limit);
      this.#changed = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  takeUntil(mark: string): Promise<Buffer> {
    return this.take((bytes) => {
      const at = bytes.indexOf(mark);
      return at === -1 ? undefined : at + mark.length;
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Opens a WebSocket. @throws {Error} if the answer is not what it should be */
async function openSocket(probe: Probe, handshake: string, deflate: boolean): Promise<void> {
  probe.send(handshake);
  const head = (await probe.takeUntil('\r\n\r\n')).toString();
  if (!head.startsWith('HTTP/1.1 101')) throw new Error(`the handshake is answered with ${head.split('\r\n')[0]}`);
  if (!head.toLowerCase().includes(`\r\nsec-websocket-accept: ${accept.toLowerCase()}\r\n`))
    throw new Error('the handshake is answered without the right sec-websocket-accept');
  const extensions = /\r\nsec-websocket-extensions: *(.*)\r\n/i.exec(head)?.[1] ?? '';
  if (!deflate && extensions !== '') throw new Error(`the handshake is answered with the extension ${extensions}`);
  if (deflate && !/permessage-deflate.*server_no_context_takeover/.test(extensions))
    throw new Error(`the handshake is answered with the extensions "${extensions}"`);
}

/** Does an exchange once, to learn the server's bytes. @throws {Error} if an answer is not what it should be */
export async function scriptFor(server: Server, { kind, text, deflate = false, to }: Exchange): Promise<Script> {
  const message = clientFrame(text, deflate);
  const publisher = handshakeFor('/publish');
  const probe = new Probe(server.port);
  const second = new Probe(server.port);
  try {
    if (to === 'events') {
      const handshake = 'GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
      probe.send(handshake);
      const head = (await probe.takeUntil('\r\n\r\n')).toString();
      const status = 200;
      if (!head.startsWith(`HTTP/1.1 ${status}`)) throw new Error(`/events is answered with ${head.split('\r\n')[0]}`);
      const end = /\r\ntransfer-encoding: chunked\r\n/i.test(head) ? '\n\n\r\n' : '\n\n';
      const { length: skip } = await probe.takeGreeting();
      await openSocket(second, publisher, false);
      second.send(message);
      const answer = await probe.takeUntil(end);
      checkEvent(answer, text);
      return { handshake, status, skip, publisher, message, answer };
    }
    const handshake = handshakeFor(kind === 'echo' ? '/echo' : '/topic', deflate);
    await openSocket(probe, handshake, deflate);
    if (kind === 'publish') await openSocket(second, publisher, false);
    (kind === 'publish' ? second : probe).send(message);
    const answer = await probe.take(frameLength);
    checkFrame(answer, text, deflate);
    return { handshake, status: 101, skip: 0, publisher, message, answer };
  } finally {
    probe.close();
    second.close();
  }
}
