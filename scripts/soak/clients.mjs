// The clients of the soak: one process for each kind. They are on node:net and fetch, so that no fault of a layer can hide behind the
// same fault on the other side. `clients.mjs KIND PORT SEED`; it goes on until the parent says stop, and reports.

import { once } from 'node:events';
import { connect } from 'node:net';
import process from 'node:process';
import { pattern } from './pattern.mjs';

const [kind, port, seedText] = process.argv.slice(2);
const report = { kind, connections: 0, requests: 0, bytes: 0, wrong: [] };
let isOver = false;
let state = Number(seedText) >>> 0;

/** A whole number from 0 up to `below`, exclusive; the same ones in the same order for the same seed. */
function random(below) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}

const pick = (list) => list[random(list.length)];
const later = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function isWrong(what) {
  if (report.wrong.length < 20) report.wrong.push(`${kind}: ${what}`);
}

function open(options) {
  report.connections++;
  // Many addresses, so that there is no end of ports.
  const localAddress = `127.0.0.${2 + random(250)}`;
  const socket = connect({ port: Number(port), host: '127.0.0.1', localAddress, ...options });
  socket.on('error', () => {}); // code that waits for something notices that it does not arrive
  return socket;
}

/** Reads responses off a socket. Fails if it ends or breaks in the middle. */
class Responses {
  #socket;
  #held = Buffer.alloc(0);
  #isDone = false;
  #wake = () => {};

