// The clients of a simulated world: what each sends, in which manner, and what it must get. They get events from the layer and give
// it commands; nothing of the library's own client side takes part, but for the bytes, which test/http/client.ts looks at.

import assert from 'node:assert/strict';
import type { Slot } from '#sluice/event-layer/event-layer.js';
import { highWaterMark } from '#sluice/event-layer/event-layer.js';
import { Random } from '#sluice/event-layer/simulated/random.js';
import type { Case, Expected } from '../http/cases.js';
import { check, checkBeginning, Outcome } from '../http/check.js';
import { pattern } from './handlers.js';
import type { Observer, Peer } from './observer.js';

/** A request and what is to come of it. */
export interface Message {
  kind: string;
  bytes: Buffer;
  /** Bytes of it that are the head. */
  headSize: number;
  /** What is answered; undefined if nothing, or nothing whole. */
  expected: Expected | undefined;
  /** What becomes of the connection. `any`: that depends on how fast the client is. */
  ending: 'stays' | 'closes' | 'resets' | 'endless' | 'any';
  /** A handler is called for it. */
  isExecuted: boolean;
  /** The client waits for `100 Continue`, or for the answer, before it sends the body. */
  waitsForContinue: boolean;
  /** Bytes of it that the server may take in before it refuses it, if it is too large. */
  mostReceived: number;
}

/** A client gives up connecting after so many milliseconds. */
const mostConnecting = 60_000;

/** How a client ends. */
export interface Fate {
  /** `polite`: with FIN when it has what it wants. `stays`: not by itself. `unplugged`: without a word. */
  how: 'polite' | 'stays' | 'FIN' | 'RST' | 'close' | 'unplugged';
  /** When so many bytes have been sent, or received, or so many milliseconds after it has connected. */
  after: { sent: number } | { received: number } | { milliseconds: number };
}

export interface Plan {
  id: number;
  /** When it connects. */
  arrives: number;
  /** How long after that it sends its first byte; it may never. */
  begins: number;
  messages: readonly Message[];
  /** Sends all requests without waiting for answers. */
  isPipelined: boolean;
  /** Bytes that it sends at once, and for how long it pauses behind them. */
  piece: number;
  pause: number;
  /** Between an answer and the next request. */
  think: number;
  reading: 'fast' | 'slow' | 'never';
  /** It sends FIN behind its last request, and reads on. */
  isHalfOpen: boolean;
  fate: Fate;
  /** Nothing that it does or that happens to it keeps it from getting exactly what is expected. */
  isExact: boolean;
}

/** A client that has not been served by then leaves: longer than every time-out of the servers together. */
const patience = 2_000_000;
/** Statuses that a client which is not exact may get in place of the answer: was too slow, has ended within a message, was cut off by `close`. */
const excuses = [400, 408, 503];

/** Handlers that read the whole body at once. */
const reading = ['text', 'buffer', 'count', 'sip'];

export class Client implements Peer {
  readonly plan: Plan;
  readonly outcome: Outcome;
  readonly #world: Observer;
  readonly #random: Random;
  readonly #case: Case;
  readonly #bytes: Buffer;
  /** Where each message begins, and where the last one ends. */
  readonly #starts: number[];
  #slot: Slot = -1;
  /** The connection is there. */
  #open = false;
  #isConnected = false;
  #sent = 0;
  #received = 0;
  #receivedSincePause = 0;
  #finished = false;
  #waiting = false;
  /** Messages whose body may go although they wait for `100 Continue`. */
  #continued = -1;
  /** It did not get 100 Continue with a body that a handler wanted. */
  #missedContinue = false;
  /** The message that it waits with, and has set itself a time for. */
  #waitsFor = -1;
  #allowed = 1;
  #done = false;
  /** How it has ended, if it was the client that ended it. */
  #left: Fate['how'] | undefined;
  /** It was refused, or its connection was never there. */
  wasRefused = false;

