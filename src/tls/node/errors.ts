// What the errors of node:tls mean, in the codes that all engines have.

import { ConnectionError } from '../../event-layer/event-layer.js';
import { propertyOf } from '../../util/inspect.js';
import { Alert, alertReceived, alertSent } from '../alerts.js';
import { type CheckedServer, certificateRefused, withHost } from '../handshake-errors.js';

/** Codes of X509_verify_cert_error_string(3), as Node writes them, and of `tls.checkServerIdentity`. */
const ofCertificate =
  /^(?:CERT_|CRL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERROR_IN_|INVALID_|PATH_LENGTH_|HOSTNAME_|ERR_TLS_CERT_)/;

/**
 * @param server asked for if the certificate of a server has not been accepted
 * @returns an error with one of this project's codes; errors of the socket below are returned as they are
 */
export function explainNodeError(error: Error, server?: () => CheckedServer): Error {
  if (error instanceof ConnectionError) return error;
  const code = String(propertyOf(error, 'code') ?? '');
  const { message } = error;
  if (ofCertificate.test(code)) {
    const reason = `${message} (${code})`;
    const hasHost = code === 'ERR_TLS_CERT_ALTNAME_INVALID'; // of node:tls, whose message has the host and the names
    const why = server === undefined || hasHost ? reason : withHost(reason, server());
    return certificateRefused(why, { cause: error });
  }
  const alert = alertIn(message);
  if (alert !== undefined) return alertReceived(alert);
  if (noCertificate.test(message)) return certificateRefused('it has sent none', { cause: error });
  if (noProtocol.test(message)) return alertSent(Alert.noApplicationProtocol);
  const isOfTls = /^ERR_SSL_|^EPROTO$|^ERR_TLS_/.test(code) || message.includes('SSL routines') || code === '';
  if (!isOfTls) return error;
  const why = /SSL routines:[^:]*:([^:]+)/.exec(message)?.[1] ?? message;
  return new ConnectionError('ERR_TLS_PROTOCOL', `what the peer has sent ends the TLS session: ${why}`, {
    cause: error,
  });
}

const noCertificate = /did.not.return.a.certificate|peer sent no certificates/i;
const noProtocol = /no.application.protocol/i;
/** OpenSSL's and BoringSSL's number for an alert that was received is the alert's and this: SSL_AD_REASON_OFFSET. */
const alertOffset = 1000;

/** The alert that the peer has sent, as OpenSSL, BoringSSL (Bun) and rustls (Deno) say it. */
function alertIn(message: string): number | undefined {
  const number = /error:[0-9a-f]{2,5}([0-9a-f]{3}):SSL routines/i.exec(message)?.[1];
  const reason = number === undefined ? 0 : Number.parseInt(number, 16);
  if (reason >= alertOffset && reason < alertOffset + 256) return reason - alertOffset;
  const name = /received fatal alert: (\w+)/.exec(message)?.[1];
  if (name === undefined) return undefined;
  const key = name.charAt(0).toLowerCase() + name.slice(1);
  return Object.entries(Alert).find(([each]) => each.toLowerCase() === key.toLowerCase())?.[1] ?? Alert.internalError;
}
