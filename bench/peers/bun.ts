// Bun.serve

import { routes, webStreams } from './fetch.js';
import { handlers, type Upgrader, upgrade } from './handlers.js';
import { idleSeconds, port, tls } from './shared.js';

declare const Bun: {
  serve(options: {
    port: number;
    hostname: string;
    idleTimeout: number;
    tls: { key: string; cert: string } | undefined;
    fetch: ReturnType<typeof routes<Upgrader>>;
    websocket: ReturnType<typeof handlers>;
  }): { publish(topic: string, message: string): number };
};

const streams = webStreams();
const server = Bun.serve({
  port,
  hostname: '127.0.0.1',
  idleTimeout: idleSeconds,
  tls,
  fetch: routes(streams, upgrade),
  websocket: handlers((topic, message) => {
    server.publish(topic, message);
    streams.publish(message);
  }),
});
