// Says whether the event layer that SLUICE_EVENT_LAYER names can be had here: prints the name of the layer that a server runs
// on, or fails with the reason.

import { serve } from 'sluice';

const server = await serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('') });
console.log(server.eventLayer);
await server.close();
