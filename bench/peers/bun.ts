// Bun.serve

import { routes, webStreams } from './fetch.js';
import { idleSeconds, port } from './shared.js';

declare const Bun: {
  serve(options: { port: number; hostname: string; idleTimeout: number; fetch: ReturnType<typeof routes> }): unknown;
};

Bun.serve({ port, hostname: '127.0.0.1', idleTimeout: idleSeconds, fetch: routes(webStreams()) });
