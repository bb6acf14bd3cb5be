// `createServer`: an `http.Server` that has its connections from sluice, and whose `listen` is called as people call it.

import { lookup } from 'node:dns/promises';
import { Server, type ServerOptions } from 'node:http';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { AddressedServer } from '../connection/listening-server.js';
import { formatAddress, type ListenOptions as LayerListenOptions } from '../event-layer/event-layer.js';
import { isInstance, propertyOf, show } from '../util/inspect.js';
import { checkOptions } from '../util/options.js';
import { announce, layerOptions, type NodeListening, settingsRules } from './listen.js';
import { NodeListener, type NodeServerSettings } from './node-listener.js';
import { listenerFor, type NodeHandler, RequestErrors } from './request-errors.js';
import { internalsOf } from './server-handle.js';

/** Options of `createServer`: those of `createServer` of node:http, and what sluice does for the server. `keepAlive` is that of sluice. */
export interface NodeServerOptions extends Omit<ServerOptions, 'keepAlive'>, NodeServerSettings {}

/** An `http.Server` that has its connections from sluice. */
export interface NodeServer extends Server {
  /** What sluice knows of it; undefined until it emits `listening`. */
  readonly sluice: NodeListening | undefined;
}

/**
 * Creates an `http.Server` for a `(req, res)` function, to be used as one of node:http: `listen(3000)`, `on('upgrade', …)`, `close()`. If the function throws,
 * or its promise is rejected, the client gets a 500; if the head of the response has been sent, its connection is reset. `onError` is called once.
 *
 * ```ts
 * createServer((request, response) => response.end('hello')).listen(3000);
 * createServer(express()).listen(3000, () => console.log('listening'));
 * ```
 *
 * @throws {TypeError | RangeError} for options that are wrong, naming the option
 */
export function createServer(handler?: NodeHandler): NodeServer;
export function createServer(options: NodeServerOptions, handler?: NodeHandler): NodeServer;
export function createServer(first: NodeServerOptions | NodeHandler = {}, second?: NodeHandler): NodeServer {
  const [options, handler] = typeof first === 'function' ? [{}, first] : [first, second];
  if (handler !== undefined && typeof handler !== 'function')
    throw new TypeError(`createServer: the handler is ${show(handler)}; expected a function of (req, res)`);
  return new SluiceServer(options, handler);
}

class SluiceServer extends Server implements NodeServer {
  readonly #settings: NodeServerSettings;
  readonly #errors: RequestErrors;
  #listening: NodeListening | undefined;

  constructor(options: NodeServerOptions, handler: NodeHandler | undefined) {
    const { settings, rest } = splitOptions(options);
    super(rest);
    this.#settings = settings;
    this.#errors = new RequestErrors(settings.onError);
    if (handler !== undefined) this.on('request', listenerFor(handler, this.#errors));
  }

  get sluice(): NodeListening | undefined {
    return this.#listening;
  }

  override listen(...values: unknown[]): this {
    if (this.listening) return super.listen(); // which throws
    const { callback, signal, ...where } = listenArguments(values);
    const server = internalsOf('listen', this);
    const listener = new NodeListener('createServer', server, this.#settings, this.#errors);
    server._handle = listener.handle;
    if (callback !== undefined) this.once('listening', callback);
    if (signal !== undefined) closeOnAbort(this, signal);
    this.#open(listener, where).catch((error: unknown) => {
      if (server._handle === listener.handle) server._handle = null;
      process.nextTick(() => this.emit('error', listenError(error, where)));
    });
    return this;
  }

  async #open(listener: NodeListener, { path, port, host, backlog, reusePort }: ListenPlace): Promise<void> {
    const hostname = path === undefined ? await addressFor(host) : undefined;
    const settings = { ...this.#settings, path, port, hostname };
    if (backlog !== undefined) settings.backlog = backlog;
    if (reusePort !== undefined) settings.reusePort = reusePort;
    if (path !== undefined) for (const name of tcpOptions) settings[name] = undefined;
    const options: LayerListenOptions = layerOptions('listen', settings);
    if (!(await listener.start(options))) return;
    this.#listening = new AddressedServer(listener);
    await announce(internalsOf('listen', this), listener, options);
  }
}

/** Options that a Unix-domain socket does not have. The server does not know yet where it will listen when it gets them. */
const tcpOptions = ['keepAlive', 'sendBufferSize', 'reusePort'] as const;

/** Splits off the options that are sluice's. @throws {TypeError | RangeError} if one of these is wrong */
function splitOptions(options: NodeServerOptions): { settings: NodeServerSettings; rest: ServerOptions } {
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`createServer: the options are ${show(options)}; expected an object`);
  const settings: Record<string, unknown> = {};
  const rest: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    if (Object.hasOwn(settingsRules, name)) settings[name] = value;
    else rest[name] = value;
  }
  // Node's way to say when probing begins.
  const { keepAliveInitialDelay = 0 } = options;
  if (settings.keepAlive === true && keepAliveInitialDelay >= 1000) settings.keepAlive = keepAliveInitialDelay;
  checkOptions('createServer', settings, settingsRules);
  return { settings, rest };
}

