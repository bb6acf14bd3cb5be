// `request.ip`, `request.waitUntil`, `request.runtime` and `request.context`: members that srvx has defined, and that frameworks on top of it (H3, Nitro, crossws)
// use. They are on the prototype, so that they add nothing to the cost of a request. They are not enumerable, so that code that copies or compares requests
// sees only the members of the fetch standard.

import { Request } from './fetch/request.js';
import { findIncomingRequest, type IncomingRequest } from './incoming-request.js';
import { socketAddressOf } from './socket-address.js';

/** The type of `request.runtime`. */
export interface RequestRuntime {
  /** Always `sluice`. */
  readonly name: string;
  /** The second argument of the handler, for code that was written for srvx on Bun. */
  readonly bun: { readonly server: object };
  /** The same, for code that was written for srvx on Deno. */
  readonly deno: { readonly info: object };
}

/** Members of a server's requests besides those of `Request`. They are undefined in other requests. */
export interface ServerRequestMembers {
  /** The client's IP address. Undefined for a Unix-domain socket, and if it is first read after the client has disconnected. */
  readonly ip?: string | undefined;
  /** See `FetchInfo.waitUntil`. */
  readonly waitUntil?: ((work: unknown) => void) | undefined;
  /** The server. */
  readonly runtime?: RequestRuntime | undefined;
  /** For values that middleware passes on. */
  context?: Record<string, unknown> | undefined;
}

const members: { [Name in keyof ServerRequestMembers]-?: (source: IncomingRequest) => ServerRequestMembers[Name] } = {
  ip: ({ peer }) => socketAddressOf(peer)?.address,
  waitUntil: (source) => (work) => source.waitUntil(work),
  runtime: (source) => {
    const info = source.server.infoOf(source);
    return { name: 'sluice', bun: { server: info }, deno: { info } };
  },
  context: () => ({}),
};

/** Adds the members to the class. Each is computed at its first use, and is a property of the request from then on. Assigning replaces it. */
export function defineRequestMembers(): void {
  for (const [name, compute] of Object.entries(members)) {
    const own = (value: unknown) => ({ value, writable: true, configurable: true, enumerable: false });
    Object.defineProperty(Request.prototype, name, {
      configurable: true,
      enumerable: false,
      get(this: Request): unknown {
        const source = findIncomingRequest(this);
        if (source === undefined) return undefined;
        const value = compute(source);
        Object.defineProperty(this, name, own(value));
        return value;
      },
      set(this: Request, value: unknown) {
        Object.defineProperty(this, name, own(value));
      },
    });
  }
}
