// The C library and libuv, called from TypeScript through koffi. Nothing outside this folder calls libc; epoll/ and uring/ go
// through what is exported here. Addresses in memory are numbers: user space ends at 2^47, which a number holds exactly.
//
// A function here returns what the system call returns, -1 for failure, and the caller asks `errno()` at once; where a
// failure has no better answer, `check` turns it into an error that names the call.

import process from 'node:process';
import util from 'node:util';
import { isMainThread } from 'node:worker_threads';
import { ConnectionError } from '../event-layer.js';
import { declareFunctions, type Koffi, loadKoffi } from './koffi.js';

/** Memory for an argument: bytes of ours for the duration of a call, or null. */
type Bytes = Uint8Array | null;

/** The functions of libc, as section 2 and 3 of the manual describe them. */
export interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Bytes, length: number): number;
  listen(fd: number, backlog: number): number;
  connect(fd: number, address: Bytes, length: number): number;
  accept4(fd: number, address: Bytes, length: Bytes, flags: number): number;
  getsockname(fd: number, address: Bytes, length: Bytes): number;
  getpeername(fd: number, address: Bytes, length: Bytes): number;
  setsockopt(fd: number, level: number, option: number, value: Bytes, length: number): number;
  getsockopt(fd: number, level: number, option: number, value: Bytes, length: Bytes): number;
  shutdown(fd: number, how: number): number;
  close(fd: number): number;
  recv(fd: number, address: number, bytes: number, flags: number): number;
  send(fd: number, address: number, bytes: number, flags: number): number;
  read(fd: number, bytes: Bytes, length: number): number;
  fcntl(fd: number, command: number, argument: number): number;
  getrlimit(resource: number, limits: Bytes): number;
  eventfd(value: number, flags: number): number;
  timerfd_create(clock: number, flags: number): number;
  timerfd_settime(fd: number, flags: number, times: Bytes, before: Bytes): number;
  epoll_create1(flags: number): number;
  epoll_ctl(epoll: number, operation: number, fd: number, event: Bytes): number;
  epoll_wait(epoll: number, events: number, count: number, timeout: number): number;
  /** MAP_FAILED is -1. */
  mmap(address: number, bytes: number, protection: number, flags: number, fd: number, offset: number): number;
  munmap(address: number, bytes: number): number;
  madvise(address: number, bytes: number, advice: number): number;
  /** io_uring_setup(2), 425. */
  io_uring_setup(number: number, entries: number, parameters: Bytes): number;
  /** io_uring_enter(2), 426; the last two are the address and the size of what `flags` says. */
  io_uring_enter(
    number: number,
    fd: number,
    submit: number,
    complete: number,
    flags: number,
    argument: number,
    size: number,
  ): number;
  /** io_uring_register(2), 427. */
  io_uring_register(number: number, fd: number, operation: number, argument: Bytes, count: number): number;
  /** What the last failed call has left. */
  errno(): number;
  /** The address of an array's memory, which must be outside of the heap: that of an array of more than 64 bytes is. */
  addressOf(bytes: Uint8Array): number;
  /** An ArrayBuffer over memory that stays mapped for as long as anybody may look at it. */
  view(address: number, bytes: number): ArrayBuffer;
}

/** The functions of libuv that join another event loop to it (docs.libuv.org, "Event loop", "Prepare handle", "Poll handle"). */
export interface Libuv {
  uv_default_loop(): number;
  uv_backend_fd(loop: number): number;
  uv_backend_timeout(loop: number): number;
  uv_update_time(loop: number): void;
  uv_handle_size(type: number): number;
  uv_ref(handle: number): void;
  uv_unref(handle: number): void;
  uv_prepare_init(loop: number, handle: number): number;
  uv_prepare_start(handle: number, callback: number): number;
  uv_prepare_stop(handle: number): number;
  uv_idle_init(loop: number, handle: number): number;
  uv_idle_start(handle: number, callback: number): number;
  uv_idle_stop(handle: number): number;
  uv_poll_init(loop: number, handle: number, fd: number): number;
  uv_poll_start(handle: number, events: number, callback: number): number;
  uv_poll_stop(handle: number): number;
  uv_close(handle: number, callback: number): void;
  /** A C function that calls this one, which takes no arguments and must not throw. Lasts as long as the process. */
  callback(called: () => void): number;
}

