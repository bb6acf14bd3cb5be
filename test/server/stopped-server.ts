// A server, of HTTP and of lines, on the event layer that a message names; for stopped.test.ts, which stops its process.

import { listen } from '#sluice/connection/listen.js';
import { Network } from '#sluice/connection/network.js';
import { chooseEventLayer } from '#sluice/event-layer/choose.js';
import { Response } from '#sluice/http/fetch/response.js';
import { serve } from '#sluice/server/serve.js';
import { answering } from '../support/program.js';

export type Ask = { start: { layer: string; timeout: number } } | { close: true };
export interface Answer {
  pid: number;
  httpPort: number | undefined;
  linePort: number | undefined;
  errors: string[];
}

const errors: string[] = [];
const onError = (error: unknown) => {
  errors.push(String(error));
};
let close = async () => {};
let ports: Pick<Answer, 'httpPort' | 'linePort'> = { httpPort: undefined, linePort: undefined };

async function start(layer: string, timeout: number): Promise<void> {
  const network = new Network(chooseEventLayer(layer));
  const place = { network, onError, port: 0, hostname: '127.0.0.1' };
  const lines = await listen(place, function* ({ reader, writer }) {
    reader.timeout = timeout;
    for (let line: string | undefined; (line = yield* reader.readLine(100)) !== undefined; )
      yield* writer.write(`${line}\n`);
  });
  const http = await serve({
    ...place,
    globals: false,
    headTimeout: timeout,
    bodyTimeout: timeout,
    idleTimeout: timeout,
    fetch: async (request) => new Response(`got ${await request.text()}`),
  });
  ports = { httpPort: http.port, linePort: lines.port };
  close = async () => {
    await Promise.all([http.close(), lines.close()]);
    await network.layer.close();
  };
}

answering<Ask, Answer>(async (ask) => {
  if ('start' in ask) await start(ask.start.layer, ask.start.timeout);
  else await close();
  return { pid: process.pid, ...ports, errors };
});
