// The ways that are compared, in the order in which they are shown.

import { generator } from './generator.js';
import { nodeStream, nodeStreamEvents } from './node-stream.js';
import { promises } from './promises.js';
import type { Way } from './reader.js';
import { stateMachine } from './state-machine.js';
import { thread } from './thread.js';

export const ways: readonly Way[] = [stateMachine, generator, thread, promises, nodeStreamEvents, nodeStream];
