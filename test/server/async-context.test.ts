// Each request has its own async context, and each thread keeps its own: what `AsyncLocalStorage` shows, and what is built on it or on
// async hooks. Each program is a separate process: the test runner uses async hooks itself, which a server behaves differently without.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { layers } from '../support/layers.js';
import { runProgram } from '../support/program.js';

const resolved = (name: string): string => JSON.stringify(import.meta.resolve(name));

const prelude = `
  import assert from 'node:assert/strict';
  import { AsyncLocalStorage, createHook } from 'node:async_hooks';
  import { once } from 'node:events';
  import net from 'node:net';
  import { all, bindContext, Channel, connect, listen, race, run, serve, sleep, spawn, stream, timeout, until } from
    ${resolved('#sluice/index.js')};

  const hostname = '127.0.0.1';
  const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  const storage = new AsyncLocalStorage();
  const see = () => String(storage.getStore());

  /** Sends text on a separate connection. @returns the bodies of the responses */
  async function send(port, text, count = 1) {
    const socket = net.connect(port, hostname).on('error', () => {});
    socket.write(text);
    let got = '';
    for await (const part of socket.setEncoding('latin1')) {
      got += part;
      if (got.split('HTTP/1.1 ').length - 1 === count && /(\\.|\\r\\n0\\r\\n\\r\\n)$/.test(got)) break;
    }
    socket.destroy();
    return got.split(/HTTP\\/1\\.1 .*?\\r\\n\\r\\n/s).slice(1).map((body) => body.replace(/^[0-9a-f]+\\r\\n|\\r\\n0\\r\\n\\r\\n$/g, '').replace(/\\.$/, ''));
  }
  const get = (path) => \`GET \${path} HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n\`;
  const post = (path) => \`POST \${path} HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: 4\\r\\n\\r\\nbody\`;
  const text = (value) => new Response(value + '.');
  const pathOf = (request) => request.url.slice(request.url.lastIndexOf('/'));
`;

/** Handlers that enter a context, and what each sees at every place where its code goes on. All of it must be its own. */
const handlers = `
  let entered = 0;
  const enter = () => {
    const before = see();
    const own = 'own ' + ++entered;
    storage.enterWith(own);
    const seen = [];
    const look = (where) => { if (see() !== own) seen.push(where + ' sees ' + see()); };
    const answer = () => text([before, ...seen].join());
    return { look, answer };
  };
  const handlers = {
    '/plain'() { return enter().answer(); },
    async '/async'() {
      const { look, answer } = enter();
      await wait(1);
      look('a promise');
      return answer();
    },
    async '/body'(request) {
      const { look, answer } = enter();
      await request.text();
      look('a body');
      return answer();
    },
    async '/run'() {
      const { look, answer } = enter();
      await run(function* () { look('run'); yield* sleep(1); look('run behind sleep'); });
      return answer();
    },
    *'/thread'(request) {
      const { look, answer } = enter();
      yield* sleep(1);
      look('sleep');
      yield* until(wait(1));
      look('until');
      yield* until(async () => { look('the function of until'); await wait(1); look('its promise'); });
      const channel = new Channel(1);
      const child = spawn(function* () { look('a child'); yield* sleep(1); look('a child behind sleep'); yield* channel.send(1); });
      yield* channel.receive();
      look('receive');
      yield* child.join();
      look('join');
      yield* all([function* () { yield* sleep(1); look('all'); }, function* () { look('all'); yield* until(wait(1)); look('all'); }]);
      yield* race([function* () { yield* sleep(1); look('race'); }, function* () { try { yield* sleep(9999); } finally { look('a loser'); } }]);
      yield* timeout(1000, function* () { yield* sleep(1); look('timeout'); });
      look('timeout');
      yield* until(request.text());
      look('a body');
      return answer();
    },
    *'/changed'() {
      const { answer } = enter();
      const ids = [];
      for (const id of ['one', 'two']) {
        storage.enterWith(id);
        yield* spawn(function* () { yield* sleep(1); ids.push(see()); storage.enterWith('child'); }).join();
        ids.push(see());
      }
      return ids.join() === 'one,one,two,two' ? answer() : text(ids.join());
    },
    '/stream'() {
      const { look, answer } = enter();
      return stream(function* (out) {
        look('a stream');
        yield* sleep(1);
        look('a stream behind sleep');
        yield* out.write(yield* until(answer().text()));
      });
    },
    '/pull'() {
      const { look, answer } = enter();
      let pulls = 0;
      return new Response(new ReadableStream({
        async pull(controller) {
          look('a pull');
          if (++pulls < 3) return controller.enqueue(new Uint8Array(0)), wait(1);
          controller.enqueue(new TextEncoder().encode(await answer().text()));
          controller.close();
        },
      }));
    },
  };
  const fetch = (request) => handlers[pathOf(request)](request);
  /** Asks for everything at once, on connections that have one request or several. */
  async function askAll(port, expected) {
    const paths = Object.keys(handlers);
    const asked = [];
    for (let round = 0; round < 3; round++) {
      for (const path of paths) {
        for (const ask of [get, post]) asked.push(send(port, ask(path)));
        if (path === '/stream' || path === '/pull') continue;
        const others = ['/plain', '/thread', '/async'];
        asked.push(send(port, [path, ...others].map(get).join(''), 4), send(port, others.map(post).join('') + post(path), 4));
      }
    }
    for (const answers of await Promise.all(asked)) for (const answer of answers) if (!answer.split('.').every((one) => one === expected || one === '')) console.log(answer);
  }
`;

