// tRPC: a query, a mutation, and a subscription that follows what the mutation changes.
//
//   node trpc.mjs
//   curl 'localhost:8080/api/list'
//   curl localhost:8080/api/add -H 'content-type: application/json' -d '"milk"'
//   curl -N localhost:8080/api/added

import { EventEmitter, on } from 'node:events';
import { initTRPC } from '@trpc/server';
import { fetchRequestHandler } from '@trpc/server/adapters/fetch';
import { serve } from 'sluice';
import { z } from 'zod';

const t = initTRPC.create();
const items = [];
const changes = new EventEmitter();

/** Clients import its type: `createTRPCClient<typeof router>`. */
export const router = t.router({
  list: t.procedure.query(() => items),
  add: t.procedure.input(z.string().min(1)).mutation(({ input }) => {
    items.push(input);
    changes.emit('added', input);
    return items.length;
  }),
  added: t.procedure.subscription(async function* ({ signal }) {
    for await (const [item] of on(changes, 'added', { signal })) yield item;
  }),
});

const server = await serve({
  port: Number(process.env.PORT ?? 8080),
  hostname: process.env.HOST ?? '127.0.0.1',
  fetch: (req) => fetchRequestHandler({ endpoint: '/api', req, router }),
});

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close({ deadline: 1000 }));
console.log(`tRPC: ${server.url}`);
