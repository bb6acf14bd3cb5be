// The package as users get it: packs it, installs the tarball into an empty project, checks its types there, and has it
// serve on every runtime that it is for. Run by .ci/run. Everything happens in a temporary folder; nothing is left behind.
//
//   node scripts/packed.mjs                 all of it
//   node scripts/packed.mjs types bun deno  parts: types, or the names of runtimes
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What every server here serves. */
const handlers = `
import { sleep, stream } from 'sluice';

function* inThread() {
  yield* sleep(5);
  return new Response('thread');
}

async function later() {
  await new Promise((resolve) => setTimeout(resolve, 5));
  return new Response('async');
}

function words() {
  return stream(function* (out) {
    for (const word of ['one ', 'two ', 'three']) {
      yield* out.write(word);
      yield* sleep(5);
    }
  });
}

function endless() {
  return stream(function* (out) {
    try {
      for (;;) {
        yield* out.write('tick ');
        yield* sleep(50);
      }
    } finally {
      console.log('unwound');
    }
  });
}

async function lengthOf(request) {
  return new Response(String((await request.text()).length));
}

function handle(request) {
  switch (new URL(request.url).pathname) {
    case '/plain': return new Response('plain');
    case '/async': return later();
    case '/thread': return inThread();
    case '/stream': return words();
    case '/endless': return endless();
    case '/body': return lengthOf(request);
    default: return new Response('not found', { status: 404 });
  }
}
`;

/** For a runtime: a server with TLS that asks for client certificates, and a client in a thread. Prints `tls ok` if all is well. */
const tlsScript = `import { ConnectionError, connect, run, serve } from 'sluice';
import { readFileSync } from 'node:fs';

const tls = { key: 'server-key.pem', cert: 'server.pem', ca: 'ca.pem', requestCert: true };
const show = (_, { tls }) => new Response(tls.protocol + ' ' + tls.serverName + ' ' + tls.peerCertificate?.subject + ' ' + tls.isAuthorized);
const server = await serve({ port: 0, hostname: '127.0.0.1', tls, fetch: show });
const { port } = server;
const get = (tls) =>
  run(function* () {
    const { reader, writer } = yield* connect({ port, hostname: 'localhost', tls });
    yield* writer.write('GET / HTTP/1.1\\r\\nhost: localhost\\r\\nconnection: close\\r\\n\\r\\n');
    return new TextDecoder().decode(yield* reader.readAll(10_000)).split('\\r\\n\\r\\n')[1];
  }).catch((error) => (error instanceof ConnectionError ? error.code : error.stack));
const ca = readFileSync('ca.pem', 'utf8');
const client = { ca, key: 'client-key.pem', cert: 'client.pem' };
const found = [await get(client), await get({ ...client, ca: undefined }), await get({ ca })];
await server.reload({ tls });
found.push(await get(client));
await server.close();
const good = 'TLSv1.3 localhost CN=client true';
const [first, untrusted, unknown, last] = found;
const isRight = first === good && untrusted === 'ERR_TLS_CERTIFICATE' && unknown !== good && /^E/.test(unknown) && last === good;
console.log(isRight ? 'tls ok' : 'tls: ' + JSON.stringify(found));
`;

/** For Node: an application for node:http, alone and beside fetch handlers. Prints `node ok` if all is well. */
const nodeScript = `import http from 'node:http';
import { serve } from 'sluice';
import { createServer, listen } from 'sluice/node';

const application = (request, response) => response.end(request.method + ' ' + request.url);
const own = createServer(application);
await new Promise((resolve) => own.listen(0, '127.0.0.1', resolve));
const given = await listen(http.createServer(application), { port: 0, hostname: '127.0.0.1' });
const both = await serve({ port: 0, hostname: '127.0.0.1', fetch: () => undefined, node: application });
const found = [];
for (const { port } of [own.address(), given, both])
  found.push(await (await fetch('http://127.0.0.1:' + port + '/path', { method: 'PUT', body: 'text' })).text());
await Promise.all([new Promise((resolve) => own.close(resolve)), given.close(), both.close()]);
console.log(found.every((text) => text === 'PUT /path') ? 'node ok' : 'node: ' + JSON.stringify(found));
`;

