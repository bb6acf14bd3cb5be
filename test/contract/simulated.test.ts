import { SimulatedLayer, type SimulatedOptions } from '#sluice/event-layer/simulated/simulated.js';
import { contract } from './contract.js';

const variant = (label: string, options: SimulatedOptions, bulk = 400_000, crowd = 200) => ({
  label,
  make: () => new SimulatedLayer(options),
  bulk,
  crowd,
  isWhole: options.pieces === 'whole',
});

contract({
  name: 'simulated',
  isSimulated: true,
  pass: (layer, milliseconds) =>
    layer instanceof SimulatedLayer ? layer.run(layer.now() + milliseconds) : Promise.resolve(),
  variants: [
    variant('in one piece', { pieces: 'whole', capacity: 256 * 1024 }, 10 * 2 ** 20, 2000),
    variant('in one piece, without latency', { pieces: 'whole', capacity: 256 * 1024, latency: 0 }, 2 ** 20),
    variant('in pieces of 7 bytes', { pieces: 7, capacity: 16_384, latency: 0.2 }, 100_000, 50),
    ...Array.from({ length: 12 }, (_, seed) => variant(`seed ${seed}`, { seed })),
  ],
});
