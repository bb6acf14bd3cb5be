// Bun's names for how messages are compressed, and what they mean here. The sizes are those of uWebSockets, which Bun has them from.

import { show } from '../util/inspect.js';

/** `shared`: no context is taken over, and all sockets share one. `dedicated`, or a size: each socket has a context of its own, and messages refer to the ones before. */
export type Compressor =
  | boolean
  | 'disable'
  | 'shared'
  | 'dedicated'
  | '3KB'
  | '4KB'
  | '8KB'
  | '16KB'
  | '32KB'
  | '64KB'
  | '128KB'
  | '256KB';

/** The window and the memory level of a compressor of that size, and the window of a decompressor. */
const sizes: ReadonlyMap<unknown, readonly [windowBits: number, memoryLevel: number, inflateBits: number]> = new Map([
  ['3KB', [9, 1, 11]],
  ['4KB', [9, 2, 12]],
  ['8KB', [10, 3, 13]],
  ['16KB', [11, 4, 14]],
  ['32KB', [12, 5, 15]],
  ['64KB', [13, 6, 15]],
  ['128KB', [14, 7, 15]],
  ['256KB', [15, 8, 15]],
]);
const words: readonly unknown[] = ['disable', 'shared', 'dedicated', ...sizes.keys()];

export const compressorRule = {
  accepts: (value: unknown): boolean => typeof value === 'boolean' || words.includes(value),
  expected: `true, false or one of ${words.map((word) => `"${word}"`).join(', ')}`,
};

/** The options that have such names. */
export interface CompressorOptions {
  /** Bun's name for how the server's messages are compressed: `shared` (true), `dedicated`, a size, or `disable` (false). Other options that are given count more. */
  compress?: Compressor | undefined;
  /** The same for the client's messages. */
  decompress?: Compressor | undefined;
}

/** What they say of other options: see `DeflateOptions`. */
interface Meaning {
  serverContextTakeover?: boolean;
  clientContextTakeover?: boolean;
  serverMaxWindowBits?: number;
  clientMaxWindowBits?: number;
  memoryLevel?: number;
  threshold?: number;
}

const isOff = (compressor: Compressor | undefined): boolean => compressor === false || compressor === 'disable';

/** Whether messages are compressed in neither direction. */
export function isDisabled({ compress, decompress }: CompressorOptions): boolean {
  return isOff(compress) && isOff(decompress);
}

/** @throws {TypeError} if only `decompress` is off: a client may compress its messages where anything is compressed (RFC 7692 §6) */
export function meaningOf(where: string, { compress, decompress }: CompressorOptions): Meaning {
  if (isOff(decompress))
    throw new TypeError(
      `${where}: decompress is ${show(decompress)}; expected another value unless compress is off, too: a client may compress what it sends (RFC 7692 §6)`,
    );
  const meaning: Meaning = {};
  const compressor = sizes.get(compress);
  const decompressor = sizes.get(decompress);
  if (isOff(compress)) meaning.threshold = Infinity;
  if (compress === 'dedicated' || compressor !== undefined) meaning.serverContextTakeover = true;
  if (decompress === 'dedicated' || decompressor !== undefined) meaning.clientContextTakeover = true;
  if (compressor !== undefined) [meaning.serverMaxWindowBits, meaning.memoryLevel] = compressor;
  if (decompressor !== undefined) meaning.clientMaxWindowBits = decompressor[2];
  return meaning;
}
