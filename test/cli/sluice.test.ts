// The `sluice` command, run as a separate process: what it serves, what it says, how it ends.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, connect as netConnect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { urlsOf } from '#sluice/cli/addresses.js';
import { Program } from '../support/program.js';
import { RawClient } from '../support/raw-client.js';

const command = fileURLToPath(import.meta.resolve('#sluice/cli/sluice.js'));
const { version } = JSON.parse(readFileSync(fileURLToPath(import.meta.resolve('sluice/package.json')), 'utf8'));

let directory = '';
const runs: Run[] = [];

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-cli-'));
});

after(() => {
  for (const run of runs) run.kill();
  rmSync(directory, { recursive: true });
});

/** Writes a module for the command to serve. @returns its name in the directory that commands run in */
function app(name: string, source: string): string {
  writeFileSync(join(directory, name), source);
  return name;
}

class Run extends Program {
  constructor(args: string[], env: Record<string, string> = {}) {
    super([process.execPath, command, ...args], {
      cwd: directory,
      env: { PORT: undefined, HOST: undefined, ...env },
    });
    runs.push(this);
  }

  /** The URL that it serves on. */
  async url(): Promise<string> {
    const [, url] = await this.printed(/ at (http:\S+) \(/);
    return url;
  }

  /** Sends a signal, and waits for its end. @returns its exit code, or the signal that ended it */
  async endedBy(signal: 'SIGTERM' | 'SIGINT'): Promise<number | string | null> {
    const { code, signal: by } = await this.stop(signal);
    return code ?? by;
  }
}

/** Runs a command that is expected to end by itself with one line on standard error. */
async function failure(args: string[], env: Record<string, string> = {}): Promise<string> {
  const run = new Run(args, env);
  const { code } = await run.ended;
  assert.equal(code, 1, run.stdout + run.stderr);
  assert.equal(run.stdout, '');
  assert.match(run.stderr, /^sluice: [^\n]+\n$/, 'one line');
  return run.stderr.slice('sluice: '.length, -1);
}

const hello = "export default { fetch: (request) => new Response('hello from ' + new URL(request.url).pathname) };";
const local = ['--port', '0', '--host', '127.0.0.1'];

describe('the sluice command serves', () => {
  test('a default export with fetch; the line names the URL and the event layer; SIGTERM ends it with code 0', async () => {
    const run = new Run([...local, app('hello.mjs', hello)]);
    const url = await run.url();
    assert.match(run.stdout, /^sluice: hello\.mjs at http:\/\/127\.0\.0\.1:\d+\/ \(event layer: \w+\)\n$/);
    const response = await fetch(`${url}path`);
    assert.equal(await response.text(), 'hello from /path');
    assert.equal(await run.endedBy('SIGTERM'), 0);
    assert.equal(run.stderr, '');
  });

  test('a default export that is a function, and async, thread and stream handlers', async () => {
    const source = `
      import { sleep, stream } from ${JSON.stringify(import.meta.resolve('#sluice/index.js'))};
      export default function (request) {
        const { pathname } = new URL(request.url);
        if (pathname === '/async') return later(request);
        if (pathname === '/thread') return thread();
        return stream(function* (out) { yield* out.write('a'); yield* sleep(1); yield* out.write('b'); });
      }
      async function later(request) { return new Response((await request.text()).toUpperCase()); }
      function* thread() { yield* sleep(1); return new Response('parked'); }`;
    const run = new Run([...local, app('function.mjs', source)]);
    const url = await run.url();
    const posted = await fetch(`${url}async`, { method: 'POST', body: 'text' });
    assert.equal(await posted.text(), 'TEXT');
    assert.equal(await (await fetch(`${url}thread`)).text(), 'parked');
    assert.equal(await (await fetch(`${url}stream`)).text(), 'ab');
    assert.equal(await run.endedBy('SIGINT'), 0);
  });

  test('a fetch that is a method of its object, with the object as `this`, and what is known of the request', async () => {
    const source = `class App { name = 'app'; onError() { throw new Error('not to be called'); }
      fetch(request, info) { return new Response(this.name + ' for ' + info.peer); } }
      export default new App();`;
    const run = new Run([...local, app('instance.mjs', source)]);
    assert.match(await (await fetch(await run.url())).text(), /^app for 127\.0\.0\.1:\d+$/);
    await run.stop('SIGTERM');
    assert.equal(run.stderr, '');
  });

  test('an application for Node, and says what it has taken it for', {
    skip: 'Bun' in globalThis || 'Deno' in globalThis,
  }, async () => {
    const answer = "response.end(request.method + ' ' + request.url)";
    const applications = {
      '(req, res) function': `export default (request, response) => { ${answer}; };`,
      'http.Server': `import http from 'node:http'; export default http.createServer((request, response) => { ${answer}; });`,
      'Koa application': `export default { use() {}, callback: () => (request, response) => { ${answer}; } };`,
      'Express application': `export default Object.assign((request, response, next) => { ${answer}; }, { handle() {}, use() {} });`,
    };
    for (const [kind, source] of Object.entries(applications)) {
      const run = new Run([...local, app('node.mjs', source)]);
      const url = await run.url();
      assert.equal(await (await fetch(`${url}path`, { method: 'POST', body: 'x' })).text(), 'POST /path', kind);
      assert.equal(await run.endedBy('SIGTERM'), 0, kind);
      assert.equal(run.stderr, `sluice: node.mjs exports a ${kind}, which is served by node:http\n`);
    }
    const run = new Run([...local, app('two.mjs', 'export default (a, b) => new Response(typeof b.peer);')]);
    assert.equal(await (await fetch(await run.url())).text(), 'string');
    await run.stop('SIGTERM');
    assert.match(run.stderr, /^sluice: two\.mjs exports a function with two parameters, which is called as fetch/);
  });

  test('options of the default export, limits included', async () => {
    const source = `export default { port: 0, hostname: '127.0.0.1', maxBodySize: 4, maxBufferedBytes: 2 ** 22,
      onRefused: ({ status }) => console.error('refused:', status),
      async fetch(request) { return new Response(await request.text()); } };`;
    const run = new Run([app('options.mjs', source)]);
    const url = await run.url();
    assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/$/);
    const allowed = await fetch(url, { method: 'POST', body: 'four' });
    assert.equal(await allowed.text(), 'four');
    const refused = await fetch(url, { method: 'POST', body: 'fives' });
    assert.equal(refused.status, 413);
    await refused.body?.cancel();
    await run.stop('SIGTERM');
    assert.match(run.stderr, /^refused: 413\n/);
  });

  test('on all addresses of the machine, and says so, with a URL for each', async () => {
    const name = app('hello.mjs', hello);
    for (const [host, meaning] of [
      ['0.0.0.0', 'all IPv4 addresses of this machine'],
      ['::', 'all IPv4 and IPv6 addresses of this machine'],
    ]) {
      const run = new Run(['--port', '0', '--host', host, name]);
      const [, place, urls] = await run.printed(/^sluice: hello\.mjs on (\S+), [^\n]+:\n((?: {2}\S+\n)+)$/);
      const port = place.slice(place.lastIndexOf(':') + 1);
      assert.equal(place, host === '::' ? `[::]:${port}` : `0.0.0.0:${port}`);
      assert.ok(run.stdout.includes(`, ${meaning} (event layer: `), run.stdout);
      assert.equal(
        urls,
        urlsOf(host, Number(port), 'http')
          .map((url) => `  ${url}\n`)
          .join(''),
      );
      for (const url of urls.trim().split(/\s+/)) assert.equal((await fetch(url)).status, 200, url);
      await run.stop('SIGTERM');
    }
  });

  test('the URLs of a server on all addresses: those of the machine that clients elsewhere can use', () => {
    const common = { netmask: '', mac: '', cidr: null };
    const interfaces = {
      lo: [{ ...common, address: '127.0.0.1', family: 'IPv4' as const, internal: true }],
      eth0: [
        { ...common, address: '192.0.2.7', family: 'IPv4' as const, internal: false },
        { ...common, address: '2001:db8::7', family: 'IPv6' as const, internal: false, scopeid: 0 },
        { ...common, address: 'fe80::7', family: 'IPv6' as const, internal: false, scopeid: 2 },
      ],
    };
    const byIPv4 = ['http://localhost:80/', 'http://192.0.2.7:80/'];
    assert.deepEqual(urlsOf('0.0.0.0', 80, 'http', interfaces), byIPv4);
    assert.deepEqual(urlsOf('::', 80, 'http', interfaces), [...byIPv4, 'http://[2001:db8::7]:80/']);
    assert.equal(urlsOf('0.0.0.0', 80, 'https', interfaces)[1], 'https://192.0.2.7:80/');
  });

  test('the command line goes before PORT and HOST, and these before the module', async () => {
    const name = app('address.mjs', `export default { port: 1, hostname: '192.0.2.1', fetch: () => new Response() };`);
    const byEnvironment = new Run([name], { PORT: '0', HOST: '127.0.0.1' });
    assert.match(await byEnvironment.url(), /^http:\/\/127\.0\.0\.1:(?!1\/)\d+\/$/);
    byEnvironment.process.kill('SIGTERM');
    const byCommand = new Run([name, ...local], { PORT: 'none', HOST: '192.0.2.2' });
    assert.match(await byCommand.url(), /^http:\/\/127\.0\.0\.1:(?!1\/)\d+\/$/);
    byCommand.process.kill('SIGTERM');
    await Promise.all([byEnvironment.ended, byCommand.ended]);
  });

  test('a module with members that it does not know, and says so', async () => {
    const name = app(
      'unknown.mjs',
      'export default { fetch: () => new Response(), development: true, maxBodySzie: 1, prot: 8080 };',
    );
    const run = new Run([...local, name]);
    await run.url();
    assert.equal(run.stderr, 'sluice: unknown.mjs: no options of sluice, ignored: maxBodySzie, prot\n');
    await run.stop('SIGTERM');
  });
});