/** For the helpers of Hono and the adapter of srvx. Prints `around ok` if all is well. */
const aroundScript = `import { Hono } from 'hono';
import { serve } from 'sluice';
import { getConnInfo, streamSSE, upgradeWebSocket } from 'sluice/hono';
import { serve as serveSrvx } from 'sluice/srvx';

const app = new Hono();
app.get('/peer', (c) => c.text(getConnInfo(c).remote.address));
app.get('/events', (c) => streamSSE(c, (stream) => stream.writeSSE({ data: 'event' })));
app.get('/echo', upgradeWebSocket(() => ({ onMessage: ({ data }, ws) => ws.send(data) })));
const server = await serve({ port: 0, hostname: '127.0.0.1', fetch: app.fetch });
const srvx = serveSrvx({ port: 0, hostname: '127.0.0.1', silent: true, gracefulShutdown: false, fetch: ({ ip }) => new Response(ip) });
await srvx.ready();
const found = [];
for (const url of [new URL('peer', server.url), new URL('events', server.url), srvx.url])
  found.push((await (await fetch(url)).text()).trim());
if (typeof WebSocket === 'undefined') found.push('message');
else {
  const socket = new WebSocket('ws://127.0.0.1:' + server.port + '/echo');
  socket.onopen = () => socket.send('message');
  found.push(await new Promise((resolve, reject) => Object.assign(socket, { onmessage: ({ data }) => resolve(data), onerror: reject })));
  socket.close();
}
await Promise.all([server.close(), srvx.close()]);
const expected = ['127.0.0.1', 'data: event', '127.0.0.1', 'message'];
console.log(String(found) === String(expected) ? 'around ok' : 'around: ' + JSON.stringify(found));
`;

/** For `sluice app.js`. */
const appModule = `${handlers}
export default { fetch: handle };
`;

/** For `sluice app.ts`, where the runtime can load it. */
const typedModule = `import { sleep, type Task } from 'sluice';

export default {
  *fetch(_: Request): Task<Response> {
    yield* sleep(1);
    return new Response('typed');
  },
};
`;

/** For a runtime: a program that calls `serve`. */
const serverScript = `import { serve } from 'sluice';
${handlers}
const server = await serve({ port: 0, hostname: '127.0.0.1', fetch: handle });
process.once('SIGTERM', () => server.close({ deadline: 1000 }));
console.log(server.url.href);
`;

/** A consumer in TypeScript: what people write, with the types that they name. */
const consumer = `import {
  Channel, ConnectionError, connect, listen, run, serve, sleep, spawn, stream, until,
  type ActiveConnection, type BodyWriter, type Connection, Headers as LightHeaders, type Fetch,
  Request as LightRequest, Response as LightResponse, type ServeOptions, type Server, type Task, type TcpServer,
} from 'sluice';

const plain: Fetch = (request) => new Response(new URL(request.url).pathname);
const asynchronous: Fetch = async (request: Request): Promise<Response> => Response.json(await request.json());
const thread: Fetch = function* (request): Task<Response> {
  const text: string = yield* until(request.text());
  yield* sleep(1);
  return new Response(text, { headers: new Headers({ 'x-length': String(text.length) }) });
};
const light: Fetch = (request: LightRequest) => new LightResponse(request.method, { headers: new LightHeaders() });

function* body(out: BodyWriter): Task<void> {
  yield* out.write('text');
  yield* out.write(new Uint8Array(4));
  yield* out.flush();
}
const streamed: Fetch = () => stream(body, { status: 201, headers: { 'content-type': 'text/plain' } });
// A route of a framework has the platform's types.
const route: () => Response = () => stream(body);

const options: ServeOptions = { port: 0, hostname: '127.0.0.1', fetch: plain, maxBodySize: 1 };
const server: Server = await serve(options);
for (const { thread, wait: parked, peer, request } of server.active() satisfies Iterable<ActiveConnection>) {
  const wait: 'dry' | 'flooded' | 'timer' | 'promise' | 'channel' | 'join' | undefined = parked;
  thread?.unwind(\`\${wait} \${peer} \${request?.method}\`);
}
// @ts-expect-error a handler must answer
await serve({ fetch: () => 'text' });
// @ts-expect-error an option that there is not
await serve({ fetch: plain, prot: 1 });
// @ts-expect-error a member that is internal
const internal = ({ queued }: Connection): number => queued;

const tcp: TcpServer = await listen({ port: 0 }, function* ({ reader, writer }: Connection) {
  const line: string | undefined = yield* reader.readLine(100);
  yield* writer.write(line ?? '');
});
const answer: string | undefined = await run(function* () {
  const inbox = new Channel<string>(1);
  const child = spawn(function* () {
    const { reader } = yield* connect({ port: tcp.port ?? 0 });
    yield* inbox.send((yield* reader.readLine(10)) ?? '');
  });
  const heard: string | undefined = yield* inbox.receive();
  yield* child.join();
  return heard;
});
try {
  await server.close({ deadline: 1 });
} catch (error) {
  if (error instanceof ConnectionError) throw new Error(error.code, { cause: error });
}
export { answer, asynchronous, internal, light, route, streamed, thread };
`;

