// One prototype for the generators of many generator functions. A task is most often written where it is used, inside a handler. Each evaluation of it
// is a function of its own. At its first call, the engine makes a prototype for its generators, and a description of that prototype. These 200
// bytes stay for as long as the thread is parked, although hardly any code looks at the prototype of a generator function. With a prototype that is
// there already, the engine makes neither.

/** What the prototypes of generators inherit from. */
const base: object = Object.getPrototypeOf(Object.getPrototypeOf((function* () {})()));
const generatorFunction: object = Object.getPrototypeOf(function* () {});
const shared: object = Object.create(base);

/**
 * Gives a generator function the shared prototype, unless its own has been changed. Of other functions nothing changes.
 * @returns the function
 */
export function withSharedPrototype<F extends (...values: never[]) => unknown>(task: F): F {
  const prototype: unknown = task.prototype;
  if (prototype !== shared && Object.getPrototypeOf(task) === generatorFunction && isUnchanged(prototype))
    Reflect.set(task, 'prototype', shared); // without effect if the function is frozen
  return task;
}

/** Whether a prototype is as the engine has made it. */
function isUnchanged(prototype: unknown): boolean {
  return (
    typeof prototype === 'object' &&
    prototype !== null &&
    Object.getPrototypeOf(prototype) === base &&
    Reflect.ownKeys(prototype).length === 0
  );
}
