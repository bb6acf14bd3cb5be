// The type of `ws.data`: from `data`, from annotated handlers, from `WebSocketHandlers<Data>`, or from `serve<Data>`. Compiled by packed-types.test.ts and
// scripts/packed.mjs against the types that are shipped; it is not run.

import { type FetchInfo, type Server, type ServerWebSocket, serve, type WebSocketHandlers } from 'sluice';

interface Person {
  name: string;
}

export const byData: Promise<Server<Person>> = serve({
  fetch(request, info) {
    // @ts-expect-error: the name is missing
    info.upgrade(request, { data: { nme: 5 } });
    // @ts-expect-error: the data is missing
    info.upgrade(request);
    // @ts-expect-error: the data is missing
    info.upgrade(request, { headers: {} });
    if (info.upgrade(request, { data: { name: 'anna' }, headers: {} })) return;
    return new Response();
  },
  websocket: {
    data: {} as Person,
    open(ws) {
      const name: string = ws.data.name;
      ws.data.name = name.toUpperCase();
    },
    message: (ws, message) => {
      ws.publish(ws.data.name, message);
      // @ts-expect-error: there is no such property
      ws.data.nme;
    },
  },
});

export const dataFirst = serve({
  websocket: { data: {} as Person, open: (ws) => ws.data.name.length },
  *fetch(request, info) {
    if (info.upgrade(request, { data: { name: 'anna' } })) return;
    return new Response();
  },
});

export const byHandlers = serve({
  async fetch(request, info) {
    // @ts-expect-error: a number is no name
    info.upgrade(request, { data: { name: 5 } });
    return info.upgrade(request, { data: { name: 'anna' } }) ? undefined : new Response();
  },
  websocket: {
    message: (ws: ServerWebSocket<Person>, message) => ws.send(message),
    open: (ws: ServerWebSocket<Person>) => ws.data.name,
  },
});

const handlers: WebSocketHandlers<Person> = { message: (ws, message) => ws.sendText(`${ws.data.name}: ${message}`) };
const upgrade = (request: Request, info: FetchInfo<Person>) =>
  info.upgrade(request, { data: { name: 'anna' } }) ? undefined : new Response();
export const separate = serve({ fetch: upgrade, websocket: handlers });

export const explicit = serve<Person | undefined>({
  fetch: (request, info) => (info.upgrade(request) ? undefined : new Response()),
  websocket: { open: (ws) => ws.data?.name },
});

export const withoutType = serve({
  fetch(request, info) {
    if (info.upgrade(request) || info.upgrade(request, { data: 5 })) return;
    return new Response();
  },
  websocket: {
    open(ws) {
      const data: unknown = ws.data;
      ws.data = `${data}`;
    },
  },
});

export function urlOf(server: Server): URL {
  return server.url;
}
export const url = byData.then(urlOf);