const platform = `${process.platform}-${process.arch}`;

/** Where each runtime comes from, and how it runs a script. The versions are pinned, so that a failure is ours. */
const runtimes = [
  { name: 'node', command: [process.execPath] },
  {
    name: 'node-current',
    platforms: ['linux-x64', 'linux-arm64', 'darwin-arm64'],
    package: `node-${platform}@26.10.0`,
    typescript: true,
    command: [join('node_modules', `node-${platform}`, 'bin', 'node')],
  },
  { name: 'bun', package: 'bun@1.4.5', typescript: true, command: [join('node_modules', '.bin', 'bun')] },
  {
    name: 'deno',
    package: 'deno@2.9.6',
    typescript: true,
    command: [join('node_modules', '.bin', 'deno'), 'run', '--allow-all', '--no-lock', '--node-modules-dir=manual'],
  },
];

const wanted = process.argv.slice(2);
const isWanted = (part) => wanted.length === 0 || wanted.includes(part);

const root = fileURLToPath(new URL('..', import.meta.url));
const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const hono = `hono@${devDependencies.hono}`;
const temporary = mkdtempSync(join(tmpdir(), 'sluice-packed-'));
const failures = [];

try {
  const tarball = pack();
  if (isWanted('types')) checkTypes(tarball);
  for (const runtime of runtimes) if (isWanted(runtime.name)) await checkRuntime(runtime, tarball);
} finally {
  rmSync(temporary, { recursive: true, force: true, maxRetries: 5 });
}
if (failures.length > 0) {
  console.error(`\n${failures.length} failed:\n${failures.map((failure) => `  ${failure}`).join('\n')}`);
  process.exit(1);
}
console.log('\nThe packed library is good.');

/** Packs a copy of the project, so that `prepack` does not take away the build that others may be using. @returns the tarball's path */
function pack() {
  console.log('pack');
  const copy = join(temporary, 'copy');
  const left = new Set(['node_modules', 'dist', 'build', '.git']);
  cpSync(root, copy, { recursive: true, filter: (path) => !left.has(basename(path)) });
  run(copy, 'npm', ['ci', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']);
  const [packed] = JSON.parse(run(copy, 'npm', ['pack', '--json', '--silent', '--pack-destination', temporary]));
  const unwanted = packed.files.map((file) => file.path).filter((path) => !isShipped(path));
  check('the tarball holds what it should', unwanted.length === 0, `also ${unwanted.join(', ')}`);
  rmSync(copy, { recursive: true });
  console.log(`  ${packed.filename}: ${packed.files.length} files, ${Math.ceil(packed.size / 1024)} KiB`);
  return join(temporary, packed.filename);
}

function isShipped(path) {
  return /^(dist\/.*\.(js|d\.ts)|docs\/.*|package\.json|(README|CHANGELOG)\.md|LICENSE)$/.test(path);
}

/** An empty project with the library in it. @returns its folder */
function project(name, tarball, packages = []) {
  const folder = join(temporary, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }));
  run(folder, 'npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', tarball, ...packages]);
  return folder;
}

