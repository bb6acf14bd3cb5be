// What is known of sessions. Most sessions of a server have the same protocol, cipher suite and names, so they share one object.

import type { TlsInfo } from '../../event-layer/tls-info.js';

/** Clients choose server names, so the number of objects to share is bounded. */
const maxShared = 256;

export class SharedInfos {
  readonly #shared = new Map<string, TlsInfo>();
  /** The one that was asked for last: mostly the next is the same, and comparing costs less than a key. */
  #last: TlsInfo | undefined;

  /** @returns an object that is equal to it. Those with a certificate are not shared */
  intern(info: TlsInfo): TlsInfo {
    if (info.peerCertificate !== undefined) return info;
    if (this.#last === undefined || !areEqual(this.#last, info)) this.#last = this.#find(info);
    return this.#last;
  }

  #find(info: TlsInfo): TlsInfo {
    const { protocol, cipher, serverName, alpnProtocol, isResumed } = info;
    const key = JSON.stringify([protocol, cipher, serverName, alpnProtocol, isResumed]);
    const shared = this.#shared.get(key);
    if (shared !== undefined) return shared;
    if (this.#shared.size >= maxShared) this.#shared.clear();
    this.#shared.set(key, info);
    return info;
  }
}

/** Of two without a certificate. */
function areEqual(one: TlsInfo, other: TlsInfo): boolean {
  return (
    one.protocol === other.protocol &&
    one.cipher === other.cipher &&
    one.serverName === other.serverName &&
    one.alpnProtocol === other.alpnProtocol &&
    one.isResumed === other.isResumed
  );
}
