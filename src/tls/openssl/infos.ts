// What is known of sessions. Most sessions of a server have the same protocol, cipher suite and names, so they share one object.

import type { TlsInfo } from '../../event-layer/tls-info.js';

/** Clients choose server names, so the number of objects to share is bounded. */
const maxShared = 256;

export class SharedInfos {
  readonly #shared = new Map<string, TlsInfo>();

  /** @returns an object that is equal to it. Those with a certificate are not shared */
  intern(info: TlsInfo): TlsInfo {
    if (info.peerCertificate !== undefined) return info;
    const { protocol, cipher, serverName, alpnProtocol, isResumed } = info;
    const key = JSON.stringify([protocol, cipher, serverName, alpnProtocol, isResumed]);
    const shared = this.#shared.get(key);
    if (shared !== undefined) return shared;
    if (this.#shared.size >= maxShared) this.#shared.clear();
    this.#shared.set(key, info);
    return info;
  }
}
