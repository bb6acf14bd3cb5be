// Runs a case against the transport with sessions of the record layer, between a layer and a user that are both here: no network and no clock, so that
// a case can be tried with every cut.

import { ConnectionError } from '#sluice/event-layer/event-layer.js';
import { cipherSuiteNamed } from '#sluice/tls/detached/cipher-suites.js';
import { NodeCipher } from '#sluice/tls/detached/node-cipher.js';
import { RecordLayer } from '#sluice/tls/detached/record-layer.js';
import type { TlsSession } from '#sluice/tls/session.js';
import { TlsTransport } from '#sluice/tls/tls-transport.js';
import { StubLayer } from '../stub-layer.js';
import type { Case } from './case.js';
import { bytesOfCase, farewell, type Outcome, secretsOf, wireOf } from './outcome.js';
import { suites } from './wire.js';

const recordLayer = new RecordLayer((suite) => new NodeCipher(suite));

/** @param cuts where the bytes of the case are cut, in ascending order */
export function runAtOnce(c: Case, cuts: readonly number[] | 'everywhere'): Outcome {
  const secrets = secretsOf(c);
  const { wire, reader } = wireOf(c, secrets);
  const suite = cipherSuiteNamed(suites[c.suite].name);
  if (suite === undefined) throw new Error(c.suite);
  const isClient = c.peer === 'server';
  const [received, sent] = c.sequences;
  const open = (): TlsSession =>
    recordLayer.open({
      ...{ suite, isClient, received, sent, info: undefined },
      ...{ clientSecret: secrets.client, serverSecret: secrets.server },
    });
  const layer = new StubLayer();
  const transport = new TlsTransport(layer, { accept: open, connect: open });
  let heard = '';
  let ending: Outcome['ending'] | undefined;
  transport.start({
    received(slot, buffer, start, end) {
      if (ending !== undefined) throw new Error('content behind the end');
      heard += Buffer.from(buffer.subarray(start, end)).toString('latin1');
      const at = transport.reserve(slot, end - start);
      transport.output.set(buffer.subarray(start, end), at);
      transport.commit(slot, at + end - start);
    },
    ended(slot) {
      if (ending !== undefined) throw new Error('a second end');
      ending = 'end';
      transport.finish(slot);
    },
    sessionFailed(slot, reason) {
      if (ending !== undefined) throw new Error('a second end');
      ending = reason;
      transport.finish(slot);
    },
    drained() {},
    flushed() {},
    connected() {},
  });
  const turn = (events: () => void): void => {
    transport.beginTurn();
    events();
    transport.endTurn();
    layer.queuedBefore = 0;
  };
  const slot = 1;
  turn(() => (isClient ? transport.connecting(slot) : transport.accepted(slot)));
  const take = (bytes: Uint8Array, positions: readonly number[]): void => {
    let start = 0;
    for (const end of [...positions, bytes.length]) {
      if (end === start) continue; // layers report no empty pieces
      // As an event layer does: a buffer of which only a part is this connection's, and which is another's afterwards.
      const lent = new Uint8Array(end - start + 7);
      lent.set(bytes.subarray(start, end), 3);
      const original = lent.slice();
      turn(() => transport.received(slot, lent, 3, lent.length - 4));
      if (Buffer.compare(lent, original) !== 0) throw new Error('the bytes that were lent have been changed');
      start = end;
    }
  };
  const bytes = bytesOfCase(c, wire);
  take(bytes, cuts === 'everywhere' ? Array.from(bytes.keys()) : cuts);
  if (c.ends === 'open') take(farewell(wire), []);
  turn(() => transport.ended(slot));
  turn(() => transport.closed(slot));
  for (const piece of layer.committed.get(slot) ?? []) reader.push(piece);
  return { heard, ending: ending ?? new ConnectionError('ERR_TEST', 'it has not ended'), reader };
}