const signatures = {
  socket: ['int', 'int', 'int', 'int'],
  bind: ['int', 'int', 'void *', 'uint32_t'],
  listen: ['int', 'int', 'int'],
  connect: ['int', 'int', 'void *', 'uint32_t'],
  accept4: ['int', 'int', 'void *', 'void *', 'int'],
  getsockname: ['int', 'int', 'void *', 'void *'],
  getpeername: ['int', 'int', 'void *', 'void *'],
  setsockopt: ['int', 'int', 'int', 'int', 'void *', 'uint32_t'],
  getsockopt: ['int', 'int', 'int', 'int', 'void *', 'void *'],
  shutdown: ['int', 'int', 'int'],
  close: ['int', 'int'],
  // Results are at most what was asked for, which is less than 2 GiB; an `int` costs half of what an `int64_t` does.
  recv: ['int', 'int', 'uintptr_t', 'size_t', 'int'],
  send: ['int', 'int', 'uintptr_t', 'size_t', 'int'],
  read: ['int64_t', 'int', 'void *', 'size_t'],
  fcntl: ['int', 'int', 'int', 'int'],
  getrlimit: ['int', 'int', 'void *'],
  eventfd: ['int', 'uint32_t', 'int'],
  timerfd_create: ['int', 'int', 'int'],
  timerfd_settime: ['int', 'int', 'int', 'void *', 'void *'],
  epoll_create1: ['int', 'int'],
  epoll_ctl: ['int', 'int', 'int', 'int', 'void *'],
  epoll_wait: ['int', 'int', 'uintptr_t', 'int', 'int'],
  mmap: ['intptr_t', 'uintptr_t', 'size_t', 'int', 'int', 'int', 'int64_t'],
  munmap: ['int', 'uintptr_t', 'size_t'],
  madvise: ['int', 'uintptr_t', 'size_t', 'int'],
} as const;

/** System calls that libc has no function for go through syscall(2), declared with the arguments that each takes. */
const systemCalls = {
  io_uring_setup: ['int64_t', 'int64_t', 'uint32_t', 'void *'],
  io_uring_enter: ['int', 'int64_t', 'int', 'uint32_t', 'uint32_t', 'uint32_t', 'uintptr_t', 'size_t'],
  io_uring_register: ['int64_t', 'int64_t', 'int', 'uint32_t', 'void *', 'uint32_t'],
} as const;

const uvSignatures = {
  uv_default_loop: ['uintptr_t'],
  uv_backend_fd: ['int', 'uintptr_t'],
  uv_backend_timeout: ['int', 'uintptr_t'],
  uv_update_time: ['void', 'uintptr_t'],
  uv_handle_size: ['size_t', 'int'],
  uv_ref: ['void', 'uintptr_t'],
  uv_unref: ['void', 'uintptr_t'],
  uv_prepare_init: ['int', 'uintptr_t', 'uintptr_t'],
  uv_prepare_start: ['int', 'uintptr_t', 'uintptr_t'],
  uv_prepare_stop: ['int', 'uintptr_t'],
  uv_idle_init: ['int', 'uintptr_t', 'uintptr_t'],
  uv_idle_start: ['int', 'uintptr_t', 'uintptr_t'],
  uv_idle_stop: ['int', 'uintptr_t'],
  uv_poll_init: ['int', 'uintptr_t', 'uintptr_t', 'int'],
  uv_poll_start: ['int', 'uintptr_t', 'int', 'uintptr_t'],
  uv_poll_stop: ['int', 'uintptr_t'],
  uv_close: ['void', 'uintptr_t', 'uintptr_t'],
} as const;

