// What the bench and a process of `switching` say to one another.

/** First, from the process: what a parked reader holds. */
export interface Parked {
  bytes: number;
}

/** Has every reader read so many heads. */
export interface Order {
  heads: number;
}

/** When they have: nanoseconds for each piece. */
export interface Took {
  time: number;
}
