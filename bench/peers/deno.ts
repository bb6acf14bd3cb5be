// Deno.serve

import { routes, webStreams } from './fetch.js';
import { port } from './shared.js';

declare const Deno: {
  serve(options: { port: number; hostname: string; onListen: () => void }, handler: ReturnType<typeof routes>): unknown;
};

Deno.serve({ port, hostname: '127.0.0.1', onListen() {} }, routes(webStreams()));
