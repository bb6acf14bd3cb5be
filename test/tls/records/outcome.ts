// What came of a case, as the endpoint's user and its peer have seen it, and whether it is what the case says.

import assert from 'node:assert/strict';
import type { Connection } from '#sluice/connection/connection.js';
import { ConnectionError } from '#sluice/event-layer/event-layer.js';
import type { Task } from '#sluice/threads/task.js';
import { type CipherSuite, cipherSuites } from '#sluice/tls/detached/cipher-suites.js';
import { secretsFrom } from '../../support/record-engine.js';
import { alertNumbers } from './build.js';
import type { Case, Wire } from './case.js';
import { contentType, Direction, join, type ReceivedRecord, RecordReader } from './wire.js';

/** What follows a case after which the session is open. */
export const probe = 'still there?';

export interface Outcome {
  /** All content that the endpoint's user got. */
  heard: string;
  /** How it has ended for the user: an end of input, which may be cut off, an error, or its thread was unwound. */
  ending: 'end' | 'cut' | 'unwound' | ConnectionError;
  /** What the endpoint has sent. It sends back all that it hears, but perhaps not what it has heard just before a failure. */
  reader: RecordReader;
}

export interface Secrets {
  client: Uint8Array;
  server: Uint8Array;
}

export function suiteOf(c: Case): CipherSuite {
  const suite = cipherSuites.find(({ aead }) => aead === c.suite);
  if (suite === undefined) throw new Error(`the library has no suite with ${c.suite}`);
  return suite;
}

/** The secrets of the first client of a `RecordEngine`. */
export const secretsOf = (c: Case): Secrets => secretsFrom(suiteOf(c), 0);

/** The keys of the case's peer, and what reads the records of the endpoint. */
export function wireOf(c: Case, { client, server }: Secrets): { wire: Wire; reader: RecordReader } {
  const [own, other] = c.peer === 'client' ? [client, server] : [server, client];
  const [sent, received] = c.sequences.map(BigInt);
  return {
    wire: {
      suite: c.suite,
      own: new Direction(c.suite, own, sent),
      other: new Direction(c.suite, other, received),
    },
    reader: new RecordReader(new Direction(c.suite, other, received)),
  };
}

/** The bytes of the case. */
export const bytesOfCase = (c: Case, wire: Wire): Uint8Array => join(...c.steps.map((step) => step(wire)));

/** What the peer sends behind the case if the session is open: more content, and close_notify. */
export const farewell = ({ own }: Wire): Uint8Array =>
  join(own.seal(contentType.content, probe), own.seal(contentType.alert, Uint8Array.of(1, 0)));

/** The endpoint, in a thread: sends back what it hears, and notes it. */
export function* sendBack({ reader, writer }: Connection, outcome: Partial<Outcome>): Task<void> {
  outcome.heard = '';
  outcome.ending = 'unwound';
  try {
    for (let piece: Uint8Array | undefined; (piece = yield* reader.read()) !== undefined; ) {
      const copy = Uint8Array.from(piece);
      outcome.heard += Buffer.from(copy).toString('latin1');
      yield* writer.write(copy);
    }
    outcome.ending = 'end';
    yield* writer.end();
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error;
    outcome.ending = error;
  }
}

const isAlert = ({ type }: ReceivedRecord): boolean => type === contentType.alert;
const isContent = ({ type }: ReceivedRecord): boolean => type === contentType.content;

/**
 * @param isExact the user takes content as it comes: not in a thread that is unwound before it has read all
 * @throws if it has not come out as it should
 */
export function check(c: Case, { heard, ending, reader }: Outcome, isExact: boolean): void {
  try {
    const { ends } = c;
    const expected = ends === 'open' ? c.hears + probe : c.hears;
    if (isExact || typeof ends === 'string') assert.equal(heard, expected);
    else assert.ok(expected.startsWith(heard), `"${heard}" was heard`);
    if (typeof ends === 'string') assert.equal(ending, isExact && ends === 'cut' ? 'cut' : 'end');
    else checkError(ends, ending);
    assert.ok(reader.isBetween, 'a record is cut short');
    checkRecords(c, expected, reader.records);
  } catch (error) {
    throw new Error(`${c.section}: ${c.name}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

function checkError(ends: { alert: number } | { received: number }, ending: Outcome['ending']): void {
  if (ending === 'unwound') return;
  if (typeof ending === 'string') assert.fail('input has ended without an error');
  const number = 'alert' in ends ? ends.alert : ends.received;
  const code = 'alert' in ends ? 'ERR_TLS_PROTOCOL' : 'ERR_TLS_ALERT';
  assert.equal(ending.code, number === alertNumbers.no_application_protocol ? 'ERR_TLS_ALPN' : code);
  assert.match(ending.message, new RegExp(`\\(TLS alert ${number}\\)$`));
  if ('alert' in ends) assert.match(ending.message, /\bthe peer has sent /); // and what it was
}

function checkRecords(c: Case, expected: string, records: readonly ReceivedRecord[]): void {
  const echo = Buffer.concat(records.filter(isContent).map(({ content }) => content)).toString('latin1');
  if (typeof c.ends === 'object') assert.ok(expected.startsWith(echo), `"${echo}" was sent back`);
  else assert.equal(echo, expected);

  const alerts = records.filter(isAlert).map(({ content }) => [...content]);
  if (typeof c.ends === 'object') assert.deepEqual(alerts, 'alert' in c.ends ? [[2, c.ends.alert]] : []);
  else assert.deepEqual(alerts, [[1, 0]]);
  assert.ok(alerts.length === 0 || records.findIndex(isAlert) === records.length - 1, 'nothing follows an alert');

  const updates = records.filter((record) => !isAlert(record) && !isContent(record));
  for (const { type, content } of updates) {
    assert.equal(type, contentType.handshake);
    assert.deepEqual([...content.subarray(0, 4)], [24, 0, 0, 1]);
    assert.ok(content.length === 5 && content[4] < 2);
  }
  assert.equal(updates.filter(({ content }) => content[4] === 1).length, c.asks, 'KeyUpdates that ask for one');
  const answers = updates.length - c.renewals;
  const isAnswered = c.ends === 'open' && c.requests > 0;
  assert.ok(answers >= (isAnswered ? 1 : 0) && answers <= c.requests, `${updates.length} KeyUpdates were sent`);
}
