// An io_uring (io_uring(7)): the submission queue, the completion queue, and the one system call that serves both. What an
// operation means is not known here; see uring.ts. All numbers of one queue entry are set when it is taken, since entries are
// used again.
//
// The ring is one that runs its task work only when it is entered (IORING_SETUP_DEFER_TASKRUN): completions appear during
// `enter` and at no other time, so that nothing interrupts the process, and whatever `enter` submits and can be done at once
// has its completion there when it returns. So the kernel looks at the queues, and writes into them, within `enter` alone, on the
// thread that has called it: loads and stores of their heads and tails need no order but that of the program. (The flags of the
// submission queue may be set at any time. They are a word that is read once, for what was there by then.)

import { check, EAGAIN, EBUSY, EINTR, ENOMEM, failure, type Libc, unavailable } from '../linux/libc.js';
import { map, type Region, unmap } from '../linux/memory.js';

// Numbers of the system calls, the same on all architectures.
const SETUP = 425;
const ENTER = 426;
const REGISTER = 427;

// io_uring_setup(2).
const SETUP_CQSIZE = 1 << 3;
const SETUP_SUBMIT_ALL = 1 << 7;
const SETUP_TASKRUN_FLAG = 1 << 9;
const SETUP_SINGLE_ISSUER = 1 << 12;
const SETUP_DEFER_TASKRUN = 1 << 13;
const OFF_SQES = 0x10000000;
const FEAT_SINGLE_MMAP = 1;
const FEAT_NODROP = 2;
const FEAT_EXT_ARG = 1 << 8;

// io_uring_enter(2).
const OP_NOP = 0;
const ENTER_GETEVENTS = 1;
const ENTER_EXT_ARG = 8;
const ENTER_REGISTERED_RING = 16;

// Flags of the submission queue.
const SQ_CQ_OVERFLOW = 2;
const SQ_TASKRUN = 4;

// io_uring_register(2).
const REGISTER_EVENTFD = 4;
const REGISTER_RING_FDS = 20;
const UNREGISTER_RING_FDS = 21;

const ETIME = 62;
const ENOSYS = 38;
const EPERM = 1;
const EINVAL = 22;

const PROT_READ_WRITE = 3;
const MAP_SHARED_POPULATE = 0x8001;

/** Words of 32 bits in an entry of either queue; io_uring_enter(2). */
const sqeWords = 16;
const cqeWords = 4;

/** How often a submission that the kernel has cut short is gone on with. */
const mostAttempts = 10_000;

/** A completion that has been taken out of the queue before its turn: user data low and high, result, flags. */
type Completion = [number, number, number, number];

export class Ring {
  readonly descriptor: number;
  /** The submission queue's entries, 16 words each; `take` gives the first. */
  entries: Int32Array;
  /** How often the submission queue was full, and how often the completion queue has overflowed. */
  readonly troubles = { full: 0, overflows: 0 };
  /** Completions that `next` will find. */
  waiting = 0;
  // The completion that `next` has found.
  low = 0;
  high = 0;
  result = 0;
  flags = 0;

  readonly #libc: Libc;
  #queues: Int32Array;
  readonly #mapped: { address: number; bytes: number }[] = [];
  /** Arguments that `enter` passes by address: a timespec, and the structure that points to it. */
  readonly #argument: Region;
  readonly #timespec: Int32Array;
  /** The descriptor that `enter` is given, and what its flags say of it. */
  readonly #entered: number;
  readonly #enterFlags: number;
  // Offsets in `#queues`, in words.
  readonly #sqHead: number;
  readonly #sqTail: number;
  readonly #sqFlags: number;
  readonly #sqMask: number;
  readonly #cqHead: number;
  readonly #cqTail: number;
  readonly #cqMask: number;
  readonly #cqes: number;
  /** Our ends of the queues. */
  #tail: number;
  #unsubmitted = 0;
  #head: number;
  /** Up to here completions have been looked at by `#look`. */
  #looked: number;
  readonly #look: (low: number, high: number, result: number) => boolean;
  /** Completions that were taken out of an overflowing queue. They are reported before those in the queue. */
  #stash: Completion[] = [];

