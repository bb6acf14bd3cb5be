// The memory that output is written into, on every event layer.

/**
 * The methods of `Buffer` that the library uses. The type does not name `Buffer`, so that users of the library do not need Node's types. `write`
 * of a `Buffer` calls these two methods once it knows the encoding; calling them takes half the time. Node, Bun and Deno have them, but no
 * types declare them.
 */
export interface OutputMemory extends Uint8Array {
  /** Writes a string in which each character is one byte. @returns the bytes written */
  latin1Write(text: string, offset: number, most: number): number;
  /** Writes at most `most` bytes. @returns the bytes written */
  utf8Write(text: string, offset: number, most: number): number;
}

/** A `Buffer`, typed with the methods that no types declare. */
export function outputMemory(buffer: Uint8Array & { swap16(): unknown }): OutputMemory {
  return buffer as Uint8Array as OutputMemory;
}
