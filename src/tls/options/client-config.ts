// What `connect` knows of TLS.

import { isIP } from 'node:net';
import { defaultHandshakeTimeout, type TlsClientConfig, type TlsIdentity } from '../config.js';
import { loadIdentity } from './identity.js';
import { checkClientOptions, type TlsClientOptions } from './options.js';

/** What has been made of an object of options: making a context costs milliseconds, with the certificates that Node trusts. */
interface Loaded {
  readonly identity: TlsIdentity;
  /** By host. */
  readonly configs: Map<string, TlsClientConfig>;
}
/** The most hosts for which it is kept. */
const maxHosts = 100;

/** Engines do not share contexts: OpenSSL's sets them up in its own way. */
const loaded = { above: new WeakMap<TlsClientOptions, Loaded>(), below: new WeakMap<TlsClientOptions, Loaded>() };
const defaults: TlsClientOptions = {};

/**
 * @param host what is connected to; `localhost` for the path of a Unix-domain socket
 * @param place of the engine: above the event layer, or below it
 * @throws {TypeError | RangeError | TlsConfigError} if the option cannot be used
 */
export function clientTls(
  where: string,
  option: TlsClientOptions | true,
  host: string,
  place: 'above' | 'below',
): TlsClientConfig {
  const options = option === true ? defaults : option;
  let known = loaded[place].get(options);
  if (known === undefined) {
    checkClientOptions(where, options);
    const { identity } = loadIdentity(options, { where, side: 'client', alpnProtocols: [], ticketKeys: undefined });
    known = { identity, configs: new Map() };
    loaded[place].set(options, known);
  }
  const { identity, configs } = known;
  let config = configs.get(host);
  if (config === undefined) {
    const { serverName, detached = true, handshakeTimeout = defaultHandshakeTimeout } = options;
    const name = serverName ?? (isIP(host) === 0 ? host : undefined);
    config = { identity, serverName: name, host: serverName ?? host, detached, handshakeTimeout };
    if (configs.size >= maxHosts) configs.clear();
    configs.set(host, config);
  }
  return config;
}
