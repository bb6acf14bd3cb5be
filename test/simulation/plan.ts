// What a seed stands for: the network, the server, the clients, and what each of them does. Everything is drawn before the world
// begins, so that two worlds of the same plan differ in nothing but how the network cuts what is sent.

import { Random } from '#sluice/event-layer/simulated/random.js';
import type { SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import type { ServeOptions } from '#sluice/server/serve.js';
import type { Expected } from '../http/cases.js';
import { chosenTransport } from '../support/transport.js';
import type { Fate, Message, Plan } from './clients.js';
import { pattern } from './handlers.js';

export interface WorldPlan {
  seed: number;
  network: SimulatedOptions;
  options: Partial<ServeOptions> & Limits;
  clients: Plan[];
  /** When close is called, before all is done, and how long what is in flight may take. */
  closes: { at: number; deadline: number }[];
  /** Nothing breaks and nothing is closed: well-behaved clients get exactly what is expected, however the bytes are cut. */
  isSound: boolean;
}

export interface Limits {
  maxHeadSize: number;
  maxTargetSize: number;
  maxFields: number;
  maxBodySize: number;
  maxConnections: number;
  maxRequests: number;
  maxPipelined: number;
  maxQueuedBytes: number;
  headTimeout: number;
}

const hour = 3_600_000;

export function planOf(seed: number): WorldPlan {
  const draw = new Draw(seed);
  const isHour = seed % 100 === 99;
  const isSound = draw.chance(0.4);

  const pieces = draw.pick<SimulatedOptions['pieces']>(['random', 'random', 'random', 'whole', draw.whole(1, 64)]);
  const capacity = draw.chance(0.6) ? undefined : 2 ** draw.whole(0, 17);
  /** Bytes that the network takes at once. */
  const width = Math.min(typeof pieces === 'number' ? pieces : Infinity, capacity ?? 1024);
  const latency = width < 64 ? draw.pick([0.1, 1]) : draw.pick([0.1, 1, 5, 20]);
  const chance = (most: number) => (draw.chance(0.5) ? draw.next() * most : 0);
  const faults = {
    ...{ refuse: chance(0.1), reset: chance(0.02), vanish: chance(0.02) },
    ...{ silence: chance(0.01), accept: chance(0.2), stall: chance(0.02) },
  };
  const network = { seed, pieces, capacity, latency, faults: isSound ? {} : faults };

  const options = {
    maxHeadSize: width < 64 ? draw.pick([512, 1024]) : draw.pick([512, 2048, width < 1024 ? 2048 : 16_384]),
    maxTargetSize: draw.pick([80, 300]),
    maxFields: draw.pick([5, 100]),
    maxBodySize: width < 64 ? draw.pick([500, 1500]) : draw.pick([1000, 40_000, 150_000, 300_000]),
    headTimeout: draw.pick([5_000, 60_000]),
    bodyTimeout: draw.pick([5_000, 60_000]),
    idleTimeout: draw.pick([10_000, 120_000]),
    writeTimeout: draw.pick([20_000, 300_000]),
    leaveTimeout: draw.pick([500, 30_000]),
    lingerTimeout: draw.pick([4_000, 10_000]),
    allowHalfOpen: draw.chance(0.3),
    maxPipelined: draw.pick([1, 4, 32]),
    maxQueuedBytes: draw.pick([2_000, 65_536, 65_536, 100_000]),
    // What these do depends on the time, and on who comes first.
    minBodyRate: isSound ? 0.001 : draw.pick([0.001, 240, 10_000]),
    minWriteRate: isSound ? 0.001 : draw.pick([0.001, 240, 10_000]),
    maxConnections: isSound || draw.chance(0.7) ? 1_000 : draw.whole(1, 5),
    maxRequests: isSound || draw.chance(0.7) ? 1_000 : draw.whole(1, 5),
  };

  const span = isHour ? hour : draw.pick([0, 100, 2_000, 30_000]);
  const closes = Array.from({ length: isSound || draw.chance(0.5) ? 0 : draw.whole(1, 2) }, () => ({
    at: draw.whole(0, span + 5_000),
    deadline: draw.pick([0, 100, 2_000, 10_000]),
  }));
  const volume = width < 64 ? 500 : width < 1024 ? 4_000 : isHour ? 30_000 : draw.pick([2_000, 150_000, 300_000]);
  const clients = Array.from({ length: isHour ? draw.whole(20, 40) : draw.whole(1, 7) }, (_, id) =>
    clientOf(draw, { id, span, volume, latency, width, options, isSound }),
  );
  return { seed, network, options, clients, closes, isSound };
}

interface ClientSettings {
  id: number;
  span: number;
  volume: number;
  latency: number;
  width: number;
  options: WorldPlan['options'];
  isSound: boolean;
}

function clientOf(draw: Draw, settings: ClientSettings): Plan {
  const { id, span, volume, width, options, isSound } = settings;
  const messages: Message[] = [];
  // Many small ones, of which most can be answered at once, or a few of all kinds.
  const isBurst = draw.chance(0.03);
  for (let index = 0, most = isBurst ? 120 : draw.whole(1, 5); index < most; index++) {
    const message =
      isBurst && draw.chance(0.99)
        ? small(draw, id, index)
        : messageOf(draw, id, index, isBurst ? Math.min(volume, 300) : volume, options);
    messages.push(message);
    if (message.ending !== 'stays') break;
  }
  const { ending } = messages[messages.length - 1];
  const end = draw.next();
  const isPolite = ending !== 'endless' && end < (isSound ? 0.8 : 0.5);
  const milliseconds = draw.chance(0.5) ? draw.whole(0, 200) : draw.whole(0, 20_000);
  const total = messages.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const sent = draw.whole(1, total);
  const kind = messages[messages.length - 1].kind;
  // What is endless and in no hurry is left after a time, which may be long; the rest after so many bytes.
  const isFast = kind === 'endless' || kind === 'endless-readable';
  const after: Fate['after'] = isFast
    ? { received: draw.size(Math.max(1, volume)) }
    : draw.pick<Fate['after']>([{ milliseconds }, { sent }, { received: draw.size(2_000) }]);
  const always: Fate['after'] = { milliseconds: draw.chance(0.1) ? draw.whole(1, 1_200_000) : draw.whole(0, 60_000) };
  const fate: Fate = isPolite
    ? { how: draw.chance(0.8) ? 'polite' : 'stays', after: { sent: Infinity } }
    : {
        how: draw.pick<Fate['how']>(['FIN', 'RST', 'close', 'unplugged']),
        after: ending === 'endless' && !isFast ? always : after,
      };
  const reading = draw.chance(0.7) ? 'fast' : draw.chance(isPolite && isSound ? 1 : 0.7) ? 'slow' : 'never';
  const isHalfOpen = isPolite && draw.chance(0.2);
  const piece = draw.chance(0.5) ? 16_384 : Math.max(draw.whole(1, 200), Math.ceil(total / 3_000));
  const longest = Math.max(...messages.map(({ headSize }) => headSize));
  // In time, unless it is meant to be late.
  const isLate = !isPolite && draw.chance(0.3);
  const room = options.headTimeout / 3 / Math.ceil(longest / piece);
  const slowest = Math.max(1, 60_000 / Math.ceil(total / piece));
  const pause = draw.chance(0.5)
    ? 0
    : Math.floor(Math.min(slowest, isLate ? Infinity : room, draw.whole(1, isLate ? 5_000 : 100)));
  return {
    ...{ id, messages, piece, pause, reading, isHalfOpen, fate },
    arrives: draw.chance(0.3) ? 0 : draw.next() * span,
    begins: draw.chance(0.8) ? 0 : isPolite || draw.chance(0.5) ? draw.whole(1, 5_000) : Infinity,
    isPipelined: draw.chance(isBurst ? 0.8 : 0.4),
    think: draw.chance(0.5) ? 0 : draw.whole(1, 3_000),
    // The content of a record arrives when the whole record has: for a slow network that is longer than short timeouts.
    // What the kernels hold of a response is on its way for longer than a short idleTimeout if it is taken slowly.
    isExact:
      isSound &&
      isPolite &&
      (chosenTransport === 'plain' ||
        width >= 1024 ||
        ((options.idleTimeout ?? 0) > 60_000 && (options.bodyTimeout ?? 0) > 5_000)) &&
      (!isHalfOpen || options.allowHalfOpen === true) &&
      (reading === 'fast' || (options.idleTimeout ?? 0) > 60_000),
  };
}

type Kind = 'stays' | 'reads' | 'closes' | 'resets' | 'endless' | 'malformed' | 'over';

function messageOf(draw: Draw, id: number, index: number, volume: number, limits: Limits): Message {
  const chance = draw.next();
  const kind: Kind =
    chance < 0.5
      ? 'stays'
      : chance < 0.72
        ? 'reads'
        : chance < 0.78
          ? 'closes'
          : chance < 0.83
            ? 'resets'
            : chance < 0.9
              ? 'endless'
              : chance < 0.95
                ? 'malformed'
                : 'over';
  switch (kind) {
    case 'stays':
      return stays(draw, id, index, volume, limits);
    case 'reads':
      return reads(draw, id, index, Math.min(volume, limits.maxBodySize), limits);
    case 'closes':
      return closes(draw, id, index, volume);
    case 'resets': {
      const name = draw.pick(['throw-stream', 'throw-readable', 'short', 'long']);
      const isPieces = name.startsWith('throw');
      const target = targetOf(name, id, index, isPieces ? draw.whole(0, 5) : draw.size(volume), draw.whole(0, 300));
      return { ...message(name, request('GET', target)), ending: 'resets', expected: undefined };
    }
    case 'endless': {
      const name = draw.pick(['events', 'endless', 'endless-readable']);
      const beat = draw.chance(0.5) ? draw.whole(1, 15_000) : 15_000;
      // Each piece of a stream of the platform's takes a turn, and no time: too small ones, too many turns.
      const size = name === 'endless' ? draw.whole(1, Math.min(volume, 5_000)) : draw.whole(200, 5_000);
      const target = name === 'events' ? targetOf(name, id, index, 0, beat) : targetOf(name, id, index, size, 0);
      return { ...message(name, request('GET', target)), ending: 'endless', expected: undefined };
    }
    case 'malformed':
      return malformed(draw, id, index, limits);
    case 'over': {
      // One byte more than is allowed, or many more, by its length or in chunks.
      const more = volume > 4_000 && draw.chance(0.3) ? 300_000 : 1;
      const body = Buffer.from(pattern(id, index, limits.maxBodySize + more));
      const target = targetOf('text', id, index, 0, 0);
      const isChunked = draw.chance(0.5);
      const { head, encoded } = withBody(draw, target, body, isChunked, false);
      const made = message('over', Buffer.concat([head, encoded]), head.length);
      const expected = { status: 413, interims: 'any' } as const;
      return { ...made, ending: 'any', expected, isExecuted: isChunked, mostReceived: made.bytes.length - more };
    }
  }
}

function stays(draw: Draw, id: number, index: number, volume: number, limits: Limits): Message {
  const name = draw.pick([
    ...[
      'plain',
      'plain',
      'plain',
      'plain',
      'bytes',
      'status',
      'async',
      'async',
      'thread',
      'thread',
      'tidy',
      'stream',
      'spawning',
    ],
    ...['stream', 'events', 'sized', 'readable', 'abortable', 'stubborn', 'bad-finally'],
  ]);
  const ms = draw.chance(0.8) ? draw.whole(0, 300) : draw.whole(0, 8_000);
  let a = draw.size(volume);
  let b = ms;
  let length = a;
  let status = 200;
  if (name === 'status') {
    a = status = draw.pick([200, 204, 304, 404]);
    length = 0;
  } else if (name === 'stream') {
    a = draw.whole(0, 6);
    b = draw.size(Math.max(1, Math.floor(volume / 6)));
    length = a * b;
  } else if (name === 'events') {
    a = draw.whole(1, 5);
    length = 40 * a;
  } else if (name === 'readable') {
    a = draw.whole(0, 5);
    length = 100 * a;
  }
  const method = draw.chance(0.1) ? 'HEAD' : 'GET';
  const fields = draw.chance(0.2) ? [`x-padding: ${'p'.repeat(draw.whole(0, limits.maxHeadSize - 400))}`] : [];
  const bytes = request(method, targetOf(name, id, index, a, b), ...fields);
  const body = method === 'HEAD' ? '' : pattern(id, index, length);
  return { ...message(name, bytes), expected: { status, body, method } };
}

/** A request that is answered at once. */
function small(draw: Draw, id: number, index: number): Message {
  const length = draw.whole(0, 20);
  const bytes = request('GET', targetOf('plain', id, index, length, 0));
  return { ...message('plain', bytes), expected: { status: 200, body: pattern(id, index, length) } };
}

/** A request with a body, read in every way. */
function reads(draw: Draw, id: number, index: number, most: number, limits: Limits): Message {
  const name = draw.pick([
    'text',
    'text',
    'buffer',
    'count',
    'sip',
    'thread-text',
    'behind',
    'echo',
    'half',
    'plain',
    'async',
  ]);
  const isAtLimit = most === limits.maxBodySize && draw.chance(0.1);
  // More than a reader takes in unasked, often enough.
  const size = isAtLimit ? limits.maxBodySize : draw.chance(0.3) ? draw.whole(most >> 1, most) : draw.size(most);
  const body = pattern(id, index, size);
  const isUnread = name === 'plain' || name === 'async';
  const answer = draw.size(Math.min(most, 2_000));
  const target = targetOf(name, id, index, answer, draw.whole(0, name === 'sip' ? 50 : 500));
  const isChunked = draw.chance(0.5);
  const waits = draw.chance(0.2) && size > 0;
  const { head, encoded } = withBody(draw, target, Buffer.from(body), isChunked, waits);
  const made = message(name, Buffer.concat([head, encoded]), head.length);
  const text: Record<string, string> = { text: `text ${body}`, 'thread-text': `text ${body}`, echo: body };
  for (const counting of ['buffer', 'count', 'sip']) text[counting] = `length ${size}`;
  const expected: Expected = { status: 200, body: text[name] ?? pattern(id, index, answer), interims: 'any' };
  // A body that is not read is read to its end for the next request's sake, if there is not much of it; nor is one that nobody has
  // asked for sent after all.
  const isLeft = name === 'half' || (isUnread && (size > 60_000 || waits));
  return { ...made, expected, ending: isLeft ? 'any' : 'stays', waitsForContinue: waits };
}

function closes(draw: Draw, id: number, index: number, volume: number): Message {
  const failing = ['throw', 'throw-async', 'throw-thread', 'child-fails', 'no-response'];
  const name = draw.pick([...failing, 'plain', 'stream', 'old']);
  const target = targetOf(
    name === 'old' ? 'plain' : name,
    id,
    index,
    name === 'stream' ? 1 : draw.size(volume),
    draw.whole(0, 500),
  );
  const [, , , , a, b] = target.split('/');
  const ending = 'closes';
  if (failing.includes(name)) {
    return {
      ...message(name, request('GET', target)),
      expected: { status: 500, body: 'Internal Server Error' },
      ending,
    };
  }
  const body = pattern(id, index, Number(name === 'stream' ? b : a));
  const bytes =
    name === 'old' ? Buffer.from(`GET ${target} HTTP/1.0\r\n\r\n`) : request('GET', target, 'connection: close');
  return { ...message(name, bytes), expected: { status: 200, body, fields: { connection: 'close' } }, ending };
}

/** What is refused, with a request behind it that must not be executed. */
function malformed(draw: Draw, id: number, index: number, limits: Limits): Message {
  const target = targetOf('plain', id, index, 10, 0);
  const long = (length: number) => 'x'.repeat(length);
  const [status, head] = draw.pick<[number, string]>([
    [400, `GET ${target} HTTP/1.1\r\nhost : a\r\n\r\n`],
    [400, `GET ${target} HTTP/1.1\r\n\r\n`],
    [400, `GET ${target} HTTP/1.1\nhost: a\r\n\r\n`],
    [400, `POST ${target} HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n`],
    [400, `GET ${target} HTTP/1.1\r\nhost: a\r\n folded: yes\r\n\r\n`],
    [505, `GET ${target} HTTP/2.0\r\nhost: a\r\n\r\n`],
    [501, `CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n`],
    [417, `GET ${target} HTTP/1.1\r\nhost: a\r\nexpect: a-miracle\r\n\r\n`],
    [414, `GET /${long(limits.maxTargetSize)} HTTP/1.1\r\nhost: a\r\n\r\n`],
    [431, `GET ${target} HTTP/1.1\r\nhost: a\r\nx: ${long(limits.maxHeadSize)}\r\n\r\n`],
    [431, `GET ${target} HTTP/1.1\r\nhost: a\r\n${'a: b\r\n'.repeat(limits.maxFields)}\r\n`],
  ]);
  const made = message(`malformed ${status}`, Buffer.concat([Buffer.from(head), request('GET', target)]), head.length);
  return { ...made, expected: { status, fields: { connection: 'close' } }, ending: 'closes', isExecuted: false };
}

function targetOf(kind: string, id: number, index: number, a: number, b: number): string {
  return `/${kind}/${id}/${index}/${a}/${b}`;
}

function request(method: string, target: string, ...fields: string[]): Buffer {
  const lines = [`${method} ${target} HTTP/1.1`, 'host: a', ...fields, '', ''];
  return Buffer.from(lines.join('\r\n'));
}

/** A message that is answered and changes nothing, but for what is said besides. */
function message(kind: string, bytes: Buffer, headSize = bytes.length): Message {
  return {
    ...{ kind, bytes, headSize, expected: undefined, ending: 'stays', isExecuted: true },
    ...{ waitsForContinue: false, mostReceived: Infinity },
  };
}

function withBody(
  draw: Draw,
  target: string,
  body: Buffer,
  isChunked: boolean,
  waits: boolean,
): { head: Buffer; encoded: Buffer } {
  const expect = waits ? ['expect: 100-continue'] : [];
  if (!isChunked) return { head: request('POST', target, `content-length: ${body.length}`, ...expect), encoded: body };
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const size = Math.min(body.length - at, draw.size(Math.max(100, body.length)) + 1);
    const extension = draw.chance(0.2) ? ';a=b' : '';
    parts.push(Buffer.from(`${size.toString(16)}${extension}\r\n`), body.subarray(at, at + size), Buffer.from('\r\n'));
    at += size;
  }
  parts.push(Buffer.from(draw.chance(0.2) ? '0\r\nx-trailer: yes\r\n\r\n' : '0\r\n\r\n'));
  return { head: request('POST', target, 'transfer-encoding: chunked', ...expect), encoded: Buffer.concat(parts) };
}

/** Draws lots. */
class Draw extends Random {
  pick<T>(from: readonly T[]): T {
    return from[this.whole(0, from.length - 1)];
  }

  /** From 0 to `most`, small numbers as often as large ones. */
  size(most: number): number {
    return Math.min(most, Math.floor(2 ** (this.next() * Math.log2(most + 1))) - (this.chance(0.5) ? 1 : 0));
  }
}