/** Where a server is to listen. */
interface ListenPlace {
  path: string | undefined;
  port: number | undefined;
  host: string | undefined;
  backlog: number | undefined;
  reusePort: boolean | undefined;
}

interface ListenArguments extends ListenPlace {
  callback: (() => void) | undefined;
  signal: AbortSignal | undefined;
}

/** Options of Node's `listen` that sluice does not have. */
const unsupported = ['fd', 'handle', '_handle', 'ipv6Only', 'readableAll', 'writableAll'];

/** Reads the arguments of `listen`: `(port, host, backlog, callback)`, `(path, backlog, callback)` or `(options, callback)`. @throws {TypeError | RangeError} */
function listenArguments(values: readonly unknown[]): ListenArguments {
  const last = values.at(-1);
  const callback = typeof last === 'function' ? (last as () => void) : undefined;
  const [first, ...others] = callback === undefined ? values : values.slice(0, -1);
  const backlog = others.find((value): value is number => typeof value === 'number');
  if (typeof first === 'object' && first !== null) {
    for (const name of unsupported)
      if (propertyOf(first, name)) throw new TypeError(`listen: ${name} is given; sluice has no such option`);
    const { port, host, path, signal, reusePort, ...rest } = first as Record<string, unknown>;
    return {
      path: textOf('path', path),
      port: path === undefined ? portOf(port) : undefined,
      host: textOf('host', host),
      backlog: typeof rest.backlog === 'number' ? rest.backlog : backlog,
      reusePort: reusePort === undefined ? undefined : reusePort === true,
      signal: signalOf(signal),
      callback,
    };
  }
  const isPath = typeof first === 'string' && !(Number(first) >= 0);
  const [host] = others;
  return {
    path: isPath ? first : undefined,
    port: isPath ? undefined : portOf(first),
    host: !isPath && typeof host === 'string' ? host : undefined,
    backlog,
    reusePort: undefined,
    signal: undefined,
    callback,
  };
}

function textOf(name: string, value: unknown): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value === 'string') return value;
  throw new TypeError(`listen: ${name} is ${show(value)}; expected a string`);
}

function portOf(value: unknown): number {
  if (value === undefined || value === null) return 0;
  const port = typeof value === 'string' && value !== '' ? Number(value) : value;
  if (typeof port !== 'number')
    throw new TypeError(`listen: port is ${show(value)}; expected a whole number from 0 to 65535`);
  if (!(Number.isInteger(port) && port >= 0 && port <= 65_535))
    throw new RangeError(`listen: port is ${port}; expected a whole number from 0 to 65535`);
  return port;
}

function signalOf(value: unknown): AbortSignal | undefined {
  if (value === undefined || isInstance(value, AbortSignal)) return value;
  throw new TypeError(`listen: signal is ${show(value)}; expected an AbortSignal`);
}

function closeOnAbort(server: Server, signal: AbortSignal): void {
  const close = () => server.close();
  if (signal.aborted) {
    process.nextTick(close);
    return;
  }
  signal.addEventListener('abort', close, { once: true });
  server.once('close', () => signal.removeEventListener('abort', close));
}

/** The address of a host. Without one, as with Node: all addresses of the machine, of IPv6 as well where it has that. */
async function addressFor(host: string | undefined): Promise<string> {
  if (host === undefined) return hasIPv6() ? '::' : '0.0.0.0';
  return isIP(host) === 0 ? (await lookup(host)).address : host;
}

function hasIPv6(): boolean {
  return Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ family }) => family === 'IPv6'));
}

/** An error as `listen` of Node emits it. */
function listenError(error: unknown, { path, host, port = 0 }: ListenPlace): unknown {
  const code = propertyOf(error, 'code');
  const [errno, [, meaning]] = [...getSystemErrorMap()].find(([, [name]]) => name === code) ?? [0, []];
  if (typeof code !== 'string' || meaning === undefined) return error;
  const address = path ?? host ?? '::';
  const place = path ?? formatAddress({ hostname: address, port });
  const message = `listen ${code}: ${meaning} ${place}`;
  return Object.assign(new Error(message, { cause: error }), {
    code,
    errno,
    syscall: 'listen',
    address,
    ...(path === undefined ? { port } : {}),
  });
}