/** The library's types, as strict as a consumer may be, in each way that they may be looked up. */
function checkTypes(tarball) {
  console.log('types');
  const typescript = `typescript@${devDependencies.typescript}`;
  const node = `@types/node@${devDependencies['@types/node']}`;
  const dom = ['DOM', 'DOM.Iterable', 'DOM.AsyncIterable'];
  const tables = [
    { name: 'types of Node', packages: [node], lib: [], types: ['node'] },
    { name: 'types of Node and of the DOM', packages: [node, hono], lib: dom, types: ['node'] },
    { name: 'types of the DOM alone', packages: [], lib: dom, types: [] },
  ];
  for (const { name, packages, lib, types } of tables) {
    const folder = project('types', tarball, [typescript, ...packages]);
    writeFileSync(join(folder, 'consumer.ts'), consumer);
    const own = ['members.ts', 'web-sockets.ts'];
    if (types.includes('node')) own.push('node.ts');
    if (packages.includes(hono)) own.push('around.ts'); // Hono's types need those of the DOM
    for (const file of own) cpSync(join(root, 'test', 'packed', file), join(folder, file));
    for (const [module, moduleResolution] of [
      ['nodenext', 'nodenext'],
      ['esnext', 'bundler'],
    ]) {
      const compilerOptions = {
        ...{ target: 'es2022', module, moduleResolution, lib: ['ES2023', ...lib], types },
        ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false },
        ...{ verbatimModuleSyntax: true, noEmit: true },
      };
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.ts', ...own] }));
      const { status, stdout } = spawnSync(join(folder, 'node_modules', '.bin', 'tsc'), ['-p', '.'], {
        cwd: folder,
        encoding: 'utf8',
      });
      const what = `with the ${name}, moduleResolution ${moduleResolution}`;
      check(what, status === 0, stdout);
    }
    rmSync(folder, { recursive: true });
  }
}

/** Has a server on the packed library answer, and the command. */
async function checkRuntime(runtime, tarball) {
  if (runtime.platforms !== undefined && !runtime.platforms.includes(platform)) {
    console.log(`${runtime.name}: there is no package of it for ${platform}; not checked`);
    return;
  }
  const folder = project(runtime.name, tarball, [hono, ...(runtime.package === undefined ? [] : [runtime.package])]);
  const [program, ...args] = runtime.command;
  const command = [resolve(folder, program), ...args];
  console.log(`${runtime.name} (${versionOf(command[0])})`);
  writeFileSync(join(folder, 'server.js'), serverScript);
  writeFileSync(join(folder, 'app.js'), appModule);
  writeFileSync(join(folder, 'app.ts'), typedModule);

  await withServer(`${runtime.name}: serve()`, folder, [...command, 'server.js'], checkAnswers);
  const bin = join('node_modules', 'sluice', 'dist', 'cli', 'sluice.js');
  await withServer(`${runtime.name}: sluice app.js`, folder, [...command, bin, 'app.js', '--port', '0'], checkAnswers);
  if (runtime.typescript) {
    await withServer(`${runtime.name}: sluice app.ts`, folder, [...command, bin, 'app.ts', '--port', '0'], checkTyped);
  }
  if (runtime.name === 'node') {
    const installed = join(folder, 'node_modules', '.bin', 'sluice');
    await withServer(`${runtime.name}: the installed command`, folder, [installed, 'app.js', '-p', '0'], checkAnswers);
  }
  makeCertificates(folder);
  writeFileSync(join(folder, 'tls.js'), tlsScript);
  const { stdout, stderr } = spawnSync(command[0], [...command.slice(1), 'tls.js'], {
    ...{ cwd: folder, encoding: 'utf8', timeout: 60_000 },
  });
  check(`${runtime.name}: TLS, with certificates on both sides`, stdout === 'tls ok\n', stdout, stderr);
  if (runtime.name.startsWith('node')) {
    writeFileSync(join(folder, 'node.js'), nodeScript);
    const script = spawnSync(command[0], ['node.js'], { cwd: folder, encoding: 'utf8', timeout: 60_000 });
    check(`${runtime.name}: applications for Node`, script.stdout === 'node ok\n', script.stdout, script.stderr);
  }
  writeFileSync(join(folder, 'around.js'), aroundScript);
  const around = spawnSync(command[0], [...command.slice(1), 'around.js'], {
    ...{ cwd: folder, encoding: 'utf8', timeout: 60_000 },
  });
  check(`${runtime.name}: Hono and srvx`, around.stdout === 'around ok\n', around.stdout, around.stderr);
  checkFetch(runtime.name, command, folder);
  rmSync(folder, { recursive: true });
}

/** The classes of the fetch standard beside those of the runtime. */
function checkFetch(name, command, folder) {
  const suite = join(root, 'build', 'test', 'http', 'fetch', 'conformance');
  if (!existsSync(suite)) run(root, 'npm', ['run', '--silent', 'build']);
  cpSync(suite, join(folder, 'fetch'), { recursive: true });
  const { status, stdout, stderr } = spawnSync(command[0], [...command.slice(1), join('fetch', 'main.js')], {
    ...{ cwd: folder, encoding: 'utf8', timeout: 60_000 },
  });
  check(`${name}: the fetch standard, ${stdout.trim().split('\n').at(-1)}`, status === 0, stdout, stderr);
}

