// A thread's links to others: children, joiners, and callbacks for its end. Most threads have none, so the links are an object that is created
// when it is first needed. It is released when the thread ends, so that keeping a finished thread does not keep these objects alive.
//
// `T` is the type of threads. It is a parameter because thread.ts imports this file.

/** Called when a thread is over. `join`, `all`, `race` and `run` wait in this way. */
export interface Joiner<in T> {
  /** @internal */
  threadOver(thread: T): void;
}

export class ThreadLinks<T> {
  children: Set<T> | undefined;
  /** The timer that bounds the unwinding of the thread, which other threads may be waiting for; 0 is none. */
  limit = 0;
  /** Most have one or none: only more are worth a set. */
  #joiners: Joiner<T> | Set<Joiner<T>> | undefined;
  /** The same: an array of one would take 150 bytes more. */
  #whenOver: (() => void) | (() => void)[] | undefined;

  adopt(child: T): void {
    this.children ??= new Set();
    this.children.add(child);
  }

  get hasChildren(): boolean {
    return this.children !== undefined && this.children.size > 0;
  }

  addJoiner(joiner: Joiner<T>): void {
    if (this.#joiners === undefined) this.#joiners = joiner;
    else if (this.#joiners instanceof Set) this.#joiners.add(joiner);
    else this.#joiners = new Set([this.#joiners, joiner]);
  }

  removeJoiner(joiner: Joiner<T>): void {
    if (this.#joiners === joiner) this.#joiners = undefined;
    else if (this.#joiners instanceof Set) this.#joiners.delete(joiner);
  }

  get joined(): boolean {
    return this.#joiners instanceof Set ? this.#joiners.size > 0 : this.#joiners !== undefined;
  }

  whenOver(action: () => void): void {
    if (this.#whenOver === undefined) this.#whenOver = action;
    else if (Array.isArray(this.#whenOver)) this.#whenOver.push(action);
    else this.#whenOver = [this.#whenOver, action];
  }

  /** Calls the callbacks and joiners of a thread that is over. The thread has released its links by then, so they cannot change this list. */
  notifyOver(thread: T): void {
    if (Array.isArray(this.#whenOver)) for (const action of this.#whenOver) action();
    else this.#whenOver?.();
    if (this.#joiners instanceof Set) for (const joiner of this.#joiners) joiner.threadOver(thread);
    else this.#joiners?.threadOver(thread);
  }
}
