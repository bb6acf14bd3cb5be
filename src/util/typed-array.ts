// Tables are kept as columns, a typed array each, of which the index is the row.

type Column = Uint8Array | Uint16Array | Uint32Array | Int32Array | Float64Array;

/** Makes a column longer. @param larger a new one of the length that is wanted @returns it, with what the old one holds */
export function growTypedArray<T extends Column>(old: Column, larger: T): T {
  larger.set(old);
  return larger;
}
