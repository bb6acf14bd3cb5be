// The server of slow-subscribers.mjs: a topic, and event streams that follow it.
import { readFileSync } from 'node:fs';
import { events, serve, topic } from '../../dist/index.js';

const [policy, maxWaiting] = process.argv.slice(2);
const key = policy === 'latest' ? { key: ({ number }) => number } : {};
const news = topic('news', { policy, maxWaiting: Number(maxWaiting), ...key });
const server = await serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch: (request) => events(request, (client) => client.follow(news)),
});

const later = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
let number = 0;
const publish = (content) =>
  news.publish({ number: ++number, at: performance.timeOrigin + performance.now(), text: content });

/** Publishes until the clients that read nothing are flooded, and the policy is at work for each of them. */
async function flood({ flood: bytes, lazy, readers }) {
  const content = 'x'.repeat(bytes);
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