  constructor(socket) {
    this.#socket = socket;
    socket.on('readable', () => this.#wake());
    for (const event of ['close', 'end']) {
      socket.on(event, () => {
        this.#isDone = true;
        this.#wake();
      });
    }
  }

  async next() {
    let headEnd;
    while ((headEnd = this.#held.indexOf('\r\n\r\n')) === -1) await this.#more();
    const head = this.#held.toString('latin1', 0, headEnd);
    this.#held = this.#held.subarray(headEnd + 4);
    const status = Number(head.slice(9, 12));
    const isLast = /^connection: *close/im.test(head);
    const length = /^content-length: *(\d+)/im.exec(head);
    if (length !== null) return { status, isLast, body: await this.#take(Number(length[1])) };
    if (!/^transfer-encoding: *chunked/im.test(head)) throw new Error(`a response of no length: ${head}`);
    const pieces = [];
    for (let size; size !== 0; ) {
      size = Number.parseInt(await this.#line(), 16);
      if (size > 0) pieces.push(await this.#take(size));
      if ((await this.#line()) !== '') throw new Error('a chunk is not followed by an empty line');
    }
    return { status, isLast, body: Buffer.concat(pieces) };
  }

  async #line() {
    let at;
    while ((at = this.#held.indexOf('\r\n')) === -1) await this.#more();
    const line = this.#held.toString('latin1', 0, at);
    this.#held = this.#held.subarray(at + 2);
    return line;
  }

  async #take(bytes) {
    const pieces = [];
    for (let missing = bytes; ; ) {
      const piece = this.#held.subarray(0, missing);
      pieces.push(piece);
      missing -= piece.length;
      this.#held = this.#held.subarray(piece.length);
      if (missing === 0) return Buffer.concat(pieces);
      await this.#more();
    }
  }

  async #more() {
    let piece;
    while ((piece = this.#socket.read()) === null) {
      if (this.#isDone) {
        const what = `the connection is over; ${this.#held.length} bytes of a response were there`;
        throw new Error(what, { cause: this.#socket.errored });
      }
      await new Promise((resolve) => {
        this.#wake = resolve;
      });
    }
    report.bytes += piece.length;
    this.#held = this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece]);
  }
}

/** A request that has a right answer: as the target, the body or undefined, and the answer. */
function question(largest) {
  const seed = random(1_000_000);
  const bytes = random(4) === 0 ? random(largest) : random(2000);
  const how = pick(['plain', 'plain', 'async', 'thread', 'stream', 'echo', 'count', 'fail', 'ignore']);
  const target = `/${how}/${seed}/${bytes}`;
  const body = pattern(seed, bytes);
  switch (how) {
    case 'echo':
      return { target, body, status: 200, answer: body };
    case 'count':
      return { target, body, status: 200, answer: Buffer.from(JSON.stringify({ bytes })) };
    case 'ignore':
      return { target, body, status: 202, answer: Buffer.from('ignored') };
    case 'fail':
      return { target, status: 500 };
    default:
      return { target, status: 200, answer: body };
  }
}

/** @returns whether the connection goes on: a handler that has thrown, or has not read a long body, may end it */
function check({ target, status, answer }, got) {
  report.requests++;
  if (got.status !== status) isWrong(`${target} was answered with ${got.status}`);
  else if (answer !== undefined && !answer.equals(got.body))
    isWrong(`${target} was answered with ${got.body.length} bytes that are not the right ones`);
  if (got.isLast === true && status === 200) isWrong(`${target} was the last request of its connection`);
  return got.isLast !== true;
}

function headOf({ target, body }) {
  const length = body === undefined ? '' : `content-length: ${body.length}\r\n`;
  return Buffer.from(`${body === undefined ? 'GET' : 'POST'} ${target} HTTP/1.1\r\nhost: soak\r\n${length}\r\n`);
}

const kinds = {
  /** Keep-alive by fetch, and pipelined. */
  fast: { count: 16, play: (i) => (i % 2 === 0 ? byFetch() : pipelined()) },
  /** Heads and bodies that drip. */
  slow: { count: 60, play: drip },
  /** Asks for megabytes, does not read for a while, then does. */
  flooding: { count: 12, play: flood },
  /** Leaves at any time, in any way. */
  vanishing: { count: 24, play: vanish },
  malformed: { count: 8, play: malform },
  /** Connections that are opened, stay for a while, and go. */
  idle: { count: 100, play: rest },
};

async function byFetch() {
  for (let i = 0; i < 20 && !isOver; i++) {
    const asked = question(200_000);
    const { target, body } = asked;
    const init = body === undefined ? {} : { method: 'POST', body };
    const response = await fetch(`http://127.0.0.1:${port}${target}`, init);
    check(asked, { status: response.status, body: Buffer.from(await response.arrayBuffer()) });
    await later(random(10));
  }
}

async function pipelined() {
  const socket = open();
  const responses = new Responses(socket);
  let isOpen = true;
  for (let i = 0; i < 10 && isOpen && !isOver; i++) {
    const asked = Array.from({ length: 1 + random(12) }, () => question(30_000));
    socket.write(Buffer.concat(asked.flatMap((each) => [headOf(each), each.body ?? Buffer.alloc(0)])));
    for (const each of asked) if (isOpen) isOpen = check(each, await responses.next());
    await later(random(20));
  }
  await goodbye(socket);
}

/** Finishes, and waits for the other side to. */
async function goodbye(socket) {
  socket.resume();
  socket.end();
  if (!socket.closed) await once(socket, 'close');
}

async function drip() {
  const socket = open();
  const responses = new Responses(socket);
  let isOpen = true;
  for (let i = 0; i < 3 && isOpen && !isOver; i++) {
    const asked = question(3000);
    const all = Buffer.concat([headOf(asked), asked.body ?? Buffer.alloc(0)]);
    const step = 1 + random(40);
    for (let at = 0; at < all.length; at += step * (at > 200 ? 10 : 1)) {
      socket.write(all.subarray(at, at + step * (at > 200 ? 10 : 1)));
      await later(random(30));
    }
    isOpen = check(asked, await responses.next());
  }
  await goodbye(socket);
}

async function flood() {
  const socket = open();
  const responses = new Responses(socket);
  const seed = random(1_000_000);
  const bytes = 500_000 + random(6_000_000);
  const asked = { target: `/${pick(['plain', 'stream'])}/${seed}/${bytes}`, status: 200, answer: pattern(seed, bytes) };
  socket.write(headOf(asked));
  await later(random(3000)); // the socket holds little, and nothing reads it
  check(asked, await responses.next());
  await goodbye(socket);
}

async function vanish() {
  const socket = open({ allowHalfOpen: random(2) === 0 });
  const asked = question(1_000_000);
  const all = Buffer.concat([headOf(asked), asked.body ?? Buffer.alloc(0)]);
  if (random(5) > 0) socket.write(all.subarray(0, random(2) === 0 ? all.length : random(all.length)));
  if (random(2) === 0) socket.resume();
  await later(random(3) === 0 ? 0 : random(60));
  switch (random(4)) {
    case 0:
      socket.resetAndDestroy();
      break;
    case 1:
      socket.destroy();
      break;
    case 2:
      socket.end();
      await later(random(40));
      socket.destroy();
      break;
    default:
      socket.destroySoon();
      await later(random(10));
      socket.resetAndDestroy();
  }
}

const malformed = [
  'GET / HTTP/1.1\r\n\r\n',
  'GET / HTTP/3.0\r\nhost: soak\r\n\r\n',
  'G\0T / HTTP/1.1\r\nhost: soak\r\n\r\n',
  'POST /echo HTTP/1.1\r\nhost: soak\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx',
  'POST /echo HTTP/1.1\r\nhost: soak\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
  `GET /${'x'.repeat(10_000)} HTTP/1.1\r\nhost: soak\r\n\r\n`,
  `GET / HTTP/1.1\r\nhost: soak\r\n${'a: b\r\n'.repeat(200)}\r\n`,
  `GET / HTTP/1.1\r\nhost: soak\r\na: ${'b'.repeat(20_000)}\r\n\r\n`,
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'.padEnd(517, '\x7f'),
];

async function malform() {
  const socket = open();
  const responses = new Responses(socket);
  const text = random(4) === 0 ? pattern(random(60_000), 1000) : Buffer.from(pick(malformed), 'latin1');
  socket.write(text.subarray(0, text.length));
  if (text.length === 1000) socket.write('\r\n\r\n');
  // Noise may be cut off by a reset before the answer has been read.
  const got = await responses.next().catch(() => undefined);
  report.requests++;
  if (got !== undefined && !(got.status >= 400 && got.status < 600)) isWrong(`rubbish was answered with ${got.status}`);
  socket.resume();
  if (!socket.closed) await once(socket, 'close'); // by the server
  await later(random(30));
}

async function rest() {
  const socket = open();
  if (random(3) === 0) {
    const responses = new Responses(socket);
    const asked = question(500);
    socket.write(Buffer.concat([headOf(asked), asked.body ?? Buffer.alloc(0)]));
    check(asked, await responses.next());
  }
  for (let i = random(30); i > 0 && !isOver; i--) await later(100);
  if (random(2) === 0) await goodbye(socket);
  else socket.destroy();
}

async function play(i) {
  while (!isOver) {
    try {
      await kinds[kind].play(i);
    } catch (error) {
      // Connections that are broken off are what vanishing clients are about; no other client may see one.
      if (kind !== 'vanishing')
        isWrong(`${String(error.stack).split('\n').slice(0, 6).join(' ')} ${error.cause ?? ''}`);
    }
    await later(random(5));
  }
}

process.on('disconnect', () => process.exit(1)); // the parent is gone
process.on('message', () => {
  isOver = true;
});
await Promise.all(Array.from({ length: kinds[kind].count }, (_, i) => play(i)));
process.send(report, () => process.exit(0)); // with what fetch keeps for later
