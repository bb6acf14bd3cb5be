// A peer that speaks WebSocket frame by frame, over the simulated network. It knows nothing of src/websocket/.

import { createHash } from 'node:crypto';
import type { Connection } from '#sluice/connection/connection.js';
import { ConnectionError } from '#sluice/event-layer/event-layer.js';
import type { Task } from '#sluice/threads/task.js';
import { get, type World } from '../support/world.js';

export interface Frame {
  fin: boolean;
  rsv1: boolean;
  opcode: number;
  payload: Buffer;
}

export const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export const key = 'dGhlIHNhbXBsZSBub25jZQ==';
/** RFC 6455 §1.3: what answers that key. */
export const accept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

export const acceptOf = (sent: string): string =>
  createHash('sha1').update(`${sent}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

/** The fields of an opening handshake; what is given replaces those of the same name. An empty value leaves the field out. */
export function handshake(given: Record<string, string | string[]> = {}, target = '/'): string {
  const fields: Record<string, string | string[]> = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': key,
    ...given,
  };
  const lines: string[] = [];
  for (const [name, value] of Object.entries(fields))
    for (const one of typeof value === 'string' ? [value] : value) if (one !== '') lines.push(`${name}: ${one}`);
  return get(target, ...lines);
}

const maskOf = [0x12, 0xfe, 0x34, 0xdc];

/** One frame. @param mask of a client */
export function frame(
  code: number,
  data: string | Uint8Array = '',
  { fin = true, rsv1 = false, mask = true }: { fin?: boolean; rsv1?: boolean; mask?: boolean } = {},
): Buffer {
  const payload = typeof data === 'string' ? Buffer.from(data) : data;
  const { length } = payload;
  const head = [(fin ? 0x80 : 0) | (rsv1 ? 0x40 : 0) | code];
  const bit = mask ? 0x80 : 0;
  if (length < 126) head.push(bit | length);
  else if (length < 65_536) head.push(bit | 126, length >> 8, length & 255);
  else head.push(bit | 127, 0, 0, 0, 0, length >>> 24, (length >> 16) & 255, (length >> 8) & 255, length & 255);
  if (!mask) return Buffer.concat([Buffer.from(head), payload]);
  return Buffer.concat([Buffer.from([...head, ...maskOf]), payload.map((byte, i) => byte ^ maskOf[i % 4])]);
}

export const text = (data: string): Buffer => frame(opcode.text, data);

export function closeFrame(code?: number, reason = '', mask = true): Buffer {
  const payload = code === undefined ? '' : Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]);
  return frame(opcode.close, payload, { mask });
}

/** A frame, as tests compare it: `text:hello`, `close:1000:reason`, `binary-:0102` for one that is not the last of its message. */
export function show({ fin, rsv1, opcode: code, payload }: Frame): string {
  const name = Object.entries(opcode).find(([, value]) => value === code)?.[0] ?? `opcode ${code}`;
  const flags = (rsv1 ? '*' : '') + (fin ? '' : '-');
  if (code === opcode.close)
    return payload.length === 0 ? 'close:' : `close:${payload.readUInt16BE()}:${payload.subarray(2)}`;
  return `${name}${flags}:${code === opcode.binary ? payload.toString('hex') : payload.toString()}`;
}

export interface Head {
  status: number;
  fields: Record<string, string>;
}

/** One end of a connection, behind the handshake. */
export class RawPeer {
  readonly connection: Connection;
  readonly isClient: boolean;
  /** How the connection has ended, once `next` has returned nothing. */
  ending: 'FIN' | 'reset' | undefined;

  constructor(connection: Connection, isClient = true) {
    this.connection = connection;
    this.isClient = isClient;
  }

  /** Connects and sends an opening handshake. @param more bytes behind it, in the same packet */
  static *open(
    world: World,
    given?: Record<string, string | string[]>,
    more: Uint8Array = Buffer.alloc(0),
  ): Task<RawPeer> {
    const connection = yield* world.connect();
    yield* connection.writer.write(Buffer.concat([Buffer.from(handshake(given), 'latin1'), more]));
    const { status, fields } = yield* readHead(connection);
    if (status !== 101) throw new Error(`the handshake was answered with ${status}: ${JSON.stringify(fields)}`);
    return new RawPeer(connection);
  }

  /** Sends frames as they are. */
  send(...frames: Uint8Array[]): Task<void> {
    return this.connection.writer.write(Buffer.concat(frames));
  }

  sendText(data: string): Task<void> {
    return this.send(frame(opcode.text, data, { mask: this.isClient }));
  }

  sendClose(code?: number, reason?: string): Task<void> {
    return this.send(closeFrame(code, reason, this.isClient));
  }

  /** @returns undefined at the end of the connection */
  *next(): Task<Frame | undefined> {
    const { reader } = this.connection;
    try {
      if ((yield* reader.peek(1)).length === 0) {
        this.ending = 'FIN';
        return undefined;
      }
      const [first, second] = yield* reader.readExactly(2);
      if ((second & 0x80) !== 0 && this.isClient) throw new Error('a server has masked a frame');
      if ((second & 0x80) === 0 && !this.isClient) throw new Error('a client has not masked a frame');
      let length = second & 0x7f;
      if (length === 126) length = Buffer.from(yield* reader.readExactly(2)).readUInt16BE();
      else if (length === 127) length = Number(Buffer.from(yield* reader.readExactly(8)).readBigUInt64BE());
      const mask = this.isClient ? undefined : yield* reader.readExactly(4);
      const payload = Buffer.from(yield* reader.readExactly(length));
      if (mask !== undefined) for (let i = 0; i < length; i++) payload[i] ^= mask[i % 4];
      if ((first & 0x30) !== 0) throw new Error(`a frame has the first byte ${first}`);
      return { fin: (first & 0x80) !== 0, rsv1: (first & 0x40) !== 0, opcode: first & 15, payload };
    } catch (error) {
      if (!(error instanceof ConnectionError) || error.code === 'ERR_ENDED') throw error;
      this.ending = 'reset';
      return undefined;
    }
  }

  /** The next frame, as text; how the connection has ended if there is none. */
  *read(): Task<string> {
    const next = yield* this.next();
    return next === undefined ? `${this.ending}` : show(next);
  }

  /** All frames up to the end of the connection, and how that was. Closes its side then. */
  *rest(): Task<string[]> {
    const all: string[] = [];
    for (let next: Frame | undefined; (next = yield* this.next()) !== undefined; ) all.push(show(next));
    all.push(`${this.ending}`);
    return all;
  }

  /** The next message, whatever its fragments. Control frames in between are left out. */
  *message(): Task<Buffer> {
    const payloads: Buffer[] = [];
    for (;;) {
      const next = yield* this.next();
      if (next === undefined) throw new Error(`the connection has ended (${this.ending}) within a message`);
      if (next.opcode >= 8) continue;
      payloads.push(next.payload);
      if (next.fin) return Buffer.concat(payloads);
    }
  }
}

/** Reads the head of a response. */
export function* readHead({ reader }: Connection): Task<Head> {
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec((yield* reader.readLine(1000)) ?? '')?.[1]);
  const fields: Record<string, string> = {};
  for (let line: string | undefined; (line = yield* reader.readLine(1000)) !== undefined && line !== ''; ) {
    const colon = line.indexOf(': ');
    fields[line.slice(0, colon).toLowerCase()] = line.slice(colon + 2);
  }
  return { status, fields };
}
