// Responses at random, right and wrong: of our class with members replaced, of another implementation, with values that fight back. What
// goes out is read by a strict parser, and by node:http's. A model of what may be sent, which knows nothing of the server's code, says for
// each whether the client must get it as it is, a 500 in its place, or a reset.

import assert from 'node:assert/strict';
import http from 'node:http';
import { Duplex } from 'node:stream';
import fc from 'fast-check';
import type { BodyInit } from '#sluice/http/fetch/body.js';
import { Response } from '#sluice/http/fetch/response.js';
import { stream } from '#sluice/http/stream.js';
import type { AnyResponse } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import { type ReceivedResponse, ResponseParser } from '../support/response-parser.js';
import { World } from '../support/world.js';
import { hostileValues } from '../util/hostile-values.js';

/** A member that has a value, or is an accessor that throws. */
type Member = { value: unknown } | 'throws';

/** What a handler returns, as a description that can be printed and made again. */
export interface ResponseShape {
  /** `ours`: through constructor and `headers.append`. `derived`: with members replaced. `foreign`: of another implementation. */
  kind: 'ours' | 'derived' | 'foreign';
  handler: 'plain' | 'async' | 'thread';
  method: 'GET' | 'HEAD';
  version: '1.1' | '1.0';
  status: Member;
  statusText: Member;
  fields: readonly (readonly [name: unknown, value: unknown])[];
  content: 'none' | 'text' | 'large' | 'bytes' | 'readable' | 'thread';
  /** What a stream or a thread gives. */
  pieces: readonly unknown[];
  /** Whether another request follows on the connection; else it is closed, and node:http reads the same bytes. */
  isFollowed: boolean;
}

/** Stands for one of the hostile values in what is made at random: fast-check looks at what it makes. */
interface Hostile {
  readonly hostile: string;
}
const hostile = fc.constantFrom(...Object.keys(hostileValues)).map((name): Hostile => ({ hostile: name }));
const injected = fc.constantFrom(
  'a\r\nx-injected: 1',
  '\r\n\r\nHTTP/1.1 200 OK',
  'a\nx-injected: 1',
  'a\rb',
  '\0',
  '\x1b[2J',
  '\x7f',
);
const oddText = fc.oneof(
  injected,
  fc.constantFrom('', ' ', '\t', 'é', 'ÿ', '€', '\ud83d', '%s'),
  fc.string({ maxLength: 6 }),
);

const usual = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary });

const member = (right: fc.Arbitrary<unknown>, wrong: fc.Arbitrary<unknown>): fc.Arbitrary<Member> =>
  fc.oneof(
    usual(
      12,
      right.map((value) => ({ value })),
    ),
    usual(
      2,
      wrong.map((value) => ({ value })),
    ),
    usual(1, fc.constant('throws' as const)),
  );

const status = member(
  fc.constantFrom(200, 200, 200, 201, 204, 205, 206, 299, 302, 304, 404, 426, 500, 599),
  fc.oneof(
    fc.constantFrom(Number.NaN, -5, 0, 100, 101, 103, 199, 600, 1e9, 200.5, '200', '200\r\n'),
    fc.double(),
    hostile,
  ),
);
const statusText = member(fc.constantFrom('', '', 'Fine', 'é\t!'), fc.oneof(oddText, hostile));

const names = [
  ...['x-a', 'X-B', 'content-type', 'date', 'Date', 'set-cookie', 'trailer', 'vary', 'a', "!#$%&'*+-.^_`|~"],
  ...['content-length', 'Content-Length', 'transfer-encoding', 'Transfer-Encoding', 'connection', 'Connection'],
  ...['keep-alive', 'upgrade', 'proxy-connection', 'te', 'content-encoding', 'host'],
];
const values = [
  'v',
  'close',
  'keep-alive',
  'chunked',
  'gzip, chunked',
  '7',
  '07',
  '8',
  '7, 7',
  '0',
  '-1',
  'é\t ÿ',
  'x'.repeat(300),
];
const anyField = fc.tuple(
  fc.oneof(usual(14, fc.constantFrom<unknown>(...names)), usual(1, fc.oneof(oddText, hostile))),
  fc.oneof(usual(14, fc.constantFrom<unknown>(...values)), usual(1, fc.oneof(oddText, hostile))),
);
/** The form of a date is the handler's business; the parser that reads the responses wants it right. */
const field = anyField.map(([name, value]): [unknown, unknown] =>
  typeof name === 'string' && name.toLowerCase() === 'date' ? [name, 'Thu, 01 Jan 1970 00:00:00 GMT'] : [name, value],
);

