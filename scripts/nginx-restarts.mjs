#!/usr/bin/env node
// Restarts a server behind nginx, as a deployment does, and counts what its clients lose. nginx keeps connections to the server open
// (`keepalive`), clients send GET and POST all the time, and every few seconds the server gets SIGTERM and another process takes its place.
//
//   node scripts/nginx-restarts.mjs [--seconds 60] [--restarts 20] [--layer uring|epoll|portable] [--servers sluice,node:http] [--ways …]
//
// There are two ways to restart:
//   same-port   the old process ends, then the new one listens on its port. In between no server listens, and nginx answers with 502 whatever
//               the server is; the log of nginx says so, and these are counted apart
//   reuse-port  the new process listens on the same port (SO_REUSEPORT), then the old one gets SIGTERM: nothing need be lost
//
// It fails if a GET gets anything but its response, or if a POST is lost more often than with node:http in the same setting. nginx sends a GET
// again when a connection that it had kept open turns out to be closed; a POST it does not.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    restarts: { type: 'string', default: '20' },
    layer: { type: 'string' },
    servers: { type: 'string', default: 'sluice,node:http' },
    ways: { type: 'string', default: 'same-port,reuse-port' },
    clients: { type: 'string', default: '16' },
    serve: { type: 'string' },
  },
});

const body = 'x'.repeat(2000);

/** Whether node:http can share a port here: `listen` has `reusePort` since Node 22.12 and 23.1. */
const [major, minor] = process.versions.node.split('.').map(Number);
const nodeHasReusePort = major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);

/** The server's process: gets ready, listens on a message, ends on SIGTERM. */
async function serveOnDemand(kind) {
  const serve = kind === 'sluice' ? await sluice() : nodeHttp();
  process.send('ready');
  const [{ port, reusePort }] = await once(process, 'message');
  const close = await serve(port, reusePort);
  process.on('SIGTERM', async () => {
    await close();
    process.exit(0);
  });
  process.send('listens');
}

async function sluice() {
  const { serve } = await import('../dist/index.js');
  return async (port, reusePort) => {
    const server = await serve({
      port,
      reusePort,
      hostname: '127.0.0.1',
      async fetch(request) {
        if (request.method === 'POST') return new Response(await request.text());
        if (request.url.endsWith('/slow')) await sleep(5);
        return new Response(body);
      },
    });
    return () => server.close({ deadline: 10_000 });
  };
}

function nodeHttp() {
  const server = http.createServer(async (request, response) => {
    if (request.method === 'POST') {
      let text = '';
      for await (const piece of request.setEncoding('utf8')) text += piece;
      response.end(text);
      return;
    }
    if (request.url.endsWith('/slow')) await sleep(5);
    response.end(body);
  });
  return async (port, reusePort) => {
    server.listen({ port, reusePort, host: '127.0.0.1' });
    await once(server, 'listening');
    return () => {
      // Connections that are busy now go on for as long as their clients keep them busy: server.close() alone does not end behind a proxy.
      setInterval(() => server.closeIdleConnections(), 50);
      return new Promise((resolve) => server.close(resolve));
    };
  };
}

async function main() {
  const nginx = ['nginx', '/usr/sbin/nginx'].find((name) => spawnSync(name, ['-v']).status === 0);
  if (nginx === undefined) {
    console.log('nginx is not installed: nothing was run (apt-get install nginx-light)');
    return 0;
  }
  const seconds = Number(values.seconds);
  const restarts = Number(values.restarts);
  const servers = values.servers.split(',');
  if (!(seconds >= 1 && seconds <= 600))
    throw new RangeError(`--seconds is ${values.seconds}; expected a number from 1 to 600`);
  if (!(restarts >= 1 && restarts <= 4 * seconds))
    throw new RangeError(`--restarts is ${values.restarts}; expected a number from 1 to ${4 * seconds}`);
  for (const server of servers)
    if (!['sluice', 'node:http'].includes(server))
      throw new RangeError(`--servers has ${server}; expected sluice, node:http`);

  let failures = 0;
  for (const way of values.ways.split(',')) {
    if (!['same-port', 'reuse-port'].includes(way))
      throw new RangeError(`--ways has ${way}; expected same-port, reuse-port`);
    const results = {};
    for (const server of servers) {
      if (server === 'node:http' && way === 'reuse-port' && !nodeHasReusePort) {
        console.log(`${way}, node:http: skipped, Node ${process.versions.node} has no reusePort`);
        continue;
      }
      const result = await measure(nginx, server, way, seconds, restarts);
      results[server] = result;
      console.log(`${way}, ${server}: ${describe(result)}`);
    }
    const ours = results.sluice?.counts;
    const theirs = results['node:http']?.counts;
    if (ours === undefined) continue;
    const fail = (what) => {
      failures++;
      console.log(`FAILED: ${way}: ${what}`);
    };
    if (ours.GET.lost > 0 || ours.GET.wrong > 0) fail('a GET was lost');
    if (ours.POST.wrong > 0) fail('a POST got a wrong response');
    if (theirs !== undefined && ours.POST.lost > theirs.POST.lost) fail('more POSTs were lost than with node:http');
    if (way === 'reuse-port' && ours.GET.refused + ours.POST.refused > 0)
      fail('a connection was refused although a server listened');
  }
  return failures > 0 ? 1 : 0;
}

function describe({ restarts, slowest, reasons, counts }) {
  const parts = Object.entries(counts).map(
    ([method, { answered, lost, refused, wrong }]) =>
      `${method} ${answered} answered, ${lost} lost, ${refused} while no server listened, ${wrong} wrong`,
  );
  return [
    `${restarts} restarts, the slowest end took ${slowest} ms`,
    ...parts,
    ...reasons.map((each) => `nginx: ${each}`),
  ].join('\n  ');
}