  /**
   * @param submissionEntries a power of two, and so is `completionEntries`, which must not be smaller
   * @param registered whether the ring's descriptor is to be looked up once for all, where that can be had
   * @param look is shown each completion once, as soon as it is there, inside `enter`, by the halves of its user data (of which the
   *   low one is 0 if the completion is not needed) and its result. Returns true if that was all: `next` then passes over it
   * @throws {ConnectionError} `ERR_EVENT_LAYER` where the kernel has no io_uring, forbids it, or has one too old
   */
  constructor(
    libc: Libc,
    submissionEntries: number,
    completionEntries: number,
    registered: boolean,
    look: (low: number, high: number, result: number) => boolean,
  ) {
    this.#libc = libc;
    this.#look = look;
    const parameters = new Uint32Array(30); // struct io_uring_params
    parameters[1] = completionEntries;
    parameters[2] = SETUP_CQSIZE | SETUP_SUBMIT_ALL | SETUP_TASKRUN_FLAG | SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN;
    this.descriptor = libc.io_uring_setup(SETUP, submissionEntries, new Uint8Array(parameters.buffer));
    if (this.descriptor < 0) throw unavailable(setupFailure(libc.errno()));
    try {
      const features = parameters[5];
      const needed = FEAT_SINGLE_MMAP | FEAT_NODROP | FEAT_EXT_ARG;
      if ((features & needed) !== needed) throw unavailable('io_uring of this kernel is too old: Linux 6.1 is needed');
      const sq = parameters.subarray(10, 20);
      const cq = parameters.subarray(20, 30);
      const queueBytes = Math.max(sq[6] + parameters[0] * 4, cq[5] + parameters[1] * 16);
      this.#queues = this.#map(queueBytes, 0);
      this.entries = this.#map(parameters[0] * sqeWords * 4, OFF_SQES);
      this.#sqHead = sq[0] >> 2;
      this.#sqTail = sq[1] >> 2;
      this.#sqMask = this.#queues[sq[2] >> 2];
      this.#sqFlags = sq[4] >> 2;
      this.#cqHead = cq[0] >> 2;
      this.#cqTail = cq[1] >> 2;
      this.#cqMask = this.#queues[cq[2] >> 2];
      this.#cqes = cq[5] >> 2;
      // The array that maps places in the queue to entries: each to its own, for good.
      for (let i = 0; i < parameters[0]; i++) this.#queues[(sq[6] >> 2) + i] = i;
      this.#tail = this.#queues[this.#sqTail];
      this.#head = this.#queues[this.#cqHead];
      this.#looked = this.#head;
      this.#argument = map(libc, 4096);
    } catch (error) {
      libc.close(this.descriptor);
      this.#unmapQueues();
      throw error;
    }
    const { address, bytes } = this.#argument;
    this.#timespec = new Int32Array(bytes.buffer, bytes.byteOffset, 4);
    // struct io_uring_getevents_arg: no signal mask, and the address of the time-out.
    bytes.writeBigUInt64LE(BigInt(address), 64 + 16);
    const index = registered ? this.#registerDescriptor() : -1;
    this.#entered = index === -1 ? this.descriptor : index;
    this.#enterFlags = ENTER_GETEVENTS | ENTER_EXT_ARG | (index === -1 ? 0 : ENTER_REGISTERED_RING);
    this.#tryOut();
  }

