// The layers, Node's own event loop, and each other: all have their turn, whatever the others do, and leave nothing behind.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { linuxLayers } from '../../support/layers.js';
import { run } from './program.js';

const good = { code: 0, signal: null, stderr: '' };

/** Waits until something has happened so many times more. */
const more = `
  const more = async (state, times) => {
    for (const enough = state.echoed + times; state.echoed < enough; ) await later(1);
  };`;

/** What Node does besides: each resolves when it has been done a number of times, one after the other. */
const chores = `
  const execFile = (...args) => new Promise((resolve) => child_process.execFile(...args, resolve));
  const chores = {
    timers: async () => { for (let i = 0; i < 20; i++) await later(1); },
    immediates: async () => { for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve)); },
    ticks: async () => { for (let i = 0; i < 200; i++) await new Promise((resolve) => process.nextTick(resolve)); },
    promises: async () => { for (let i = 0; i < 200; i++) await undefined; },
    files: async () => { for (let i = 0; i < 50; i++) await fs.promises.readFile('/proc/self/stat'); },
    sockets: async () => {
      const server = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const socket = net.connect(server.address().port, '127.0.0.1');
      for (let i = 0; i < 50; i++) {
        socket.write('x');
        await once(socket, 'data');
      }
      socket.destroy();
      server.close();
    },
    processes: async () => { for (let i = 0; i < 3; i++) await execFile('true'); },
  };`;
const allDone = 'timers immediates ticks promises files sockets processes';

