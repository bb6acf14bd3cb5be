// The SSL_CTX behind a secure context of node:tls, so that every option of `tls.createSecureContext` means here what it means there.

import { createHash } from 'node:crypto';
import type { SecureContext } from 'node:tls';
import type { TlsIdentity } from '../config.js';
import type { Callbacks } from './callbacks.js';
import { addressOfContext } from './context-address.js';
import * as o from './library.js';

/** As in Go. OpenSSL sends two by default, each of which is encrypted and signed for; a resumed connection gets a new one. */
const ticketsPerHandshake = 1;

/** A context that has been prepared, by its address. */
const prepared = new WeakMap<SecureContext, number>();

/** The address of the context of an identity, which is prepared at its first use. It lasts as long as the identity. */
export function contextOf(openssl: o.OpenSsl, callbacks: Callbacks, identity: TlsIdentity): number {
  const { context } = identity;
  let address = prepared.get(context);
  if (address === undefined) {
    address = addressOfContext(context);
    prepare(openssl, callbacks, address, identity);
    prepared.set(context, address);
  }
  return address;
}

/** What node:tls keeps in a secure context, as far as it is used. */
interface NativeContext {
  getCertificate?(): Uint8Array | null;
}

/** Sets what differs from what node:tls expects of a context. */
function prepare(openssl: o.OpenSsl, callbacks: Callbacks, address: number, identity: TlsIdentity): void {
  const modes = o.SSL_MODE_RELEASE_BUFFERS | o.SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER;
  openssl.SSL_CTX_ctrl(address, o.SSL_CTRL_MODE, modes, 0);
  const options = o.SSL_OP_NO_COMPRESSION + o.SSL_OP_NO_RENEGOTIATION + o.SSL_OP_CIPHER_SERVER_PREFERENCE;
  openssl.SSL_CTX_set_options(address, options);
  // The callbacks of node:tls expect one of its sockets behind each SSL. Sessions are resumed by tickets alone, so nothing is kept for them.
  openssl.SSL_CTX_sess_set_new_cb(address, 0);
  openssl.SSL_CTX_sess_set_get_cb(address, 0);
  openssl.SSL_CTX_ctrl(address, o.SSL_CTRL_SET_SESS_CACHE_MODE, o.SSL_SESS_CACHE_OFF, 0);
  const id = sessionIdContext(identity);
  openssl.SSL_CTX_set_session_id_context(address, id, id.length);
  openssl.SSL_CTX_set_num_tickets(address, ticketsPerHandshake);
  callbacks.install(address);
}

/**
 * What a ticket must have been made for to be accepted: the same certificate, the same demands on the client's, and the same authorities for it. It is the same in all processes
 * with the same options.
 */
function sessionIdContext({ context, contextOptions, requestCert, rejectUnauthorized }: TlsIdentity): Uint8Array {
  const certificate = (context.context as NativeContext).getCertificate?.() ?? '';
  const hash = createHash('sha256').update(certificate).update(`${requestCert} ${rejectUnauthorized}`);
  hash.update(contextOptions.sessionIdContext ?? '');
  return Uint8Array.from(hash.digest());
}
