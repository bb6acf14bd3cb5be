// The contract of event layers, for a layer all of whose connections go through a secure transport.

import type { SimulatedLayer, SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import { simulatedTransport, type TransportName } from '../support/transport.js';
import { contract } from './contract.js';

/** The layers below, which have the clock. */
const simulated = new WeakMap<object, SimulatedLayer>();

const variant = (name: TransportName, label: string, options: SimulatedOptions, bulk = 400_000, crowd = 50) => ({
  label,
  make: () => {
    const { layer, transport } = simulatedTransport(options, name);
    simulated.set(transport, layer);
    return transport;
  },
  bulk,
  crowd,
  isWhole: options.pieces === 'whole',
});

for (const name of ['toy-tls', 'tls-records'] satisfies TransportName[])
  contract({
    name,
    isSimulated: true,
    hasSessions: true,
    pass: async (transport, milliseconds) => {
      const layer = simulated.get(transport);
      await layer?.run(layer.now() + milliseconds);
    },
    variants: [
      variant(name, 'in one piece', { pieces: 'whole', capacity: 256 * 1024 }, 2 ** 20),
      variant(name, 'in pieces of 7 bytes', { pieces: 7, capacity: 4096, latency: 0.2 }, 90_000, 10),
      ...Array.from({ length: name === 'toy-tls' ? 3 : 1 }, (_, seed) => variant(name, `seed ${seed}`, { seed })),
    ],
  });
