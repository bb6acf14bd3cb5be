// What the errors of node:tls mean, in the codes that all engines have.

import { ConnectionError } from '../../event-layer/event-layer.js';
import { propertyOf } from '../../util/inspect.js';
import { Alert, alertReceived, alertSent } from '../alerts.js';
import { certificateRefused } from '../handshake-errors.js';

/** Codes of X509_verify_cert_error_string(3), as Node writes them, and of `tls.checkServerIdentity`. */
const ofCertificate =
  /^(?:CERT_|CRL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERROR_IN_|INVALID_|PATH_LENGTH_|HOSTNAME_|ERR_TLS_CERT_)/;

/** @returns an error with one of this project's codes; errors of the socket below are returned as they are */
export function explainNodeError(error: Error): Error {
  const code = String(propertyOf(error, 'code') ?? '');
  const { message } = error;
  if (ofCertificate.test(code)) return certificateRefused(`${message} (${code})`, { cause: error });
  const alert = /SSL alert number (\d+)/.exec(message);
  if (alert !== null) return alertReceived(Number(alert[1]));
  if (!/^ERR_SSL_|^EPROTO$/.test(code) && !message.includes('SSL routines')) return error;
  const reason = propertyOf(error, 'reason');
  const why = typeof reason === 'string' ? reason : (/SSL routines:[^:]*:([^:]+)/.exec(message)?.[1] ?? message);
  if (/did not return a certificate/i.test(why))
    return certificateRefused('the client has sent none', { cause: error });
  if (/no application protocol/i.test(why)) return alertSent(Alert.noApplicationProtocol);
  const text = `what the peer has sent ends the TLS session: ${why}`;
  return new ConnectionError('ERR_TLS_PROTOCOL', text, { cause: error });
}