describe('the sluice command ends', () => {
  const slow = `
    import { sleep, stream } from ${JSON.stringify(import.meta.resolve('#sluice/index.js'))};
    setInterval(() => {}, 1000);
    export default { fetch: ({ url }) => stream(function* (out) {
      try {
        yield* out.write('begun ');
        yield* sleep(url.endsWith('/ever') ? Infinity : 300);
        yield* out.write('done');
      } finally { console.log('unwound or done'); }
    }) };`;

  test('after requests in flight have finished, whatever timers the module has left', async () => {
    const run = new Run([...local, app('slow.mjs', slow)]);
    const response = await fetch(await run.url());
    run.process.kill('SIGTERM');
    await run.printed(/SIGTERM: 1 connections at work/);
    assert.equal(await response.text(), 'begun done');
    assert.equal((await run.ended).code, 0);
  });

  test('without waiting for clients that stay connected, idle', async () => {
    const lingering = `${hello.slice(0, -3)}, lingerTimeout: 60_000 };`;
    const run = new Run([...local, app('lingering.mjs', lingering)]);
    const { port } = new URL(await run.url());
    const clients = Array.from({ length: 50 }, () =>
      new RawClient(Number(port)).send('GET / HTTP/1.1\r\nHost: here\r\n\r\n'),
    );
    for (const client of clients) await client.until((text) => text.includes('hello'));
    assert.equal(await run.endedBy('SIGTERM'), 0); // which kills it if that takes ten seconds
    for (const { socket } of clients) socket.destroy();
  });

  test('at once on a second signal', async () => {
    const run = new Run([...local, app('slow.mjs', slow)]);
    const response = await fetch(`${await run.url()}ever`);
    run.process.kill('SIGINT');
    await run.printed(/SIGINT: 1 connections at work/);
    assert.equal(await run.endedBy('SIGINT'), 130);
    await assert.rejects(response.text());
  });
});