for (const { name: layer, skip } of layers) {
  describe(`async contexts on ${layer}`, { skip }, () => {
    const run = async (body: string): Promise<void> => {
      const ending = await runProgram(`${prelude}${body}\nconsole.log('over'); process.exit();`, { eventLayer: layer });
      assert.deepEqual(ending, { code: 0, signal: null, stderr: '', stdout: 'over\n' });
    };

    it('belong to one request: what a handler enters is seen where it continues, and nowhere else', () =>
      run(`${handlers}
           const server = await serve({ port: 0, hostname, fetch });
           await askAll(server.port, 'undefined');
           await askAll(server.port, 'undefined');`));

    it('start as the context of serve, whatever is current later, also with async hooks', () =>
      run(`${handlers}
           createHook({ init() {}, before() {}, after() {}, destroy() {} }).enable();
           const server = await storage.run('of serve', () => serve({ port: 0, hostname, fetch }));
           const other = await serve({ port: 0, hostname, fetch });
           storage.enterWith('of nobody');
           await Promise.all([askAll(server.port, 'of serve'), askAll(other.port, 'undefined')]);`));

    it('are separate from the first one on that anything in the process enters', () =>
      run(`const server = await serve({
             port: 0,
             hostname,
             fetch: (request) => {
               const before = see();
               if (pathOf(request) === '/look') return text(before);
               if (pathOf(request) === '/plain') { storage.enterWith('entered'); return text(before); }
               return (function* () { yield* sleep(1); storage.enterWith('entered'); spawn(function* () {}); return text(before + ',' + see()); })();
             },
           });
           const sleeping = run(function* () { const first = see(); yield* sleep(30); return first + ',' + see(); });
           const requests = ['/look', '/thread', '/look', '/plain', '/look', '/thread'];
           const expected = ['undefined', 'undefined,entered', 'undefined', 'undefined', 'undefined', 'undefined,entered'];
           assert.deepEqual(await send(server.port, requests.map(get).join(''), 6), expected);
           assert.deepEqual(await send(server.port, get('/look')), ['undefined']);
           assert.equal(await sleeping, 'undefined,undefined');
           assert.equal(see(), 'undefined');`));

    it('hold when a client disconnects: for signals, unwinding and errors', () =>
      run(`const seen = new Map();
           let started = 0;
           const note = (path, where) => seen.set(path, [...(seen.get(path) ?? []), where + ' ' + see()]);
           const server = await serve({
             port: 0,
             hostname,
             onError: (error) => note('/' + error.message, 'onError'),
             fetch(request) {
               const path = pathOf(request);
               setImmediate(() => started++);
               storage.enterWith(path);
               if (path === '/plain') throw new Error('plain');
               if (path === '/async') return wait(1).then(() => { throw new Error('async'); });
               request.signal.addEventListener('abort', () => note(path, 'signal'));
               const body = function* () {
                 try { yield* sleep(60_000); } finally { note(path, 'finally'); yield* sleep(1); note(path, 'parked'); }
               };
               if (path === '/stream') return stream(body);
               if (path === '/signal') return wait(60_000);
               return (function* () { spawn(body); yield* body(); })();
             },
           });
           const sockets = ['/plain', '/async', '/signal', '/thread', '/stream'].map((path) => Object.assign(net.connect(server.port, hostname), { path }));
           for (const socket of sockets) socket.on('error', () => {}).write(get(socket.path));
           for (let i = 0; i < 1000 && started < 5; i++) await wait(5);
           for (const socket of sockets) socket.resetAndDestroy();
           for (let i = 0; i < 1000 && [...seen.values()].flat().length < 11; i++) await wait(5);
           for (const [path, places] of seen) for (const place of places) if (!place.endsWith(' ' + path)) console.log(path, place);
           const counts = Object.fromEntries([...seen].map(([path, places]) => [path, places.length]).sort());
           assert.deepEqual(counts, { '/async': 1, '/plain': 1, '/signal': 1, '/stream': 3, '/thread': 5 });`));

    it('are those of each connection of listen', () =>
      run(`const errors = [];
           const server = await storage.run('of listen', () => listen(
             { port: 0, hostname, onError: (error) => errors.push(error.message + ' ' + see()) },
             function* ({ reader, writer }) {
               const before = see();
               const own = yield* reader.readLine(100);
               storage.enterWith(own);
               yield* sleep(2);
               yield* writer.write(before + ',' + see() + '\\n');
               yield* sleep(10);
               if (own === '2') throw new Error('thrown');
             },
           ));
           const ask = (line) => run(function* () {
             storage.enterWith('client ' + line);
             const { reader, writer } = yield* connect({ port: server.port });
             yield* writer.write(line + '\\n');
             const answer = yield* reader.readLine(100);
             return answer + ',' + see();
           });
           assert.deepEqual(await Promise.all(['1', '2', '3'].map(ask)), [1, 2, 3].map((i) => \`of listen,\${i},client \${i}\`));
           while (errors.length === 0) await wait(5);
           assert.deepEqual(errors, ['thrown 2']);`));

    it('of AsyncLocalStorage.run are kept by what is created in it: run, spawn, stream, and a task with bindContext', () =>
      run(`const ways = {
             '/run': async () => text(await run(function* () { const first = see(); yield* sleep(1); return first + ',' + see(); })),
             *'/spawn'() {
               const child = storage.run('inner', () => spawn(function* () { const first = see(); yield* sleep(1); return first + ',' + see(); }));
               return text((yield* child.join()) + ',' + see());
             },
             '/stream': () => stream(function* (out) { const first = see(); yield* sleep(1); yield* out.write(first + ',' + see() + '.'); }),
             '/bound': () => bindContext((function* () { const first = see(); yield* sleep(1); return text(first + ',' + see()); })()),
             *'/part'() {
               const part = function* () { yield* sleep(1); const first = see(); storage.enterWith('changed'); yield* sleep(1); return first + ',' + see(); };
               storage.enterWith('outer');
               const inner = yield* storage.run('inner', () => bindContext(part()));
               const behind = see();
               yield* sleep(1);
               return text([inner, behind, see()].join());
             },
           };
           const server = await serve({ port: 0, hostname, fetch: (request) => storage.run('outer', () => ways[pathOf(request)](request)) });
           const expected = {
             '/run': 'outer,outer',
             '/spawn': 'inner,inner,undefined',
             '/stream': 'outer,outer',
             '/bound': 'outer,outer',
             '/part': 'inner,changed,outer,outer',
           };
           for (const [path, answer] of Object.entries(expected)) assert.deepEqual(await send(server.port, get(path)), [answer], path);`));

    it('carry what Hono and OpenTelemetry keep in them', () =>
      run(`import { Hono } from ${resolved('hono')};
           import { contextStorage, getContext } from ${resolved('hono/context-storage')};
           import { context, createContextKey, ROOT_CONTEXT } from ${resolved('@opentelemetry/api')};
           import otel from ${resolved('@opentelemetry/context-async-hooks')};
           const app = new Hono();
           app.use(contextStorage());
           app.use(async (c, next) => { c.set('id', c.req.path); await next(); });
           app.get('/*', async (c) => {
             await wait(1);
             const inThread = await run(function* () { yield* sleep(1); return getContext().get('id'); });
             return text([getContext().get('id'), inThread, await new Blob(['blob']).text()].join());
           });
           const hono = await serve({ port: 0, hostname, fetch: app.fetch });
           const paths = ['/a', '/b', '/c'];
           const answers = await Promise.all(paths.map((path) => send(hono.port, get(path))));
           assert.deepEqual(answers, paths.map((path) => [[path, path, 'blob'].join()]));

           const key = createContextKey('id');
           const active = () => String(context.active().getValue(key));
           for (const Manager of [otel.AsyncLocalStorageContextManager, otel.AsyncHooksContextManager]) {
             context.setGlobalContextManager(new Manager().enable());
             const body = function* () { const first = active(); yield* sleep(1); const second = yield* until(wait(1).then(active)); return [first, second, active()].join(); };
             const ways = [
               () => bindContext((function* () { return text(yield* body()); })()),
               async () => text(await run(body)),
               () => stream(function* (out) { yield* out.write((yield* body()) + '.'); }),
             ];
             const server = await serve({
               port: 0,
               hostname,
               fetch: (request) => context.with(ROOT_CONTEXT.setValue(key, pathOf(request)), ways[Number(pathOf(request).slice(1)) % 3], undefined, request),
             });
             const ids = ['/0', '/1', '/2', '/3', '/4', '/5'];
             const answers = await Promise.all(ids.map((path) => send(server.port, get(path))));
             assert.deepEqual(answers, ids.map((id) => [[id, id, id].join()]));
             context.disable();
           }`));
  });
}
