// `getConnInfo` for Hono.

import type { Context } from 'hono';
import type { ConnInfo } from 'hono/conninfo';
import { findIncomingRequest, incomingRequest } from '../http/incoming-request.js';
import { socketAddressOf } from '../http/socket-address.js';
import { propertyOf } from '../util/inspect.js';

/**
 * The client's address, in an application of Hono: the same as `info.peer`, so the one behind the proxy with the options `trustProxy` and `proxyProtocol` of `serve`.
 * `remote` is empty for a Unix-domain socket, and if it is first read after the client has disconnected.
 * @throws {TypeError} for a request that is not from a server of sluice
 */
export function getConnInfo(c: Context): ConnInfo {
  const found = socketAddressOf(peerOf(c));
  if (found === null) return { remote: {} };
  const { address, port, family } = found;
  return { remote: { transport: 'tcp', address, addressType: family, port } };
}

function peerOf({ req, env }: Context): string {
  const source = findIncomingRequest(req.raw);
  if (source !== undefined) return source.peer;
  // Middleware has replaced the request. The environment is the second argument of `app.fetch`, which is the information about the original request.
  const peer = propertyOf(env, 'peer');
  return typeof peer === 'string' ? peer : incomingRequest('getConnInfo', req.raw).peer;
}
