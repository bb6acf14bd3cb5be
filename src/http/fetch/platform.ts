// The platform's fetch classes as they were when this module was loaded, and the function that lets a light class be used in place of the platform's. Only
// this folder uses them.

export const PlatformHeaders: typeof globalThis.Headers = globalThis.Headers;
export const PlatformRequest: typeof globalThis.Request = globalThis.Request;
export const PlatformResponse: typeof globalThis.Response = globalThis.Response;
export type PlatformHeaders = InstanceType<typeof PlatformHeaders>;
export type PlatformRequest = InstanceType<typeof PlatformRequest>;
export type PlatformResponse = InstanceType<typeof PlatformResponse>;

/** What Node, Bun and Deno call to print an object; the third argument saves us the import of `node:util`. */
export const inspect = Symbol.for('nodejs.util.inspect.custom');
export type Inspect = (value: unknown, options: object) => string;

interface AnyClass {
  readonly prototype: object;
}

/**
 * Makes `light` a subclass of `platform` without running its constructor: instances of `light` are instances of `platform`. Every inherited member is
 * overridden, because the platform's members read private fields and throw for a light object.
 *
 * Members that the light class does not have (Bun's `Headers.count`, or members of a future Node) are read from the platform's object that `twin`
 * returns for a light one. With `consume`, the body moves to that object.
 */
export function masqueradeAs(
  light: AnyClass,
  platform: AnyClass,
  twin: (self: object, consume: boolean) => object,
): void {
  const own = light.prototype;
  // WebIDL makes operations and attributes enumerable, classes do not; copying loops (`for … in`) rely on it.
  for (const key of Object.getOwnPropertyNames(own)) {
    if (key !== 'constructor') Object.defineProperty(own, key, { enumerable: true });
  }
  for (const key of Reflect.ownKeys(platform.prototype)) {
    if (Object.hasOwn(own, key)) continue;
    const descriptor = Object.getOwnPropertyDescriptor(platform.prototype, key) ?? {};
    const { get, value, enumerable = false } = descriptor;
    const shape = { configurable: true, enumerable };
    if (get === undefined && typeof value !== 'function') {
      Object.defineProperty(own, key, descriptor); // such as Symbol.toStringTag
    } else if (typeof key === 'symbol') {
      // An internal slot of a runtime: undefined here, as in any object that is not the platform's.
      Object.defineProperty(own, key, { ...shape, value: undefined });
    } else if (get !== undefined) {
      Object.defineProperty(own, key, {
        ...shape,
        get(this: object) {
          return Reflect.get(twin(this, false), key);
        },
      });
    } else {
      Object.defineProperty(own, key, {
        ...shape,
        writable: true,
        value(this: object, ...args: unknown[]) {
          return Reflect.apply(value, twin(this, true), args);
        },
      });
    }
  }
  Object.setPrototypeOf(own, platform.prototype);
  Object.setPrototypeOf(light, platform);
  // `instanceof` the light class is true for the platform's objects, too, because user code may compare with either class. For a subclass it is true only
  // for its instances.
  Object.defineProperty(light, Symbol.hasInstance, {
    configurable: true,
    value(this: unknown, value: unknown): boolean {
      if (this === light) return Object.prototype.isPrototypeOf.call(platform.prototype, Object(value));
      return typeof this === 'function' && Function.prototype[Symbol.hasInstance].call(this, value);
    },
  });
}
