// The event layers over sockets, for tests that run on each of them.

import { chooseEventLayer, examineEventLayers } from '#sluice/event-layer/choose.js';
import type { EventLayer } from '#sluice/event-layer/event-layer.js';

const names = ['uring', 'epoll', 'portable'] as const;
export type SocketLayerName = (typeof names)[number];

export interface SocketLayer {
  name: SocketLayerName;
  make: () => EventLayer;
  /** Why tests skip it: it is unavailable here. */
  skip: string | false;
}

const reports = await examineEventLayers();

export const layers: readonly SocketLayer[] = names.map((name) => ({
  name,
  make: () => chooseEventLayer(name),
  skip: reports.find((report) => report.name === name)?.reason ?? false,
}));

/** Those over the C library. */
export const linuxLayers = layers.filter(({ name }) => name !== 'portable');
