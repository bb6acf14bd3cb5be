// The record layer of all connections of an engine: it has a cipher for each suite, and gives rows of keys to sessions.

import type { AeadCipher } from './aead-cipher.js';
import type { CipherSuite } from './cipher-suites.js';
import { DetachedSession, type Established } from './detached-session.js';
import { nodeHmac, type WriteHmac } from './key-schedule.js';
import { connectionsPerBlock, RecordKeys } from './record-keys.js';

/** What belongs to one suite. */
interface Suite {
  readonly cipher: AeadCipher;
  /** The blocks that are not full. */
  readonly open: RecordKeys[];
}

export class RecordLayer {
  readonly #suites = new Map<CipherSuite, Suite>();
  readonly #writeHmac: WriteHmac;
  readonly #createCipher: (suite: CipherSuite) => AeadCipher;
  readonly #now: () => number;
  /** How many blocks of keys there are. */
  blocks = 0;

  /** @param createCipher is called once for each suite that is used @param writeHmac for deriving keys @param now a clock, in milliseconds */
  constructor(
    createCipher: (suite: CipherSuite) => AeadCipher,
    writeHmac: WriteHmac = nodeHmac,
    now: () => number = () => performance.now(),
  ) {
    this.#now = now;
    this.#createCipher = createCipher;
    this.#writeHmac = writeHmac;
  }

  /** Creates the session of a connection whose handshake is complete. */
  open(established: Established): DetachedSession {
    const { cipher, open } = this.#suite(established.suite);
    let block = open.at(-1);
    if (block === undefined) {
      block = new RecordKeys(established.suite, cipher, this.#released, this.#writeHmac, this.#now);
      this.blocks++;
      open.push(block);
    }
    const row = block.take();
    if (block.isFull) open.pop();
    return new DetachedSession(established, block, row);
  }

  #suite(suite: CipherSuite): Suite {
    let known = this.#suites.get(suite);
    if (known === undefined) {
      known = { cipher: this.#createCipher(suite), open: [] };
      this.#suites.set(suite, known);
    }
    return known;
  }

  /** A block has room again. An empty one is dropped, unless it is the only one of its suite with room. */
  readonly #released = (block: RecordKeys): void => {
    const { open } = this.#suite(block.suite);
    if (block.used === connectionsPerBlock - 1) open.push(block);
    if (block.used > 0 || open.length === 1) return;
    open.splice(open.indexOf(block), 1);
    this.blocks--;
  };
}