/** An authority, and certificates of a server and a client that it has signed. */
function makeCertificates(folder) {
  const p256 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  run(folder, 'openssl', ['req', '-x509', ...p256, '-subj', '/CN=ca', '-keyout', 'ca-key.pem', '-out', 'ca.pem']);
  for (const name of ['server', 'client']) {
    run(folder, 'openssl', [
      'req',
      ...p256,
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${name}-key.pem`,
      '-out',
      `${name}.csr`,
    ]);
    writeFileSync(join(folder, 'extensions'), 'subjectAltName=DNS:localhost\n');
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial', '-extfile', 'extensions'];
    run(folder, 'openssl', ['x509', '-req', '-in', `${name}.csr`, ...by, '-out', `${name}.pem`]);
  }
}

function versionOf(program) {
  return spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0];
}

/** Starts a server, has it checked, and expects it to end by itself after SIGTERM. */
async function withServer(what, cwd, [program, ...args], use) {
  const server = spawn(program, args, { cwd, env: { ...process.env, HOST: '127.0.0.1' } });
  let output = '';
  const late = setTimeout(() => server.kill('SIGKILL'), 60_000);
  const closed = new Promise((done) => server.on('close', (code, signal) => done(code ?? signal)));
  const url = new Promise((found, missed) => {
    const look = (text) => {
      output += text;
      const line = /http:\/\/[\d.]+:\d+\//.exec(output);
      if (line !== null) found(line[0]);
    };
    server.stdout.setEncoding('utf8').on('data', look);
    server.stderr.setEncoding('utf8').on('data', look);
    closed.then(() => missed(new Error('it ended before it served')));
  });
  try {
    await use(what, await url, () => output);
    server.kill('SIGTERM');
    const code = await closed;
    check(`${what} ends cleanly on SIGTERM`, code === 0, `it ended with ${code}`, output);
  } catch (error) {
    check(`${what} answers`, false, error.stack, output);
  } finally {
    server.kill('SIGKILL');
    clearTimeout(late);
  }
}

async function checkTyped(what, url, output) {
  const text = await (await fetch(url)).text();
  check(`${what} answers`, text === 'typed', JSON.stringify(text), output());
}

async function checkAnswers(what, url, output) {
  const answers = {
    plain: await fetch(`${url}plain`),
    async: await fetch(`${url}async`),
    thread: await fetch(`${url}thread`),
    stream: await fetch(`${url}stream`),
    body: await fetch(`${url}body`, { method: 'POST', body: 'x'.repeat(100_000) }),
  };
  const expected = { plain: 'plain', async: 'async', thread: 'thread', stream: 'one two three', body: '100000' };
  for (const [name, response] of Object.entries(answers)) {
    const text = await response.text();
    const good = response.status === 200 && text === expected[name];
    check(`${what} answers: ${name}`, good, `${response.status} ${JSON.stringify(text.slice(0, 200))}`, output());
  }

  // A client that disconnects is noticed: the thread of an endless stream is unwound, after a FIN as after an RST.
  for (const way of ['destroy', 'resetAndDestroy']) {
    const client = connect(Number(new URL(url).port), '127.0.0.1');
    client.write('GET /endless HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await new Promise((heard) => client.once('data', heard));
    const before = output().split('unwound').length;
    client[way]();
    const deadline = Date.now() + 3000;
    while (output().split('unwound').length === before && Date.now() < deadline) {
      await new Promise((later) => setTimeout(later, 20));
    }
    const noticed = output().split('unwound').length === before + 1;
    check(`${what} unwinds a stream whose client has left (${way})`, noticed, 'finally did not run', output());
  }
}

function check(what, holds, ...details) {
  console.log(`  ${holds ? 'ok' : 'FAILED'}  ${what}`);
  if (holds) return;
  failures.push(what);
  for (const detail of details) if (detail) console.log(String(detail).replaceAll(/^/gm, '          '));
}

/** @returns what it printed; throws if it fails */
function run(cwd, program, args) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error ?? stderr + stdout}`);
  return stdout;
}
