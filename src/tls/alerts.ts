// Alerts (RFC 8446 §6, RFC 7301 §3.2): how one side tells the other why it ends a session.

import { ConnectionError } from '../event-layer/event-layer.js';

/** Those of RFC 8446 §6, and the one of TLS 1.2 that it does not have (RFC 5246 §7.2). */
export const Alert = {
  closeNotify: 0,
  unexpectedMessage: 10,
  badRecordMac: 20,
  recordOverflow: 22,
  handshakeFailure: 40,
  badCertificate: 42,
  unsupportedCertificate: 43,
  certificateRevoked: 44,
  certificateExpired: 45,
  certificateUnknown: 46,
  illegalParameter: 47,
  unknownCa: 48,
  accessDenied: 49,
  decodeError: 50,
  decryptError: 51,
  protocolVersion: 70,
  insufficientSecurity: 71,
  internalError: 80,
  inappropriateFallback: 86,
  userCanceled: 90,
  noRenegotiation: 100,
  missingExtension: 109,
  unsupportedExtension: 110,
  unrecognizedName: 112,
  badCertificateStatusResponse: 113,
  unknownPskIdentity: 115,
  certificateRequired: 116,
  noApplicationProtocol: 120,
} as const;
export type Alert = (typeof Alert)[keyof typeof Alert];

const descriptions: Readonly<Record<Alert, string>> = {
  [Alert.closeNotify]: 'close notify',
  [Alert.unexpectedMessage]: 'unexpected message',
  [Alert.badRecordMac]: 'bad record MAC',
  [Alert.recordOverflow]: 'record overflow',
  [Alert.handshakeFailure]: 'handshake failure',
  [Alert.badCertificate]: 'bad certificate',
  [Alert.unsupportedCertificate]: 'unsupported certificate',
  [Alert.certificateRevoked]: 'certificate revoked',
  [Alert.certificateExpired]: 'certificate expired',
  [Alert.certificateUnknown]: 'certificate unknown',
  [Alert.illegalParameter]: 'illegal parameter',
  [Alert.unknownCa]: 'unknown certificate authority',
  [Alert.accessDenied]: 'access denied',
  [Alert.decodeError]: 'decode error',
  [Alert.decryptError]: 'decrypt error',
  [Alert.protocolVersion]: 'protocol version',
  [Alert.insufficientSecurity]: 'insufficient security',
  [Alert.internalError]: 'internal error',
  [Alert.inappropriateFallback]: 'inappropriate fallback',
  [Alert.userCanceled]: 'user canceled',
  [Alert.noRenegotiation]: 'no renegotiation',
  [Alert.missingExtension]: 'missing extension',
  [Alert.unsupportedExtension]: 'unsupported extension',
  [Alert.unrecognizedName]: 'unrecognized server name',
  [Alert.badCertificateStatusResponse]: 'bad certificate status response',
  [Alert.unknownPskIdentity]: 'unknown PSK identity',
  [Alert.certificateRequired]: 'certificate required',
  [Alert.noApplicationProtocol]: 'no application protocol in common (ALPN)',
};

/** @param alert any number: a peer may send one that no RFC names */
export function describeAlert(alert: number): string {
  const known: Partial<Record<number, string>> = descriptions;
  return `${known[alert] ?? 'an unknown alert'} (TLS alert ${alert})`;
}

/** Why a session is broken: the peer has sent an alert. @param alert its number, known or not */
export function alertReceived(alert: number): ConnectionError {
  const message = `the peer has ended the TLS session: ${describeAlert(alert)}`;
  if (alert === Alert.noApplicationProtocol) return new ConnectionError('ERR_TLS_ALPN', message);
  return new ConnectionError('ERR_TLS_ALERT', message);
}

/** Why a session is broken: what the peer has sent was answered with an alert. @param found what that was */
export function alertSent(alert: Alert, found?: string): ConnectionError {
  const what = found === undefined ? 'what the peer has sent' : `the peer has sent ${found}, which`;
  const message = `${what} ends the TLS session: ${describeAlert(alert)}`;
  if (alert === Alert.noApplicationProtocol) return new ConnectionError('ERR_TLS_ALPN', message);
  return new ConnectionError('ERR_TLS_PROTOCOL', message);
}
