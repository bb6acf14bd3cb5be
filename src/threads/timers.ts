// The timing wheel: every deadline of a scheduler, be it a sleeping thread or a connection's timeout. Arming and
// cancelling are O(1) and allocate nothing: a timer is a small integer, a row in the typed arrays below.
// Used by scheduler.ts (which advances it), sleep.ts, thread.ts and the connection layer.
//
// Six levels of 32 buckets, one tick a millisecond. Level l holds timers between 32^l and 32^(l+1) ticks away, in buckets
// of 32^l ticks; when time enters a bucket of level l > 0, its timers fall to lower levels. Ticks are kept modulo 2^32.
// (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987, scheme 6.)

import { IdTable } from '../util/id-table.js';

/** Called when a timer fires; `arg` is the integer given to `arm`. */
export interface TimerTarget {
  /** @internal */
  timerFired(arg: number): void;
}

const bits = 5;
const buckets = 1 << bits;
const levels = 6;
/** The farthest that the wheel reaches, in ticks (12 days). Later timers are put at its end, and move to their place from there. */
const horizon = 2 ** (bits * levels) - 1;
/** Rows 0 … heads-1 are the list heads of the buckets; one more head holds what is firing. */
const firing = levels * buckets;
const heads = firing + 1;

/** Timers that are this many milliseconds away or more have their deadline in `#far`; 32 bits hold twice as many ticks, half of them before now. */
const farAway = 2 ** 30;

export class TimerWheel {
  /** Timers armed now. */
  size = 0;
  /**
   * The target of most timers, whose arguments are not negative: of such a timer the row holds the argument and nothing else. Not to be
   * changed once it is set.
   */
  defaultTarget: TimerTarget | undefined;

  /** The tick that has been reached: everything due at it or before has fired. */
  #tick = 0;
  /** Time of the last advance, in milliseconds. */
  #now = 0;
  /** What `nextWake` has found, until a timer is linked in, a bucket is entered, or none is left: it is asked twice a turn. */
  #wake = Infinity;
  #isWakeKnown = true;
  /** One bit for each bucket of a level that may hold timers. */
  readonly #occupied = new Int32Array(levels);
  #next = new Int32Array(256);
  #previous = new Int32Array(256);
  /** The tick at which it is due. */
  #due = new Uint32Array(256);
  /** Deadlines that are too far away for `#due`, in milliseconds. */
  readonly #far = new Map<number, number>();
  /** The argument if the target is the default one, else the number of another one, negated. */
  #targets = new Int32Array(256);
  readonly #others = new IdTable<TimerTarget>();
  /** Arguments of the others, by number, of those that are not 0: most have but one timer, and no use for an argument. */
  readonly #args = new Map<number, number>();
  /** First of the free rows, which are linked through `#next`; 0 is none (row 0 is a head). */
  #free = 0;
  #rows = heads;

  /** @param now milliseconds of the clock whose time `advance` gets */
  constructor(now: number) {
    this.#now = now;
    this.#tick = Math.floor(now) >>> 0;
    for (let head = 0; head < heads; head++) {
      this.#next[head] = head;
      this.#previous[head] = head;
    }
  }

