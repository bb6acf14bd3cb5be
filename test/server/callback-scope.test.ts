// Handlers run where Node itself would run them: native code may call back before it returns, and what a handler queues comes in the same
// order as in a handler of node:http. Each program is a separate process, which it may take down with it.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { layers } from '../support/layers.js';
import { runProgram } from '../support/program.js';

const prelude = `
  import { AsyncLocalStorage, createHook } from 'node:async_hooks';
  import crypto from 'node:crypto';
  import domain from 'node:domain';
  import fs from 'node:fs';
  import http from 'node:http';
  import zlib from 'node:zlib';
  import { once } from 'node:events';
  import { serve, sleep, stream, until } from ${JSON.stringify(import.meta.resolve('#sluice/index.js'))};

  const local = '127.0.0.1';
  const besides = http.createServer((request, response) => response.end('aside')).listen(0, local);
  await once(besides, 'listening');
  const aside = \`http://\${local}:\${besides.address().port}/\`;

  /** Each is given what to note down, and resolves when it has noted everything. */
  const scenarios = {
    async queues(note) {
      const all = [];
      const queue = (name, deeper) => {
        all.push(new Promise((resolve) => setTimeout(() => { note(name + ' timeout'); resolve(); }, 0)));
        all.push(new Promise((resolve) => setImmediate(() => { note(name + ' immediate'); resolve(); })));
        process.nextTick(() => note(name + ' tick'));
        Promise.resolve().then(() => { note(name + ' promise'); deeper?.(); });
        queueMicrotask(() => note(name + ' microtask'));
      };
      queue('outer', () => process.nextTick(() => note('tick of a promise')));
      note('synchronous');
      await Promise.all(all);
    },
    async blob(note) {
      process.nextTick(() => note('tick'));
      Promise.resolve().then(() => note('promise'));
      const text = new Blob(['x']).text();
      note('synchronous');
      note(await text);
    },
    async blobInTick(note) {
      await new Promise((resolve) => process.nextTick(() => {
        Promise.resolve().then(() => note('promise'));
        new Blob(['x']).text().then(resolve);
        note('synchronous');
      }));
    },
    async blobBehindPromise(note) {
      await null;
      Promise.resolve().then(() => note('promise'));
      const text = new Blob(['x']).text();
      note('synchronous');
      note(await text);
    },
    async blobAsStream(note) {
      for await (const part of new Blob(['x', 'y']).stream()) note(part.length);
    },
    async callbacks(note) {
      const calls = {
        fs: (done) => fs.stat('/', done),
        crypto: (done) => crypto.randomBytes(8, done),
        zlib: (done) => zlib.gzip('x', done),
      };
      for (const [name, call] of Object.entries(calls)) {
        const called = new Promise((resolve) => call(() => {
          process.nextTick(() => note(name + ' tick'));
          Promise.resolve().then(() => note(name + ' promise'));
          new Blob(['x']).text().then(resolve);
          note(name);
        }));
        note('before ' + name);
        await called;
      }
    },
    async fetch(note) {
      note(await (await fetch(aside)).text());
      note(await new Response(new Blob(['z'])).text());
    },
    async rejection(note) {
      const reported = new Promise((resolve) => process.once('unhandledRejection', (error) => { note(error.message); resolve(); }));
      const immediate = new Promise((resolve) => setImmediate(() => { note('immediate'); resolve(); }));
      Promise.reject(new Error('rejected'));
      process.nextTick(() => note('tick'));
      await Promise.all([reported, immediate]);
    },
    async exception(note) {
      const reported = new Promise((resolve) => process.once('uncaughtException', (error) => { note(error.message); resolve(); }));
      const immediate = new Promise((resolve) => setImmediate(() => { note('immediate'); resolve(); }));
      process.nextTick(() => { throw new Error('thrown'); });
      await Promise.all([reported, immediate]);
    },
    async exceptionInMicrotask(note) {
      const reported = new Promise((resolve) => process.once('uncaughtException', (error) => { note(error.message); resolve(); }));
      queueMicrotask(() => { throw new Error('thrown'); });
      queueMicrotask(() => note('microtask behind it'));
      await reported;
    },
    async domain(note) {
      await new Promise((resolve) => {
        const own = domain.create();
        own.on('error', (error) => { note(error.message); resolve(); });
        own.run(() => setImmediate(() => {
          note(process.domain === own);
          throw new Error('of the domain');
        }));
        note(process.domain === own);
      });
    },
  };

  async function play(name) {
    const notes = [];
    await scenarios[name]((what) => notes.push(String(what)));
    return notes.join(', ');
  }
  const nameOf = (url) => url.slice(url.lastIndexOf('/') + 1);
  const ours = await serve({ port: 0, hostname: local, fetch: async (request) => new Response(await play(nameOf(request.url))) });
  const nodes = http.createServer(async (request, response) => response.end(await play(nameOf(request.url)))).listen(0, local);
  await once(nodes, 'listening');
  const ask = (port, path, options = {}) =>
    new Promise((resolve, reject) => {
      const { body, ...rest } = options;
      const request = http.request({ port, host: local, path, agent: false, ...rest }, async (response) => {
        let text = '';
        for await (const part of response.setEncoding('utf8')) text += part;
        resolve(text);
      });
      request.on('error', reject).end(body);
    });
  async function compare() {
    for (const name of Object.keys(scenarios)) {
      for (let i = 0; i < 3; i++) {
        const [expected, found] = [await ask(nodes.address().port, '/' + name), await ask(ours.port, '/' + name)];
        if (found !== expected) console.log(\`\${name}: \${found}; node:http: \${expected}\`);
      }
    }
  }
  async function end() {
    await ours.close();
    for (const server of [nodes, besides]) { server.close(); server.closeAllConnections(); }
    await globalThis[Symbol.for('undici.globalDispatcher.1')]?.close();
    console.log('over');
  }
`;

for (const { name: layer, skip } of layers) {
  describe(`a handler on ${layer}`, { skip }, () => {
    const run = async (body: string): Promise<void> => {
      const ending = await runProgram(`${prelude}${body}\nawait end();`, { eventLayer: layer });
      assert.deepEqual(ending, { code: 0, signal: null, stderr: '', stdout: 'over\n' });
    };

    it('has what it queues run in the order of node:http, also with async hooks', () =>
      run(`await compare();
           createHook({ init() {}, before() {}, after() {}, destroy() {}, promiseResolve() {} }).enable();
           await compare();`));

    it('may read blobs and uploaded files in an async context', () =>
      run(`const context = new AsyncLocalStorage();
           const form = 'multipart/form-data; boundary=b';
           const body = '--b\\r\\ncontent-disposition: form-data; name="f"; filename="a"\\r\\n\\r\\nfile\\r\\n--b--\\r\\n';
           const handlers = {
             blob: async () => { await null; return new Response(await new Blob(['blob']).text()); },
             file: async (request) => new Response(await (await request.formData()).get('f').text()),
             body: () => new Response(new Blob(['body'])),
             *thread() { return new Response(yield* until(new Blob(['thread']).text())); },
             stream: () => stream(function* (out) { yield* out.write(yield* until(new Blob(['stream']).text())); }),
           };
           const server = await serve({
             port: 0,
             hostname: local,
             fetch: (request) => context.run(1, () => handlers[nameOf(request.url)](request)),
           });
           for (const name of Object.keys(handlers)) {
             const options = name === 'file' ? { method: 'POST', headers: { 'content-type': form }, body } : {};
             const text = await ask(server.port, '/' + name, options);
             if (text !== name) console.log(name, 'got', text);
           }
           await server.close();`));
  });
}
