// A server that echoes messages, in both faces: a thread for each socket, and handlers.

import type { Request } from '#sluice/http/fetch/request.js';
import { Response } from '#sluice/http/fetch/response.js';
import type { ServeOptions } from '#sluice/server/serve.js';
import { webSocket } from '#sluice/websocket/server.js';
import { type EndpointName, endpoints } from './corpus/case.js';

export const faces = ['threads', 'handlers'] as const;
export type Face = (typeof faces)[number];

/** Options of `serve` for a server that echoes. */
export function echoing(face: Face, name: EndpointName): Pick<ServeOptions, 'fetch' | 'websocket'> {
  const options = endpoints[name];
  if (face === 'threads')
    return {
      fetch: (request: Request) =>
        webSocket(
          request,
          function* (socket) {
            for (let message: string | Uint8Array | undefined; (message = yield* socket.receive()) !== undefined; )
              yield* socket.send(message);
          },
          options,
        ),
    };
  return {
    fetch: (request, server) =>
      server.upgrade(request) ? undefined : new Response('not a WebSocket', { status: 400 }),
    websocket: {
      ...options,
      message(ws, message) {
        ws.send(message);
      },
    },
  };
}
