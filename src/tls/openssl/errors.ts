// What OpenSSL has put into its queue of errors, as errors of ours. The queue is empty afterwards.

import { ConnectionError } from '../../event-layer/event-layer.js';
import { Alert, alertReceived, alertSent } from '../alerts.js';
import { certificateRefused } from '../handshake-errors.js';
import type * as o from './library.js';

// openssl/err.h and openssl/sslerr.h of OpenSSL 3.
const sslLibrary = 20;
/** An alert of the peer is its number and this. */
const alertOffset = 1000;
const verifyFailed = 134;
const noCertificate = 199;
const noProtocol = 235;

const libraryOf = (error: number): number => Math.floor(error / 2 ** 23) & 0xff;
const reasonOf = (error: number): number => error % 2 ** 23;

/**
 * Why a session is broken. Empties the queue.
 * @param verified from SSL_get_verify_result(3)
 */
export function sessionError(openssl: o.OpenSsl, verified: number): ConnectionError {
  const first = openssl.ERR_get_error();
  while (openssl.ERR_get_error() !== 0);
  if (first === 0) return protocolError('the handshake has failed for a reason that OpenSSL does not name');
  const reason = reasonOf(first);
  if (libraryOf(first) === sslLibrary) {
    if (reason >= alertOffset && reason < alertOffset + 256) return alertReceived(reason - alertOffset);
    if (reason === verifyFailed) return certificateRefused(openssl.X509_verify_cert_error_string(verified));
    if (reason === noCertificate) return certificateRefused('it has sent none');
    if (reason === noProtocol) return alertSent(Alert.noApplicationProtocol);
  }
  return protocolError(openssl.ERR_reason_error_string(first) ?? `error ${first.toString(16)}`);
}

/** What the peer has sent is refused for a reason that only OpenSSL knows. An alert says so to the peer. */
function protocolError(reason: string): ConnectionError {
  return new ConnectionError('ERR_TLS_PROTOCOL', `what the peer has sent ends the TLS session: ${reason}`);
}
