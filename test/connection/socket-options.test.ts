import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '#sluice/connection/connect.js';
import { listen } from '#sluice/connection/listen.js';
import { Network } from '#sluice/connection/network.js';
import { SimulatedLayer } from '#sluice/event-layer/simulated/simulated.js';
import { Response } from '#sluice/http/fetch/response.js';
import { serve } from '#sluice/server/serve.js';
import { run } from '#sluice/threads/thread.js';

type Options = Record<string, unknown>;

/** What `serve`, `listen` and `connect` ask of the event layer's sockets when they are given these options. */
async function asked(options: Options): Promise<unknown[]> {
  const layer = new SimulatedLayer();
  const network = new Network(layer);
  const all: unknown[] = [];
  const note = ({ keepAlive, sendBufferSize }: Options) => {
    all.push({ keepAlive, sendBufferSize });
  };
  const { listen: listenOn, connect: connectTo } = layer;
  layer.listen = (given) => {
    note({ ...given });
    return listenOn.call(layer, given);
  };
  layer.connect = (address, localAddress, given) => {
    note({ ...given });
    return connectTo.call(layer, address, localAddress);
  };
  await serve({ ...options, port: 80, network, globals: false, fetch: () => new Response() });
  await listen({ ...options, port: 81, network }, function* () {});
  const client = run(() => connect({ ...options, port: 81, network }), { scheduler: network.scheduler });
  await layer.run(1000);
  await client;
  await layer.close();
  return all;
}

test('keepAlive is a minute, unless it is said otherwise, for serve, listen and connect', async () => {
  const cases: [Options, number][] = [
    [{}, 60_000],
    [{ keepAlive: undefined }, 60_000],
    [{ keepAlive: true }, 60_000],
    [{ keepAlive: false }, 0],
    [{ keepAlive: 5000 }, 5000],
  ];
  for (const [options, keepAlive] of cases)
    assert.deepEqual(await asked(options), Array(3).fill({ keepAlive, sendBufferSize: undefined }));
});

test('sendBufferSize is the system’s choice, unless it is said otherwise', async () => {
  const all = await asked({ sendBufferSize: 65_536 });
  assert.deepEqual(all, Array(3).fill({ keepAlive: 60_000, sendBufferSize: 65_536 }));
});

test('socket options that cannot be are refused with their name, what was found and what was expected', async () => {
  const cases: [Options, RegExp][] = [
    [{ keepAlive: 10 }, /: keepAlive is 10; expected true, false or a number from 1000 to 32767000$/],
    [{ keepAlive: 'yes' }, /: keepAlive is "yes"; expected true, false or a number from 1000 to 32767000$/],
    [{ sendBufferSize: 0 }, /: sendBufferSize is 0; expected a whole number from 4096 to 1073741824$/],
    [
      { path: '/tmp/x', keepAlive: true },
      /: path and keepAlive are both given; a Unix-domain socket has no keepAlive$/,
    ],
    [{ path: '/tmp/x', sendBufferSize: 8192 }, /: path and sendBufferSize are both given; a Unix-domain socket has no/],
  ];
  for (const [options, message] of cases) {
    const network = new Network(new SimulatedLayer());
    const place = { ...('path' in options ? {} : { port: 80 }), ...options, network };
    await assert.rejects(serve({ ...place, fetch: () => new Response() }), { message });
    await assert.rejects(
      listen(place, function* () {}),
      { message },
    );
    await assert.rejects(run(connect(place)), { message });
  }
});
