// Picks the event layer to run on. Called by server/, once for each server.

import { ConnectionError, type EventLayer } from './event-layer.js';
import { PortableLayer } from './portable/portable.js';

/** Layers that there are, best first. */
const layers: { name: string; make: () => EventLayer }[] = [{ name: 'portable', make: () => new PortableLayer() }];

/**
 * Makes the best event layer that this system has, or the one that the variable `SLUICE_EVENT_LAYER` names.
 * @throws ConnectionError `ERR_EVENT_LAYER` if the variable names none that there is
 */
export function chooseEventLayer(forced: string | undefined = process.env.SLUICE_EVENT_LAYER): EventLayer {
  const chosen = forced === undefined || forced === '' ? layers[0] : layers.find(({ name }) => name === forced);
  if (chosen === undefined) {
    const available = layers.map(({ name }) => name).join(', ');
    throw new ConnectionError(
      'ERR_EVENT_LAYER',
      `SLUICE_EVENT_LAYER is ${JSON.stringify(forced)}; available: ${available}`,
    );
  }
  return chosen.make();
}
