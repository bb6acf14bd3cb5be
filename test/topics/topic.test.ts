// Topics between threads: order, policies, history, ids, and what happens while messages are delivered.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { sleep } from '#sluice/threads/sleep.js';
import type { Task } from '#sluice/threads/task.js';
import { WireFormat } from '#sluice/topics/published.js';
import type { Follower, FollowerSubscription, Policy, Subscription } from '#sluice/topics/subscription.js';
import { type BaseTopic, type TopicOptions, topic } from '#sluice/topics/topic.js';
import { ManualClock } from '../support/manual-clock.js';

/** Starts a thread that notes what it receives. */
function listen<M>(clock: ManualClock, news: BaseTopic<M>, got: M[] = []): M[] {
  clock.start(function* () {
    const subscription = news.subscribe();
    for (let message: M | undefined; (message = yield* subscription.receive()) !== undefined; ) got.push(message);
  });
  return got;
}

/** Subscribes in a thread that does nothing more. */
function subscribe<M>(clock: ManualClock, news: BaseTopic<M>, ...args: Parameters<BaseTopic<M>['subscribe']>) {
  let subscription: Subscription<M> | undefined;
  const thread = clock.start(function* () {
    subscription = news.subscribe(...args);
    yield* sleep(Infinity);
  });
  assert.ok(subscription !== undefined);
  return { subscription, thread };
}

/** All that waits. */
function waiting<M>(subscription: Subscription<M>): M[] {
  const all: M[] = [];
  for (let message: M | undefined; (message = subscription.tryReceive()) !== undefined; ) all.push(message);
  return all;
}

