// Statements about the fetch standard, each with the outcome that the standard asks for. They are evaluated with the platform's classes and with ours, on every
// runtime.

/** The classes as user code in JavaScript knows them: with arguments of any kind. */
export interface Classes {
  Headers: { new (...args: unknown[]): Headers; prototype: Headers };
  Request: { new (...args: unknown[]): Request; prototype: Request };
  Response: {
    new (...args: unknown[]): Response;
    prototype: Response;
    error(): Response;
    json(...args: unknown[]): Response;
    redirect(...args: unknown[]): Response;
  };
}

export type Probe = (classes: Classes) => unknown;

export interface Statement {
  readonly name: string;
  readonly probe: Probe;
  /** An outcome, as `outcomeOf` writes it. */
  readonly expected: string;
}

/** In place of a value: an error with this name. */
export class Throws {
  readonly error: string;
  constructor(error: string) {
    this.error = error;
  }
}

export const typeError = new Throws('TypeError');
export const rangeError = new Throws('RangeError');

export type Row = readonly [name: string, expected: unknown, probe: Probe];

/** @param subject comes in front of each name */
export function statements(subject: string, rows: readonly Row[]): Statement[] {
  return rows.map(([name, expected, probe]) => ({
    name: `${subject}: ${name}`,
    probe,
    expected: expected instanceof Throws ? `throws ${expected.error}` : written(expected),
  }));
}

/** The outcome of a statement, as text: a value in JSON, or the name of an error. */
export async function outcomeOf({ probe }: Statement, classes: Classes): Promise<string> {
  try {
    return written(await probe(classes));
  } catch (error) {
    return `throws ${error instanceof Error ? error.name : typeof error}`;
  }
}

function written(value: unknown): string {
  return JSON.stringify(value, (_, member) => {
    if (member === undefined) return '(undefined)';
    return member instanceof Uint8Array ? `bytes ${[...member]}` : member;
  });
}

/** The name of the error that a call throws, or that a promise rejects with; 'no error' if there is none. */
export async function errorOf(call: () => unknown): Promise<string> {
  try {
    await call();
    return 'no error';
  } catch (error) {
    return error instanceof Error ? error.name : typeof error;
  }
}

export const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

export function streamOf(...chunks: unknown[]): ReadableStream {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

/** Of a property of a prototype: whether WebIDL's attributes of it hold. */
export function propertyOf(prototype: object, key: PropertyKey): unknown {
  const { value, get, set, ...rest } = Object.getOwnPropertyDescriptor(prototype, key) ?? {};
  const { enumerable, configurable, writable } = rest;
  if (typeof value === 'function')
    return { enumerable, configurable, writable, length: value.length, name: value.name };
  if (get !== undefined) return { enumerable, configurable, getter: get.name, setter: typeof set, length: get.length };
  return { enumerable, configurable, writable, value };
}

export const operation = (name: string, length: number): unknown => ({
  ...{ enumerable: true, configurable: true, writable: true },
  ...{ length, name },
});

export const attribute = (name: string): unknown => ({
  ...{ enumerable: true, configurable: true },
  ...{ getter: `get ${name}`, setter: 'undefined', length: 0 },
});

/** For each attribute of a class: its property, reading it of something else, and setting it. */
export function attributeRows(
  names: readonly string[],
  of: 'Request' | 'Response',
  make: (classes: Classes) => object,
): Row[] {
  return names.flatMap((name): Row[] => [
    [name, attribute(name), (classes) => propertyOf(classes[of].prototype, name)],
    [`${name} of something else`, typeError, (classes) => Reflect.get(classes[of].prototype, name, {})],
    [
      `${name} is not set`,
      typeError,
      (classes) => {
        Object.assign(make(classes), { [name]: 1 });
      },
    ],
  ]);
}

export const tag = (value: string): unknown => ({ enumerable: false, configurable: true, writable: false, value });
