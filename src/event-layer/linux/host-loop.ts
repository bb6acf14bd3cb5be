// Node's event loop, libuv, and the layers that live in it. Waiting happens in one place only, in the kernel call in which a
// layer waits for its own events, since a second one would cost every request another system call: just before libuv would
// wait, its `prepare` callback lets the layer wait instead, for as long as libuv has nothing to do, with libuv's own descriptor
// among those that end the wait. So a turn costs one wait; timers, promises, files and all other sockets of the process work as
// ever. (docs.libuv.org: uv_backend_fd, uv_backend_timeout, "embed it in other event loops".)
//
//   libuv: timers ─► prepare ──────────────────────────────────────────────► poll (does not wait) ─► immediates ─► …
//                      │   ┌──────────────────────────────────────┐   ▲
//                      └─► │ wait ─► turn ─► ticks and promises ─► │ ──┘  when libuv's descriptor is ready,
//                          └──────────────────▲───────────────────┘      or its next timer is due
//
// A turn calls handlers, so all of this happens in a callback scope of Node's: see callback-scope.ts.
//
// If more than one layer is at work none of them may wait for itself alone: then libuv does, with a poll handle for each.

import { performance } from 'node:perf_hooks';
import { Alarm } from './alarm.js';
import { CallbackScope, runTicks } from './callback-scope.js';
import { type Libuv, loadLibraries, unavailable } from './libc.js';
import { map, type Region, unmap } from './memory.js';

/** A layer, as the loop sees it. */
export interface LoopMember {
  /**
   * It is no longer alone, or alone again. While it is not, it must not look at libuv's descriptor, since libuv looks at its own
   * (and the kernel refuses circles of epoll descriptors: ELOOP).
   */
  setExclusive(isAlone: boolean): void;
  /** Whether what it waits for holds the process open. */
  readonly holdsProcess: boolean;
  /** A descriptor that is readable when there is something to collect, for the time when it is not alone. */
  readonly pollable: number;
  /** When it wants to run even if nothing happens, by the process's clock: -Infinity is at once, Infinity never. */
  wakeTime(): number;
  /**
   * Waits until something happens, or libuv's descriptor is ready, but no longer than that; then has its turn, if there is
   * reason for one. @param milliseconds 0 does not wait, -1 is without end @returns whether libuv's descriptor was ready
   */
  run(milliseconds: number): boolean;
  /** Others have their turn now, for as long as they like: nothing may be left lying. */
  settle(): void;
}

const UV_READABLE = 1;
// uv_handle_type (uv.h).
const UV_IDLE = 6;
const UV_POLL = 8;
const UV_PREPARE = 9;

let shared: HostLoop | undefined;

/** @throws {ConnectionError} `ERR_EVENT_LAYER` where it is unavailable */
export function hostLoop(): HostLoop {
  shared ??= new HostLoop(loadLibraries().libuv);
  return shared;
}

export class HostLoop {
  /** libuv's own epoll descriptor. */
  readonly descriptor: number;
  readonly #uv: Libuv;
  readonly #loop: number;
  /** Where handles are. libuv reads them until they are closed, which takes until the end of a round of the loop. */
  readonly #memory: Region;
  #used = 0;
  /** Places of poll handles that are being closed, how many of them are, and places that are free. */
  #closing: number[] = [];
  #closed = 0;
  #free: number[] = [];
  readonly #onClosed: number;
  readonly #prepare: number;
  readonly #onPrepare: number;
  /** While it is active libuv does not wait: it may have nothing to do after all, and then nothing would wait for the member. */
  readonly #idle: number;
  #isIdling = false;
  readonly #onNothing: number;
  readonly #alarm: Alarm;
  /** Its poll handle. */
  readonly #timerPoll: number;
  readonly #onTimer: number;
  /** When libuv's clock was set here, by the process's. */
  #updated = -Infinity;
  readonly #members: LoopMember[] = [];
  /** Poll handles of members, made when they are first needed. */
  readonly #polls = new Map<LoopMember, number>();
  #timer: NodeJS.Timeout | undefined;
  /** The handles hold the process open while they are active. */
  #isReferenced = true;

