// The platform's own fetch classes as they were when this module was first loaded, and the one helper that makes a light
// class pass for the platform's. Called by the other files of this folder; nothing else needs the heavy classes by name.

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
 * Puts `light` under `platform`: instances of the first are instances of the second, and no getter or method of the
 * second is ever reached with an instance of the first, since those look for private fields and throw.
 *
 * A member that only this version of the platform has (Bun's `Headers.count`, what the next Node will bring) is answered
 * by `twin`, the platform's object for a light one; `consume` says that the body goes over to the twin.
 */
export function masqueradeAs(
  light: AnyClass,
  platform: AnyClass,
  twin: (self: object, consume: boolean) => object,
): void {
  const own = light.prototype;
  // WebIDL makes operations and attributes enumerable, classes do not; copying loops (`for … in`) rely on it.
  for (const [key, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(own))) {
    if (key !== 'constructor') Object.defineProperty(own, key, { ...descriptor, enumerable: true });
  }
  for (const key of Reflect.ownKeys(platform.prototype)) {
    if (Object.hasOwn(own, key)) continue;
    const { get, value, enumerable = false } = Object.getOwnPropertyDescriptor(platform.prototype, key) ?? {};
    const shape = { configurable: true, enumerable };
    if (get === undefined && typeof value !== 'function') continue;
    if (typeof key === 'symbol') {
      // A runtime's internal slot: absent here, as in any object that is not the platform's.
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
  // The light class takes in the platform's objects too, since user code compares with whichever of the two stands under
  // the global name; a subclass, which inherits this, asks for its own instances alone.
  Object.defineProperty(light, Symbol.hasInstance, {
    configurable: true,
    value(this: unknown, value: unknown): boolean {
      if (this === light) return Object.prototype.isPrototypeOf.call(platform.prototype, Object(value));
      return typeof this === 'function' && Function.prototype[Symbol.hasInstance].call(this, value);
    },
  });
}
