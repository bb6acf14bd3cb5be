// The contract of event layers, for the portable layer with node:tls below it.

import { SecuredPortable } from '../support/secured-portable.js';
import { contract, realTime } from './contract.js';

contract({
  name: 'portable with TLS',
  isSimulated: false,
  hasSessions: true,
  pushesLater: true,
  pass: realTime,
  variants: [{ label: '', make: () => new SecuredPortable(), bulk: 8 * 2 ** 20, crowd: 50, isWhole: true }],
});