const bytes: readonly unknown[] = [Buffer.from('seven b'), Buffer.from(''), Buffer.alloc(40_000, 'p')];
const piece = fc.oneof(usual(10, fc.constantFrom(...bytes)), usual(1, hostile));

export const shapes: fc.Arbitrary<ResponseShape> = fc.record({
  kind: fc.constantFrom('ours', 'derived', 'foreign'),
  handler: fc.constantFrom('plain', 'async', 'thread'),
  method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD'),
  version: fc.constantFrom('1.1', '1.1', '1.1', '1.0'),
  status,
  statusText,
  fields: fc.array(field, { maxLength: 4 }),
  content: fc.constantFrom('none', 'text', 'text', 'large', 'bytes', 'readable', 'thread'),
  pieces: fc.array(piece, { maxLength: 3 }),
  isFollowed: fc.boolean(),
});

const fixed = { none: '', text: 'seven b', large: 'l'.repeat(100_000), bytes: 'seven b' } as const;

function contentOf({ content, pieces }: ResponseShape): BodyInit | null {
  if (content === 'none' || content === 'thread') return null;
  if (content === 'bytes') return Buffer.from(fixed.bytes);
  if (content !== 'readable') return fixed[content];
  let at = 0;
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (at < pieces.length)
          controller.enqueue(pieces[at++] as Uint8Array); // or something else: that is the point
        else controller.close();
      },
    },
    { highWaterMark: 0 },
  );
}

function replace(target: object, members: Readonly<Record<string, Member>>): void {
  for (const [name, member] of Object.entries(members)) {
    const get = () => {
      if (member === 'throws') throw new Error(`${name} cannot be read`);
      return member.value;
    };
    Object.defineProperty(target, name, { get, configurable: true });
  }
}

function make(shape: ResponseShape): AnyResponse {
  const { kind, status, statusText, fields, pieces } = shape;
  const threaded = function* (out: { write(data: Uint8Array): Iterable<never> }) {
    for (const data of pieces) {
      yield* out.write(data as Uint8Array);
      yield* sleep(1);
    }
  };
  const isThread = shape.content === 'thread';
  if (kind === 'foreign') {
    const response = { type: 'default', url: '', bodyUsed: false, headers: fields, body: foreignBody(shape) };
    replace(response, { status, statusText });
    return Object.assign(response, { [Symbol.toStringTag]: 'Response' }) as unknown as AnyResponse;
  }
  const init = kind === 'ours' ? { status: read(status) as number, statusText: read(statusText) as string } : {};
  const response = isThread ? stream(threaded as never, init) : new Response(contentOf(shape), init);
  for (const [name, value] of fields) response.headers.append(name as string, value as string);
  if (kind === 'derived') replace(response, { status, statusText });
  return response;
}

/** Another implementation has no bodies but streams. */
function foreignBody(shape: ResponseShape): unknown {
  if (shape.content === 'none' || shape.content === 'thread') return null;
  return new globalThis.Response(contentOf(shape) as never).body;
}

function read(member: Member): unknown {
  if (member === 'throws') throw new Error('a member cannot be read');
  return member.value;
}

// The model.

type Verdict =
  | { what: 'sent'; status: number; reason: string | undefined; fields: [string, string][]; body: string }
  | { what: '500' }
  /** The head has gone out, and the body is not what it should be. `isWhole`: but all that its content-length says is there. */
  | { what: 'reset'; isWhole: boolean };

const refused: Verdict = { what: '500' };
const bodiless = (status: number) => status === 204 || status === 205 || status === 304;
/** Fields that the server writes itself, or leaves out. */
const servers = new Set([
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'proxy-connection',
  'upgrade',
  'date',
]);

/** What the constructor makes of a status: https://webidl.spec.whatwg.org/#js-unsigned-short */
function asStatus(value: unknown): unknown {
  try {
    return value === undefined ? 200 : new Uint16Array([Number(value as number)])[0];
  } catch {
    return undefined;
  }
}

/** What is converted to a string where one is wanted; undefined if that throws. */
function asText(value: unknown): unknown {
  try {
    return `${value as string}`;
  } catch {
    return undefined;
  }
}

function reasonOf(value: unknown): unknown {
  return value === undefined ? '' : asText(value);
}

