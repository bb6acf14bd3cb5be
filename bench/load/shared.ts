// Servers that several scenarios measure: one for each peer, which says hello. To start one and to warm it up takes longer than to
// measure it.

import type { Peer } from '../peers.js';
import { type Server, startServer } from './server.js';
import { warmUp } from './warm-up.js';

/** How many connections a shared server is warmed up with. */
const connections = 64;

const servers = new Map<string, Promise<Server>>();

/** The peer's server, running and warm. @throws {Error} as `startServer`, whenever it is asked for */
export async function sharedServer(peer: Peer, quick: boolean): Promise<Server> {
  const known = servers.get(peer.name);
  if (known !== undefined) {
    const server = await known;
    await warmUp(server, connections, quick, true); // it has had nothing to do for a while
    return server;
  }
  const starting = startServer(peer, { handler: 'hello' });
  servers.set(peer.name, starting);
  const server = await starting;
  await warmUp(server, connections, quick);
  return server;
}

/** Whether it is one of these, and not for who measures it to stop. */
export async function isShared(server: Server): Promise<boolean> {
  return (await servers.get(server.peer.name)) === server;
}

export async function stopShared(): Promise<void> {
  const started = await Promise.allSettled(servers.values());
  servers.clear();
  await Promise.all(started.map((result) => (result.status === 'fulfilled' ? result.value.stop() : undefined)));
}