describe('the sluice command says in one line, with exit code 1', () => {
  test('that no module was given, or too many', async () => {
    assert.match(await failure([]), /no module given/);
    assert.match(await failure(['a.js', 'b.js']), /expected one module, found 2: a\.js, b\.js/);
  });

  test('that there is no such file, or that it is a folder', async () => {
    assert.equal(await failure(['missing.js']), 'there is no file missing.js');
    assert.match(await failure(['.']), /is no file/);
  });

  test('that a module throws, and where', async () => {
    const thrown = await failure([app('throws.mjs', "const a = 1;\nthrow new TypeError('boom\\nand more');")]);
    assert.match(thrown, /^throws\.mjs cannot be loaded: TypeError: boom \(.*throws\.mjs:2(:\d+)?\)$/);
    assert.match(await failure([app('syntax.mjs', 'export default {')]), /cannot be loaded: SyntaxError: /);
    assert.match(await failure([app('string.mjs', "throw 'text'")]), /cannot be loaded: text$/);
    assert.match(await failure([app('import.mjs', "import './nowhere.js'")]), /cannot be loaded: .*nowhere\.js/);
  });

  test('that a module is taken for CommonJS, and what to do', {
    skip: 'Bun' in globalThis || 'Deno' in globalThis,
  }, async () => {
    mkdirSync(join(directory, 'commonjs'));
    const quiet = { NODE_NO_WARNINGS: '1' };
    app('commonjs/package.json', '{ "type": "commonjs" }');
    const said = await failure([app('commonjs/app.js', 'export default { fetch() {} };')], quiet);
    assert.match(
      said,
      /SyntaxError: Unexpected token 'export' \(.*app\.js:1\); .*CommonJS: give it the extension \.mjs, or/,
    );
    assert.match(
      await failure([app('commonjs/import.js', "import 'node:fs';")], quiet),
      /CommonJS: give it the extension \.mjs/,
    );
  });

  test('that there is no fetch', async () => {
    assert.match(await failure([app('none.mjs', 'export const a = 1;')]), /no default export to serve/);
    assert.match(await failure([app('null.mjs', 'export default null;')]), /has the default export null; expected/);
    assert.match(
      await failure([app('text.mjs', "export default { fetch: 'no' };")]),
      /whose fetch is "no", and not a function/,
    );
  });

  test('that an option of the module is wrong', async () => {
    const name = app('wrong.mjs', 'export default { fetch() {}, maxBodySize: -1 };');
    assert.match(await failure([...local, name]), /maxBodySize is -1; expected a whole number from 0/);
  });

  test('that the port is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const said = await failure(['--host', '127.0.0.1', '--port', String(port), app('hello.mjs', hello)]);
    assert.equal(said, `127.0.0.1:${port} is in use; choose another port with --port`);
    other.close();
  });

  test('that an option is unknown, lacks its value, or has one too many', async () => {
    assert.match(await failure(['--prot', '1', 'a.js']), /unknown option --prot/);
    assert.match(await failure(['-x', 'a.js']), /unknown option -x/);
    assert.match(await failure(['a.js', '--port']), /--port needs a value/);
    assert.match(await failure(['--help=yes']), /--help takes no value/);
  });

  test('that a port is none', async () => {
    const name = app('hello.mjs', hello);
    assert.match(await failure(['--port', 'http', name]), /--port is "http"; expected a whole number from 0 to 65535/);
    assert.match(await failure(['--port=65536', name]), /--port is "65536"/);
    assert.match(await failure(['--port=-1', name]), /--port is "-1"/);
    assert.match(await failure([name], { PORT: '80.5' }), /PORT is "80\.5"/);
  });
});

