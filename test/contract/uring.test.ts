import type { UringSettings } from '#sluice/event-layer/uring/settings.js';
import { UringLayer } from '#sluice/event-layer/uring/uring.js';
import { contract, realTime, type Variant } from './contract.js';

/** @param crowd connections that are to count as many */
function variant(label: string, sizes: Partial<UringSettings>, crowd = 2000): Variant {
  return { label, make: () => new UringLayer(sizes), bulk: 16 * 2 ** 20, crowd, isWhole: true };
}

contract({
  name: 'uring',
  isSimulated: false,
  pass: realTime,
  source: { specifier: '#sluice/event-layer/uring/uring.js', exported: 'UringLayer' },
  variants: [
    variant('', {}),
    variant('with ordinary descriptors and receives without a limit', { directDescriptors: 0, receiveLimit: 0 }, 200),
    variant('with a small table of descriptors', { directDescriptors: 20 }, 200),
    variant('accepting one connection a turn', { acceptsPerTurn: 1 }, 200),
    { ...variant('with few and small buffers', { bufferCount: 4, bufferSize: 512 }, 200), isWhole: false },
    variant('with short queues', { submissionEntries: 2, completionEntries: 4 }, 200),
  ],
});