  constructor(uv: Libuv) {
    if (typeof runTicks !== 'function') throw unavailable('this Node has no process._tickCallback');
    this.#uv = uv;
    this.#loop = uv.uv_default_loop();
    this.descriptor = uv.uv_backend_fd(this.#loop);
    const { libc } = loadLibraries();
    this.#memory = map(libc, 64 * 1024);
    try {
      this.#alarm = new Alarm(libc); // before all that lasts as long as the process, since it may be denied
    } catch (error) {
      unmap(libc, this.#memory);
      throw error;
    }
    this.#prepare = this.#allocate(UV_PREPARE);
    uv.uv_prepare_init(this.#loop, this.#prepare);
    const scope = new CallbackScope(() => this.#serve());
    this.#onPrepare = uv.callback(() => {
      try {
        scope.enter();
      } catch (error) {
        // Here it would end the process without a word; from an immediate it is an uncaught exception like any other.
        setImmediate(() => {
          throw error;
        });
      }
    });
    this.#idle = this.#allocate(UV_IDLE);
    uv.uv_idle_init(this.#loop, this.#idle);
    this.#onClosed = uv.callback(() => this.#handleClosed());
    this.#timerPoll = this.#allocate(UV_POLL);
    const result = uv.uv_poll_init(this.#loop, this.#timerPoll, this.#alarm.descriptor);
    if (result !== 0) this.#alarm.close();
    checkPoll(result);
    this.#onTimer = uv.callback(() => this.#alarm.onExpired()); // its member finds in `prepare` that it is time
    this.#onNothing = uv.callback(() => {}); // what is to be done is done in `prepare`, which libuv comes by before it waits again
  }

  /** Adds a member. The caller calls `updateReferences` afterwards. */
  attach(member: LoopMember): void {
    this.#members.push(member);
    if (this.#members.length === 1) {
      this.#uv.uv_prepare_start(this.#prepare, this.#onPrepare);
      this.#uv.uv_poll_start(this.#timerPoll, UV_READABLE, this.#onTimer);
    } else {
      for (const each of this.#members) this.#watch(each);
    }
  }

  detach(member: LoopMember): void {
    const index = this.#members.indexOf(member);
    if (index === -1) return;
    this.#members.splice(index, 1);
    this.#unwatch(member);
    this.updateReferences();
    if (this.#members.length > 1) return;
    clearTimeout(this.#timer);
    if (this.#members.length === 1) this.#unwatch(this.#members[0]);
    if (this.#members.length > 0) return;
    this.#setIdling(false);
    this.#uv.uv_prepare_stop(this.#prepare);
    this.#uv.uv_poll_stop(this.#timerPoll);
  }

  /** A member was added, or its `holdsProcess` has changed: the handles hold the process open while that of any member is true. */
  updateReferences(): void {
    const isReferenced = this.#members.some((member) => member.holdsProcess);
    if (isReferenced === this.#isReferenced || this.#members.length === 0) return;
    this.#isReferenced = isReferenced;
    for (const handle of [this.#prepare, this.#idle, this.#timerPoll, ...this.#polls.values()])
      this.#setReference(handle);
    if (isReferenced) this.#timer?.ref();
    else this.#timer?.unref();
  }

  #setReference(handle: number): void {
    if (this.#isReferenced) this.#uv.uv_ref(handle);
    else this.#uv.uv_unref(handle);
  }

  /** A member is about to close its descriptor. */
  dispose(member: LoopMember): void {
    this.detach(member);
    const poll = this.#polls.get(member);
    this.#polls.delete(member);
    if (poll === undefined) return;
    this.#closing.push(poll);
    this.#uv.uv_close(poll, this.#onClosed);
  }

  /** One of the handles has been closed. The call does not say which, so their places are free when all have been. */
  #handleClosed(): void {
    if (++this.#closed < this.#closing.length) return;
    this.#free.push(...this.#closing);
    this.#closing = [];
    this.#closed = 0;
  }

  #serve(): void {
    this.#setIdling(false);
    try {
      if (this.#members.length === 1) this.#serveAlone(this.#members[0]);
      // Also those that have come meanwhile, in a turn of the one: libuv waits next.
      if (this.#members.length > 1) this.#serveAll();
    } finally {
      // libuv does not wait now: it may have nothing to do after all, and then nothing would wait for the member.
      if (this.#members.length === 1) this.#setIdling(true);
    }
  }

  #serveAlone(member: LoopMember): void {
    let immediateTurns = 0;
    for (let isOver = false; !isOver && this.#members.length === 1 && this.#members[0] === member; ) {
      const free = this.#uv.uv_backend_timeout(this.#loop); // -1 is without end
      const wake = member.wakeTime();
      const due = free < 0 ? Infinity : this.#updated + free; // or later, if other code has updated libuv's clock
      // The usual case does without looking at a clock: the alarm is set for what comes first, or sooner.
      const isSet = free !== 0 && Math.min(wake, due) >= this.#alarm.time;
      const timeout = isSet ? -1 : this.#timeout(free, wake);
      const isReady = member.run(timeout);
      runTicks?.();
      // A member that wants another turn at once does not wait, and so may not learn that libuv has something to do.
      isOver = isReady || free === 0 || (timeout === 0 && ++immediateTurns === maxImmediateTurns);
    }
    member.settle();
  }

  /**
   * How long the member may wait, as `run` takes it; sets the alarm.
   * @param free milliseconds until libuv's next timer, by its own clock, which does not move until it is updated
   * @param wake when the member wants to run
   */
  #timeout(free: number, wake: number): number {
    if (free === 0) return 0;
    const now = performance.now();
    let time = wake;
    if (free > 0) {
      this.#uv.uv_update_time(this.#loop);
      this.#updated = now;
      time = Math.min(wake, now + this.#uv.uv_backend_timeout(this.#loop));
    }
    const timeout = Math.min(Math.max(Math.ceil(time - now), 0), maxTimeout);
    if (timeout < longWait) return timeout;
    if (time < this.#alarm.time) this.#alarm.set(timeout, time);
    return -1;
  }

  #setIdling(isIdling: boolean): void {
    if (isIdling === this.#isIdling) return;
    this.#isIdling = isIdling;
    if (isIdling) this.#uv.uv_idle_start(this.#idle, this.#onNothing);
    else this.#uv.uv_idle_stop(this.#idle);
  }

  #serveAll(): void {
    for (const member of [...this.#members]) {
      member.run(0);
      runTicks?.();
      member.settle();
    }
    for (const member of this.#members) member.settle(); // a turn of one may have asked another for something
    clearTimeout(this.#timer);
    const now = performance.now();
    const timeout = Math.min(...this.#members.map((member) => member.wakeTime() - now), maxTimeout);
    // An immediate and a timer without work: they only keep libuv from waiting longer than that.
    if (timeout <= 0) setImmediate(() => {});
    else if (timeout < maxTimeout) {
      this.#timer = setTimeout(() => {}, Math.ceil(timeout));
      if (!this.#isReferenced) this.#timer.unref();
    }
  }

  #watch(member: LoopMember): void {
    member.setExclusive(false);
    let poll = this.#polls.get(member);
    if (poll === undefined) {
      poll = this.#free.pop() ?? this.#allocate(UV_POLL);
      checkPoll(this.#uv.uv_poll_init(this.#loop, poll, member.pollable));
      this.#setReference(poll);
      this.#polls.set(member, poll);
    }
    this.#uv.uv_poll_start(poll, UV_READABLE, this.#onNothing);
  }

  #unwatch(member: LoopMember): void {
    const poll = this.#polls.get(member);
    if (poll === undefined) return;
    this.#uv.uv_poll_stop(poll);
    member.setExclusive(true);
  }

  /** Memory for a handle of libuv. */
  #allocate(type: number): number {
    const size = Math.ceil(this.#uv.uv_handle_size(type) / 64) * 64;
    if (this.#used + size > this.#memory.bytes.length) throw unavailable('too many event layers in one process');
    const address = this.#memory.address + this.#used;
    this.#used += size;
    return address;
  }
}

/** @throws {ConnectionError} unless it is 0 */
function checkPoll(result: number): void {
  if (result !== 0) throw unavailable(`uv_poll_init has failed with ${result}`);
}

/** The most turns that a member has in a row before libuv looks for its own work. */
const maxImmediateTurns = 16;
/** From so many milliseconds on it is the alarm that ends a wait, and not the wait's own time. */
const longWait = 20;
/** Times are no longer than this many milliseconds: 31 bits. */
const maxTimeout = 2 ** 31 - 1;
