// The public face of this folder: green threads. It knows nothing of sockets.

export { bindContext } from './bind-context.js';
export { Channel, Semaphore } from './channel.js';
export { ThreadError, TimeoutError, tasksOf, UnwoundError } from './errors.js';
export { all, race, timeout } from './group.js';
export { sleep } from './sleep.js';
export type { Task, WaitKind } from './task.js';
export {
  currentThread,
  run,
  type SpawnOptions,
  spawn,
  type TaskSource,
  Thread,
  type ThreadMessage,
} from './thread.js';
export type { Outcome, ThreadState } from './thread-state.js';
export { uninterruptible } from './uninterruptible.js';
export { until } from './until.js';
