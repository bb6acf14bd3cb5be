import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { examineEventLayers } from '#sluice/event-layer/choose.js';
import { Child } from '../support/child.js';
import type { Answer, Ask } from './stopped-server.js';

const timeout = 400;

for (const { name, reason } of await examineEventLayers())
  test(`what came in time is served although the process was stopped past every deadline, ${name}`, {
    skip: reason,
  }, async (t) => {
    const server = new Child<Ask, Answer>(new URL('stopped-server.js', import.meta.url));
    t.after(() => server.kill());
    const { pid, httpPort = 0, linePort = 0 } = await server.ask({ start: { layer: name, timeout } });
    /** @returns what sends more, and all that has come by the time that the last piece of it is what is expected, or the connection has ended */
    const client = async (port: number, first: string) => {
      const socket = connect(port, '127.0.0.1');
      t.after(() => socket.destroy());
      socket.setEncoding('latin1').on('error', () => {});
      let text = '';
      let news = () => {};
      socket.on('data', (data) => {
        text += data;
        news();
      });
      socket.on('close', () => news());
      await once(socket, 'connect');
      socket.write(first);
      const ends = async (last: string): Promise<string> => {
        while (!text.endsWith(last) && !socket.closed)
          await new Promise<void>((resolve) => {
            news = resolve;
          });
        const whole = text;
        text = '';
        return whole.slice(-last.length);
      };
      return { socket, ends };
    };
    const line = await client(linePort, 'a\n');
    const idle = await client(httpPort, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    const head = await client(httpPort, 'GET / HTTP/1.1\r\n');
    const body = await client(httpPort, 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab');
    await Promise.all([line.ends('a\n'), idle.ends('got ')]);
    await wait(20); // all of it is read by now
    process.kill(pid, 'SIGSTOP');
    line.socket.write('b\n');
    idle.socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    head.socket.write('host: x\r\n\r\n');
    body.socket.write('cd');
    await wait(timeout + 50);
    process.kill(pid, 'SIGCONT');
    assert.deepEqual(await Promise.all([line.ends('b\n'), idle.ends('got '), head.ends('got '), body.ends('abcd')]), [
      'b\n',
      'got ',
      'got ',
      'abcd',
    ]);
    for (const { socket } of [line, idle, head, body]) socket.end();
    assert.deepEqual((await server.ask({ close: true })).errors, []);
    assert.equal(await server.end(), 0);
  });
