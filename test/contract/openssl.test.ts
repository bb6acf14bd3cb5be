// The contract of event layers, for layers over sockets all of whose connections go through OpenSSL.

import { TlsTransport } from '#sluice/tls/tls-transport.js';
import { linuxLayers, type SocketLayerName } from '../support/layers.js';
import { noOpenSsl, opensslEngine } from '../support/openssl-engine.js';
import { SecureLayer } from '../support/secure-layer.js';
import { contract, realTime } from './contract.js';

const isDetached: Partial<Record<SocketLayerName, boolean>> = { uring: true, epoll: false };

for (const { name, make } of noOpenSsl === false ? linuxLayers.filter(({ skip }) => skip === false) : [])
  contract({
    name: `${name} with OpenSSL`,
    isSimulated: false,
    hasSessions: true,
    pass: realTime,
    variants: [
      {
        label: isDetached[name] ? 'detached' : 'not detached',
        make: () => {
          const layer = make();
          return new SecureLayer(layer, new TlsTransport(layer, opensslEngine(isDetached[name])));
        },
        bulk: 2 ** 20,
        crowd: 50,
        isWhole: true,
      },
    ],
  });
