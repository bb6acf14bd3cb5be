// The corpus of records over sockets, with real handshakes, on the layers that have OpenSSL.

import { describe, test } from 'node:test';
import { linuxLayers } from '../../support/layers.js';
import { isBulky } from './case.js';
import { corpus } from './corpus/all.js';
import { overSockets, overSocketsToo } from './sockets.js';

const cases = corpus.filter(overSocketsToo);
/** A part: all of them are cut everywhere in corpus.test.ts. */
const small = cases.filter((c, i) => !isBulky(c) && i % 8 === 0);

for (const layer of linuxLayers)
  describe(layer.name, { skip: layer.skip }, () => {
    test(`${cases.length} cases of records over sockets`, () => overSockets(layer, cases, 'whole'));
    test(`${small.length} cases of records over sockets, in pieces`, () => overSockets(layer, small, 'bytes'));
  });
