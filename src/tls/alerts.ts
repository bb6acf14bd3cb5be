// Alerts (RFC 8446 §6, RFC 7301 §3.2): how one side tells the other why it ends a session.

import { ConnectionError } from '../event-layer/event-layer.js';

export const Alert = {
  closeNotify: 0,
  unexpectedMessage: 10,
  badRecordMac: 20,
  recordOverflow: 22,
  handshakeFailure: 40,
  decodeError: 50,
  protocolVersion: 70,
  noApplicationProtocol: 120,
} as const;

const descriptions: Partial<Record<number, string>> = {
  [Alert.unexpectedMessage]: 'unexpected message',
  [Alert.badRecordMac]: 'bad record MAC',
  [Alert.recordOverflow]: 'record overflow',
  [Alert.handshakeFailure]: 'handshake failure',
  [Alert.decodeError]: 'decode error',
  [Alert.protocolVersion]: 'protocol version',
  [Alert.noApplicationProtocol]: 'no application protocol in common (ALPN)',
};

function describe(alert: number): string {
  return `${descriptions[alert] ?? 'an alert'} (TLS alert ${alert})`;
}

/** Why a session is broken: the peer has sent an alert. */
export function alertReceived(alert: number): ConnectionError {
  const message = `the peer has ended the TLS session: ${describe(alert)}`;
  if (alert === Alert.noApplicationProtocol) return new ConnectionError('ERR_TLS_ALPN', message);
  return new ConnectionError('ERR_TLS_ALERT', message);
}

/** Why a session is broken: what the peer has sent was answered with an alert. */
export function alertSent(alert: number): ConnectionError {
  const message = `what the peer has sent ends the TLS session: ${describe(alert)}`;
  if (alert === Alert.noApplicationProtocol) return new ConnectionError('ERR_TLS_ALPN', message);
  return new ConnectionError('ERR_TLS_PROTOCOL', message);
}