describe('a topic', () => {
  it('gives every subscriber each message, in order, from when it has subscribed', () => {
    const clock = new ManualClock();
    const news = topic<number>('news');
    news.publish(0);
    const one = listen(clock, news);
    for (let i = 1; i <= 3; i++) news.publish(i);
    clock.settle();
    const two = listen(clock, news);
    for (let i = 4; i <= 6; i++) news.publish(i);
    clock.settle();
    assert.deepEqual(one, [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(two, [4, 5, 6]);
    assert.deepEqual(news.counts, { subscribers: 2, published: 7, kept: 0, dropped: 0, disconnected: 0 });
  });

  it('is published to from within a subscriber, and the order is the same for all', () => {
    const clock = new ManualClock();
    const news = topic<number>('news');
    const got = Array.from({ length: 3 }, () => listen(clock, news));
    clock.start(function* () {
      const subscription = news.subscribe();
      for (let message: number | undefined; (message = yield* subscription.receive()) !== undefined; )
        if (message < 5) news.publish(message + 1);
    });
    news.publish(1);
    clock.settle();
    for (const messages of got) assert.deepEqual(messages, [1, 2, 3, 4, 5]);
  });

  it('ends a subscription when its thread is over, and when it is closed', () => {
    const clock = new ManualClock();
    const news = topic<number>('news');
    const { thread } = subscribe(clock, news);
    const { subscription } = subscribe(clock, news);
    const got = listen(clock, news);
    news.publish(1);
    clock.settle();
    thread.unwind();
    clock.settle();
    assert.equal(news.counts.subscribers, 2);
    subscription.close();
    subscription.close();
    assert.equal(news.counts.subscribers, 1);
    assert.equal(subscription.tryReceive(), undefined);
    news.publish(2);
    clock.settle();
    assert.deepEqual(got, [1, 2]);
  });

  it('may be subscribed to by one thread many times: a subscription that is closed leaves nothing behind', () => {
    const clock = new ManualClock();
    const news = topic<number>('news');
    const closed: WeakRef<object>[] = [];
    clock.start(function* () {
      for (let i = 0; i < 1000; i++) {
        const subscription = news.subscribe();
        subscription.close();
        closed.push(new WeakRef(subscription));
      }
      news.subscribe();
      yield* sleep(Infinity);
    });
    assert.equal(news.counts.subscribers, 1);
    return new Promise<void>((resolve) => {
      setImmediate(() => {
        globalThis.gc?.();
        assert.ok(closed.filter((reference) => reference.deref() !== undefined).length < 10);
        resolve();
      });
    });
  });

  it('close: subscribers get what waits, and then the end; nothing can be published', () => {
    const clock = new ManualClock();
    const news = topic<number>('news');
    const got = listen(clock, news);
    const { subscription } = subscribe(clock, news);
    news.publish(1);
    news.publish(2);
    news.close();
    clock.settle();
    assert.deepEqual(got, [1, 2]);
    assert.deepEqual(waiting(subscription), [1, 2]);
    assert.equal(subscription.isOver, true);
    assert.equal(news.counts.subscribers, 1); // the other thread is over
    assert.throws(() => news.publish(3), { code: 'ERR_TOPIC_CLOSED' });
    assert.throws(() => news.subscribe(), { code: 'ERR_TOPIC_CLOSED' });
  });

  it('only one thread at a time receives from a subscription', () => {
    const clock = new ManualClock();
    const news = topic<number>('news');
    const { subscription } = subscribe(clock, news);
    const first = clock.start(() => subscription.receive());
    const second = clock.start(() => subscription.receive());
    assert.throws(() => second.result(), { code: 'ERR_BUSY' });
    first.unwind();
    clock.settle();
    const third = clock.start(() => subscription.receive());
    news.publish(5);
    clock.settle();
    assert.equal(third.result(), 5);
    clock.reports.length = 0; // the second thread's error
  });

  it('may be used outside threads', () => {
    const clock = new ManualClock();
    const news = topic<string>('news');
    const subscription = news.subscribe();
    const { subscription: other } = subscribe(clock, news);
    assert.equal(subscription.tryReceive(), undefined);
    assert.throws(() => [...subscription.receive()], { code: 'ERR_NO_THREAD' });
    subscription.close();
    news.publish('a');
    clock.settle();
    assert.deepEqual(waiting(other), ['a']);
  });

  it('publishes nothing that cannot be encoded, and refuses undefined and wrong ids', () => {
    const clock = new ManualClock();
    const news = topic<unknown>('news', { history: 5 });
    const { subscription } = subscribe(clock, news);
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    assert.throws(() => news.publish(circle), TypeError);
    assert.throws(() => news.publish(undefined), /^TypeError: publish: the message is undefined/);
    assert.throws(
      () => news.publish(() => 1),
      /^TypeError: publish: the message is \[Function\]; expected a value that/,
    );
    assert.throws(
      () => news.publish(1, { id: 'a\nb' }),
      /^TypeError: publish: id is "a\\nb"; expected a string without CR/,
    );
    assert.throws(() => news.publish(1, { id: '' }), /^TypeError: publish: id is empty/);
    clock.settle();
    assert.deepEqual(waiting(subscription), []);
    assert.equal(news.counts.published, 0);
    assert.equal(news.counts.kept, 0);
  });

  const wrong: [unknown, unknown, RegExp][] = [
    ['', {}, /^TypeError: topic: the name is ""; expected a string/],
    ['a', { policy: 'drop' }, /^TypeError: topic: policy is "drop"; expected one of "park", "dropOldest"/],
    [
      'a',
      { policy: 'latest' },
      /^TypeError: topic: key is undefined; expected a function, which the policy "latest" needs/,
    ],
    [
      'a',
      { key: () => 1 },
      /^TypeError: topic: policy is undefined; expected "latest", since only that uses the option key/,
    ],
    ['a', { maxWaiting: 0 }, /^RangeError: topic: maxWaiting is 0; expected a whole number from 1/],
    ['a', { history: -1 }, /^RangeError: topic: history: messages is -1; expected a whole number from 0/],
    ['a', { history: {} }, /^TypeError: topic: history has neither messages nor bytes; expected one of them/],
    ['a', { history: true }, /^TypeError: topic: history is true; expected a number or an object/],
    ['a', { event: 'a\r' }, /^TypeError: topic: event is "a\\r"; expected a string without CR, LF and NUL/],
    ['a', { event: 5 }, /^TypeError: topic: event is 5; expected a string or a function/],
    ['a', { encode: 5 }, /^TypeError: topic: encode is 5; expected a function or false/],
    ['a', { size: 5 }, /^TypeError: topic: unknown option "size"/],
  ];
  for (const [name, options, message] of wrong) {
    it(`refuses ${JSON.stringify(options)}`, () => {
      assert.throws(
        () => topic(name as string, options as TopicOptions<unknown> & { policy: 'park' }),
        (error: Error) => message.test(String(error)),
      );
    });
  }
});

describe('a subscriber that is too slow', () => {
  const flooded = (options: TopicOptions<string> & { policy: Exclude<Policy, 'park'> }) => {
    const clock = new ManualClock();
    const news = topic<string>('news', { maxWaiting: 3, ...options });
    const { subscription } = subscribe(clock, news);
    const fast = listen(clock, news);
    for (const message of ['a1', 'b1', 'a2', 'c1', 'd1', 'a3']) {
      news.publish(message);
      clock.settle();
    }
    return { news, subscription, fast, clock };
  };
  const all = ['a1', 'b1', 'a2', 'c1', 'd1', 'a3'];

  it('dropOldest: has the newest', () => {
    const { news, subscription, fast } = flooded({ policy: 'dropOldest' });
    assert.deepEqual(fast, all);
    assert.equal(subscription.waiting, 3);
    assert.deepEqual(waiting(subscription), ['c1', 'd1', 'a3']);
    assert.equal(subscription.dropped, 3);
    assert.equal(news.counts.dropped, 3);
  });

  it('dropNewest: has the oldest', () => {
    const { news, subscription, fast } = flooded({ policy: 'dropNewest' });
    assert.deepEqual(fast, all);
    assert.deepEqual(waiting(subscription), ['a1', 'b1', 'a2']);
    assert.equal(subscription.dropped, 3);
    assert.equal(news.counts.dropped, 3);
  });

  it('latest: has the newest of each key, in the order in which they were published', () => {
    const { news, subscription, fast } = flooded({ policy: 'latest', key: (message) => message[0] });
    assert.deepEqual(fast, all);
    assert.deepEqual(waiting(subscription), ['c1', 'd1', 'a3']);
    assert.equal(subscription.dropped, 3); // a1 and a2 were replaced, b1 had to go for d1
    assert.equal(news.counts.dropped, 3);
  });

  it('disconnect: gets an error, and its subscription ends', () => {
    const { news, subscription, fast } = flooded({ policy: 'disconnect' });
    assert.deepEqual(fast, all);
    assert.throws(() => subscription.tryReceive(), {
      code: 'ERR_TOO_SLOW',
      message: 'topic news: the subscriber is too slow: more than 3 messages wait for it',
    });
    assert.equal(subscription.closed, true);
    assert.deepEqual(news.counts, { subscribers: 1, published: 6, kept: 0, dropped: 0, disconnected: 1 });
  });

  it('park: the publisher waits until there is room, and nothing is dropped', () => {
    const clock = new ManualClock();
    const news = topic<number>('news', { policy: 'park', maxWaiting: 3 });
    const { subscription, thread } = subscribe(clock, news);
    const fast = listen(clock, news);
    let published = 0;
    const publisher = clock.start(function* () {
      for (let i = 1; i <= 10; i++) {
        yield* news.publish(i);
        published = i;
        yield* sleep(0);
      }
    });
    clock.settle();
    assert.equal(published, 3);
    assert.equal(publisher.wait, 'channel');
    assert.equal(news.tryPublish(99), false);
    assert.equal(subscription.tryReceive(), 1);
    clock.settle();
    assert.equal(published, 4);
    assert.deepEqual(waiting(subscription), [2, 3, 4]);
    clock.settle();
    assert.equal(published, 7);
    thread.unwind(); // a subscriber that has left does not hold publishers up
    clock.settle();
    assert.equal(published, 10);
    assert.deepEqual(fast, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it('park: a publisher that publishes without a pause waits as well, and one that is unwound publishes nothing', () => {
    const clock = new ManualClock();
    const news = topic<number>('news', { policy: 'park', maxWaiting: 2 });
    const { subscription } = subscribe(clock, news);
    const publisher = clock.start(function* () {
      for (let i = 1; ; i++) yield* news.publish(i);
    });
    clock.settle();
    assert.equal(subscription.waiting, 2);
    publisher.unwind();
    clock.settle();
    assert.deepEqual(waiting(subscription), [1, 2]);
    clock.settle();
    assert.deepEqual(waiting(subscription), []);
    news.close();
  });

  it('park: publishers get ERR_TOPIC_CLOSED when the topic is closed', () => {
    const clock = new ManualClock();
    const news = topic<number>('news', { policy: 'park', maxWaiting: 1 });
    subscribe(clock, news);
    const publisher = clock.start(function* () {
      for (let i = 1; ; i++) yield* news.publish(i);
    });
    clock.settle();
    news.close();
    clock.settle();
    assert.throws(() => publisher.result(), { code: 'ERR_TOPIC_CLOSED' });
  });
});

describe('the history of a topic', () => {
  it('is given to a subscriber that names the last message it has had', () => {
    const clock = new ManualClock();
    const news = topic<number>('news', { history: 3 });
    const ids = [1, 2, 3, 4, 5].map((message) => {
      news.publish(message);
      return news.lastId;
    });
    assert.equal(new Set(ids).size, 5);
    assert.deepEqual(news.history, [3, 4, 5]);
    const after = (id: string) => {
      const { subscription } = subscribe(clock, news, { after: id });
      return { missed: subscription.missed, got: waiting(subscription) };
    };
    assert.deepEqual(after(ids[4]), { missed: false, got: [] });
    assert.deepEqual(after(ids[3]), { missed: false, got: [5] });
    assert.deepEqual(after(ids[1]), { missed: false, got: [3, 4, 5] });
    assert.deepEqual(after(ids[0]), { missed: true, got: [] });
    assert.deepEqual(after('other'), { missed: true, got: [] });
    assert.deepEqual(after(''), { missed: false, got: [] });
    assert.deepEqual([news.canResume(ids[1]), news.canResume(ids[0])], [true, false]);
    const { subscription } = subscribe(clock, news, { replay: true });
    news.publish(6);
    clock.settle();
    assert.deepEqual(waiting(subscription), [3, 4, 5, 6]);
    assert.equal(subscription.lastId, news.lastId);
  });

  it('is bounded by bytes', () => {
    const news = topic<string>('news', { history: { bytes: 10 } });
    for (const message of ['aaaa', 'bbbb', 'ää', 'cc']) news.publish(message);
    assert.deepEqual(news.history, ['bbbb', 'ää', 'cc']);
    news.publish('x'.repeat(11));
    assert.deepEqual(news.history, []);
    news.publish('y');
    assert.deepEqual(news.history, ['y']);
  });

  it('may be longer than may wait: a subscriber that comes back gets all of it', () => {
    const clock = new ManualClock();
    const news = topic<number>('news', { history: 100, maxWaiting: 2 });
    for (let i = 0; i < 10; i++) news.publish(i, { id: `${i}` });
    const { subscription } = subscribe(clock, news, { after: '0' });
    news.publish(10);
    news.publish(11);
    clock.settle();
    assert.deepEqual(waiting(subscription), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    for (let i = 12; i < 16; i++) news.publish(i);
    clock.settle();
    assert.deepEqual(waiting(subscription), [14, 15]);
  });

  it('knows the ids of another process, if its messages were published with them', () => {
    const clock = new ManualClock();
    const news = topic<string>('news', { history: 10 });
    for (const id of ['k7', 'k8', 'k9']) news.publish(`message ${id}`, { id });
    const { subscription } = subscribe(clock, news, { after: 'k8' });
    assert.deepEqual(waiting(subscription), ['message k9']);
  });

  it('an id that is used again is that of the later message', () => {
    const clock = new ManualClock();
    const news = topic<number>('news', { history: 3 });
    news.publish(1, { id: 'a' });
    news.publish(2, { id: 'b' });
    news.publish(3, { id: 'a' });
    for (let i = 4; i < 6; i++) news.publish(i);
    const { subscription } = subscribe(clock, news, { after: 'a' });
    assert.deepEqual(waiting(subscription), [4, 5]);
  });

  it('holds after any number of messages what it should', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 80 }), fc.integer({ min: 0, max: 400 }), (most, count) => {
        const news = topic<number>('news', { history: most });
        for (let i = 0; i < count; i++) news.publish(i, { id: `${i}` });
        const first = Math.max(0, count - most);
        assert.deepEqual(
          news.history,
          Array.from({ length: count - first }, (_, i) => first + i),
        );
        for (let i = 0; i < count; i++) assert.equal(news.canResume(`${i}`), i >= first - 1);
      }),
      { numRuns: 40 },
    );
  });
});

// Deliveries that take several turns.

const format = new WireFormat(({ content }) => String(content));

/** A follower that takes everything, or nothing. */
class Sink implements Follower<string> {
  readonly format = format;
  readonly scheduler;
  readonly got: string[] = [];
  readonly onPut: ((frame: string) => void) | undefined;
  waits = 0;
  isOpen = true;
  ended: unknown;
  subscription: FollowerSubscription<string, string> | undefined;

  constructor(clock: ManualClock, onPut?: (frame: string) => void) {
    this.scheduler = clock.scheduler;
    this.onPut = onPut;
  }

  follow(news: BaseTopic<string>): this {
    this.subscription = news.attach(this, {});
    return this;
  }

  put(frame: string): boolean {
    if (!this.isOpen) return false;
    this.got.push(frame);
    this.onPut?.(frame);
    return true;
  }

  wait(): void {
    this.waits++;
  }

  disconnect(reason: unknown): void {
    this.ended = reason;
  }

  topicClosed(): void {
    this.ended = 'closed';
  }
}

describe('a topic with very many subscribers', () => {
  const count = 2000;

  it('encodes and frames a message once for all of them', () => {
    const clock = new ManualClock();
    let encoded = 0;
    const news = topic<string>('news', {
      encode: (message) => {
        encoded++;
        return `<${message}>`;
      },
    });
    const sinks = Array.from({ length: count }, () => new Sink(clock).follow(news));
    news.publish('a');
    clock.settle();
    for (const { got } of sinks) assert.deepEqual(got, ['<a>']);
    assert.equal(encoded, 1);
  });

  it('spreads a delivery over turns', () => {
    const clock = new ManualClock();
    const news = topic<string>('news');
    const sinks = Array.from({ length: count }, () => new Sink(clock).follow(news));
    news.publish('a');
    const reached: number[] = [];
    while (clock.turnRequested) {
      clock.turn();
      reached.push(sinks.filter(({ got }) => got.length > 0).length);
    }
    assert.deepEqual(reached, [512, 1024, 1536, 2000]);
  });

  it('keeps the order for each when more is published, and when subscribers join and leave meanwhile', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('publish', 'join', 'leave', 'turn'), fc.nat()), { maxLength: 60 }),
        (steps) => {
          const clock = new ManualClock();
          const news = topic<string>('news');
          const sinks: { sink: Sink; from: number; to: number }[] = [];
          let published = 0;
          const join = () => sinks.push({ sink: new Sink(clock).follow(news), from: published, to: Infinity });
          for (let i = 0; i < 1200; i++) join();
          for (const [step, number] of steps) {
            if (step === 'publish') news.publish(`${published++}`);
            else if (step === 'join') join();
            else if (step === 'turn') clock.turn();
            else {
              const one = sinks[number % sinks.length];
              one.sink.subscription?.close();
              one.to = Math.min(one.to, one.sink.got.length);
            }
          }
          clock.settle();
          for (const { sink, from, to } of sinks) {
            const end = Math.min(published, from + to);
            assert.deepEqual(
              sink.got,
              Array.from({ length: end - from }, (_, i) => `${from + i}`),
            );
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is not disturbed by a follower that leaves, has others leave, or publishes, in the midst of a delivery', () => {
    const clock = new ManualClock();
    const news = topic<string>('news');
    const sinks: Sink[] = [];
    for (let i = 0; i < 50; i++) {
      const onPut = (frame: string): void => {
        if (frame !== 'a') return;
        if (i % 5 === 0) sinks[i].subscription?.close();
        if (i % 7 === 0) sinks[(i + 11) % 50].subscription?.close();
        if (i === 20) news.publish('b');
      };
      sinks.push(new Sink(clock, onPut).follow(news));
    }
    news.publish('a');
    clock.settle();
    for (const { got, subscription } of sinks) {
      if (subscription?.closed) assert.ok(got.length <= 1);
      else assert.deepEqual(got, ['a', 'b']);
    }
    assert.equal(news.counts.subscribers, sinks.filter(({ subscription }) => subscription?.closed === false).length);
  });

  it('delivers before publish returns when very many messages are on their way', () => {
    const clock = new ManualClock();
    const news = topic<string>('news');
    const sink = new Sink(clock).follow(news);
    for (let i = 0; i < 3000; i++) news.publish(`${i}`);
    assert.ok(sink.got.length > 1500);
    clock.settle();
    assert.deepEqual(
      sink.got,
      Array.from({ length: 3000 }, (_, i) => `${i}`),
    );
  });
});