let libc: Libc | undefined;
let libuv: Libuv | undefined;

/**
 * Loads both libraries, once in a process.
 * @throws {ConnectionError} `ERR_EVENT_LAYER` where they are unavailable, saying why
 */
export function loadLibraries(): { libc: Libc; libuv: Libuv } {
  if (libc === undefined || libuv === undefined) {
    const unfit = unfitness();
    if (unfit !== undefined) throw unavailable(unfit);
    const koffi = koffiOrThrow();
    try {
      const system = koffi.load('libc.so.6');
      libc = {
        ...declareFunctions<Libc>(system, signatures),
        ...declareFunctions<Libc>(system, systemCalls, 'syscall'),
        errno: () => koffi.errno(),
        addressOf: (bytes) => Number(koffi.address(bytes.buffer)) + bytes.byteOffset,
        view: (address, bytes) => koffi.view(BigInt(address), bytes),
      };
      const prototype = koffi.pointer(koffi.proto('void SluiceCallback()'));
      libuv = {
        ...declareFunctions<Libuv>(koffi.load(null), uvSignatures),
        callback: (called) => Number(koffi.register(called, prototype)),
      };
    } catch (error) {
      throw unavailable(`the C library or libuv cannot be called: ${messageOf(error)}`, error);
    }
  }
  return { libc, libuv };
}

/** Why this process cannot have a layer over libc, as far as that is known before anything is loaded. */
function unfitness(): string | undefined {
  if (process.platform !== 'linux') return `it needs Linux, and this is ${process.platform}`;
  if (process.versions.bun !== undefined || process.versions.deno !== undefined || process.versions.uv === undefined)
    return 'it needs Node';
  if (!isMainThread) return 'it needs the main thread, and this is a worker';
  // Layouts of structures differ from one architecture to the other, and only this one has been tried.
  if (process.arch !== 'x64') return `it needs x64, and this is ${process.arch}`;
  return undefined;
}

function koffiOrThrow(): Koffi {
  try {
    return loadKoffi();
  } catch (error) {
    throw unavailable(messageOf(error), error);
  }
}

/** The error of a layer that is unavailable here. */
export function unavailable(why: string, cause?: unknown): ConnectionError {
  return new ConnectionError('ERR_EVENT_LAYER', why, cause === undefined ? undefined : { cause });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The name of an error number, `ECONNRESET`, and what it means, as libuv knows them; errno(3). */
export function describeErrno(errno: number): { code: string; meaning: string } {
  const [code, meaning] = util.getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, `error number ${errno}`];
  return { code, meaning };
}

/** The code and the message of whatever was thrown. */
export function asSystemError(error: unknown): { code: string; message: string } {
  if (!(error instanceof Error)) return { code: 'ERR_SYSTEM', message: String(error) };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'ERR_SYSTEM';
  return { code, message: error.message };
}

/** @returns the result of a call. @throws {ConnectionError} with the system's code if it is -1 */
export function check(libc: Libc, call: string, result: number): number {
  if (result >= 0) return result;
  throw failure(call, libc.errno());
}

/** The error of a call that has failed. */
export function failure(call: string, errno: number): ConnectionError {
  const { code, meaning } = describeErrno(errno);
  return new ConnectionError(code, `${call} ${code}: ${meaning}`);
}

// Numbers of errors that the layers distinguish; errno(3), asm-generic/errno.h.
export const EINTR = 4;
export const ENOENT = 2;
export const EBADF = 9;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EBUSY = 16;
export const ENFILE = 23;
export const EMFILE = 24;
export const ECONNABORTED = 103;
export const ECONNRESET = 104;
export const ENOBUFS = 105;
export const ENOTCONN = 107;
export const EINPROGRESS = 115;
export const ECANCELED = 125;
