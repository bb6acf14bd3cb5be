// The portable layer with TLS below it, for all connections, of servers and of clients alike.

import type { Address, ListenerId, ListenOptions, Slot, SocketOptions } from '#sluice/event-layer/event-layer.js';
import { PortableLayer } from '#sluice/event-layer/portable/portable.js';
import { NodeClientSecurity, NodeServerSecurity } from '#sluice/tls/node/sockets.js';
import { clientTls } from '#sluice/tls/options/client-config.js';
import { ServerTls } from '#sluice/tls/options/server-config.js';
import { authority, local } from './certificates.js';

const { key, cert } = local;
const settings = {
  alpnProtocols: [],
  onError(error: unknown) {
    throw error;
  },
};
const server = new ServerTls('tls', { key, cert, maxHandshakesPerTurn: 100 }, settings);
const client = clientTls('tls', { ca: authority.cert, serverName: 'localhost' }, 'localhost', 'below');

export class SecuredPortable extends PortableLayer {
  override listen(options: ListenOptions): Promise<{ listener: ListenerId; address: Address }> {
    return super.listen({ ...options, security: new NodeServerSecurity(server) });
  }

  override connect(address: Address, localAddress?: string, options?: SocketOptions): Slot {
    return super.connect(address, localAddress, { ...options, security: new NodeClientSecurity(client) });
  }
}
