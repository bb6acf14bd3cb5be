// Whether a client got what its case says.

import assert from 'node:assert/strict';
import { field, fieldValues, type ReceivedResponse, ResponseParser } from '../support/response-parser.js';
import type { Case, Expected } from './cases.js';
import { failure } from './handlers.js';

export const probe = 'GET /probe HTTP/1.1\r\nhost: a\r\n\r\n';

/** What became of one client. */
export class Outcome {
  readonly parser: ResponseParser;
  ending: 'open' | 'FIN' | 'reset' = 'open';
  /** What was wrong with what it received, if it could not be parsed. */
  error: unknown;
  /** The input has ended within a response. */
  isCutShort = false;

  constructor(c: Case) {
    this.parser = new ResponseParser(c.responses.map((response) => response.method ?? 'GET'));
  }

  push(bytes: Uint8Array): void {
    if (this.error !== undefined) return;
    try {
      this.parser.push(bytes);
    } catch (error) {
      this.error = error;
    }
  }

  end(): void {
    if (this.ending !== 'open') return;
    this.ending = 'FIN';
    if (this.error !== undefined) return;
    try {
      this.parser.end();
    } catch {
      this.isCutShort = true;
    }
  }
}

/** Whether what a client got, on a network that breaks connections, is at least the beginning of what its case says. @throws {AssertionError} */
export function checkBeginning(c: Case, outcome: Outcome): void {
  const { parser } = outcome;
  if (outcome.error !== undefined) throw new Error(`${c.name}: what came is no response`, { cause: outcome.error });
  const expected: Expected[] = [...c.responses];
  if (c.ending === 'stays') expected.push({ status: 200, body: 'probe' });
  // A server that breaks off with a reset may vanish first, which shows as FIN: then a body that ends with the connection looks whole.
  const looksWhole = c.ending === 'resets' && parser.responses.at(-1)?.framing === 'close';
  const whole = looksWhole ? parser.responses.slice(0, -1) : parser.responses;
  assert.ok(whole.length <= expected.length, `${c.name}: number of responses`);
  whole.forEach((response, i) => {
    const { body } = expected[i];
    // Nothing shows that it is not whole, where the end of the connection is the end of the body.
    const isBeginning = response.framing === 'close' && typeof body === 'string' && body.startsWith(response.body);
    const name = `${c.name}, response ${i + 1}`;
    checkResponse(name, response, isBeginning ? { ...expected[i], body: response.body } : expected[i]);
  });
  const { partialBody } = parser;
  const body = expected[parser.responses.length]?.body;
  if (partialBody !== undefined && typeof body === 'string')
    assert.ok(body.startsWith(partialBody), `${c.name}: the beginning of a body`);
}

/** @throws {AssertionError} */
export function check(c: Case, outcome: Outcome): void {
  const { parser } = outcome;
  const expected: Expected[] = [...c.responses];
  if (c.ending === 'stays') expected.push({ status: 200, body: 'probe' });
  const got = () =>
    `${parser.responses.map(({ status, body }) => `${status} ${JSON.stringify(body.slice(0, 60))}`).join(', ')}; then ${outcome.ending} ${parser.rest.slice(0, 100)}`;
  if (outcome.error !== undefined) throw new Error(`${c.name}: got ${got()}`, { cause: outcome.error });
  assert.ok(!outcome.isCutShort, `${c.name}: a response is cut short; got ${got()}`);
  assert.equal(parser.responses.length, expected.length, `${c.name}: number of responses; got ${got()}`);
  assert.equal(
    outcome.ending,
    c.ending === 'resets' ? 'reset' : 'FIN',
    `${c.name}: end of the connection; got ${got()}`,
  );
  parser.responses.forEach((response, i) => {
    checkResponse(`${c.name}, response ${i + 1}`, response, expected[i]);
  });
}

export function checkResponse(name: string, response: ReceivedResponse, expected: Expected): void {
  assert.equal(response.status, expected.status, `${name}: status`);
  const { body, interims = 0 } = expected;
  if (typeof body === 'string') {
    if (response.body !== body) assert.equal(response.body.slice(0, 500), body.slice(0, 500), `${name}: body`);
    assert.equal(response.body.length, body.length, `${name}: length of the body`);
  } else if (body !== undefined) {
    assert.match(response.body, body, `${name}: body`);
  }
  for (const [field_, value] of Object.entries(expected.fields ?? {})) {
    if (value instanceof RegExp) assert.match(field(response, field_) ?? '', value, `${name}: field ${field_}`);
    else assert.equal(field(response, field_), value, `${name}: field ${field_}`);
  }
  if (interims !== 'any') {
    assert.deepEqual(response.interim, new Array(interims).fill(100), `${name}: interim responses`);
  } else {
    assert.ok(response.interim.length <= 1 && response.interim.every((status) => status === 100), `${name}: interim`);
  }
  const text = JSON.stringify(response);
  assert.ok(!text.includes(failure), `${name}: shows the client what the handler threw`);
  assert.ok(!text.includes('x-injected'), `${name}: a field was injected`);
  assert.ok(fieldValues(response, 'content-length').length <= 1);
}
