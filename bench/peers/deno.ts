// Deno.serve

import { routes, webStreams } from './fetch.js';
import { idleSeconds, port, tls } from './shared.js';

interface Socket {
  onopen?: () => void;
  onmessage?: (event: { data: string }) => void;
  onclose?: () => void;
  send(message: string): void;
}

declare const Deno: {
  serve(
    options: { port: number; hostname: string; onListen: () => void; key?: string; cert?: string },
    handler: ReturnType<typeof routes>,
  ): unknown;
  upgradeWebSocket(request: Request, options: { idleTimeout: number }): { socket: Socket; response: Response };
};

const streams = webStreams();
const subscribers = new Set<Socket>();

function upgrade(path: string, request: Request): Response | undefined {
  if (path !== '/echo' && path !== '/topic' && path !== '/publish') return undefined;
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: idleSeconds });
  if (path === '/echo') socket.onmessage = ({ data }) => socket.send(data);
  if (path === '/publish')
    socket.onmessage = ({ data }) => {
      for (const subscriber of subscribers) subscriber.send(data);
      streams.publish(data);
    };
  if (path === '/topic') {
    socket.onopen = () => subscribers.add(socket);
    socket.onclose = () => subscribers.delete(socket);
  }
  return response;
}

Deno.serve({ port, hostname: '127.0.0.1', onListen() {}, ...tls }, routes(streams, upgrade));
