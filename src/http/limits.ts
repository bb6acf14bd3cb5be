// Limits on what one request may be; see `ServeOptions` for the options that set them.

/** Limits on a head. */
export interface HeadLimits {
  /** The most bytes of a whole head, the empty line included; more is refused with 431. */
  headSize: number;
  /** The most bytes of a request target; more is refused with 414. */
  targetSize: number;
  /** The most fields; more is refused with 431. */
  fieldCount: number;
}

/** Limits on a request body. */
export interface BodyLimits {
  /** The most bytes of content; more is refused with 413. */
  readonly bodySize: number;
  /** How long nothing may come of a body that is being read, in milliseconds; later is refused with 408. */
  readonly bodyTimeout: number;
  /** How many bytes of content a second must come of a body that is being read, once `bodyTimeout` has passed; fewer are refused with 408. */
  readonly bodyRate: number;
  /** How much of a turn one client may have before the others have theirs: see `TurnShares`. Pieces of a body, such as chunks, are its unit. */
  readonly turnWork: number;
}

/** Limits on the chunks of a request body in HTTP/1.1. */
export interface ChunkLimits {
  /** The most bytes of all chunk extensions of a body together; more is refused with 431. */
  readonly extensionSize: number;
  /** The most bytes of all trailer lines of a body, their ends included; more is refused with 431. */
  readonly trailerSize: number;
}
