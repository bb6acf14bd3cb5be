// sluice on io_uring, without one of the things that the layer makes use of: what each is worth. Not for users, so it reaches
// into the library.

import { join } from 'node:path';
import { Network, serve } from 'sluice';
import { folder } from '../paths.js';
import { handler, headers, hello, idleSeconds, port } from './settings.js';

type EventLayer = ConstructorParameters<typeof Network>[0];

const settings: Record<string, object> = {
  direct: { directDescriptors: 0 },
  registered: { registeredRing: false },
  silent: { silentSends: false },
  merged: { sendsInWait: false },
};

const without = process.env.WITHOUT ?? '';
const chosen = settings[without];
if (chosen === undefined) throw new Error(`WITHOUT is ${without}; expected one of ${Object.keys(settings).join(', ')}`);
if (handler !== 'hello') throw new Error(`HANDLER is ${handler}; this peer has only hello`);

const file = join(folder, 'node_modules', 'sluice', 'dist', 'event-layer', 'uring', 'uring.js');
const { UringLayer } = (await import(file)) as { UringLayer: new (settings: object) => EventLayer };
await serve({
  ...{ port, hostname: '127.0.0.1', idleTimeout: idleSeconds * 1000, network: new Network(new UringLayer(chosen)) },
  fetch: () => new Response(hello, { headers }),
});
