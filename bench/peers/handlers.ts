// WebSockets by handlers, with the names of Bun: for Bun and sluice.

import { deflates, idleSeconds } from './shared.js';

type Path = '/echo' | '/topic' | '/publish';
const paths: readonly string[] = ['/echo', '/topic', '/publish'] satisfies Path[];

interface Socket {
  readonly data: unknown;
  send(message: string, compress?: boolean): number;
  subscribe(topic: string): void;
}

/** What both have in common of the server that a `fetch` function gets. */
export interface Upgrader {
  upgrade(request: Request, options: { data: Path }): boolean;
}

const topic = 'news';

/** @param publish publishes a message to a topic, and to the event streams */
export function handlers(publish: (topic: string, message: string) => void) {
  return {
    idleTimeout: idleSeconds,
    perMessageDeflate: deflates,
    open(socket: Socket): void {
      if (socket.data === '/topic') socket.subscribe(topic);
    },
    message(socket: Socket, message: string): void {
      if (socket.data === '/publish') publish(topic, message);
      else socket.send(message, deflates);
    },
  };
}

export function upgrade(path: string, request: Request, server: Upgrader): undefined {
  if (paths.includes(path)) server.upgrade(request, { data: path as Path });
}
