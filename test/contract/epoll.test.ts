import { EpollLayer } from '#sluice/event-layer/epoll/epoll.js';
import { contract, realTime } from './contract.js';

contract({
  name: 'epoll',
  isSimulated: false,
  pass: realTime,
  source: { specifier: '#sluice/event-layer/epoll/epoll.js', exported: 'EpollLayer' },
  variants: [{ label: '', make: () => new EpollLayer(), bulk: 16 * 2 ** 20, crowd: 2000, isWhole: true }],
});
