// A protocol of one's own: each line comes back.
//
//   nc localhost 7000

import { listen } from 'sluice';

const longestLine = 1024;

const options = { port: Number(process.env.PORT ?? 7000), hostname: process.env.HOST ?? '127.0.0.1' };

const server = await listen(options, function* echo({ reader, writer }) {
  reader.timeout = 300_000;
  for (let line: string | undefined; (line = yield* reader.readLine(longestLine)) !== undefined; ) {
    yield* writer.write(`${line}\n`);
  }
});

process.once('SIGINT', () => server.close({ deadline: 100 }));
process.once('SIGTERM', () => server.close({ deadline: 100 }));
console.log(`echo: ${server.address}`);
