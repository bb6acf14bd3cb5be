// `--redirect-http`: a server without TLS that sends its clients to the one with TLS.

import { Response } from '../http/fetch/response.js';
import type { ServeOptions } from '../server/serve.js';

/** How long an idle connection stays, in milliseconds: its client is not coming back. */
const idleTimeout = 5_000;

/** @param port where it listens @param target the port of the server with TLS */
export function redirectOptions(
  port: number,
  hostname: string | undefined,
  target: () => number | undefined,
): ServeOptions {
  return {
    port,
    hostname,
    idleTimeout,
    fetch: ({ method, url }) => {
      const location = httpsUrl(url, target());
      // 301 is what clients keep; it lets them make GET of other methods, 308 does not (RFC 9110 §15.4).
      const status = method === 'GET' || method === 'HEAD' ? 301 : 308;
      return new Response(`${location}\n`, { status, headers: { location, 'content-type': 'text/plain' } });
    },
  };
}

/** The same URL with https, on that port. */
export function httpsUrl(url: string, port: number | undefined): string {
  const { hostname, pathname, search } = new URL(url);
  return `https://${hostname}${port === undefined || port === 443 ? '' : `:${port}`}${pathname}${search}`;
}
