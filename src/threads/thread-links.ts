// A thread's links to others: children, joiners, and what is called when it is over. Most threads have none, so they are in an object that is
// made when it is first needed. It is released when the thread ends, so that keeping a finished thread does not keep these objects alive.

import type { Thread } from './thread.js';

/** Told when a thread is over: by what `join`, `all`, `race` and `run` wait. */
export interface Joiner {
  threadOver(thread: Thread<unknown>): void;
}

export class ThreadLinks {
  children: Set<Thread<unknown>> | undefined;
  /** The timer that bounds the unwinding of the thread, which other threads may be waiting for; 0 is none. */
  limit = 0;
  /** Most have one or none: only more are worth a set. */
  #joiners: Joiner | Set<Joiner> | undefined;
  #whenOver: (() => void)[] | undefined;

  adopt(child: Thread<unknown>): void {
    this.children ??= new Set();
    this.children.add(child);
  }

  get hasChildren(): boolean {
    return this.children !== undefined && this.children.size > 0;
  }

  addJoiner(joiner: Joiner): void {
    if (this.#joiners === undefined) this.#joiners = joiner;
    else if (this.#joiners instanceof Set) this.#joiners.add(joiner);
    else this.#joiners = new Set([this.#joiners, joiner]);
  }

  removeJoiner(joiner: Joiner): void {
    if (this.#joiners === joiner) this.#joiners = undefined;
    else if (this.#joiners instanceof Set) this.#joiners.delete(joiner);
  }

  get joined(): boolean {
    return this.#joiners instanceof Set ? this.#joiners.size > 0 : this.#joiners !== undefined;
  }

  whenOver(action: () => void): void {
    this.#whenOver ??= [];
    this.#whenOver.push(action);
  }

  /** Tells everybody that the thread is over. It has let go of its ties by then, so what they do does not change whom is told. */
  notifyOver(thread: Thread<unknown>): void {
    if (this.#whenOver !== undefined) for (const action of this.#whenOver) action();
    if (this.#joiners instanceof Set) for (const joiner of this.#joiners) joiner.threadOver(thread);
    else this.#joiners?.threadOver(thread);
  }
}
