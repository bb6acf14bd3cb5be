// Why the option `tls` cannot be used. Messages name the option and the file. They never contain a key, a passphrase, or text that may be part of one.

/**
 * What the option `tls` names cannot be used: a file that is missing, a key that does not fit its certificate, a certificate whose time is over. Thrown by
 * `serve`, `listen` and `connect` before anything is opened, and by `server.reload`, which then changes nothing.
 */
export class TlsConfigError extends Error {
  override readonly name = 'TlsConfigError';
  /** One of the codes in `docs/errors.md`, such as `ERR_TLS_FILE`. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
