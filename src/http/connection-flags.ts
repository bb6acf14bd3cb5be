// Flags of an HTTP connection. They share a number with those of any connection: see `ConnectionFlag`.

export const HttpConnectionFlag = {
  // How far the response at hand has gone: what fails before its head gets an answer, what fails before its end a reset.
  /** Its head has gone out, in part at least. */
  headSent: 1 << 2,
  /** All of it has. */
  wholeSent: 1 << 3,
  /** Its body ends with the connection: nothing else shows whether it is complete. */
  untilClose: 1 << 4,

  /** After the response at hand the next request is waited for. */
  keepAlive: 1 << 5,
  /** All requests have been answered, and the connection stays open. */
  keepOpen: 1 << 6,
  /** The client's leaving by FIN unwinds the thread: a thread handler is at work, or a streamed body is being sent. */
  unwindOnLeave: 1 << 7,
  /** What runs has taken the place of the serving loop. */
  runningContinuation: 1 << 8,
  /** The thread is being unwound: nothing follows what runs. */
  returning: 1 << 9,
} as const;
