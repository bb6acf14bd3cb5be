// What a request needs to know of its server. `server/` implements it.

import type { TrustedProxies } from './trusted-proxies.js';

export interface RequestServer {
  /** Host and port, for the URL of a request that names none. */
  readonly defaultHost: string;
  /** Of the URLs of requests. */
  readonly scheme: 'http' | 'https';
  /** Proxies that may say more of a client; undefined if none may. */
  readonly proxies: TrustedProxies | undefined;
  /** Clients connect to a Unix-domain socket. */
  readonly isLocal: boolean;
  /** The second argument of its handler. @param source the request in progress */
  infoOf(source: object): object;
  /** See `FetchInfo.waitUntil`. @param subject what it belongs to, for `onError` */
  waitUntil(work: unknown, subject?: { readonly request: object; readonly peer: string }): void;
}
