// Limits on one request; see `ServeOptions` for the options.

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
  /** How long a body that is being read may pause, in milliseconds; a longer pause is refused with 408. */
  readonly bodyTimeout: number;
  /** The least rate of a body that is being read once `bodyTimeout` has passed, in bytes of content per second; a lower one is refused with 408. */
  readonly bodyRate: number;
  /** Each client's share of a turn; see `TurnShares`. The unit is a piece of a body, such as a chunk. */
  readonly turnWork: number;
}

/** Limits on the chunks of a request body in HTTP/1.1. */
export interface ChunkLimits {
  /** The most bytes of all chunk extensions of a body together; more is refused with 431. */
  readonly extensionSize: number;
  /** The most bytes of all trailer lines of a body, their ends included; more is refused with 431. */
  readonly trailerSize: number;
}
