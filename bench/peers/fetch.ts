// The routes for servers of the fetch convention. They differ only in how they stream: see `Streams`.

import {
  confirm,
  documents,
  download,
  eventHeaders,
  eventOf,
  everyInterval,
  greeting,
  hello,
  jsonHeaders,
  message,
  piece,
  pieces,
  statusFor,
  textHeaders,
} from './shared.js';

/** How a server makes the two responses whose bodies are not complete. */
export interface Streams {
  flood(): Response;
  events(request: Request): Response;
}

/** Answers a request for a WebSocket. @returns undefined if there is none at this path, or if the server needs no response */
type Upgrade<Server> = (path: string, request: Request, server: Server) => Response | undefined;

export function routes<Server>(
  streams: Streams,
  upgrade?: Upgrade<Server>,
): (request: Request, server: Server) => Response | Promise<Response> {
  return (request, server) => {
    const { url } = request;
    const path = url.slice(url.indexOf('/', 8));
    if (path === '/') return new Response(hello, { headers: textHeaders });
    if (path === '/order') return order(request);
    if (path === '/upload') return upload(request);
    if (path === '/download') return new Response(download);
    if (path === '/flood') return streams.flood();
    if (path === '/events') return streams.events(request);
    const { pathname, searchParams } = new URL(url);
    const document = documents[pathname];
    if (document === undefined)
      return upgrade?.(pathname, request, server) ?? new Response('not found', { status: 404 });
    const status = statusFor(searchParams.get('page'), request.headers.get('x-client'));
    return new Response(document, { status, headers: jsonHeaders });
  };
}

async function order(request: Request): Promise<Response> {
  return Response.json(confirm((await request.json()) as Parameters<typeof confirm>[0]));
}

async function upload(request: Request): Promise<Response> {
  return new Response(String((await request.arrayBuffer()).byteLength));
}

/** For servers that know no streams but those of the web. */
export function webStreams(): Streams & { publish(message: string): void } {
  const encoder = new TextEncoder();
  const subscribers = new Set<ReadableStreamDefaultController<Uint8Array>>();
  const send = (event: string) => {
    const bytes = encoder.encode(event);
    for (const controller of subscribers) controller.enqueue(bytes);
  };
  everyInterval(() => send(message()));
  return {
    publish: (message) => send(eventOf(message)),
    flood() {
      let sent = 0;
      return new Response(
        new ReadableStream({
          pull(controller) {
            controller.enqueue(piece);
            if (++sent === pieces) controller.close();
          },
        }),
      );
    },
    events() {
      let own: ReadableStreamDefaultController<Uint8Array>;
      const body = new ReadableStream({
        start(controller) {
          own = controller;
          own.enqueue(encoder.encode(greeting));
          subscribers.add(own);
        },
        cancel() {
          subscribers.delete(own);
        },
      });
      return new Response(body, { headers: eventHeaders });
    },
  };
}