const byteLength = (pieces: readonly Uint8Array[]) => pieces.reduce((sum, { length }) => sum + length, 0);

function verdictOn(shape: ResponseShape): Verdict {
  const { kind, method, content } = shape;
  if (shape.status === 'throws' || shape.statusText === 'throws') return refused;
  const status = kind === 'ours' ? asStatus(shape.status.value) : shape.status.value;
  const reason = kind === 'ours' ? reasonOf(shape.statusText.value) : shape.statusText.value;
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 200 || status > 599) return refused;
  if (typeof reason !== 'string' || !/^[\t\x20-\x7e\x80-\xff]*$/.test(reason)) return refused;
  const isTyped = kind !== 'foreign' && (content === 'text' || content === 'large');
  const fields: [string, string][] = isTyped ? [['content-type', 'text/plain;charset=UTF-8']] : []; // by the constructor
  for (const pair of shape.fields) {
    const [name, given] = kind === 'foreign' ? pair : pair.map(asText); // what `append` takes
    if (typeof name !== 'string' || !/^[!#$%&'*+\-.^_`|~0-9a-zA-Z]+$/.test(name)) return refused;
    if (typeof given !== 'string') return refused;
    // Headers takes white space off both ends.
    const value = kind === 'foreign' ? given : given.replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, '');
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) return refused;
    fields.push([name.toLowerCase(), value]);
  }
  const valuesOf = (name: string) => fields.filter(([other]) => other === name).map(([, value]) => value);
  if (valuesOf('date').length > 1) return refused;
  const isNull = content === 'none' || (content === 'thread' && kind === 'foreign');
  const isThread = content === 'thread' && !isNull;
  if (bodiless(status) && !isNull && !isThread) return refused;
  const isStreamed = isThread || content === 'readable' || (kind === 'foreign' && !isNull);
  const text = isThread || content === 'readable' ? undefined : isNull ? '' : fixed[content as keyof typeof fixed];
  const lengths = valuesOf('content-length');
  const declared = lengths.length === 0 ? undefined : Number(lengths[0]);
  if (declared !== undefined) {
    if (lengths.length > 1 || !/^[0-9]{1,15}$/.test(lengths[0])) return refused;
    if (!isStreamed && method === 'GET' && !bodiless(status) && text !== undefined && declared !== text.length)
      return refused;
  }
  const sent = { what: 'sent', status, reason: reason === '' ? undefined : reason } as const;
  const own = fields.filter(([name]) => !servers.has(name));
  if (method === 'HEAD' || bodiless(status) || isNull) return { ...sent, fields: own, body: '' };
  let body = text;
  if (body === undefined) {
    const written: Uint8Array[] = [];
    // The only piece of another implementation's stream is read before the head, unless its length is declared.
    const isReadAhead = kind === 'foreign' && !isThread && declared === undefined && shape.pieces.length === 1;
    for (const piece of shape.pieces) {
      if (!bytes.includes(piece) && typeof piece !== 'string') {
        if (isReadAhead) return refused;
        return { what: 'reset', isWhole: declared !== undefined && byteLength(written) >= declared };
      }
      written.push(Buffer.from(piece as string));
    }
    body = Buffer.concat(written).toString('latin1');
  }
  if (declared !== undefined && declared !== body.length) return { what: 'reset', isWhole: body.length > declared };
  return { ...sent, fields: own, body };
}

/** The values themselves in the place of those that stand for them. */
function withHostileValues(shape: ResponseShape): ResponseShape {
  const real = (value: unknown): unknown => {
    const name = typeof value === 'object' && value !== null && 'hostile' in value ? String(value.hostile) : undefined;
    return name === undefined ? value : hostileValues[name]();
  };
  const realMember = (member: Member): Member => (member === 'throws' ? member : { value: real(member.value) });
  return {
    ...shape,
    status: realMember(shape.status),
    statusText: realMember(shape.statusText),
    fields: shape.fields.map(([name, value]) => [real(name), real(value)] as const),
    pieces: shape.pieces.map(real),
  };
}

