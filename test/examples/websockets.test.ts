// The examples with WebSockets do what their first lines promise.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import WebSocket from 'ws';
import { Example, withExample } from './example.js';

/** A client that keeps what it gets, as objects. */
class Client {
  readonly socket: WebSocket;
  readonly received: Record<string, unknown>[] = [];
  #changed = (): void => {};

  constructor(url: string) {
    this.socket = new WebSocket(url);
    this.socket.on('message', (data) => {
      this.received.push(Object(JSON.parse(String(data))));
      this.#changed();
    });
  }

  /** The first message that is so, once it has come. It and those before it are taken. */
  async next(is: (message: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> {
    for (;;) {
      const found = this.received.findIndex(is);
      if (found !== -1) return this.received.splice(0, found + 1).at(-1) ?? {};
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }
}

const isSaid = ({ kind }: Record<string, unknown>) => kind === 'said';
const isPresent =
  (...names: string[]) =>
  ({ kind, names: present }: Record<string, unknown>) =>
    kind === 'present' && String(present) === String(names);

test('chat: what one says, all hear; who comes later gets the history, and who comes back what was missed', async () => {
  await withExample('chat/main.js', async (example) => {
    const address = await example.address();
    assert.match(await (await fetch(`http://${address}/`)).text(), /<title>sluice: chat/);
    assert.equal((await fetch(`http://${address}/chat`)).status, 400);
    assert.equal((await fetch(`http://${address}/chat?name=a`)).status, 426);
    assert.equal((await fetch(`http://${address}/nowhere`)).status, 404);
    const join = (name: string, after = '') => new Client(`ws://${address}/chat?name=${name}&after=${after}`);

    const ann = join('Ann');
    await ann.next(isPresent('Ann'));
    ann.socket.send('  hello  ');
    ann.socket.send('   ');
    ann.socket.send('is anybody here?');
    assert.equal((await ann.next(isSaid)).text, 'hello');
    const second = await ann.next(isSaid);
    assert.deepEqual([second.name, second.text], ['Ann', 'is anybody here?']);

    const bob = join('Bob');
    assert.deepEqual([(await bob.next(isSaid)).text, (await bob.next(isSaid)).text], ['hello', 'is anybody here?']);
    await bob.next(isPresent('Ann', 'Bob'));
    await ann.next(isPresent('Ann', 'Bob'));
    bob.socket.send('<b>I am</b>');
    assert.equal((await ann.next(isSaid)).text, '<b>I am</b>');

    bob.socket.terminate();
    await ann.next(isPresent('Ann'));
    ann.socket.send('are you still there?');
    const last = await ann.next(isSaid);
    const again = join('Bob', String(second.id));
    assert.deepEqual([(await again.next(isSaid)).text, (await again.next(isSaid)).id], ['<b>I am</b>', last.id]);
    const stranger = join('Bob', 'unknown');
    assert.equal((await stranger.next(() => true)).kind, 'missed');

    for (let i = 0; i < 25; i++) stranger.socket.send(`${i}`);
    const [code, reason] = await once(stranger.socket, 'close');
    assert.deepEqual([code, String(reason)], [1008, 'slower, please']);
    const closed = once(ann.socket, 'close');
    await example.stop();
    assert.equal((await closed)[0], 1001);
    again.socket.terminate();
  });
});

test('devices: readings of devices go to all pages, a device that leaves is offline, and a page can reset one', async () => {
  const example = new Example('devices/main.js', { DEVICE_PORT: '0', DEVICES: '3' });
  try {
    const address = await example.address();
    const [, port] = await example.printed(/send readings to 127\.0\.0\.1:(\d+)/);
    assert.match(await (await fetch(`http://${address}/`)).text(), /<title>sluice: devices/);
    const page = new Client(`ws://${address}/watch`);
    const of = (device: string) => (message: Record<string, unknown>) => message.device === device;
    const simulated = await page.next(
      ({ device, value }) => String(device).startsWith('hygrometer') && value !== undefined,
    );
    assert.equal(simulated.unit, '%');

    const device = connect(Number(port), '127.0.0.1');
    const lines = createInterface(device)[Symbol.asyncIterator]();
    device.write('hello scale kg\n');
    assert.deepEqual((({ isOnline, unit, value }) => [isOnline, unit, value])(await page.next(of('scale'))), [
      true,
      'kg',
      undefined,
    ]);
    device.write('72.5\nmuch\n');
    assert.equal((await page.next(of('scale'))).value, 72.5);
    assert.equal((await lines.next()).value, 'expected a number');
    page.socket.send('reset nobody');
    page.socket.send('reset scale');
    assert.equal((await lines.next()).value, 'reset');

    const other = new Client(`ws://${address}/watch`);
    assert.equal((await other.next(of('scale'))).value, 72.5);
    device.resetAndDestroy();
    for (const client of [page, other]) assert.equal((await client.next(of('scale'))).isOnline, false);
    const wrong = connect(Number(port), '127.0.0.1');
    wrong.write('72.5\n');
    assert.equal((await createInterface(wrong)[Symbol.asyncIterator]().next()).value, 'expected: hello NAME UNIT');
    for (const client of [page, other]) client.socket.terminate();
    await example.stop('SIGINT');
  } finally {
    example.kill();
  }
});
