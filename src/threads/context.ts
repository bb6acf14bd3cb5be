// Async contexts: what `AsyncLocalStorage`, and everything built on it or on async hooks, makes of "the same request". A runtime carries
// them along with promises and timers. It knows nothing of threads, so a thread carries its own, in an `AsyncResource`: each of its
// steps runs in it, and what a step enters (`enterWith`) is there in the next one, and in no other thread.
//
// There are two kinds of runtimes. With Node 20 and 22 what is entered becomes a property of the resource that is current. With later
// versions, Bun and Deno it replaces a value that is current (a "frame"), and a resource holds the value of when it was created. So
// there the context is captured again after each step.
//
// A resource takes some 100 bytes, and threads wait by the hundred thousand, most of them in processes that use none of this. So one
// resource is shared by all for which it makes no difference: with frames, those of the same frame; else everything, until
// something in the process enables an async hook, as the first `AsyncLocalStorage` does. That is found out from the constructor of
// `AsyncResource`, which accepts an empty type if, and only if, there is no hook.

import { AsyncLocalStorage, AsyncResource, createHook } from 'node:async_hooks';

/** A context, as it was when it was captured: an `AsyncResource`, whose type users of the package need not have. */
export interface AsyncContext {
  runInAsyncScope<Self, Arguments extends unknown[], T>(
    called: (this: Self, ...values: Arguments) => T,
    self: Self,
    ...values: Arguments
  ): T;
}

const create = (): AsyncContext => new AsyncResource('SluiceThread');

/** Shared for as long as there are no hooks. What is entered while it is current may stay in it, so nothing runs in it after that. */
const shared = create();
/** The same contents. Nothing ever runs in it but `create`. */
const clean = create();

/** What is entered in a context stays in it. */
const keepsWhatIsEntered = ((): boolean => {
  const storage = new AsyncLocalStorage<true>();
  const context = create();
  context.runInAsyncScope(() => storage.enterWith(true), undefined);
  const isKept = context.runInAsyncScope(() => storage.getStore(), undefined) === true;
  storage.disable();
  return isKept;
})();

/** Where a resource has its frame. */
const frameKey = Object.getOwnPropertySymbols(shared).find(({ description }) => description === 'context_frame');

/** Whether contexts are not shared: there are async hooks, or it is unknown whether there are. */
let isInUse = (!keepsWhatIsEntered && frameKey === undefined) || !showsHooks();

/** Whether the constructor shows that there are hooks. (It does not with `--no-force-async-hooks-checks`.) */
function showsHooks(): boolean {
  const hook = createHook({ init() {} }).enable();
  const isShown = unhooked() === undefined;
  hook.disable();
  return isShown;
}

/** @returns a resource of the current context; undefined if there are hooks */
function unhooked(): AsyncContext | undefined {
  try {
    return new AsyncResource('');
  } catch {
    return undefined;
  }
}

/** @returns the context of the caller. @param alike may be returned in its place if it has the same contents: that saves memory */
export function captureContext(alike: AsyncContext = shared): AsyncContext {
  if (isInUse) return create();
  const captured = unhooked();
  if (captured === undefined) {
    isInUse = true;
    return create();
  }
  return keepsWhatIsEntered || frameOf(captured) === frameOf(alike) ? alike : captured;
}

function frameOf(context: AsyncContext): unknown {
  return frameKey === undefined ? undefined : Reflect.get(context, frameKey);
}

/** To be called before something runs in a context. @returns what it is to run in */
export function enterableContext(context: AsyncContext): AsyncContext {
  if (!isInUse && keepsWhatIsEntered) isInUse = unhooked() === undefined;
  return isInUse && context === shared ? clean.runInAsyncScope(create, undefined) : context;
}

/** To be called in a context, behind what may have entered another. @returns the context as it is left */
export function leftContext(context: AsyncContext): AsyncContext {
  return isInUse && keepsWhatIsEntered && context !== shared ? context : captureContext(context);
}

/** The context in which a server was started. Each of its requests starts in it, as with node:http. */
export class ServerContext {
  readonly #context = captureContext();

  /** Calls a function in this context. What the function enters ends with the call, unless it is captured before that. */
  run<Self, Arguments extends unknown[], T>(
    called: (this: Self, ...values: Arguments) => T,
    self: Self,
    ...values: Arguments
  ): T {
    return this.fork().runInAsyncScope(called, self, ...values);
  }

  /** @returns a context with the same contents, for one request or connection to change */
  fork(): AsyncContext {
    const context = enterableContext(this.#context);
    return isInUse && context === this.#context ? context.runInAsyncScope(create, undefined) : context;
  }
}
