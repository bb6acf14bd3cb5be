// A server in a simulated world, several clients that send it the same bytes, and what became of each of them.

import assert from 'node:assert/strict';
import type { Connection } from '#sluice/connection/connection.js';
import { readAhead } from '#sluice/connection/reader.js';
import { ConnectionError, highWaterMark, pieceSize } from '#sluice/event-layer/event-layer.js';
import { type Request, sourceOf } from '#sluice/http/fetch/request.js';
import { Response } from '#sluice/http/fetch/response.js';
import { H1Request } from '#sluice/http/h1/h1-request.js';
import { inspectConnections, partialHeadBytes } from '#sluice/observe/inspect.js';
import type { AnyResponse, ServeOptions } from '#sluice/server/serve.js';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { spawn } from '#sluice/threads/thread.js';
import { until } from '#sluice/threads/until.js';
import { type ReceivedResponse, ResponseParser } from '../support/response-parser.js';
import { Work } from '../support/work.js';
import { World } from '../support/world.js';
import { kinds } from './grammar.js';
import { isOwnAnswer } from './judge.js';
import type { Ending, Pieces } from './scenario.js';
import { checkHead } from './well-formed.js';

export const smallLimits = { maxHeadSize: 400, maxTargetSize: 64, maxFields: 6, maxBodySize: 100 } as const;
export const usualLimits = {
  maxHeadSize: 16_384,
  maxTargetSize: 8_192,
  maxFields: 100,
  maxBodySize: 1_000_000,
} as const;

/** What a handler saw of a request. */
export interface Seen {
  method: string;
  target: string;
  url: string;
  fields: string[];
  /** As Latin-1; undefined if it was not read to its end. */
  body: string | undefined;
  /** Reading the body has failed. */
  broken: boolean;
  /** The handler reads the body, and the request lets it. */
  reads: boolean;
}

/** What became of one client. */
export interface Outcome {
  requests: Seen[];
  /** Those that are whole. */
  responses: ReceivedResponse[];
  /** The server has ended the connection in the middle of a response. */
  isCutShort: boolean;
  ending: 'FIN' | 'reset';
}

export interface Watch {
  turns: number;
  /** Milliseconds of the virtual clock. */
  time: number;
  /** The most bytes of one connection at a time: received and unread, and queued as output. */
  unread: number;
  queued: number;
  /** The most bytes of memory held at a time for heads that have come in part, of all connections together. */
  partialHeads: number;
}

/** How long a client waits, in milliseconds, before it sends FIN: longer than any handler takes, shorter than any timeout. */
const patience = 20_000;
/** When everything must be over, in milliseconds after the last byte was sent: all the timeouts that can follow each other. */
const longest = 400_000;

const large = 'large '.repeat(30_000);
const flood = 'flood '.repeat(2_500);

const latin1 = (bytes: ArrayBuffer | Uint8Array) =>
  Buffer.from(bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes)).toString('latin1');

async function readPieces(request: Request): Promise<string> {
  let body = '';
  if (request.body !== null) for await (const piece of request.body) body += latin1(piece);
  return body;
}

/** Reading is noted, and fails as it fails. */
async function noted(seen: Seen, reading: Promise<string>): Promise<void> {
  try {
    seen.body = await reading;
  } catch (error) {
    seen.broken = true;
    throw error;
  }
}

