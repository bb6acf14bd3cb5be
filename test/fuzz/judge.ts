// What must hold of what became of clients, whatever they sent.

import assert from 'node:assert/strict';
import { field, type ReceivedResponse } from '../support/response-parser.js';
import type { Ending, Scenario } from './scenario.js';
import type { Outcome, Seen } from './server.js';

/** What a server may say by itself of a request (not 500: nothing fails here). */
const refusals = [400, 408, 413, 414, 417, 431, 501, 505];

const says = (response: ReceivedResponse | undefined, option: string) =>
  response !== undefined && field(response, 'connection') === option;
const isAnswer = (response: ReceivedResponse) => field(response, 'x-answer') !== undefined;
/** To OPTIONS *, which is asked of the server and not of a handler (RFC 9110 §9.3.7). */
export const isOwnAnswer = (response: ReceivedResponse) => response.status === 204 && !isAnswer(response);
export const isRefusal = (response: ReceivedResponse) => !isAnswer(response) && !isOwnAnswer(response);

/** The client is there until it has been answered. */
export function staysFor(ending: Ending): boolean {
  return ending !== 'leaves' && ending !== 'resets';
}

/** Of one client alone. @throws {AssertionError} */
export function judge({ requests, responses, isCutShort, ending }: Outcome, how: Ending): void {
  let answers = 0;
  let isRefused = false;
  responses.forEach((response, i) => {
    const isLast = i === responses.length - 1;
    assert.ok(
      isLast || !says(response, 'close'),
      `response ${i + 1} says that the connection is closed, and another follows`,
    );
    const interims = response.interim.every((status) => status === 100) && response.interim.length <= 1;
    assert.ok(interims, `interim responses: ${response.interim}`);
    if (isAnswer(response)) {
      assert.equal(field(response, 'x-answer'), `${answers}`, `response ${i + 1} answers another request`);
      assert.equal(response.status, 200);
      assert.ok(answers < requests.length, `response ${i + 1} answers no request`);
      const { reads, body } = requests[answers++];
      assert.ok(!reads || body !== undefined, `request ${i + 1} was answered before its body was read`);
    } else if (isRefusal(response)) {
      assert.ok(refusals.includes(response.status), `response ${i + 1} has the status ${response.status}`);
      assert.ok(isLast && says(response, 'close'), `the connection goes on after response ${i + 1}, which refuses`);
      isRefused = true;
    }
  });
  const left = requests.slice(answers);
  if (isRefused) {
    // What is refused has called no handler, unless its body was what was refused; and nothing behind it has.
    assert.ok(left.length <= 1 && left.every((seen) => seen.broken), `executed though refused: ${name(left.at(-1))}`);
  } else if (ending === 'FIN' && staysFor(how)) {
    assert.ok(left.length <= 1, `${left.length} requests without an answer`);
  }
  // What is already being answered before its body was read to its end cannot be refused any more.
  const last = requests.at(-1);
  const isOpen = last?.reads === true && last.body === undefined;
  if (staysFor(how))
    assert.ok(isOpen || (!isCutShort && ending === 'FIN'), `the server has cut off a response: ${ending}`);
}

const name = (seen: Seen | undefined) => JSON.stringify(seen);

/**
 * RFC 9110 §10.1.1: whether a request that waits for 100 Continue has its body read, or the connection closed, may be a matter of what
 * has come by then. From the first one on whose handler does not read it, clients may get more of the same, or less.
 */
function certain(requests: readonly Seen[]): number {
  const open = requests.findIndex((seen) => !seen.reads && seen.fields.includes('expect'));
  return open === -1 ? Infinity : open;
}

/** Of two clients that have sent the same, cut otherwise. @throws {AssertionError} */
export function compare(one: Outcome, other: Outcome, text: string): void {
  // What the server answers by itself no handler reads.
  const own = /^OPTIONS \*/m.test(text) && /^expect:/im.test(text);
  const end = own ? 0 : Math.min(certain(one.requests), certain(other.requests));
  if (end === Infinity) {
    assert.deepEqual(other.requests, one.requests, 'requests');
    assert.equal(other.ending, one.ending, 'end of the connection');
    if (one.ending === 'FIN') {
      assert.deepEqual(other.responses.map(essence), one.responses.map(essence), 'responses');
      return;
    }
  }
  // A reset may overtake what was sent before it.
  const count = Math.min(one.requests.length, other.requests.length);
  assert.deepEqual(other.requests.slice(0, count), one.requests.slice(0, count), 'requests');
  const both = Math.min(end, one.responses.length, other.responses.length);
  assert.deepEqual(other.responses.slice(0, both).map(essence), one.responses.slice(0, both).map(essence), 'responses');
}

/** Dates differ, and so may interim responses (RFC 9110 §10.1.1). */
function essence({ status, fields, body, framing }: ReceivedResponse): unknown {
  return {
    status,
    fields: fields.filter(([name]) => name !== 'date'),
    body: body.slice(0, 1000),
    length: body.length,
    framing,
  };
}

/** This much of an unread body is skipped for certain. */
const skipped = 64 * 1024;

/** What was left as it was made has been taken for what it is. @throws {AssertionError} */
export function isAsMeant({ requests, responses }: Outcome, { text, messages, intact, ending }: Scenario): void {
  let executed = 0;
  for (const [i, message] of messages.slice(0, intact).entries()) {
    const { method, target, fields, body, closes } = message;
    if (target === '*' && i < responses.length && isOwnAnswer(responses[i])) {
      if (closes) return;
      continue;
    }
    const seen: Seen | undefined = requests[executed++];
    assert.ok(
      seen !== undefined,
      `request ${i + 1} is well-formed and has not been executed; responses: ${responses.map((response) => response.status)}`,
    );
    assert.deepEqual(
      { method: seen.method, target: seen.target, fields: seen.fields },
      { method, target, fields },
      `request ${i + 1}`,
    );
    if (seen.reads && seen.body !== body)
      assert.equal(seen.body?.slice(0, 1000), body.slice(0, 1000), `body of request ${i + 1}`);
    // A body of unknown length ends with the connection, where the client knows no chunks (RFC 9112 §6.3). To HEAD the
    // head alone is sent, and says the same.
    const response: ReceivedResponse | undefined = responses[i];
    const isOld = /^(?:\r\n)*\S+ \S+ HTTP\/1\.0\r\n/.test(message.text);
    const untilClose = response?.framing === 'close' || (isOld && method === 'HEAD' && says(response, 'close'));
    if (untilClose) assert.ok(isOld, `response ${i + 1} ends with the connection`);
    if (closes || untilClose) {
      assert.equal(
        requests.length,
        executed,
        `what follows request ${i + 1}, which closes the connection, has been executed`,
      );
      return;
    }
    // What is left of a body is skipped if it is not too much, and if the client does not wait to be invited; else the connection ends.
    if (!seen.reads && (message.expects || body.length > skipped)) return;
    assert.ok(i < responses.length && isAnswer(responses[i]), `request ${i + 1} has got no answer (${ending})`);
  }
  const isUnchanged = text === messages.map((message) => message.text).join('');
  if (isUnchanged) assert.equal(responses.length, messages.length, 'something is answered behind the last request');
}
