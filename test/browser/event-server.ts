// A server of event streams in a separate process, for a test that kills it. The source of its messages is the process that has started it: it says which ones there
// have been, and then each new one.

import { events } from '#sluice/events/events.js';
import { Response } from '#sluice/http/fetch/response.js';
import { serve } from '#sluice/server/serve.js';
import { topic } from '#sluice/topics/topic.js';

/** A message of the source: its number is its id. */
export interface SourceMessage {
  history?: number[];
  number?: number;
}

const numbers = topic<number>('numbers', { history: 10_000, event: 'number' });

process.on('message', ({ history = [], number }: SourceMessage) => {
  for (const each of number === undefined ? history : [number]) numbers.publish(each, { id: String(each) });
  if (number === undefined) void start();
});
process.on('disconnect', () => process.exit());

const page = `<!doctype html><title>numbers</title><script>
  const seen = [];
  const missed = [];
  let errors = 0;
  const source = new EventSource('/numbers');
  source.addEventListener('number', ({ data }) => seen.push(Number(data)));
  source.addEventListener('missed', ({ data }) => missed.push(data));
  source.onerror = () => errors++;
</script>`;

async function start(): Promise<void> {
  const server = await serve({
    hostname: '127.0.0.1',
    port: Number(process.argv[2]),
    fetch: (request) =>
      new URL(request.url).pathname === '/numbers'
        ? events(request, function* (client) {
            yield* client.send({ retry: 100 });
            yield* client.follow(numbers);
          })
        : new Response(page, { headers: { 'content-type': 'text/html' } }),
  });
  process.once('SIGTERM', () => server.close().then(() => process.exit()));
  process.send?.({ port: server.port });
}
