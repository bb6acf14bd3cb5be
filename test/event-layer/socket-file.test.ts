// Paths of Unix-domain sockets, on every layer: files of servers that are no more are taken over, and those of others stay.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { EventLayer, ListenerId } from '#sluice/event-layer/event-layer.js';
import { noopSink } from '#sluice/event-layer/noop-sink.js';
import { layers } from '../support/layers.js';

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-socket-'));
});
after(() => rmSync(folder, { recursive: true }));

/** What a server that was killed leaves behind. */
async function leaveFile(path: string): Promise<void> {
  const server = net.createServer().listen(`${path}.live`);
  await once(server, 'listening');
  renameSync(`${path}.live`, path); // so that closing the server does not remove it
  server.close();
  await once(server, 'close');
}

/** Whether something accepts connections at the path: `true`, or the code of the error. */
async function answers(path: string): Promise<unknown> {
  const socket = net.connect({ path });
  const answer = await Promise.race([
    once(socket, 'connect').then(() => true),
    new Promise((resolve) => socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))),
  ]);
  socket.destroy();
  return answer;
}

for (const { name, make, skip } of layers) {
  describe(`the path of a Unix-domain socket, on ${name}`, { skip }, () => {
    const withLayers = async (act: (path: string, layer: EventLayer, other: EventLayer) => Promise<void>) => {
      const [layer, other] = [make(), make()];
      for (const each of [layer, other]) each.start(noopSink);
      const path = join(folder, `${name}.sock`);
      try {
        await act(path, layer, other);
      } finally {
        await layer.close();
        await other.close();
        rmSync(path, { force: true });
      }
    };
    const listen = async (layer: EventLayer, path: string): Promise<ListenerId> =>
      (await layer.listen({ address: { path }, backlog: 8 })).listener;

    it('is taken over where the server that listened on it is no more', async () => {
      await withLayers(async (path, layer) => {
        await leaveFile(path);
        assert.equal(await answers(path), 'ECONNREFUSED');
        const listener = await listen(layer, path);
        assert.equal(await answers(path), true);
        await layer.unlisten(listener);
        assert.equal(existsSync(path), false);
      });
    });

    it('is not taken over where a server answers, which goes on', async () => {
      await withLayers(async (path, layer, other) => {
        await listen(layer, path);
        await assert.rejects(listen(other, path), { code: 'EADDRINUSE' });
        assert.equal(await answers(path), true);
      });
    });

    it('is not taken over where it leads to a file, or by a link to a socket', async () => {
      await withLayers(async (path, layer) => {
        writeFileSync(path, 'precious');
        await assert.rejects(listen(layer, path), { code: 'EADDRINUSE' });
        assert.equal(readFileSync(path, 'utf8'), 'precious');
        unlinkSync(path);
        await leaveFile(`${path}.old`);
        symlinkSync(`${path}.old`, path);
        await assert.rejects(listen(layer, path), { code: 'EADDRINUSE' });
        assert.equal(existsSync(path), true);
        unlinkSync(`${path}.old`);
      });
    });

    it('is left to a successor that listens on it when a server closes', async () => {
      await withLayers(async (path, layer, other) => {
        const first = await listen(layer, path);
        unlinkSync(path);
        const second = await listen(other, path);
        await layer.unlisten(first);
        assert.equal(await answers(path), true);
        await other.unlisten(second);
        assert.equal(existsSync(path), false);
      });
    });

    it('may be gone already when the server closes', async () => {
      await withLayers(async (path, layer) => {
        const listener = await listen(layer, path);
        unlinkSync(path);
        await layer.unlisten(listener);
        assert.equal(existsSync(path), false);
      });
    });
  });
}