/** @throws if something does not hold @returns how it has come out */
export async function tryResponse(described: ResponseShape): Promise<string> {
  const shape = withHostileValues(described);
  const handlers = {
    plain: () => make(shape),
    async: async () => make(shape),
    *thread() {
      yield* sleep(1);
      return make(shape);
    },
  };
  const handler: () => unknown = handlers[shape.handler];
  let calls = 0;
  const world = await World.open({
    fetch: (() => (calls++ === 0 ? handler() : new Response('probe'))) as () => AnyResponse,
  });
  const parser = new ResponseParser([shape.method, 'GET']);
  const { raw, ending } = await ask(world, shape);
  parser.push(raw);
  if (ending === 'FIN') parser.end();
  const verdict = verdictOn(shape);
  // A thread whose body is not sent is started and unwound, and may come as far as a piece that it cannot write.
  const isStarted =
    shape.content === 'thread' && verdict.what !== 'reset' && shape.pieces.some((piece) => !bytes.includes(piece));
  const errors = isStarted
    ? world.errors.filter((error) => !String(error).startsWith('TypeError: write:'))
    : world.errors;
  const [response] = parser.responses;
  assert.ok(!raw.includes('\r\nx-injected'), 'a field was injected');
  if (verdict.what === 'sent') {
    assert.deepEqual(errors, []);
    assert.equal(ending, 'FIN');
    assert.ok(response !== undefined, 'a response was sent');
    checkSent(response, verdict);
    if (shape.isFollowed && response.fields.every(([name, value]) => name !== 'connection' || !value.includes('close')))
      assert.equal(parser.responses[1]?.body, 'probe', 'the next request is answered');
    else assert.equal(parser.responses.length, 1);
  } else {
    assert.equal(errors.length, 1, 'calls of onError');
    if (verdict.what === '500') {
      assert.deepEqual(
        [parser.responses.length, response?.status, response?.reason],
        [1, 500, 'Internal Server Error'],
      );
      assert.equal(ending, 'FIN');
    } else {
      // Where the end of the connection is the end of the body, a reset alone shows that it is not complete.
      assert.ok(parser.responses.length <= (verdict.isWhole ? 1 : 0), 'a body that was cut short looks complete');
      assert.equal(ending, 'reset');
    }
  }
  if (!shape.isFollowed && verdict.what !== 'reset') await checkByNode(shape, raw, response);
  await world.close();
  return verdict.what;
}

function checkSent(response: ReceivedResponse, verdict: Verdict & { what: 'sent' }): void {
  assert.equal(response.status, verdict.status);
  if (verdict.reason !== undefined) assert.equal(response.reason, verdict.reason);
  assert.equal(response.body.length, verdict.body.length, 'length of the body');
  assert.ok(response.body === verdict.body, 'body');
  const got = response.fields.filter(([name]) => !servers.has(name));
  assert.deepEqual(got, verdict.fields);
}

async function ask(
  world: World,
  { method, version, isFollowed }: ResponseShape,
): Promise<{ raw: Buffer; ending: 'FIN' | 'reset' }> {
  const first = `${method} / HTTP/${version}\r\nhost: a\r\n${isFollowed ? (version === '1.0' ? 'connection: keep-alive\r\n' : '') : 'connection: close\r\n'}\r\n`;
  const text = isFollowed ? `${first}GET /probe HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n` : first;
  const pieces: Uint8Array[] = [];
  const client = world.client(function* (connection) {
    yield* connection.writer.write(text);
    try {
      for (let piece: Uint8Array | undefined; (piece = yield* connection.reader.read()) !== undefined; )
        pieces.push(new Uint8Array(piece));
    } catch {
      return 'reset' as const;
    }
    return 'FIN' as const;
  });
  await world.pass();
  return { ending: await client, raw: Buffer.concat(pieces) };
}

class Wire extends Duplex {
  override _read(): void {}
  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done();
  }
}

/** @throws if node:http takes the same bytes for something else */
async function checkByNode({ method }: ResponseShape, raw: Buffer, response: ReceivedResponse): Promise<void> {
  if (raw.indexOf('\r\n\r\n') > 8_192) return; // node:http takes no larger head
  const wire = new Wire();
  const request = http.request({ method, createConnection: () => wire });
  const answer = new Promise<http.IncomingMessage>((resolve, reject) => {
    request.on('response', resolve);
    request.on('error', reject);
  });
  request.end();
  wire.push(raw);
  wire.push(null);
  const message = await answer;
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part);
  assert.equal(message.statusCode, response.status);
  assert.equal(message.statusMessage, response.reason);
  assert.deepEqual(
    message.rawHeaders,
    response.fields.flatMap(([name, value]) => [name, value.trim()]),
  );
  assert.ok(Buffer.concat(parts).equals(Buffer.from(response.body, 'latin1')), 'node:http reads another body');
}
