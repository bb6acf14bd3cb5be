// What the simulated tests run over. Every simulated network of the tests is made here, so a transport that is added to
// `transports` carries all of them: the HTTP tests, the protocol cases, the simulated servers and the fuzzing, clients included.
//
//   SLUICE_TEST_TRANSPORT=name npm test

import type { EventLayer } from '#sluice/event-layer/event-layer.js';
import { SimulatedLayer, type SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import { TlsTransport } from '#sluice/tls/tls-transport.js';
import { ToyEngine } from '#sluice/tls/toy-engine.js';
import { opensslEngine } from './openssl-engine.js';
import { RecordEngine } from './record-engine.js';
import { SecureLayer } from './secure-layer.js';

/** Each makes what the network uses from the simulated layer. Servers and clients use the same, so both sides speak it. */
const transports = {
  plain: (layer: SimulatedLayer): EventLayer => layer,
  'toy-tls': (layer: SimulatedLayer): EventLayer => new SecureLayer(layer, new TlsTransport(layer, new ToyEngine())),
  'tls-records': (layer: SimulatedLayer): EventLayer =>
    new SecureLayer(layer, new TlsTransport(layer, new RecordEngine())),
  openssl: (layer: SimulatedLayer): EventLayer => new SecureLayer(layer, new TlsTransport(layer, opensslEngine())),
  'openssl-attached': (layer: SimulatedLayer): EventLayer =>
    new SecureLayer(layer, new TlsTransport(layer, opensslEngine(false))),
};
export type TransportName = keyof typeof transports;

/** The transport that the environment names. Default: `plain` */
export const chosenTransport = nameOf(process.env.SLUICE_TEST_TRANSPORT ?? 'plain');

function nameOf(text: string): TransportName {
  const names = Object.keys(transports);
  if (!names.includes(text)) throw new Error(`SLUICE_TEST_TRANSPORT is "${text}"; expected one of ${names.join(', ')}`);
  return text as TransportName; // as just checked
}

/** What a test says that counts bytes on the wire: they are others than those that are written where a transport adds its own. */
export const countsWireBytes = { skip: chosenTransport !== 'plain' && 'counts bytes on the wire' };

/** A bound for memory that holds bytes of the wire: these take this much more than those that are written. */
export const withOverhead = (bytes: number): number => (chosenTransport === 'plain' ? bytes : Math.ceil(1.02 * bytes));

export interface SimulatedTransport {
  /** The network and the clock below the transport. */
  layer: SimulatedLayer;
  transport: EventLayer;
}

export function simulatedTransport(
  options: SimulatedOptions,
  name: TransportName = chosenTransport,
): SimulatedTransport {
  const layer = new SimulatedLayer(options);
  return { layer, transport: transports[name](layer) };
}