  /**
   * Arms a timer. It never fires early, and fires in the first `advance` whose time is at or past the deadline rounded up
   * to a millisecond, and in a later millisecond than the last `advance`. Timers of the same millisecond fire in the order
   * in which they were armed (but for those armed more than 12 days ahead).
   * @param deadline milliseconds on the wheel's clock; not NaN
   * @returns the timer's id, valid until it fires or is cancelled
   */
  arm(deadline: number, target: TimerTarget, arg: number): number {
    let id = this.#free;
    if (id !== 0) {
      this.#free = this.#next[id];
    } else {
      id = this.#rows++;
      if (id >= this.#next.length) this.#grow();
    }
    this.#targets[id] = target === this.defaultTarget && arg >= 0 ? arg : -this.#number(target, arg);
    if (deadline - this.#now < farAway) this.#due[id] = Math.ceil(Math.max(deadline, this.#now));
    else this.#far.set(id, deadline);
    this.size++;
    this.#link(this.#bucketOf(id, 1), id);
    return id;
  }

  /** Cancels a timer that has neither fired nor been cancelled: its id may be another timer's by then. */
  cancel(id: number): void {
    this.#unlink(id);
    this.#release(id);
  }

  /** When the wheel next wants to be advanced, in milliseconds; `Infinity` when no timer is armed. Never later than the next deadline. */
  nextWake(): number {
    if (!this.#isWakeKnown) {
      this.#wake = this.#findWake();
      this.#isWakeKnown = true;
    }
    return this.#wake;
  }

  #findWake(): number {
    if (this.size === 0) return Infinity;
    let nearest = Infinity;
    for (let level = 0; level < levels; level++) {
      const occupied = this.#occupied[level];
      if (occupied === 0) continue;
      const shift = level * bits;
      const here = (this.#tick >>> shift) & (buckets - 1);
      // Rotated so that bit 0 is the bucket after this one: the distance to the first occupied bucket is 1 … 32.
      const from = (here + 1) & (buckets - 1);
      const rotated = from === 0 ? occupied : (occupied >>> from) | (occupied << (buckets - from));
      const distance = 32 - Math.clz32(rotated & -rotated);
      const intoBucket = this.#tick & ((1 << shift) - 1);
      nearest = Math.min(nearest, distance * (1 << shift) - intoBucket);
    }
    return Math.floor(this.#now) + nearest;
  }

  /** Moves time forward and fires what is due. A target may arm and cancel timers from within. */
  advance(now: number): void {
    for (;;) {
      const wake = this.nextWake();
      if (wake > now) break;
      this.#enter(wake);
    }
    if (now > this.#now) {
      this.#now = now;
      this.#tick = Math.floor(now) >>> 0;
    }
  }

  #enter(time: number): void {
    this.#now = time;
    const tick = time >>> 0;
    this.#tick = tick;
    this.#isWakeKnown = false;
    for (let level = 1; level < levels; level++) {
      const shift = level * bits;
      if ((tick & ((1 << shift) - 1)) !== 0) break;
      const bucket = (tick >>> shift) & (buckets - 1);
      if ((this.#occupied[level] & (1 << bucket)) === 0) continue;
      this.#occupied[level] &= ~(1 << bucket);
      const head = level * buckets + bucket;
      // A timer that falls was armed before every other one of the same millisecond that is on a lower level already, or that has fallen from a
      // lower level just now: so it goes in front of that, the last to be armed first.
      for (let id = this.#previous[head]; id !== head; id = this.#previous[head]) {
        this.#unlink(id);
        this.#link(this.#next[this.#bucketOf(id, 0)], id);
      }
    }
    const bucket = tick & (buckets - 1);
    if ((this.#occupied[0] & (1 << bucket)) === 0) return;
    this.#occupied[0] &= ~(1 << bucket);
    // Moved to a list of their own first: a target that arms a timer for this same bucket, one rotation on, must not fire it now.
    for (let id = this.#next[bucket]; id !== bucket; id = this.#next[bucket]) {
      this.#unlink(id);
      this.#link(firing, id);
    }
    for (let id = this.#next[firing]; id !== firing; id = this.#next[firing]) {
      this.#unlink(id);
      const number = this.#targets[id];
      const target = number < 0 ? this.#others.get(-number) : this.defaultTarget;
      const arg = number < 0 ? this.#argOf(-number) : number;
      this.#release(id);
      target?.timerFired(arg);
    }
  }

  /** Finds the bucket for a row, at least `least` ticks ahead. @returns the bucket's head */
  #bucketOf(id: number, least: number): number {
    const ticks = Math.min(Math.max(this.#ahead(id), least), horizon);
    const level = ticks < buckets ? 0 : Math.floor((31 - Math.clz32(ticks)) / bits);
    const bucket = ((this.#tick + ticks) >>> (level * bits)) & (buckets - 1);
    this.#occupied[level] |= 1 << bucket;
    this.#isWakeKnown = false;
    return level * buckets + bucket;
  }

  #number(target: TimerTarget, arg: number): number {
    const number = this.#others.add(target);
    if (arg !== 0) this.#args.set(number, arg);
    return number;
  }

  #argOf(number: number): number {
    return (this.#args.size > 0 ? this.#args.get(number) : undefined) ?? 0;
  }

  /** Ticks until a timer is due; negative if it should have fired already. */
  #ahead(id: number): number {
    if (this.#far.size > 0) {
      const deadline = this.#far.get(id);
      if (deadline !== undefined) {
        const ahead = Math.ceil(deadline) - Math.floor(this.#now);
        if (ahead >= farAway) return ahead;
        this.#due[id] = Math.ceil(deadline);
        this.#far.delete(id);
      }
    }
    return (this.#due[id] - this.#tick) | 0; // modulo 2^32, as both are
  }

  /** Puts a row into a list, in front of another one; in front of the head is at the end. */
  #link(next: number, id: number): void {
    const previous = this.#previous[next];
    this.#next[previous] = id;
    this.#previous[id] = previous;
    this.#next[id] = next;
    this.#previous[next] = id;
  }

  #unlink(id: number): void {
    const next = this.#next[id];
    const previous = this.#previous[id];
    this.#next[previous] = next;
    this.#previous[next] = previous;
  }

  #release(id: number): void {
    if (this.#targets[id] < 0) {
      this.#others.drop(-this.#targets[id]);
      if (this.#args.size > 0) this.#args.delete(-this.#targets[id]);
    }
    if (this.#far.size > 0) this.#far.delete(id);
    this.#next[id] = this.#free;
    this.#free = id;
    this.size--;
    if (this.size === 0) this.#isWakeKnown = false;
  }

  #grow(): void {
    const length = this.#next.length * 2;
    const copy = <A extends Int32Array | Uint32Array>(from: A, to: A): A => {
      to.set(from);
      return to;
    };
    this.#next = copy(this.#next, new Int32Array(length));
    this.#previous = copy(this.#previous, new Int32Array(length));
    this.#due = copy(this.#due, new Uint32Array(length));
    this.#targets = copy(this.#targets, new Int32Array(length));
  }
}