  /** An operation that does nothing: of the three system calls, some may be denied and others not (seccomp(2)). */
  #tryOut(): void {
    try {
      this.take(OP_NOP, 0, -1, 0, 0);
      this.enter(0);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** A new entry for the submission queue, all zeros but for these. @returns where it begins in `entries` */
  take(operation: number, flags: number, descriptor: number, low: number, high: number): number {
    if (this.#unsubmitted > this.#sqMask) {
      this.troubles.full++;
      this.enter(0);
    }
    const { entries } = this;
    const at = (this.#tail & this.#sqMask) * sqeWords;
    this.#tail = (this.#tail + 1) | 0;
    this.#unsubmitted++;
    entries[at] = operation | (flags << 8);
    entries[at + 1] = descriptor;
    entries[at + 2] = 0;
    entries[at + 3] = 0;
    entries[at + 4] = 0;
    entries[at + 5] = 0;
    entries[at + 6] = 0;
    entries[at + 7] = 0;
    entries[at + 8] = low;
    entries[at + 9] = high;
    entries[at + 10] = 0;
    entries[at + 11] = 0;
    entries[at + 12] = 0;
    entries[at + 13] = 0;
    return at;
  }

  /** Entries that have ever been taken, modulo 2³². */
  get taken(): number {
    return this.#tail >>> 0;
  }

  /** Entries that have been taken and not been submitted. */
  get unsubmitted(): number {
    return this.#unsubmitted;
  }

  /** Whether `enter` would bring completions although nothing is submitted, and without waiting. */
  get isPending(): boolean {
    return (this.#queues[this.#sqFlags] & (SQ_TASKRUN | SQ_CQ_OVERFLOW)) !== 0;
  }

  /**
   * Submits all entries, and waits for a completion.
   * @param milliseconds 0 does not wait, -1 is without end
   */
  enter(milliseconds: number): void {
    const queues = this.#queues;
    // Completions that have been handled are still in the queue, and would end the wait like any other.
    if (this.waiting === 0) this.#head = this.#looked;
    queues[this.#cqHead] = this.#head;
    let timeout = this.waiting > 0 ? 0 : milliseconds;
    for (let attempt = 0; ; attempt++) {
      queues[this.#sqTail] = this.#tail;
      const { address } = this.#argument;
      if (timeout > 0) {
        this.#timespec[0] = Math.floor(timeout / 1000);
        this.#timespec[2] = (timeout % 1000) * 1_000_000;
      }
      // Without a time-out (a null pointer in the argument) there is no end to waiting, so the argument is left out then.
      const timed = timeout > 0;
      const done = this.#libc.io_uring_enter(
        ENTER,
        this.#entered,
        this.#unsubmitted,
        timeout === 0 ? 0 : 1,
        timed ? this.#enterFlags : this.#enterFlags & ~ENTER_EXT_ARG,
        timed ? address + 64 : 0,
        timed ? 24 : 0,
      );
      const errno = done < 0 ? this.#libc.errno() : 0;
      this.#unsubmitted = (this.#tail - queues[this.#sqHead]) | 0;
      this.#inspect();
      if ((queues[this.#sqFlags] & SQ_CQ_OVERFLOW) !== 0) {
        this.#makeRoom();
        timeout = 0;
        continue;
      }
      if (errno !== 0 && errno !== ETIME && errno !== EINTR && errno !== EBUSY && errno !== EAGAIN && errno !== ENOMEM)
        throw failure('io_uring_enter', errno);
      if (this.#unsubmitted === 0) return;
      if (attempt === mostAttempts) throw failure('io_uring_enter', errno);
      // The kernel was out of memory or room, or was interrupted, in the middle: submit the rest again.
      timeout = 0;
    }
  }

  /** Takes the next completion out of the queue, into `low`, `high`, `result`, `flags`. @returns false if there is none */
  next(): boolean {
    if (this.waiting === 0) return false;
    this.waiting--;
    if (this.#stash.length > 0) {
      [this.low, this.high, this.result, this.flags] = this.#stash.shift() as Completion; // there is one
      return true;
    }
    const queues = this.#queues;
    let at: number;
    do {
      at = this.#cqes + (this.#head & this.#cqMask) * cqeWords;
      this.#head = (this.#head + 1) | 0;
    } while (queues[at] === 0);
    this.low = queues[at];
    this.high = queues[at + 1];
    this.result = queues[at + 2];
    this.flags = queues[at + 3];
    return true;
  }

  /** Calls io_uring_register(2). @returns what it returns, or a negative error number */
  register(operation: number, argument: Uint8Array | null, count: number): number {
    const result = this.#libc.io_uring_register(REGISTER, this.descriptor, operation, argument, count);
    return result < 0 ? -this.#libc.errno() : result;
  }

  /** Has an eventfd(2) count up for each completion. */
  registerEventfd(eventfd: number): void {
    const argument = new Uint8Array(Int32Array.of(eventfd).buffer);
    check(this.#libc, 'IORING_REGISTER_EVENTFD', this.register(REGISTER_EVENTFD, argument, 1));
  }

  /** No operation may be in flight. */
  close(): void {
    this.#release();
    unmap(this.#libc, this.#argument);
  }

  /** Shows the completions that are new, and marks those that are done with. */
  #inspect(): void {
    const queues = this.#queues;
    const tail = queues[this.#cqTail];
    for (; this.#looked !== tail; this.#looked = (this.#looked + 1) | 0) {
      const at = this.#cqes + (this.#looked & this.#cqMask) * cqeWords;
      const low = queues[at];
      if (low !== 0 && !this.#look(low, queues[at + 1], queues[at + 2])) this.waiting++;
      else queues[at] = 0;
    }
  }

  /** The completion queue has overflowed: its contents move to the stash, so that the kernel can deliver the rest. */
  #makeRoom(): void {
    this.troubles.overflows++;
    const stash: Completion[] = [];
    while (this.next()) stash.push([this.low, this.high, this.result, this.flags]);
    this.#stash = stash;
    this.waiting = stash.length;
    this.#head = this.#looked; // also over those that are done with
    this.#queues[this.#cqHead] = this.#head;
  }

  /** Spares `enter` looking up the descriptor each time. @returns its number, or -1 where it is unavailable */
  #registerDescriptor(): number {
    const update = new Uint32Array([0xffffffff, 0, this.descriptor, 0]); // struct io_uring_rsrc_update: any place
    const bytes = new Uint8Array(update.buffer);
    return this.register(REGISTER_RING_FDS, bytes, 1) === 1 ? update[0] : -1;
  }

  #map(bytes: number, offset: number): Int32Array {
    const libc = this.#libc;
    const address = libc.mmap(0, bytes, PROT_READ_WRITE, MAP_SHARED_POPULATE, this.descriptor, offset);
    if (address === -1)
      throw unavailable(`the rings of io_uring cannot be mapped: ${failure('mmap', libc.errno()).message}`);
    this.#mapped.push({ address, bytes });
    return new Int32Array(libc.view(address, bytes));
  }

  #release(): void {
    const libc = this.#libc;
    if (this.#entered !== this.descriptor) {
      const update = new Uint32Array([this.#entered, 0, 0, 0]);
      this.register(UNREGISTER_RING_FDS, new Uint8Array(update.buffer), 1);
    }
    libc.close(this.descriptor);
    // No view of what is unmapped may be left.
    this.entries = new Int32Array(0);
    this.#queues = new Int32Array(0);
    this.#unmapQueues();
  }

  #unmapQueues(): void {
    for (const { address, bytes } of this.#mapped) this.#libc.munmap(address, bytes);
  }
}

function setupFailure(errno: number): string {
  switch (errno) {
    case ENOSYS:
      return 'this kernel has no io_uring';
    case EPERM:
      return 'io_uring is forbidden here (kernel.io_uring_disabled, or a container that does not allow it)';
    case EINVAL:
      return 'io_uring of this kernel is too old: Linux 6.1 is needed';
    default:
      return failure('io_uring_setup', errno).message;
  }
}
