// Node's callback scope, for callbacks of libuv's that come here through koffi.
//
// Node calls JavaScript from C++ inside of a scope (`InternalCallbackScope`) that counts how deep such calls are nested, and when the
// outermost one is over it runs ticks and promises. A callback through koffi is outside of any. Native code that calls back before
// it returns, such as a Blob that is read, then takes itself for the outermost call: it runs promises in the middle of a handler; and if
// an async context is entered, as with async hooks it always is, the process is aborted.
//
// No function opens a scope, but some native code does so to call back at once. An HTTP parser is the least of that: it is given
// one byte of a body that has no end, and calls `kOnBody` with it. This stays in the phase of libuv in which it is called, so
// for handlers it is as with node:http: `setImmediate` comes before `setTimeout`. (An immediate has a scope as well, and was tried:
// the timers that are due come between it and the next immediates, so which of the two comes first depends on the time.)

import { createRequire } from 'node:module';
import { unavailable } from './libc.js';

/** The part of Node's own parser that this file uses. It is in no types. */
interface Parser {
  initialize(type: number, resource: object): void;
  execute(bytes: Uint8Array): unknown;
  [callback: number]: () => void;
}
interface ParserClass {
  new (): Parser;
  readonly REQUEST: number;
  readonly kOnBody: number;
}

const head = Buffer.from('POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n');
/** A chunk of one byte. */
const chunk = Buffer.from('1\r\n0\r\n');

export class CallbackScope {
  readonly #Parser: ParserClass;
  readonly #run: () => void;
  #parser: Parser | undefined;

  /**
   * @param run what is to be called in the scope
   * @throws {ConnectionError} `ERR_EVENT_LAYER` if this Node has no such parser
   */
  constructor(run: () => void) {
    this.#Parser = parserClass();
    this.#run = run;
  }

  /** Calls `run`. What that throws is an uncaught exception, as if Node had called it. */
  enter(): void {
    const parser = this.#parser ?? this.#makeParser();
    this.#parser = undefined; // an error that a tick throws as the scope is closed breaks the parser
    parser.execute(chunk);
    this.#parser = parser;
  }

  #makeParser(): Parser {
    const { REQUEST, kOnBody } = this.#Parser;
    const parser = new this.#Parser();
    parser.initialize(REQUEST, {});
    parser[kOnBody] = () => {
      try {
        this.#run();
      } catch (error) {
        throwUncaught(error);
      }
    };
    parser.execute(head);
    return parser;
  }
}

/** Runs what process.nextTick and promises have queued, as Node does between two immediates. */
export const runTicks = (process as { _tickCallback?: () => void })._tickCallback;

/**
 * Has Node handle an uncaught exception before the scope is left. It also puts its stack of async ids in order, in which a
 * tick that has thrown is still running; Node would abort the process if it found that. Ticks that are queued run first.
 */
function throwUncaught(first: unknown): void {
  for (let error = first, isOver = false; !isOver; ) {
    const thrown = error;
    queueMicrotask(() => {
      throw thrown;
    });
    try {
      runTicks?.();
      isOver = true;
    } catch (next) {
      error = next;
    }
  }
}

function parserClass(): ParserClass {
  let found: unknown;
  try {
    found = createRequire(import.meta.url)('node:_http_common').HTTPParser;
  } catch (error) {
    throw unavailable('this Node has no HTTPParser', error);
  }
  if (typeof found !== 'function' || !('kOnBody' in found)) throw unavailable('this Node has no HTTPParser');
  return found as unknown as ParserClass;
}
