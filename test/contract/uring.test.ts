import { UringLayer } from '#sluice/event-layer/uring/uring.js';
import { contract, realTime } from './contract.js';

contract({
  name: 'uring',
  isSimulated: false,
  pass: realTime,
  source: { specifier: '#sluice/event-layer/uring/uring.js', exported: 'UringLayer' },
  variants: [{ label: '', make: () => new UringLayer(), bulk: 16 * 2 ** 20, crowd: 2000, isWhole: true }],
});
