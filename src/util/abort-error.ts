// The errors that a signal is aborted with.

/** A DOMException as it is made here: its `code` is a string of ours instead of the legacy number. */
type AbortException = new (message: string, name: string) => Omit<DOMException, 'code'> & Error;
// The cast: a subclass may not give `code` another type, and a string is what all other errors of this project have there.
const AbortException = DOMException as unknown as AbortException;

/**
 * What passes for the reason of any aborted signal: a DOMException with the name AbortError, which is what code that gives up
 * quietly looks for. `code` says why.
 */
export abstract class AbortError extends AbortException {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, 'AbortError');
    this.code = code;
    if (options?.cause !== undefined)
      Object.defineProperty(this, 'cause', { value: options.cause, writable: true, configurable: true });
  }
}
