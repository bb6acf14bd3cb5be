import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { layers } from '../support/layers.js';
import { Child } from '../support/program.js';
import { RawClient } from '../support/raw-client.js';
import type { Answer, Ask } from './stopped-server.js';

const timeout = 400;

for (const { name, skip } of layers)
  test(`what came in time is served although the process was stopped past every deadline, ${name}`, {
    skip,
  }, async (t) => {
    const server = new Child<Ask, Answer>(new URL('stopped-server.js', import.meta.url));
    t.after(() => server.kill());
    const { pid, httpPort = 0, linePort = 0 } = await server.ask({ start: { layer: name, timeout } });
    const client = async (port: number, first: string): Promise<RawClient> => {
      const client = await RawClient.open(port);
      t.after(() => client.socket.destroy());
      return client.send(first);
    };
    const endsWith = (client: RawClient, end: string) => client.until((text) => text.endsWith(end));
    const line = await client(linePort, 'a\n');
    const idle = await client(httpPort, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    const head = await client(httpPort, 'GET / HTTP/1.1\r\n');
    const body = await client(httpPort, 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab');
    await Promise.all([endsWith(line, 'a\n'), endsWith(idle, 'got ')]);
    await wait(20); // all of it is read by now
    process.kill(pid, 'SIGSTOP');
    line.send('b\n');
    idle.text = '';
    idle.send('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    head.send('host: x\r\n\r\n');
    body.send('cd');
    await wait(timeout + 50);
    process.kill(pid, 'SIGCONT');
    assert.deepEqual(
      await Promise.all([
        endsWith(line, 'b\n'),
        endsWith(idle, 'got '),
        endsWith(head, 'got '),
        endsWith(body, 'abcd'),
      ]),
      [true, true, true, true],
    );
    for (const { socket } of [line, idle, head, body]) socket.end();
    assert.deepEqual((await server.ask({ close: true })).errors, []);
    assert.equal(await server.end(), 0);
  });
