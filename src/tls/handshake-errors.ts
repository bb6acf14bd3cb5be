// Why a handshake has failed, where no alert says it.

import type { X509Certificate } from 'node:crypto';
import { ConnectionError } from '../event-layer/event-layer.js';
import { escapeControls, show } from '../util/inspect.js';

/** `handshakeTimeout` has passed. */
export function handshakeTimedOut(milliseconds: number): ConnectionError {
  const message = `the TLS handshake was not complete within ${milliseconds} ms (handshakeTimeout)`;
  return new ConnectionError('ERR_TLS_HANDSHAKE_TIMEOUT', message);
}

/** The peer has sent FIN, or the connection is gone. */
export function handshakeCutOff(): ConnectionError {
  const message = 'the peer has ended the connection before the TLS handshake was complete';
  return new ConnectionError('ECONNRESET', message);
}

/** The peer's certificate is missing, or cannot be verified. @param why with OpenSSL's or Node's code, such as `CERT_HAS_EXPIRED` */
export function certificateRefused(why: string, options?: ErrorOptions): ConnectionError {
  return new ConnectionError('ERR_TLS_CERTIFICATE', `the peer's certificate is not accepted: ${why}`, options);
}

/** The server that a client has asked for, and what it has got. */
export interface CheckedServer {
  readonly host: string;
  readonly certificate: X509Certificate | undefined;
}

/** Why the certificate of a server is not accepted, with the host that was expected and the names that the certificate has. */
export function withHost(reason: string, { host, certificate }: CheckedServer): string {
  const names = certificate?.subjectAltName ?? certificate?.subject.replaceAll('\n', ', ') ?? '';
  return `${reason}; the host is ${show(host)}${names === '' ? '' : `, the certificate is for ${escapeControls(names)}`}`;
}

/** A client has asked for a name that no certificate is for (unrecognized_name, RFC 6066 §3). */
export function nameRefused(): ConnectionError {
  return new ConnectionError(
    'ERR_TLS_SERVER_NAME',
    'the client has asked for a server name that no certificate is for',
  );
}

/** A client has sent a request of HTTP without TLS. */
export function plainRequest(): ConnectionError {
  return new ConnectionError('ERR_TLS_PROTOCOL', 'the client has sent a request of HTTP without TLS');
}
