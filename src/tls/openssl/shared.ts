// What all sessions of the process share.

import type { TlsIdentity } from '../config.js';
import { RecordLayer } from '../detached/record-layer.js';
import { Bios } from './bios.js';
import { Callbacks } from './callbacks.js';
import { contextOf } from './contexts.js';
import { EvpCipher } from './evp-cipher.js';
import { opensslHmac } from './hmac.js';
import { SharedInfos } from './infos.js';
import { type LoadedOpenSsl, loadOpenSsl, type OpenSsl } from './library.js';

export class SharedOpenSsl {
  readonly openssl: OpenSsl;
  readonly bios: Bios;
  readonly callbacks: Callbacks;
  readonly infos = new SharedInfos();
  /** What becomes of sessions of TLS 1.3 after the handshake. */
  readonly records: RecordLayer;

  constructor(loaded: LoadedOpenSsl) {
    this.openssl = loaded.openssl;
    this.bios = new Bios(loaded);
    this.callbacks = new Callbacks(loaded);
    this.records = new RecordLayer(
      (suite) => new EvpCipher(this.openssl, this.bios, suite),
      opensslHmac(this.openssl, this.bios),
    );
  }

  /** The address of the SSL_CTX of an identity. */
  contextOf(identity: TlsIdentity): number {
    return contextOf(this.openssl, this.callbacks, identity);
  }
}

let shared: SharedOpenSsl | undefined;

/** Created at the first call. @throws {ConnectionError} `ERR_EVENT_LAYER` where OpenSSL is unavailable */
export function sharedOpenSsl(): SharedOpenSsl {
  shared ??= new SharedOpenSsl(loadOpenSsl());
  return shared;
}
