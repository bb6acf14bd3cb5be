// Deno.serve

import { fetch } from './fetch.js';
import { port } from './settings.js';

declare const Deno: {
  serve(
    options: { port: number; hostname: string; onListen: () => void },
    handler: (request: Request) => Response,
  ): unknown;
};

Deno.serve({ port, hostname: '127.0.0.1', onListen() {} }, fetch);
