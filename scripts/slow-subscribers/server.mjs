// The server of slow-subscribers.mjs: a topic, and event streams that follow it.
import { readFileSync } from 'node:fs';
import { events, run, serve, topic } from '../../dist/index.js';

const [policy, maxWaiting, writeTimeout] = process.argv.slice(2);
const key = policy === 'latest' ? { key: ({ number }) => number } : {};
const news = topic('news', { policy, maxWaiting: Number(maxWaiting), ...key });
const server = await serve({
  hostname: '127.0.0.1',
  port: 0,
  writeTimeout: Number(writeTimeout),
  fetch: (request) => events(request, (client) => client.follow(news)),
});

const later = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
let number = 0;
const message = (content) => ({ number: ++number, at: performance.timeOrigin + performance.now(), text: content });
/** @returns false if the publisher would have to wait, under `park` */
const publish = (content) => {
  if (policy !== 'park') news.publish(message(content));
  else if (!news.tryPublish(message(content))) return false;
  return true;
};

let parkedAt = 0;

/** Under `park`: publishes until that has to wait, for longer than clients that read can take. */
async function fill(content) {
  for (let refused = 0; refused < 100; await later(5)) refused = publish(content) ? 0 : refused + 1;
  parkedAt = performance.now();
  return news.counts;
}

/** Publishes one message more, which waits for the clients that read nothing. @returns for how long, in milliseconds */
async function publishBehind() {
  await run(() => news.publish(message('')));
  return { ...news.counts, waited: performance.now() - parkedAt };
}

/** Publishes until the clients that read nothing are flooded, and the policy is at work for each of them. */
async function flood({ flood: bytes, lazy, readers }) {
  const content = 'x'.repeat(bytes);
  if (policy === 'park') return fill(content);
  for (let isFlooded = false; !isFlooded && number < 5000; ) {
    const { dropped } = news.counts;
    publish(content);
    await later(5);
    isFlooded = policy === 'disconnect' ? news.counts.subscribers === readers : news.counts.dropped - dropped === lazy;
  }
  return news.counts;
}

async function state() {
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await later(50);
  }
  const [, kilobytes] = /RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return { ...news.counts, memory: Number(kilobytes) * 1024, layer: server.eventLayer };
}

process.on('message', async (question) => {
  if (question === 'state') process.send(await state());
  else if (question === 'publish behind') process.send(await publishBehind());
  else if ('flood' in question) process.send(await flood(question));
  else {
    for (let i = 0; i < question.publish; i++) {
      publish('x'.repeat(question.size));
      await later(question.interval);
    }
    process.send('done');
  }
});
process.send({ port: server.port });
