// Piping a topic to a WebSocket. A message is framed once for all sockets, and copied into the output of each that has room; no thread runs. What a
// client has no room for waits in its subscription, as the topic's policy says, until the client has taken output.

import type { ThreadError } from '../threads/errors.js';
import type { Scheduler } from '../threads/scheduler.js';
import { parked, type Task, waitUntil } from '../threads/task.js';
import { runningThread, type Thread } from '../threads/thread.js';
import { WireFormat } from '../topics/published.js';
import type { Follower, FollowerSubscription } from '../topics/subscription.js';
import { BaseTopic, type SubscribeOptions, subscribeRules } from '../topics/topic.js';
import { isInstance, show } from '../util/inspect.js';
import { checkOptions } from '../util/options.js';
import { serverFrame } from './frames.js';

/** Messages of a topic as frames of a server, which are the same for all its clients. */
const format = new WireFormat(({ content }) => serverFrame(content));

/** The socket, as what follows a topic needs it. */
export interface FollowedSocket {
  readonly scheduler: Scheduler;
  readonly isOpen: boolean;
  /** Whether a frame may be sent now: the client has room, and no other message is sent in part. */
  readonly hasRoom: boolean;
  putFrame(frame: Uint8Array): void;
  /** Asks for `Following.flush` to be called when there is room. */
  notifyRoom(): void;
  /** The client is too slow. */
  disconnect(reason: ThreadError): void;
  dropFollowing(following: Following): void;
}

/** Threads in `join`. Most followings have none, so they have no field for them. */
const joiners = new WeakMap<Following, Set<Thread<unknown>>>();

/** A topic that is piped to a WebSocket: see `follow`. */
export class Following<M = unknown> implements Follower<Uint8Array> {
  readonly #socket: FollowedSocket;
  #subscription: FollowerSubscription<M, Uint8Array> | undefined;
  readonly #missed: boolean;

  /**
   * @internal
   * @throws {TypeError} for what is no topic @throws {ThreadError} `ERR_TOPIC_CLOSED`
   */
  constructor(socket: FollowedSocket, topic: BaseTopic<M>, options: SubscribeOptions) {
    if (!isInstance(topic, BaseTopic)) throw new TypeError(`follow: the topic is ${show(topic)}; expected a topic`);
    checkOptions('follow', options, subscribeRules);
    const { after = '' } = options;
    this.#socket = socket;
    this.#missed = after !== '' && !topic.canResume(after);
    this.#subscription = topic.attach(this, options);
    if (this.#subscription.waiting > 0) this.flush();
  }

  /** `after` was given, and the topic has not kept all that has been published since. */
  get missed(): boolean {
    return this.#missed;
  }

  /** Nothing more of the topic will be sent: `stop` has been called, the WebSocket has ended, or the topic is closed and all that waited has been sent. */
  get isOver(): boolean {
    return this.#subscription === undefined;
  }

  /** Parks until `isOver`. The WebSocket stays open when the topic is closed: what is to happen then comes behind this. */
  *join(): Task<void> {
    if (this.isOver) return;
    const thread = runningThread('join');
    const threads = joiners.get(this as Following) ?? new Set();
    joiners.set(this as Following, threads.add(thread));
    try {
      yield* waitUntil(() => this.isOver, parked.join);
    } finally {
      threads.delete(thread);
    }
  }

  /** Sends nothing more of the topic: messages that wait are dropped. Calling it again changes nothing. */
  stop(): void {
    this.#subscription?.close();
    this.#end();
  }

  #end(): void {
    if (this.#subscription === undefined) return;
    this.#subscription = undefined;
    this.#socket.dropFollowing(this);
    for (const thread of joiners.get(this as Following) ?? []) thread.scheduler.resume(thread);
  }

  /** @internal There is room: what waits is sent. */
  flush(): void {
    const subscription = this.#subscription;
    if (subscription === undefined) return;
    if (!subscription.flush()) this.#socket.notifyRoom();
    else if (subscription.isOver) this.stop();
  }

  // What the topic calls: see `Follower`.

  /** @internal */
  get format(): WireFormat<Uint8Array> {
    return format;
  }

  /** @internal */
  get scheduler(): Scheduler {
    return this.#socket.scheduler;
  }

  /** @internal */
  put(frame: Uint8Array): boolean {
    const socket = this.#socket;
    if (!socket.isOpen) return true;
    if (!socket.hasRoom) return false;
    socket.putFrame(frame);
    return true;
  }

  /** @internal */
  wait(): void {
    this.#socket.notifyRoom();
  }

  /** @internal */
  disconnect(reason: ThreadError): void {
    this.#end();
    this.#socket.disconnect(reason);
  }

  /** @internal */
  topicClosed(): void {
    this.flush();
  }
}
