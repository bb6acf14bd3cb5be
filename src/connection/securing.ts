// The network of connections with TLS.

import { missingEngine } from '../tls/engines.js';
import { Network } from './network.js';

/**
 * @param given the network that the caller has named, if any: it is used as it is
 * @param usual the network otherwise. For TLS, another one over node:net takes its place if its layer has no engine of TLS
 */
export function networkFor(given: Network | undefined, usual: () => Network, hasTls: boolean): Network {
  if (given !== undefined) return given;
  const network = usual();
  return hasTls && missingEngine(network.layer) !== undefined ? Network.portable() : network;
}
