import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server } from '../load/server.js';
import { workloads } from '../load/workloads.js';
import { Load, wrkVersion } from '../load/wrk.js';
import { findPeers, type Peer } from '../peers.js';

function peer(name: string): Peer {
  const found = findPeers([name], undefined, undefined).peers.find((each) => each.name === name);
  assert.ok(found, `${name} is there`);
  return found;
}

test('every workload is answered by node:http as the bench expects', async () => {
  const server = await Server.start(peer('node'));
  try {
    for (const workload of Object.values(workloads)) assert.ok((await server.answerBytes(workload)) > 0, workload.name);
  } finally {
    await server.stop();
  }
});

test('a window counts the requests that were answered, and a broken server is noticed', {
  skip: wrkVersion() === undefined,
}, async () => {
  const server = await Server.start(peer('broken'));
  try {
    const load = await Load.start(server, { workload: workloads.hello, connections: 4 });
    const { cpu, throughput } = await load.window(0.1);
    assert.ok(cpu > 0 && throughput > 10, `${cpu} µs a request, ${throughput} requests a second`);
    const { summary, problems } = await load.end();
    assert.ok(summary !== undefined && summary.status > 0);
    assert.match(problems.join(), /answers had an error status; 0 were expected/);
  } finally {
    await server.stop();
  }
});

test('a server that does not answer a workload as it should is refused', async () => {
  const server = await Server.start(peer('broken'));
  try {
    await assert.rejects(
      server.answerBytes(workloads.mixed),
      /\/missing HTTP\/1.1 is answered with 200 instead of 404/,
    );
  } finally {
    await server.stop();
  }
});