/** Runs a server behind nginx under load, with restarts. */
async function measure(nginx, kind, way, seconds, restarts) {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-nginx-'));
  const [port, front] = [await freePort(), await freePort()];
  const reusePort = way === 'reuse-port';
  const started = [];
  const proxy = startNginx(nginx, folder, port, front);
  try {
    let current = await startServer(kind, started);
    await listen(current, port, reusePort);
    await answers(front);
    const load = new Load(front, Number(values.clients));
    let slowest = 0;
    for (let i = 0; i < restarts; i++) {
      const next = await startServer(kind, started);
      await sleep((seconds * 1000) / restarts);
      if (reusePort) await listen(next, port, reusePort);
      const before = performance.now();
      current.kill('SIGTERM');
      await Promise.race([once(current, 'exit'), sleep(15_000, undefined, { ref: false })]);
      if (current.exitCode !== 0)
        throw new Error(`the server did not end in good order: ${current.exitCode ?? current.signalCode}`);
      slowest = Math.max(slowest, Math.round(performance.now() - before));
      if (!reusePort) await listen(next, port, reusePort);
      current = next;
    }
    await sleep(500);
    const counts = await load.stop();
    const log = readFileSync(join(folder, 'error.log'), 'utf8');
    const refused = refusals(log);
    for (const [method, count] of Object.entries(counts)) {
      count.refused = Math.min(refused[method] ?? 0, count.lost);
      count.lost -= count.refused;
    }
    return { restarts, slowest, reasons: reasons(log), counts };
  } finally {
    for (const child of started) child.kill('SIGKILL');
    proxy.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What nginx says of requests that failed, or that it had to send again, and how often. */
function reasons(log) {
  const counts = {};
  for (const [, what, method] of log.matchAll(/\d: \*\d+ (.*?), client: .*request: "(\w+) /g)) {
    const text = `${method}: ${what}`;
    if (!what.includes('Connection refused')) counts[text] = (counts[text] ?? 0) + 1;
  }
  return Object.entries(counts).map(([text, count]) => `${count} ${text}`);
}

/** Of each method, how many requests nginx could not send because no server listened. */
function refusals(log) {
  const counts = {};
  for (const [, method] of log.matchAll(/Connection refused\) while connecting to upstream.*request: "(\w+) /g))
    counts[method] = (counts[method] ?? 0) + 1;
  return counts;
}

function startNginx(nginx, folder, port, front) {
  for (const name of ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']) mkdirSync(join(folder, name));
  const config = join(folder, 'nginx.conf');
  writeFileSync(
    config,
    `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log info;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  keepalive_requests 1000000;
  # Not to be taken for down, for 10 s, because of one refused connection.
  upstream server { server 127.0.0.1:${port} max_fails=0; keepalive 32; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${front};
    location / { proxy_pass http://server; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
`,
  );
  return spawn(nginx, ['-p', folder, '-c', config, '-e', join(folder, 'error.log')], { stdio: 'ignore' });
}

/** A process that will serve on a message. */
async function startServer(kind, started) {
  const env = values.layer === undefined ? process.env : { ...process.env, SLUICE_EVENT_LAYER: values.layer };
  const child = spawn(process.execPath, [process.argv[1], '--serve', kind], {
    env,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  started.push(child);
  await once(child, 'message');
  return child;
}

async function listen(child, port, reusePort) {
  const listens = once(child, 'message');
  child.send({ port, reusePort });
  await listens;
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

/** Waits until nginx answers. */
async function answers(port) {
  for (let i = 0; i < 200; i++) {
    const { status } = await ask(port, 'GET', '/', undefined);
    if (status === 200) return;
    await sleep(50);
  }
  throw new Error('nginx does not answer');
}

/** Sends a request. @returns its status and text; the code of the error in place of the status if the connection broke */
function ask(port, method, path, agent) {
  return new Promise((resolve) => {
    const request = http.request({ port, method, path, agent, host: '127.0.0.1' }, async (response) => {
      let text = '';
      try {
        for await (const piece of response.setEncoding('utf8')) text += piece;
        resolve({ status: response.statusCode, text });
      } catch (error) {
        resolve({ status: error.code, text });
      }
    });
    request.on('error', (error) => resolve({ status: error.code, text: '' }));
    request.end(method === 'POST' ? body : undefined);
  });
}

/** Clients of nginx, each of which sends one request after the other. */
class Load {
  #stopped = false;
  #agent = new http.Agent({ keepAlive: true });
  #counts = { GET: { answered: 0, lost: 0, wrong: 0 }, POST: { answered: 0, lost: 0, wrong: 0 } };
  #clients;

  constructor(port, clients) {
    this.#clients = Array.from({ length: clients }, (_, i) => this.#run(port, i % 2 === 0 ? 'GET' : 'POST'));
  }

  async #run(port, method) {
    const count = this.#counts[method];
    for (let i = 0; !this.#stopped; i++) {
      const { status, text } = await ask(port, method, i % 4 === 0 ? '/slow' : '/', this.#agent);
      if (status !== 200) count.lost++;
      else if (text !== body) count.wrong++;
      else count.answered++;
      // Connections are idle now and then, as behind a proxy with few clients, and some of them when the server ends.
      await sleep(Math.random() * 10);
    }
  }

  async stop() {
    this.#stopped = true;
    await Promise.all(this.#clients);
    this.#agent.destroy();
    return this.#counts;
  }
}

if (values.serve !== undefined) await serveOnDemand(values.serve);
else process.exitCode = await main();