  constructor(world: Observer, plan: Plan, seed: number) {
    this.plan = plan;
    this.#world = world;
    this.#random = new Random(seed * 1_000 + plan.id);
    this.#bytes = Buffer.concat(plan.messages.map((message) => message.bytes));
    this.#starts = [0];
    for (const message of plan.messages) this.#starts.push((this.#starts.at(-1) ?? 0) + message.bytes.length);
    const responses = plan.messages.flatMap(({ expected }) => (expected === undefined ? [] : [expected]));
    const last = plan.messages.at(-1)?.ending;
    const ending = last === 'resets' || last === 'endless' ? 'resets' : 'closes';
    this.#case = {
      ...{ name: `client ${plan.id}`, section: 'RFC 9112', server: 'usual' },
      ...{ steps: [], responses, ending, errors: 0, isVirtual: true },
    };
    this.outcome = new Outcome(this.#case);
    world.later(plan.arrives, () => this.#arrive());
  }

  get id(): number {
    return this.plan.id;
  }

  get mostReceived(): number {
    let most = 0;
    for (const message of this.plan.messages) {
      if (message.mostReceived !== Infinity) return most + message.mostReceived;
      most += message.bytes.length;
    }
    return Infinity;
  }

  get mostCalls(): number {
    const refused = this.plan.messages.findIndex((message) => !message.isExecuted);
    return refused === -1 ? this.plan.messages.length : refused;
  }

  isWithinHead(received: number): boolean {
    const { messages } = this.plan;
    return messages.some((message, i) => received > this.#starts[i] && received < this.#starts[i] + message.headSize);
  }

  // Events of the layer.

  connected(): void {
    this.#isConnected = true;
    const { fate } = this.plan;
    if (this.plan.reading === 'never') this.#world.below.pauseReading(this.#slot);
    if ('milliseconds' in fate.after) this.#world.later(fate.after.milliseconds, () => this.#leave(fate.how));
    this.#world.later(patience, () => this.#leave('RST'));
    if (this.plan.begins === 0) {
      this.#write();
    } else {
      this.#waiting = true;
      if (this.plan.begins !== Infinity) this.#world.later(this.plan.begins, () => this.#goOn());
    }
  }

  received(bytes: Uint8Array): void {
    const { outcome, plan } = this;
    const before = outcome.parser.responses.length;
    outcome.push(bytes);
    this.#received += bytes.length;
    const { fate } = plan;
    if ('received' in fate.after && this.#received >= fate.after.received) this.#leave(fate.how);
    if (!this.#open) return;
    this.#readSlowly(bytes.length);
    const { length } = outcome.parser.responses;
    if (length > before) {
      const think = plan.think > 0 && this.#random.chance(0.5) ? this.#random.whole(1, plan.think) : 0;
      const allow = () => {
        this.#allowed = Math.max(this.#allowed, length + 1);
        this.#write();
      };
      if (think > 0 && length < plan.messages.length) this.#world.later(think, allow);
      else allow();
      this.#endIfServed();
    } else {
      this.#write();
    }
  }

  ended(): void {
    this.outcome.end();
    this.#finish();
  }

  drained(): void {
    this.#write();
  }

  closed(): void {
    this.#open = false;
    if (!this.#isConnected) this.wasRefused = true;
    if (this.outcome.ending === 'open') this.outcome.ending = 'reset';
    this.#done = true;
  }

  #arrive(): void {
    this.#slot = this.#world.join(this);
    this.#open = true;
    // Of a transport with a handshake, which a silent network may lose.
    this.#world.later(mostConnecting, () => {
      if (!this.#isConnected) this.#leave('RST');
    });
  }

  #readSlowly(bytes: number): void {
    if (this.plan.reading !== 'slow') return;
    this.#receivedSincePause += bytes;
    if (this.#receivedSincePause < 2048 || !this.#random.chance(0.3)) return;
    this.#receivedSincePause = 0;
    const { below } = this.#world;
    below.pauseReading(this.#slot);
    this.#world.later(this.#random.whole(1, 1_500), () => {
      if (this.#open) below.resumeReading(this.#slot);
    });
  }

  /** Sends what may be sent now. */
  #write(): void {
    const { plan } = this;
    const { below } = this.#world;
    while (this.#open && this.#isConnected && !this.#waiting && !this.#finished) {
      const end = this.#mayGo();
      if (this.#sent >= end || below.queued(this.#slot) >= highWaterMark) break;
      let size = Math.min(plan.piece, end - this.#sent, 16_384);
      const { after, how } = plan.fate;
      if ('sent' in after) size = Math.min(size, Math.max(1, after.sent - this.#sent));
      this.#world.send(this.#slot, this.#bytes.subarray(this.#sent, this.#sent + size));
      this.#sent += size;
      if ('sent' in after && this.#sent >= after.sent) {
        this.#leave(how);
        return;
      }
      if (plan.pause > 0) {
        this.#waiting = true;
        this.#world.later(plan.pause, () => this.#goOn());
      }
    }
    if (plan.isHalfOpen && this.#sent === this.#bytes.length) this.#finish();
  }

  #goOn(): void {
    this.#waiting = false;
    this.#write();
  }

  /** @returns how far the client may send */
  #mayGo(): number {
    const { messages, isPipelined } = this.plan;
    const { parser } = this.outcome;
    const allowed = isPipelined ? messages.length : Math.min(this.#allowed, messages.length);
    for (let i = 0; i < allowed; i++) {
      const { waitsForContinue, headSize } = messages[i];
      if (!waitsForContinue || this.#continued >= i || this.#sent >= this.#starts[i] + headSize + 1) continue;
      const interims = messages.slice(0, i).filter((message) => message.waitsForContinue).length;
      if (parser.interimCount > interims || parser.responses.length > i) {
        this.#continued = i;
      } else {
        if (this.#sent === this.#starts[i] + headSize && this.#waitsFor < i) {
          this.#waitsFor = i;
          // It does not wait for ever (RFC 9110 §10.1.1).
          const at = i;
          this.#world.later(4_000, () => {
            if (this.#continued < at && !isPipelined && reading.includes(messages[at].kind))
              this.#missedContinue = true;
            this.#continued = Math.max(this.#continued, at);
            this.#write();
          });
        }
        return this.#starts[i] + headSize;
      }
    }
    return this.#starts[allowed];
  }

  #endIfServed(): void {
    const { plan } = this;
    if (plan.fate.how !== 'polite' || this.outcome.parser.responses.length < this.#case.responses.length) return;
    if (this.#case.ending === 'closes' && this.#sent === this.#bytes.length) this.#finish();
  }

  #finish(): void {
    if (!this.#open || this.#finished) return;
    this.#finished = true;
    this.#world.below.finish(this.#slot);
  }

  #leave(how: Fate['how']): void {
    if (!this.#open || this.#done) return;
    const { layer, trace } = this.#world;
    trace.note(layer.now(), `client leaves by ${how}`, this.id);
    this.#left = how;
    if (how === 'FIN') {
      this.#finish();
      // It has no use for what never ends.
      this.#world.later(this.#random.whole(0, 2_000), () => this.#leave('RST'));
      return;
    }
    this.#open = false;
    this.#done = true;
    if (how === 'unplugged') layer.unplug(this.#slot);
    else if (how === 'close') this.#world.below.abandon(this.#slot);
    else this.#world.below.reset(this.#slot);
  }

  /** Whether it got what it had to get. @throws {AssertionError} */
  check(): void {
    const { plan, outcome } = this;
    if (!plan.isExact) {
      this.#checkBeginning();
      return;
    }
    const last = plan.messages.at(-1)?.ending;
    assert.ok(!this.#missedContinue, `client ${plan.id}, ${this.#state()}: did not get 100 Continue`);
    assert.equal(this.#left, undefined, `client ${plan.id}, ${this.#state()}: has lost patience`);
    if (last === 'stays' || last === 'closes') {
      check(this.#case, outcome);
      return;
    }
    this.#checkBeginning();
    if (last === 'resets') {
      // A reset may destroy what is on its way, the answers before it included; but it must come.
      assert.ok(outcome.ending === 'reset', `client ${plan.id}, ${this.#state()}: was to be reset`);
    } else {
      assert.equal(outcome.parser.responses.length, this.#case.responses.length, `client ${plan.id}, ${this.#state()}`);
    }
  }

  /** What it has got is the beginning of what it had to get; and if it is still there, it has seen the end. */
  #checkBeginning(): void {
    const { plan, outcome } = this;
    const name = `client ${plan.id}, ${this.#state()}`;
    if (!this.wasRefused && this.#left === undefined) assert.ok(outcome.ending !== 'open', `${name}: has seen no end`);
    const { responses } = outcome.parser;
    const last = responses.at(-1);
    const expected = this.#case.responses[responses.length - 1];
    // One that throws while it is being unwound has thrown before it has answered.
    const excused = plan.messages.some(({ kind }) => kind === 'bad-finally') ? [500, ...excuses] : excuses;
    if (last !== undefined && last.status !== expected?.status && excused.includes(last.status)) responses.pop();
    // So may the beginning of one, if nothing more came.
    const [, beginning] = /^\(in the body of ([0-9]+)\)/.exec(outcome.parser.rest) ?? [];
    const isExcuse = excused.includes(Number(beginning));
    const some = { ...this.#case, responses: this.#case.responses.slice(0, responses.length) };
    checkBeginning(isExcuse ? some : this.#case, outcome);
    const { partialBody } = outcome.parser;
    const message = plan.messages[responses.length];
    if (partialBody !== undefined && !isExcuse && message?.expected === undefined && last === responses.at(-1))
      assert.equal(
        partialBody,
        pattern(plan.id, responses.length, partialBody.length),
        `${name}: the beginning of a body`,
      );
  }

  #state(): string {
    const { plan, outcome } = this;
    const kinds = plan.messages.map(({ kind }) => kind).join(', ');
    const { responses } = outcome.parser;
    return `which asked for ${kinds} and got ${responses.map(({ status }) => status).join(', ')}, then ${outcome.ending}`;
  }

  /** What it got, but for what depends on the time: to compare runs by. */
  get answers(): unknown[] {
    // What a reset destroys on its way depends on the time.
    const last = this.plan.messages.at(-1)?.ending;
    if (last === 'resets' || last === 'any') return [];
    return this.outcome.parser.responses.map(({ status, fields, body, framing }) => ({
      ...{ status, body, framing, fields: fields.filter(([name]) => name !== 'date') },
    }));
  }
}
