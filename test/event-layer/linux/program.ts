// Programs that run in a separate process, on one of the layers: for what concerns a process as a whole. A program is text,
// put behind `prelude`; what is at hand in it is described there.

import type { SocketLayerName } from '../../support/layers.js';
import { type Ending, type ProgramOptions, runProgram } from '../../support/program.js';

const prelude = (layer: SocketLayerName): string => `
  import child_process from 'node:child_process';
  import fs from 'node:fs';
  import net from 'node:net';
  import { once } from 'node:events';
  import { isMainThread, Worker } from 'node:worker_threads';
  import { chooseEventLayer } from ${specifier('choose.js')};
  import { EpollLayer } from ${specifier('epoll/epoll.js')};
  import { UringLayer } from ${specifier('uring/uring.js')};

  const later = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  const local = { hostname: '127.0.0.1', port: 0 };
  function make(name, sizes) {
    return name === 'uring' ? new UringLayer(sizes) : new EpollLayer();
  }

  /** A layer of this program's kind, and its sink, whose methods may be replaced. */
  function start(name = '${layer}', sizes = {}) {
    const layer = make(name, sizes);
    const sink = {};
    for (const event of ['beginTurn', 'accepted', 'connected', 'received', 'ended', 'drained', 'flushed', 'closed',
      'acceptFailed', 'endTurn']) sink[event] = () => {};
    layer.start(sink);
    return { layer, sink };
  }

  function send(layer, slot, bytes) {
    const at = layer.reserve(slot, bytes.length);
    layer.output.set(bytes, at);
    layer.commit(slot, at + bytes.length);
  }

  /**
   * Has a layer do everything at once: four pairs that send a few bytes to and fro without end, and eight that are flooded, by what
   * their clients do not read. Resolves when all of it is under way.
   */
  async function busy({ layer, sink }) {
    const piece = Buffer.alloc(60_000, 'x');
    const floods = new Set();
    const echoes = await layer.listen({ address: local, backlog: 16 });
    const flooding = await layer.listen({ address: local, backlog: 16 });
    const state = { layer, echoed: 0, flooded: 0, closed: 0, address: echoes.address };
    await new Promise((resolve) => {
      sink.accepted = (slot, listener) => {
        if (listener !== flooding.listener) return;
        for (let i = 0; i < 200; i++) send(layer, slot, piece);
        state.flooded++;
      };
      sink.connected = (slot) => {
        if (!floods.has(slot)) send(layer, slot, Buffer.from('ping'));
      };
      sink.received = (slot, buffer, from, to) => {
        send(layer, slot, buffer.subarray(from, to));
        if (++state.echoed >= 1000 && state.flooded === 8) resolve();
      };
      sink.closed = () => state.closed++;
      for (let i = 0; i < 8; i++) {
        const slot = layer.connect(flooding.address);
        floods.add(slot);
        layer.pauseReading(slot);
      }
      for (let i = 0; i < 4; i++) layer.connect(echoes.address);
    });
    return state;
  }
  process.on('exit', (code) => console.log('left', code));
`;

function specifier(file: string): string {
  return JSON.stringify(import.meta.resolve(`#sluice/event-layer/${file}`));
}

/** Runs a program to its end, behind the prelude. */
export function run(layer: SocketLayerName, body: string, options: ProgramOptions = {}): Promise<Ending> {
  return runProgram(prelude(layer) + body, options);
}
