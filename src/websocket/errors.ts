// Why a WebSocket is failed: the close code that the peer gets, and the rule that it broke.

/** A peer broke a rule of RFC 6455 or RFC 7692, or exceeded a limit. It gets a Close frame with `closeCode`, and the connection is closed. */
export class WebSocketError extends Error {
  override readonly name = 'WebSocketError';
  /** Always `ERR_WEBSOCKET`. */
  readonly code = 'ERR_WEBSOCKET';
  /** The status code of the Close frame that the peer gets: 1002, 1003, 1007, 1008, 1009, 1010 or 1011 (RFC 6455 §7.4.1), or 1013 (IANA's registry). */
  readonly closeCode: number;

  /** @param message what was found, with the section of the RFC */
  constructor(closeCode: number, message: string) {
    super(message);
    this.closeCode = closeCode;
  }
}
