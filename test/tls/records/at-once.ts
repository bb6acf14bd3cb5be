// Runs a case against the transport and the record layer, after the handshake of the test engine, between a layer and a user that are both here: no
// network and no clock, so that a case can be tried with every cut.

import { ConnectionError } from '#sluice/event-layer/event-layer.js';
import { cipherSuites } from '#sluice/tls/detached/cipher-suites.js';
import { TlsTransport } from '#sluice/tls/tls-transport.js';
import { helloRecord, RecordEngine } from '../../support/record-engine.js';
import { StubLayer } from '../stub-layer.js';
import type { Case } from './case.js';
import { bytesOfCase, farewell, type Outcome, secretsOf, suiteOf, wireOf } from './outcome.js';

const servers = new RecordEngine();

/** @param cuts where the bytes of the case are cut, in ascending order */
export function runAtOnce(c: Case, cuts: readonly number[] | 'everywhere'): Outcome {
  const { wire, reader } = wireOf(c, secretsOf(c));
  const isClient = c.peer === 'server';
  const layer = new StubLayer();
  const transport = new TlsTransport(layer, isClient ? new RecordEngine({ suites: [suiteOf(c)] }) : servers);
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
    ended(slot, isCut = false) {
      if (ending !== undefined) throw new Error('a second end');
      ending = isCut ? 'cut' : 'end';
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
    secured() {},
  });
  const turn = (events: () => void): void => {
    transport.beginTurn();
    events();
    transport.endTurn();
    layer.queuedBefore = 0;
  };
  const slot = 1;
  const shake = (hello: object): void => {
    const record = helloRecord(hello);
    turn(() => transport.received(slot, record, 0, record.length));
  };
  const { sequences } = c;
  if (isClient) {
    turn(() => transport.connecting(slot));
    turn(() => transport.connected(slot));
    shake({ protocol: 'http/1.1', sequences: [sequences[1], sequences[0]] });
  } else {
    turn(() => transport.accepted(slot));
    shake({ suite: cipherSuites.indexOf(suiteOf(c)), seed: 0, alpn: ['http/1.1'], sequences });
  }
  layer.committed.clear();
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