/** Hands on what it reads, as it is read. */
function notedStream(seen: Seen, body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let read = '';
  let cancelled = false;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (done) {
            if (cancelled) return; // which ends the reading as well
            seen.body = read;
            controller.close();
          } else {
            read += latin1(value);
            controller.enqueue(value);
          }
        } catch (error) {
          seen.broken = true;
          throw error;
        }
      },
      cancel: (reason) => {
        cancelled = true;
        return reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

const readers: readonly string[] = ['text', 'thread', 'echo', 'pieces'];

/** The handlers that `kinds` names. Each response says in a field which of its connection's requests it is for. */
function answer(
  kind: string,
  request: Request,
  seen: Seen,
  id: string,
  work: Work,
): AnyResponse | Promise<AnyResponse> | Task<AnyResponse> {
  const headers = { 'x-answer': id };
  switch (kind) {
    case 'plain':
      return new Response(`plain ${seen.target}`, { headers });
    case 'large':
      return new Response(large, { headers });
    case 'async':
      return Promise.resolve().then(() => new Response('async', { headers }));
    case 'pieces':
      return noted(seen, readPieces(request)).then(() => new Response(seen.body, { headers }));
    case 'echo':
      if (request.body === null) seen.body = '';
      return new Response(request.body && notedStream(seen, request.body), { headers });
    case 'thread':
      return work.thread(function* (): Task<AnyResponse> {
        yield* sleep(2);
        yield* until(noted(seen, request.arrayBuffer().then(latin1)));
        return new Response('thread', { headers });
      });
    case 'idle-thread':
      return work.thread(function* (): Task<AnyResponse> {
        yield* sleep(2);
        return new Response('idle-thread', { headers });
      });
    case 'at-once':
      return work.thread(function* (): Task<AnyResponse> {
        return new Response('at once', { headers });
      });
    case 'flood':
      return work.stream(function* (out) {
        for (let i = 0; i < 12; i++) yield* out.write(flood);
      }, headers);
    case 'stream':
      return work.stream(function* (out) {
        yield* out.write('stream ');
        yield* sleep(1);
        yield* out.write(seen.target);
      }, headers);
    default:
      return noted(seen, request.arrayBuffer().then(latin1)).then(() => new Response('text', { headers }));
  }
}

export interface Crowd {
  outcomes: Outcome[];
  watch: Watch;
}

export interface Manner {
  ending: Ending;
  small?: boolean;
  slow?: boolean;
  /** Whatever the target says, the handler reads the body. */
  readAll?: boolean;
}

/**
 * Lets each client send its pieces to one server, and looks at what must hold whatever they send.
 * @throws if something does not
 */
export async function exchange(clients: readonly Pieces[], manner: Manner): Promise<Crowd> {
  const seenBy = new Map<string, Seen[]>();
  const work = new Work();
  const limits = manner.small ? smallLimits : usualLimits;
  const fetch: ServeOptions['fetch'] = (request, { peer }) => {
    const source = sourceOf(request as Request);
    assert.ok(source instanceof H1Request); // it has the message as it came
    const { target, fields, text } = source;
    const requests = seenBy.get(peer.split(':')[0]);
    assert.ok(requests !== undefined, `a request from an unknown client: ${peer}`);
    const { method, url } = request;
    const [, named] = new URL(url).pathname.split('/');
    const kind = manner.readAll || !kinds.some((name) => name === named) ? 'text' : named;
    const reads = (kind === 'text' || readers.includes(kind)) && method !== 'GET' && method !== 'HEAD';
    const seen: Seen = { method, target, url, fields, body: undefined, broken: false, reads };
    requests.push(seen);
    checkHead(text);
    assert.equal(source.method, method);
    assert.ok([...request.headers].length <= seen.fields.length / 2);
    return answer(kind, request, seen, `${requests.length - 1}`, work);
  };
  const world = await World.open(
    { fetch, allowHalfOpen: manner.ending === 'half-open', ...limits },
    { latency: 0, pieces: 'whole', capacity: manner.slow ? 8 * 1024 : 2 ** 20 },
  );
  const watch: Watch = { turns: 0, time: 0, unread: 0, queued: 0, partialHeads: 0 };
  const partialHeadsBefore = partialHeadBytes();
  const size = clients.reduce((sum, pieces) => sum + pieces.reduce((all, piece) => all + piece.text.length, 0), 0);
  const steps = clients.reduce((sum, pieces) => sum + pieces.length, 0);
  const mostTurns = () =>
    3_000 + 20 * steps + size + 500 * [...seenBy.values()].reduce((sum, all) => sum + all.length, 0);
  world.traffic.onTurnEnd = () => {
    watch.turns++;
    assert.ok(
      watch.turns <= mostTurns(),
      `it does not come to rest: turn ${watch.turns} of ${size} bytes in ${steps} pieces`,
    );
    for (const { unread, queued } of inspectConnections(world.network)) {
      watch.unread = Math.max(watch.unread, unread);
      watch.queued = Math.max(watch.queued, queued);
    }
    watch.partialHeads = Math.max(watch.partialHeads, partialHeadBytes() - partialHeadsBefore);
  };

  const ended = clients.map((pieces, i) => {
    const localAddress = `127.0.0.${i + 2}`;
    const requests: Seen[] = [];
    seenBy.set(localAddress, requests);
    const task = function* (): Task<Outcome> {
      return yield* client(yield* world.connect({ localAddress }), pieces, manner, requests);
    };
    return world.run(task);
  });
  let outcomes: Outcome[] | undefined;
  let failure: unknown;
  Promise.all(ended).then(
    (all) => {
      outcomes = all;
    },
    (error) => {
      failure = error;
    },
  );
  await world.pass();
  if (failure !== undefined) throw failure;
  assert.ok(outcomes !== undefined, 'clients that wait though nothing happens any more');

  watch.time = world.now;
  const pauses = clients.map((pieces) => pieces.reduce((sum, { pause }) => sum + pause, 0));
  assert.ok(watch.time <= longest + Math.max(...pauses), `it has come to rest after ${watch.time} ms`);
  assert.ok(watch.unread <= readAhead + pieceSize, `${watch.unread} bytes unread of one connection`);
  // Memory comes in powers of two.
  const mostForHead = 2 ** Math.ceil(Math.log2(limits.maxHeadSize + pieceSize));
  assert.ok(
    watch.partialHeads <= clients.length * mostForHead,
    `${watch.partialHeads} bytes are held for partial heads of ${clients.length} connections`,
  );
  // A writer that is not flooded may put in a piece of 16 KiB with its framing, and a refusal may follow.
  assert.ok(watch.queued <= highWaterMark + 17 * 1024, `${watch.queued} bytes queued for one connection`);
  assert.deepEqual(world.errors, [], 'onError was called for what a client did');
  assert.equal(world.server.connections.total, 0, 'connections that stay when their clients have gone');
  assert.equal(partialHeadBytes(), partialHeadsBefore, 'bytes held for partial heads when all clients have gone');
  assert.equal(work.left, work.entered, 'threads that have been left');
  await world.close();
  return { outcomes, watch };
}

/** Sends, and reads to the end. */
function* client(connection: Connection, pieces: Pieces, manner: Manner, requests: Seen[]): Task<Outcome> {
  const parts: Uint8Array[] = [];
  const text = pieces.map((piece) => piece.text).join('');
  spawn(() => send(connection, pieces, manner.ending));
  try {
    for (let part: Uint8Array | undefined; (part = yield* connection.reader.read()) !== undefined; ) {
      parts.push(Uint8Array.from(part));
      if (manner.slow) yield* sleep(20);
    }
    return outcomeOf(parts, requests, 'FIN', text);
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error;
    return outcomeOf(parts, requests, 'reset', text);
  }
}

function* send(connection: Connection, pieces: Pieces, ending: Ending): Task<void> {
  const { writer } = connection;
  try {
    for (const [i, { text, pause }] of pieces.entries()) {
      yield* writer.write(Buffer.from(text, 'latin1'));
      if (i < pieces.length - 1 || ending === 'patient' || ending === 'resets') yield* sleep(pause);
    }
    if (ending === 'patient') yield* sleep(patience);
    if (ending === 'resets') connection.reset();
    else if (ending !== 'silent') yield* writer.end();
  } catch (error) {
    // The server may have closed, and the reader sees how.
    if (!(error instanceof ConnectionError)) throw error;
  }
}

/** @throws if what the server has sent is no sequence of responses */
function outcomeOf(parts: readonly Uint8Array[], requests: Seen[], ending: 'FIN' | 'reset', text: string): Outcome {
  const bytes = Buffer.concat(parts);
  const methods = requests.map((seen) => seen.method);
  for (;;) {
    const parser = new ResponseParser(methods);
    let isCutShort = false;
    let failure: unknown;
    try {
      parser.push(bytes);
      if (ending === 'reset') isCutShort = !parser.isBetween;
      else isCutShort = !ends(parser);
    } catch (error) {
      failure = error;
    }
    const { responses } = parser;
    // Requests that no handler has seen: those that the server answers by itself, and HEAD if it is refused before there is a handler.
    const own = responses.findIndex((response, i) => methods[i] !== 'OPTIONS *' && isOwnAnswer(response));
    const isHead = isCutShort && methods.length <= responses.length && text.includes('HEAD ');
    if (own !== -1) methods.splice(own, 0, 'OPTIONS *');
    else if (failure !== undefined) throw failure;
    else if (isHead) methods.push('HEAD');
    else return { requests, responses, isCutShort, ending };
  }
}

function ends(parser: ResponseParser): boolean {
  try {
    parser.end();
    return true;
  } catch {
    return false;
  }
}
