// Ways out of a process that runs on one of the layers, each taken while there is as much under way as there can be.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { linuxLayers } from '../../support/layers.js';
import { run } from './program.js';

const good = { code: 0, signal: null, stderr: '' };

for (const { name, skip } of linuxLayers) {
  describe(`a process on ${name}`, { skip }, () => {
    it('ends by itself after close', async () => {
      const ending = await run(
        name,
        `const state = await busy(start());
         await state.layer.close();
         console.log('closed', state.closed);`,
      );
      assert.deepEqual(ending, { ...good, stdout: 'closed 24\nleft 0\n' });
    });

    it('ends by itself after close in the middle of a turn', async () => {
      const ending = await run(
        name,
        `const { layer, sink } = start();
         const state = await busy({ layer, sink });
         const echo = sink.received;
         let isOver = false;
         sink.received = (...told) => {
           echo(...told);
           sink.received = echo;
           layer.close().then(() => {
             isOver = true;
             console.log('closed', state.closed);
           });
         };
         sink.beginTurn = () => {
           if (isOver) console.log('a turn after close');
         };`,
      );
      assert.deepEqual(ending, { ...good, stdout: 'closed 24\nleft 0\n' });
    });

    for (const event of ['received', 'accepted', 'closed', 'beginTurn', 'endTurn']) {
      it(`ends by process.exit inside of a turn, in ${event}`, async () => {
        const ending = await run(
          name,
          `const { layer, sink } = start();
           const { address } = await busy({ layer, sink });
           sink.${event} = () => process.exit(3);
           layer.reset(layer.connect(address));
           layer.connect(address);`,
        );
        assert.deepEqual(ending, { ...good, code: 3, stdout: 'left 3\n' });
      });
    }

    for (const [where, how] of [
      ['a timer', 'setTimeout(() => process.exit(3), 5);'],
      ['an immediate', 'setImmediate(() => process.exit(3));'],
      ['a promise of a handler', 'sink.received = () => Promise.resolve().then(() => process.exit(3));'],
      ['a tick of a handler', 'sink.received = () => process.nextTick(() => process.exit(3));'],
      ['the program, outside of any turn', 'fs.readFileSync("/dev/null"); process.exit(3);'],
      ['the program, with a close under way', 'layer.close(); process.exit(3);'],
      ['a file that has been read', 'fs.readFile("/dev/null", () => process.exit(3));'],
    ]) {
      it(`ends by process.exit from ${where}`, async () => {
        const ending = await run(name, `const { layer, sink } = start(); await busy({ layer, sink }); ${how}`);
        assert.deepEqual(ending, { ...good, code: 3, stdout: 'left 3\n' });
      });
    }

    it('ends by process.exit while it only waits', async () => {
      const ending = await run(
        name,
        `const { layer, sink } = start();
         const { address } = await layer.listen({ address: local, backlog: 16 });
         for (let i = 0; i < 10; i++) layer.connect(address);
         let accepted = 0;
         sink.accepted = () => {
           if (++accepted === 10) setTimeout(() => process.exit(3), 20);
         };`,
      );
      assert.deepEqual(ending, { ...good, code: 3, stdout: 'left 3\n' });
    });

    for (const [where, how] of [
      ['a sink', 'sink.received = fail;'],
      ['a promise that a handler has made', 'sink.received = () => Promise.resolve().then(fail);'],
      ['a tick that a handler has asked for', 'sink.received = () => process.nextTick(fail);'],
      ['an immediate that a handler has asked for', 'sink.received = () => setImmediate(fail);'],
      ['a timer', 'setTimeout(fail, 5);'],
      ['the end of a turn', 'sink.endTurn = fail;'],
    ]) {
      it(`ends by an uncaught error, in ${where}`, async () => {
        const ending = await run(
          name,
          `const { layer, sink } = start();
           await busy({ layer, sink });
           const fail = () => {
             throw new Error('nobody catches this');
           };
           ${how}`,
        );
        assert.equal(ending.code, 1);
        assert.equal(ending.stdout, 'left 1\n');
        assert.match(ending.stderr, /^Error: nobody catches this\n {4}at .*fail/m);
      });
    }

    it('goes on after an error that somebody has caught for it', async () => {
      const ending = await run(
        name,
        `const { layer, sink } = start();
         const state = await busy({ layer, sink });
         const echo = sink.received;
         process.on('uncaughtException', (error) => {
           console.log('caught:', error.message);
           const before = state.echoed;
           sink.received = (...told) => {
             echo(...told);
             if (state.echoed === before + 1000) layer.close().then(() => console.log('closed', state.closed));
           };
         });
         sink.received = (...told) => {
           echo(...told);
           sink.received = echo;
           process.nextTick(() => {
             throw new Error('in a tick');
           });
         };`,
      );
      assert.deepEqual(ending, { ...good, stdout: 'caught: in a tick\nclosed 24\nleft 0\n' });
    });

    it('ends by SIGTERM', async () => {
      const ending = await run(name, `await busy(start()); console.log('ready');`, { signal: 'SIGTERM' });
      assert.deepEqual(ending, { ...good, code: null, signal: 'SIGTERM', stdout: 'ready\n' });
    });

    it('ends by SIGTERM while it only waits', async () => {
      const ending = await run(
        name,
        `const { layer } = start();
         await layer.listen({ address: local, backlog: 16 });
         setTimeout(() => console.log('ready'), 20);`,
        { signal: 'SIGTERM' },
      );
      assert.deepEqual(ending, { ...good, code: null, signal: 'SIGTERM', stdout: 'ready\n' });
    });

    for (const [when, until] of [
      ['everything is under way', 'const { layer } = await busy(start());'],
      ['it only waits', 'const { layer } = start(); await layer.listen({ address: local, backlog: 16 });'],
    ]) {
      it(`closes on SIGINT, if that is what its handler does, while ${when}`, async () => {
        const ending = await run(
          name,
          `${until}
           process.once('SIGINT', async () => {
             await layer.close();
             console.log('closed');
           });
           console.log('ready');`,
          { signal: 'SIGINT' },
        );
        assert.deepEqual(ending, { ...good, stdout: 'ready\nclosed\nleft 0\n' });
      });
    }
  });
}
