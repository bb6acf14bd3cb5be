// What the bench and the process of `heads` say to one another.

/** Has so many heads of so many bytes come in, byte by byte. */
export interface Order {
  bytes: number;
  heads: number;
}

/** When they have: nanoseconds for each byte. */
export interface Took {
  time: number;
}
