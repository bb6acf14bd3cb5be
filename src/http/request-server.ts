// The server of a request, as the request uses it. `server/` implements it.

import type { TrustedProxies } from './trusted-proxies.js';

export interface RequestServer {
  /** Host and port, for the URL of a request that names none. */
  readonly defaultHost: string;
  /** The scheme of requests' URLs. */
  readonly scheme: 'http' | 'https';
  /** The option `trustProxy`; undefined if no proxy is trusted. */
  readonly proxies: TrustedProxies | undefined;
  /** Clients connect to a Unix-domain socket. */
  readonly isLocal: boolean;
  /** The second argument of its handler. @param source the request in progress */
  infoOf(source: object): object;
  /** See `FetchInfo.waitUntil`. @param subject the request that the work belongs to, for `onError` */
  waitUntil(work: unknown, subject?: { readonly request: object; readonly peer: string }): void;
}
