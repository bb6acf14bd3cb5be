import { PortableLayer } from '#sluice/event-layer/portable/portable.js';
import { contract, realTime } from './contract.js';

contract({
  name: 'portable',
  isSimulated: false,
  pass: realTime,
  source: { specifier: '#sluice/event-layer/portable/portable.js', exported: 'PortableLayer' },
  variants: [{ label: '', make: () => new PortableLayer(), bulk: 16 * 2 ** 20, crowd: 2000, isWhole: true }],
});
