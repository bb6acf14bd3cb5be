// What OpenSSL has put into its queue of errors, as errors of ours. The queue is empty afterwards.

import { checkServerIdentity } from 'node:tls';
import { ConnectionError } from '../../event-layer/event-layer.js';
import { propertyOf } from '../../util/inspect.js';
import { Alert, alertReceived, alertSent } from '../alerts.js';
import { type CheckedServer, certificateRefused, withHost } from '../handshake-errors.js';
import type * as o from './library.js';

// openssl/err.h and openssl/sslerr.h of OpenSSL 3.
const sslLibrary = 20;
/** An alert of the peer is its number and this. */
const alertOffset = 1000;
const verifyFailed = 134;
const noCertificate = 199;
const noProtocol = 235;

/** Of openssl/x509_vfy.h, in the words of node:tls. */
const verifyCodes = new Map([
  [2, 'UNABLE_TO_GET_ISSUER_CERT'],
  [3, 'UNABLE_TO_GET_CRL'],
  [7, 'CERT_SIGNATURE_FAILURE'],
  [8, 'CRL_SIGNATURE_FAILURE'],
  [9, 'CERT_NOT_YET_VALID'],
  [10, 'CERT_HAS_EXPIRED'],
  [11, 'CRL_NOT_YET_VALID'],
  [12, 'CRL_HAS_EXPIRED'],
  [18, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  [19, 'SELF_SIGNED_CERT_IN_CHAIN'],
  [20, 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'],
  [21, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  [22, 'CERT_CHAIN_TOO_LONG'],
  [23, 'CERT_REVOKED'],
  [24, 'INVALID_CA'],
  [25, 'PATH_LENGTH_EXCEEDED'],
  [26, 'INVALID_PURPOSE'],
  [27, 'CERT_UNTRUSTED'],
  [28, 'CERT_REJECTED'],
]);
const notYetValid = 9;
const expired = 10;
/** X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH. */
const otherHosts = [62, 64];

const libraryOf = (error: number): number => Math.floor(error / 2 ** 23) & 0xff;
const reasonOf = (error: number): number => error % 2 ** 23;

/**
 * Why a session is broken. Empties the queue.
 * @param verified from SSL_get_verify_result(3)
 * @param server asked for if the certificate of a server has not been accepted
 */
export function sessionError(openssl: o.OpenSsl, verified: number, server?: () => CheckedServer): ConnectionError {
  const first = openssl.ERR_get_error();
  while (openssl.ERR_get_error() !== 0);
  if (first === 0) return protocolError('the handshake has failed for a reason that OpenSSL does not name');
  const reason = reasonOf(first);
  if (libraryOf(first) === sslLibrary) {
    if (reason >= alertOffset && reason < alertOffset + 256) return alertReceived(reason - alertOffset);
    if (reason === verifyFailed) return certificateRefused(whyRefused(openssl, verified, server?.()));
    if (reason === noCertificate) return certificateRefused('it has sent none');
    if (reason === noProtocol) return alertSent(Alert.noApplicationProtocol);
  }
  return protocolError(openssl.ERR_reason_error_string(first) ?? `error ${first.toString(16)}`);
}

/** As node:tls says it, with the host that was expected and the names that the certificate has. */
function whyRefused(openssl: o.OpenSsl, verified: number, server: CheckedServer | undefined): string {
  const certificate = server?.certificate;
  let result = verified;
  if (server !== undefined && certificate !== undefined && otherHosts.includes(verified)) {
    // OpenSSL looks at the name before the dates, node:tls after them: all engines say the same.
    const now = Date.now();
    if (now > Date.parse(certificate.validTo)) result = expired;
    else if (now < Date.parse(certificate.validFrom)) result = notYetValid;
    else {
      const difference = checkServerIdentity(server.host, certificate.toLegacyObject());
      if (difference !== undefined) return `${difference.message} (${String(propertyOf(difference, 'code'))})`;
    }
  }
  const code = verifyCodes.get(result);
  const reason = `${openssl.X509_verify_cert_error_string(result)}${code === undefined ? '' : ` (${code})`}`;
  if (server === undefined) return reason;
  return withHost(reason, server);
}

/** What the peer has sent is refused for a reason that only OpenSSL knows. An alert says so to the peer. */
function protocolError(reason: string): ConnectionError {
  return new ConnectionError('ERR_TLS_PROTOCOL', `what the peer has sent ends the TLS session: ${reason}`);
}
