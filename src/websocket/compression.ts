// The compression of one socket: what has been negotiated, and the contexts for it. Where neither side takes its context over, all sockets with the same
// parameters share one.

import { Buffer } from 'node:buffer';
import { outputMemory } from '../util/output-memory.js';
import { Deflater, Inflater } from './deflate.js';
import type { DeflateParameters, DeflateSettings } from './extensions.js';

/** Texts of up to so many UTF-16 units are encoded here to be compressed. */
const shortText = 16 * 1024;
const encoded = outputMemory(Buffer.allocUnsafeSlow(3 * shortText));

export class Compression {
  readonly inflater: Inflater;
  readonly deflater: Deflater;
  /** Messages of fewer bytes are sent as they are. */
  readonly threshold: number;

  constructor(inflater: Inflater, deflater: Deflater, threshold: number) {
    this.inflater = inflater;
    this.deflater = deflater;
    this.threshold = threshold;
  }

  /** Whether the same compressed bytes can be sent to all sockets that have this one. */
  get isShared(): boolean {
    return !this.deflater.keepsContext;
  }

  /**
   * Compresses a message, if it is worth it: `deflater.bytes[0 … deflater.length-1]` is then the payload of its frame, which has RSV1.
   * @param threshold the least bytes of a message that is compressed
   * @returns false if it is to be sent as it is
   */
  compress(message: string | Uint8Array, threshold = this.threshold): boolean {
    // A text has at least as many bytes as units, and at most three times as many.
    if (typeof message === 'string' ? 3 * message.length < threshold : message.length < threshold) return false;
    const bytes = typeof message === 'string' && message.length > shortText ? Buffer.from(message) : message;
    const length = typeof bytes === 'string' ? encoded.utf8Write(bytes, 0, encoded.length) : bytes.length;
    if (length < threshold) return false;
    const { deflater } = this;
    deflater.deflate(typeof bytes === 'string' ? encoded : bytes, 0, length);
    // Where the context is taken over, both sides count what has been compressed as sent.
    return deflater.keepsContext || deflater.length < length;
  }

  /** Gives back the memory that this socket has for itself. */
  close(): void {
    this.inflater.close();
    this.deflater.close();
  }
}

const sharedInflaters = new Map<number, Inflater>();
const sharedDeflaters = new Map<string, Deflater>();
const sharedCompressions = new Map<string, Compression>();

/** The compression of a socket, to be closed when it is. */
export function openCompression(
  role: 'server' | 'client',
  parameters: DeflateParameters,
  settings: DeflateSettings,
): Compression {
  const isServer = role === 'server';
  const sendsContext = isServer ? parameters.serverContextTakeover : parameters.clientContextTakeover;
  const receivesContext = isServer ? parameters.clientContextTakeover : parameters.serverContextTakeover;
  const sendBits = isServer ? parameters.serverMaxWindowBits : parameters.clientMaxWindowBits;
  const receiveBits = isServer ? parameters.clientMaxWindowBits : parameters.serverMaxWindowBits;
  const { threshold, level, memoryLevel } = settings;
  const open = (): Compression => new Compression(inflater(), deflater(), threshold);
  const inflater = (): Inflater =>
    receivesContext
      ? new Inflater(true, receiveBits)
      : cached(sharedInflaters, receiveBits, () => new Inflater(false, receiveBits));
  const deflater = (): Deflater =>
    sendsContext
      ? new Deflater(true, sendBits, settings)
      : cached(sharedDeflaters, [sendBits, level, memoryLevel].join(), () => new Deflater(false, sendBits, settings));
  if (sendsContext || receivesContext) return open();
  return cached(sharedCompressions, [receiveBits, sendBits, level, memoryLevel, threshold].join(), open);
}

function cached<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
