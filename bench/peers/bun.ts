// Bun.serve

import { fetch } from './fetch.js';
import { idleSeconds, port } from './settings.js';

declare const Bun: {
  serve(options: {
    port: number;
    hostname: string;
    idleTimeout: number;
    fetch: (request: Request) => Response;
  }): unknown;
};

Bun.serve({ port, hostname: '127.0.0.1', idleTimeout: idleSeconds, fetch });
