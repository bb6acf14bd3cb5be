// The options of a module that the command serves: those of `serve`, and those of Bun, Deno and srvx by their own names and meanings.

import type { ServeOptions, Server } from '../server/serve.js';
import { SrvxServer } from '../srvx/server.js';
import { longestDelay } from '../util/options.js';
import { isPlainObject } from './default-export.js';

/** The options of `serve` that a module may set. `globals` and `network` concern code that calls `serve` itself. */
const supportedOptions: Readonly<Record<keyof Omit<ServeOptions, 'fetch' | 'globals' | 'network' | 'secure'>, true>> = {
  port: true,
  websocket: true,
  node: true,
  hostname: true,
  path: true,
  backlog: true,
  reusePort: true,
  onError: true,
  error: true,
  onRefused: true,
  keepAlive: true,
  sendBufferSize: true,
  allowHalfOpen: true,
  maxHeadSize: true,
  maxTargetSize: true,
  maxFields: true,
  maxBodySize: true,
  maxChunkExtensionSize: true,
  maxTrailerSize: true,
  maxQueuedBytes: true,
  maxBufferedBytes: true,
  maxPipelined: true,
  maxRequests: true,
  maxConnections: true,
  maxConnectionsPerAddress: true,
  idleTimeout: true,
  headTimeout: true,
  bodyTimeout: true,
  minBodyRate: true,
  writeTimeout: true,
  minWriteRate: true,
  leaveTimeout: true,
  lingerTimeout: true,
  tls: true,
  trustProxy: true,
  proxyProtocol: true,
};

/** Options that have a meaning only for Bun, Deno or srvx, or for what the command always does. */
const withoutMeaning = new Set([
  ...['id', 'development', 'ipv6Only', 'inspector', 'h3', 'http3'], // Bun
  ...['manual', 'silent', 'gracefulShutdown', 'bun', 'deno', 'serviceWorker'], // srvx
]);

/** Options that answer requests. Ignoring them would change what the server answers. */
const unsupported: Readonly<Record<string, string>> = { routes: 'routes', static: 'static routes' };

/** The longest `idleTimeout` of Bun, in seconds. A larger number is one in milliseconds. */
const maxSeconds = 255;

interface Converted {
  readonly options: ServeOptions;
  /** Names that are not options. */
  readonly unknown: string[];
  /** The option of Deno. */
  readonly onListen: ((address: object) => void) | undefined;
  /** Is to be called with the server, for the plugins of srvx. */
  readonly onServer: ((server: Server) => void) | undefined;
}

/** @param exported an object with a function `fetch` @param refuse throws; its argument is what cannot be served */
export function convertOptions(
  exported: Readonly<Record<string, unknown>>,
  refuse: (problem: string) => never,
): Converted {
  const given: Record<string, unknown> = {};
  const unknown: string[] = [];
  for (const [name, value] of Object.entries(exported)) {
    if (name === 'fetch' || value === undefined || withoutMeaning.has(name)) continue;
    if (name === 'node' && isPlainObject(value)) continue; // srvx's options for its own server: not an application
    if (Object.hasOwn(unsupported, name))
      refuse(
        `its default export has ${unsupported[name]}, which sluice does not have; expected fetch to answer all requests`,
      );
    if (Object.hasOwn(supportedOptions, name)) given[name] = value;
    else if (!convert(given, name, value) && !ofSrvx.has(name) && name !== 'onListen') unknown.push(name);
  }
  if (typeof given.port === 'string' && /^\d{1,5}$/.test(given.port)) given.port = Number(given.port);
  if (typeof given.idleTimeout === 'number' && given.idleTimeout <= maxSeconds)
    given.idleTimeout = given.idleTimeout === 0 ? longestDelay : given.idleTimeout * 1000;
  if (exported.protocol === 'http') delete given.tls;
  if (given.tls !== undefined) given.tls = convertTls(given.tls);
  const { error, onListen } = exported;
  if (typeof error === 'function') given.error = (thrown: unknown) => error.call(exported, thrown);
  const srvx = srvxOf(exported);
  return {
    options: { ...given, fetch: srvx === undefined ? fetchOf(exported) : (request) => srvx.fetch(request) },
    unknown,
    onListen: typeof onListen === 'function' ? (address) => onListen.call(exported, address) : undefined,
    onServer: srvx === undefined ? undefined : (server) => srvx.attach(server),
  };
}

/** Sets an option that `serve` has under another name. @returns false if there is none */
function convert(given: Record<string, unknown>, name: string, value: unknown): boolean {
  if (name === 'unix') given.path = value;
  else if (name === 'maxRequestBodySize') given.maxBodySize = value;
  else return false;
  return true;
}

const ofSrvx = new Set(['middleware', 'plugins', 'protocol']);

/** `fetch` as a method of its object, as Bun calls it. */
function fetchOf(exported: Readonly<Record<string, unknown>>): ServeOptions['fetch'] {
  const { fetch } = exported as { fetch: (...args: unknown[]) => unknown };
  return ((...args) => fetch.apply(exported, args)) as ServeOptions['fetch']; // the server checks each response
}

/** Runs the middleware and the plugins of srvx; undefined if there are none. */
function srvxOf(exported: Readonly<Record<string, unknown>>): SrvxServer | undefined {
  if (exported.middleware === undefined && exported.plugins === undefined) return undefined;
  // Without `error`, which `serve` calls, so that failures are reported as those of other modules are.
  return new SrvxServer({
    ...(exported as unknown as ConstructorParameters<typeof SrvxServer>[0]),
    error: undefined,
    manual: true,
  });
}

/** Bun's names of options that name a file, and the options of `serve`. */
const tlsNames: Readonly<Record<string, string>> = {
  keyFile: 'key',
  certFile: 'cert',
  caFile: 'ca',
  dhParamsFile: 'dhparam',
};

function convertTls(tls: unknown): unknown {
  if (Array.isArray(tls)) return tls.map(convertTls);
  if (typeof tls !== 'object' || tls === null) return tls;
  const converted: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(tls)) {
    if (name !== 'lowMemoryMode' && value !== undefined)
      converted[Object.hasOwn(tlsNames, name) ? tlsNames[name] : name] = value;
  }
  return converted;
}