describe('a follower without room', () => {
  it('is called once when messages wait, and gets them in order when it asks', () => {
    const clock = new ManualClock();
    const news = topic<string>('news', { maxWaiting: 3 });
    const sink = new Sink(clock).follow(news);
    sink.isOpen = false;
    for (const message of ['a', 'b', 'c', 'd']) {
      news.publish(message);
      clock.settle();
    }
    assert.equal(sink.waits, 1);
    assert.equal(sink.subscription?.flush(), false);
    sink.isOpen = true;
    assert.equal(sink.subscription?.next(), 'b');
    assert.equal(sink.subscription?.flush(), true);
    assert.deepEqual(sink.got, ['c', 'd']);
    news.publish('e');
    clock.settle();
    assert.deepEqual(sink.got, ['c', 'd', 'e']);
    assert.equal(news.counts.dropped, 1);
  });

  it('is disconnected by the policy of that name', () => {
    const clock = new ManualClock();
    const news = topic<string>('news', { policy: 'disconnect', maxWaiting: 1 });
    const sinks = [new Sink(clock).follow(news), new Sink(clock).follow(news), new Sink(clock).follow(news)];
    sinks[0].isOpen = false;
    for (const message of ['a', 'b', 'c']) news.publish(message);
    clock.settle();
    assert.equal((sinks[0].ended as { code: string }).code, 'ERR_TOO_SLOW');
    assert.deepEqual(sinks[1].got, ['a', 'b', 'c']);
    assert.deepEqual(sinks[2].got, ['a', 'b', 'c']);
    assert.equal(news.counts.subscribers, 2);
  });

  it('park: holds the publisher up until it has taken something, or left', () => {
    const clock = new ManualClock();
    const news = topic<string>('news', { policy: 'park', maxWaiting: 2 });
    const sink = new Sink(clock).follow(news);
    sink.isOpen = false;
    let published = 0;
    clock.start(function* (): Task<void> {
      for (; published < 9; published++) yield* news.publish(`${published}`);
    });
    clock.settle();
    assert.equal(published, 2);
    sink.subscription?.next();
    clock.settle();
    assert.ok(published > 2 && published <= 4, `${published} were published`); // up to maxWaiting were on their way
    sink.subscription?.close();
    clock.settle();
    assert.equal(published, 9);
  });
});
