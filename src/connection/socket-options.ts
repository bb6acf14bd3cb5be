// Socket options of `serve`, `listen` and `connect`.

import type { SocketOptions } from '../event-layer/event-layer.js';
import type { OptionRules } from '../util/options.js';

export interface ConnectionSocketOptions {
  /**
   * After how many milliseconds without input the system probes whether the peer is still there (SO_KEEPALIVE). A peer that answers
   * no probe for a minute is gone: the connection breaks with `ETIMEDOUT`. `true` is the default, `false` never probes. Not for
   * Unix-domain sockets. Rounded up to whole seconds. Default 60,000.
   */
  keepAlive?: number | boolean | undefined;
  /**
   * How many bytes of output the system holds for a connection at most, before its client has acknowledged them (SO_SNDBUF). The system takes up
   * to twice as much memory for them, and its own limit (on Linux net.core.wmem_max) may be lower: then listening or connecting fails. Not for
   * Unix-domain sockets, and not on the portable event layer, which rejects with `ENOTSUP`. Default: the system's choice, which grows with the connection.
   */
  sendBufferSize?: number | undefined;
}

const defaultKeepAlive = 60_000;

export const socketRules: OptionRules<ConnectionSocketOptions> = {
  keepAlive: { switch: [1000, 32_767_000] },
  sendBufferSize: { whole: [4096, 2 ** 30] },
};

/** @throws {TypeError} if an option is given that a Unix-domain socket does not have */
export function socketOptionsOf(
  where: string,
  options: ConnectionSocketOptions & { path?: string | undefined },
): SocketOptions {
  const { path, keepAlive, sendBufferSize } = options;
  if (path === undefined) {
    const probeAfter = typeof keepAlive === 'number' ? keepAlive : defaultKeepAlive;
    return { keepAlive: keepAlive === false ? 0 : probeAfter, sendBufferSize };
  }
  for (const name of ['keepAlive', 'sendBufferSize'] as const) {
    if (options[name] === undefined || options[name] === false) continue;
    throw new TypeError(`${where}: path and ${name} are both given; a Unix-domain socket has no ${name}`);
  }
  return {};
}
