// Picks the event layer to run on. Called by connection/network.ts, once for each process, and by `sluice doctor`, which shows
// all of them.

import { EpollLayer } from './epoll/epoll.js';
import { ConnectionError, type EventLayer } from './event-layer.js';
import { PortableLayer } from './portable/portable.js';
import { UringLayer } from './uring/uring.js';

/** Layers that there are, best first. Making one throws where it is unavailable: any step may be denied (seccomp(2), limits). */
const layers: { name: string; make: () => EventLayer }[] = [
  { name: 'uring', make: () => new UringLayer() },
  { name: 'epoll', make: () => new EpollLayer() },
  { name: 'portable', make: () => new PortableLayer() },
];

/**
 * Makes the best event layer that this system has, or the one that the variable `SLUICE_EVENT_LAYER` names.
 * @throws ConnectionError `ERR_EVENT_LAYER` if the variable names none that there is, or one that is unavailable here, saying why
 */
export function chooseEventLayer(forced: string | undefined = process.env.SLUICE_EVENT_LAYER): EventLayer {
  if (forced === undefined || forced === '') return best();
  const chosen = layers.find(({ name }) => name === forced);
  if (chosen === undefined) {
    const names = layers.map(({ name }) => name).join(', ');
    throw new ConnectionError(
      'ERR_EVENT_LAYER',
      `SLUICE_EVENT_LAYER is ${JSON.stringify(forced)}; expected one of ${names}`,
    );
  }
  try {
    return chosen.make();
  } catch (error) {
    const reason = messageOf(error);
    throw new ConnectionError('ERR_EVENT_LAYER', `SLUICE_EVENT_LAYER is "${forced}", which is unavailable: ${reason}`, {
      cause: error,
    });
  }
}

/** The first that can be made. Why others cannot, `sluice doctor` says. */
function best(): EventLayer {
  const reasons: string[] = [];
  for (const { name, make } of layers) {
    try {
      return make();
    } catch (error) {
      reasons.push(`${name}: ${messageOf(error)}`);
    }
  }
  throw new ConnectionError('ERR_EVENT_LAYER', `no event layer is available (${reasons.join('; ')})`);
}

/** What `sluice doctor` says of a layer. */
export interface LayerReport {
  name: string;
  /** Why it is unavailable; undefined if it works. */
  reason: string | undefined;
  /** What `examine` has said of it; empty if it is unavailable. */
  more: string;
}

/** Tries each layer by making and closing one. The first that works is what a server runs on. @param examine looks at each that works */
export async function examineEventLayers(examine: (layer: EventLayer) => string = () => ''): Promise<LayerReport[]> {
  const reports: LayerReport[] = [];
  for (const { name, make } of layers) {
    try {
      const layer = make();
      const more = examine(layer);
      await layer.close();
      reports.push({ name, reason: undefined, more });
    } catch (error) {
      reports.push({ name, reason: messageOf(error), more: '' });
    }
  }
  return reports;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
