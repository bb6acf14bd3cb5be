// Members of the requests of a server that srvx has defined, and that frameworks on top of it (H3, Nitro, crossws) look for: `request.ip`, `request.waitUntil`,
// `request.runtime`, `request.context`. They are on the prototype, so that a request costs nothing for them; and are not enumerable, so that what copies or
// compares requests sees those of the fetch standard alone.

import { Request, sourceOf } from './fetch/request.js';
import { IncomingRequest } from './incoming-request.js';

/** What `request.runtime` is. */
export interface RequestRuntime {
  /** Always `sluice`. */
  readonly name: string;
  /** The second argument of the handler, where code that was written for srvx on Bun looks for it. */
  readonly bun: { readonly server: object };
  /** The same for Deno. */
  readonly deno: { readonly info: object };
}

/** What the requests of a server have besides the members of `Request`. Other requests have it, too, and it is undefined there. */
export interface ServerRequestMembers {
  /** The client's IP address. Undefined for a Unix-domain socket, and if it is first asked for when the client has gone. */
  readonly ip?: string | undefined;
  /** See `FetchInfo.waitUntil`. */
  readonly waitUntil?: ((work: unknown) => void) | undefined;
  /** What is known of the server. */
  readonly runtime?: RequestRuntime | undefined;
  /** For middleware, to pass on what it likes. */
  context?: Record<string, unknown> | undefined;
}

const members: { [Name in keyof ServerRequestMembers]-?: (source: IncomingRequest) => ServerRequestMembers[Name] } = {
  ip: ({ peer }) => (peer === '' ? undefined : peer.slice(0, peer.lastIndexOf(':')).replace(/^\[|\]$/g, '')),
  waitUntil: (source) => (work) => source.waitUntil(work),
  runtime: (source) => {
    const info = source.server.infoOf(source);
    return { name: 'sluice', bun: { server: info }, deno: { info } };
  },
  context: () => ({}),
};

/** Gives them to the class; to be called once. Each is computed when it is first asked for, and is a property of the request from then on. Assigning replaces it. */
export function defineRequestMembers(): void {
  for (const [name, compute] of Object.entries(members)) {
    const own = (value: unknown) => ({ value, writable: true, configurable: true, enumerable: false });
    Object.defineProperty(Request.prototype, name, {
      configurable: true,
      enumerable: false,
      get(this: Request): unknown {
        const source = sourceOf(this);
        if (!(source instanceof IncomingRequest)) return undefined;
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