for (const { name, skip } of linuxLayers) {
  describe(`Node beside ${name}`, { skip }, () => {
    it('goes on with timers, immediates, ticks, promises, files, sockets and processes while the layer is under load', async () => {
      const ending = await run(
        name,
        `${more} ${chores}
         const state = await busy(start());
         for (const [what, done] of Object.entries(chores)) {
           await Promise.all([done(), more(state, 1000)]);
           console.log(what);
         }
         await Promise.all(Object.values(chores).map((done) => done()));
         await state.layer.close();`,
      );
      assert.deepEqual(ending, { ...good, stdout: `${allDone.replaceAll(' ', '\n')}\nleft 0\n` });
    });

    it('goes on with all that while each turn asks for the next one', async () => {
      const ending = await run(
        name,
        `${more} ${chores}
         const { layer, sink } = start();
         sink.endTurn = () => layer.requestTurn();
         await layer.listen({ address: local, backlog: 16 });
         for (const [what, done] of Object.entries(chores)) {
           await done();
           console.log(what);
         }
         sink.endTurn = () => {};
         await layer.close();`,
      );
      assert.deepEqual(ending, { ...good, stdout: `${allDone.replaceAll(' ', '\n')}\nleft 0\n` });
    });

    for (const [what, begin] of [
      ['immediates', 'const on = () => { if (!isOver) setImmediate(on); }; on();'],
      ['timers', 'const on = () => { if (!isOver) setTimeout(on, 0); }; on();'],
      ['files', 'const on = () => { if (!isOver) fs.stat("/", on); }; on(); on(); on(); on();'],
      ['sockets', 'chores.sockets().then(function on() { if (!isOver) return chores.sockets().then(on); });'],
    ]) {
      it(`is no obstacle to the layer by ${what} without end`, async () => {
        const ending = await run(
          name,
          `${more} ${chores}
           let isOver = false;
           ${begin}
           const state = await busy(start());
           await more(state, 5000);
           isOver = true;
           await state.layer.close();`,
        );
        assert.deepEqual(ending, { ...good, stdout: 'left 0\n' });
      });
    }

    it('waits no longer than the layer wants, and the layer no longer than Node', async () => {
      const ending = await run(
        name,
        `const { layer, sink } = start();
         await layer.listen({ address: local, backlog: 16 });
         const events = [];
         const begin = layer.now();
         await new Promise((resolve) => {
           // Far apart, so that it is the order that is looked at.
           setTimeout(() => events.push('timer'), 40);
           setTimeout(resolve, 400);
           layer.wakeAt(begin + 150);
           sink.endTurn = () => {
             if (layer.now() >= begin + 150 && !events.includes('turn')) events.push('turn');
           };
         });
         console.log(events.join(' '));
         await layer.close();`,
      );
      assert.deepEqual(ending, { ...good, stdout: 'timer turn\nleft 0\n' });
    });
  });

  describe(`several layers, ${name} the first`, { skip }, () => {
    for (const { name: other } of linuxLayers) {
      it(`with ${other}: both have traffic, one closes, the other goes on`, async () => {
        const ending = await run(
          name,
          `${more} ${chores}
           const [first, second] = [await busy(start()), await busy(start('${other}'))];
           await Promise.all([more(first, 5000), more(second, 5000)]);
           await Promise.all(Object.values(chores).map((done) => done()));
           console.log('both');
           await first.layer.close();
           await more(second, 5000);
           await Promise.all(Object.values(chores).map((done) => done()));
           console.log('the second');
           const third = await busy(start());
           await Promise.all([more(third, 5000), more(second, 5000)]);
           await second.layer.close();
           await more(third, 5000);
           await third.layer.close();`,
        );
        assert.deepEqual(ending, { ...good, stdout: 'both\nthe second\nleft 0\n' });
      });

      it(`with ${other}: neither spins when nothing happens, and both wake up when something does`, async () => {
        const ending = await run(
          name,
          `const layers = [start(), start('${other}')];
           const addresses = [];
           for (const { layer } of layers) addresses.push((await layer.listen({ address: local, backlog: 16 })).address);
           await later(50);
           const before = process.cpuUsage();
           await later(1000);
           const { user, system } = process.cpuUsage(before);
           console.log(user + system < 300_000 ? 'quiet' : \`\${user + system} microseconds\`);
           for (const [i, { layer, sink }] of layers.entries()) {
             const accepted = new Promise((resolve) => { sink.accepted = resolve; });
             net.connect(addresses[i].port, '127.0.0.1').on('error', () => {}).unref();
             await accepted;
             const woken = new Promise((resolve) => {
               const at = layer.now() + 30;
               sink.endTurn = () => { if (layer.now() >= at) resolve(); };
               layer.wakeAt(at);
             });
             await woken;
             sink.endTurn = () => {};
           }
           console.log('awake');
           for (const { layer } of layers) await layer.close();`,
        );
        assert.deepEqual(ending, { ...good, stdout: 'quiet\nawake\nleft 0\n' });
      });
    }
  });

  describe(`many layers, one after the other: ${name}`, { skip }, () => {
    /** Descriptors and mapped memory of the process; memory after a collection, in KiB. */
    const holdings = `
      const holdings = () => {
        for (let i = 0; i < 4; i++) gc();
        const [, size] = /VmSize:\\s+(\\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'));
        return { descriptors: fs.readdirSync('/proc/self/fd').length, size: Number(size) };
      };
      const once1 = async () => {
        const { layer, sink } = start();
        const { address } = await layer.listen({ address: local, backlog: 16 });
        await new Promise((resolve) => {
          sink.connected = (slot) => send(layer, slot, Buffer.from('ping'));
          sink.received = resolve;
          layer.connect(address);
        });
        await layer.close();
      };`;

    it('200 leave neither descriptors nor mapped memory behind', async () => {
      const ending = await run(
        name,
        `${holdings}
         for (let i = 0; i < 20; i++) await once1();
         const before = holdings();
         for (let i = 0; i < 200; i++) await once1();
         const after = holdings();
         console.log(after.descriptors - before.descriptors);
         // A layer maps 5 MiB: of 200, not even one may have stayed.
         console.log(after.size - before.size < 5 * 1024 ? 'flat' : JSON.stringify([before, after]));`,
        { execArgv: ['--expose-gc', '--max-semi-space-size=1'] },
      );
      assert.deepEqual(ending, { ...good, stdout: '0\nflat\nleft 0\n' });
    });

    it('500 come and go beside one that stays', async () => {
      const ending = await run(
        name,
        `${holdings}
         const state = await busy(start());
         for (let i = 0; i < 20; i++) await once1();
         const before = holdings();
         for (let i = 0; i < 500; i++) await once1();
         const after = holdings();
         console.log(after.descriptors - before.descriptors);
         await state.layer.close();`,
        { execArgv: ['--expose-gc', '--max-semi-space-size=1'] },
      );
      assert.deepEqual(ending, { ...good, stdout: '0\nleft 0\n' });
    });
  });

  describe(`a worker that asks for ${name}`, { skip }, () => {
    it('gets an error, and gets the portable layer if it asks for none', async () => {
      const ending = await run(
        name,
        `if (!isMainThread) {
           try {
             make('${name}');
           } catch (error) {
             console.log(error.code, error.message);
           }
           try {
             chooseEventLayer('${name}');
           } catch (error) {
             console.log(error.code, error.message);
           }
           console.log(chooseEventLayer().name);
         } else {
           const state = await busy(start());
           await once(new Worker(new URL(import.meta.url)), 'exit');
           await state.layer.close();
         }`,
      );
      const why = 'it needs the main thread, and this is a worker';
      const stdout = [
        `ERR_EVENT_LAYER ${why}`,
        `ERR_EVENT_LAYER SLUICE_EVENT_LAYER is "${name}", which is unavailable: ${why}`,
        'portable',
        'left 0', // the worker
        'left 0',
        '',
      ].join('\n');
      assert.deepEqual(ending, { ...good, stdout });
    });
  });
}
