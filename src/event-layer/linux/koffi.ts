// koffi, the optional package through which C functions are called. Addresses in memory are numbers: user space ends at 2^47, which a number holds
// exactly.

import { createRequire } from 'node:module';

/** A library whose functions can be declared. */
export interface Library {
  /** @throws if the library has no such function */
  func(name: string, result: string, parameters: unknown[]): (...values: never[]) => unknown;
}

/** The parts of koffi that are used. Its own types are not named, so that users without the package can compile against ours. */
export interface Koffi {
  /** @param path null for what the process itself exports */
  load(path: string | null): Library;
  proto(definition: string): unknown;
  pointer(type: unknown): unknown;
  /** @returns the address of a C function that calls this one, which must not throw; it lasts as long as the process */
  register(callback: (...values: never[]) => unknown, type: unknown): bigint;
  view(address: bigint, bytes: number): ArrayBuffer;
  address(memory: ArrayBufferLike): bigint;
  errno(): number;
}

/** @throws {Error} if the package is missing, saying so */
export function loadKoffi(): Koffi {
  try {
    return createRequire(import.meta.url)('koffi') as Koffi;
  } catch (error) {
    const [reason] = (error instanceof Error ? error.message : String(error)).split('\n');
    throw new Error(`the optional package koffi cannot be loaded: ${reason}`, { cause: error });
  }
}

/** Declares functions by their signatures: result first, then parameters. @param name that of the C function, if it is another */
export function declareFunctions<T>(
  library: Library,
  table: Readonly<Record<string, readonly string[]>>,
  name?: string,
): T {
  const functions: Record<string, unknown> = {};
  for (const [key, [result, ...parameters]] of Object.entries(table)) {
    functions[key] = library.func(name ?? key, result, parameters);
  }
  return functions as T; // the tables have a line for each function of their interfaces
}