describe('TypeScript', () => {
  test('a .ts module is served where the runtime can load it, and refused in one line where it cannot', async () => {
    const name = app('typed.mts', 'export default { fetch: (_: Request): Response => new Response("typed") };');
    if ('typescript' in process.features && process.features.typescript) {
      const run = new Run([...local, name]);
      assert.equal(await (await fetch(await run.url())).text(), 'typed');
      await run.stop('SIGTERM');
    } else {
      assert.match(await failure([name]), /^Node\.js [\d.]+ cannot load typed\.mts; compile it to JavaScript first$/);
    }
  });
});

describe('the sluice command prints', () => {
  test('which event layers work, and which one servers run on', async () => {
    const run = new Run(['doctor']);
    assert.equal((await run.ended).code, 0, run.stderr);
    assert.match(run.stdout, /^ {2}portable +node:net +works; TLS by node:tls$/m);
    const named = /^Servers run on (\w+) \(/m.exec(run.stdout)?.[1];
    assert.match(run.stdout, new RegExp(`^ {2}${named} .* works; TLS by (?:the OpenSSL inside Node|node:tls)`, 'm'));
  });

  test('the layer that is forced, or why it is unavailable', async () => {
    const forced = new Run(['doctor'], { SLUICE_EVENT_LAYER: 'portable' });
    assert.equal((await forced.ended).code, 0, forced.stderr);
    assert.match(forced.stdout, /^Servers run on portable \(SLUICE_EVENT_LAYER says so\)\.$/m);
    const unknown = new Run(['doctor'], { SLUICE_EVENT_LAYER: 'kqueue' });
    assert.equal((await unknown.ended).code, 1);
    assert.match(unknown.stderr, /^sluice: SLUICE_EVENT_LAYER is "kqueue"; expected one of uring, epoll, portable\n$/);
  });

  test('its help', async () => {
    for (const flag of ['--help', '-h']) {
      const run = new Run([flag]);
      assert.equal((await run.ended).code, 0);
      assert.match(run.stdout, /^Usage: sluice \[options\] <app\.js>\n/);
      assert.equal(run.stderr, '');
    }
  });

  test('its version', async () => {
    const run = new Run(['--version']);
    assert.equal((await run.ended).code, 0);
    assert.equal(run.stdout, `${version}\n`);
  });
});

test('a connection that sends nothing does not hold the command', async () => {
  const run = new Run([...local, app('hello.mjs', hello)]);
  const { port } = new URL(await run.url());
  const idle: Socket = netConnect(Number(port), '127.0.0.1');
  idle.on('error', () => {}); // what the command has not accepted by then is reset
  await once(idle, 'connect');
  assert.equal(await run.endedBy('SIGTERM'), 0);
  idle.destroy();
});
