// Programs of users with `sluice/hono` and `sluice/srvx`, and with the second argument of `fetch`. packed-types.test.ts and scripts/packed.mjs compile them
// against the types that are shipped.

import { Hono } from 'hono';
import { type EventClient, type FetchInfo, type Server, serve } from 'sluice';
import { getConnInfo, streamSSE, upgradeWebSocket } from 'sluice/hono';
import { FastResponse, type SrvxOptions, type SrvxServer, serve as serveSrvx } from 'sluice/srvx';

const app = new Hono<{ Bindings: FetchInfo }>();
app.get('/peer', (c) => c.json({ ...getConnInfo(c).remote, peer: c.env.peer }));
app.get('/async', (c) =>
  streamSSE(c, async (stream) => {
    await stream.writeSSE({ data: 'a', id: '1' });
    await stream.sleep(10);
  }),
);
app.get('/thread', (c) =>
  streamSSE(c, function* (client: EventClient) {
    yield* client.send({ data: 'a' });
  }),
);
app.get(
  '/echo',
  upgradeWebSocket(() => ({ onMessage: ({ data }, ws) => ws.send(`${data}`) }), { maxPayloadLength: 1000 }),
);

const server: Server = await serve({
  port: 0,
  fetch: app.fetch,
  error: (error) => new Response(String(error), { status: 500 }),
  trustProxy: ['10.0.0.0/8', 'loopback'],
  proxyProtocol: false,
});
const { href }: URL = server.url;
await server.reload({ fetch: () => new Response(href) });
server.waitUntil(Promise.resolve());
server.unref();
await server.stop(true);

const options: SrvxOptions<SrvxServer> = {
  port: 0,
  fetch: (request) => new FastResponse(request.ip ?? ''),
  middleware: [(_, next) => next()],
  sluice: { maxBodySize: 1000 },
};
const srvx = serveSrvx(options);
await srvx.ready();
const url: string | undefined = srvx.url;
await srvx.close(url === undefined);
