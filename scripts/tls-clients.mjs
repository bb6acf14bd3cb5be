#!/usr/bin/env node
// TLS with the clients and tools that people use, as far as they are installed, on each event layer. Prints what was seen, and fails if something fails.
//
//   node scripts/tls-clients.mjs                    everything but testssl.sh and the memory of 10,000 handshakes; some minutes
//   node scripts/tls-clients.mjs --short            without Go, Bun and Deno, and with fewer idle clients; under a minute
//   node scripts/tls-clients.mjs --testssl          testssl.sh alone, some two minutes for each layer
//   node scripts/tls-clients.mjs --memory           with the memory of 10,000 handshakes: on a quiet machine only
//   node scripts/tls-clients.mjs --layers uring --only resumption
//
// Programs of the system: openssl, curl, python3, go, bun, deno, chromium. The variables BUN, DENO, GO and CHROMIUM may name others; NODES names further
// node programs, with spaces between. What is not installed is left out, and said so.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { badInputChecks } from './tls-clients/bad-input.mjs';
import { makeCertificates } from './tls-clients/certificates.mjs';
import { httpClients } from './tls-clients/http-clients.mjs';
import { versionOf } from './tls-clients/program.mjs';
import { sClientChecks } from './tls-clients/s-client.mjs';
import { startServers } from './tls-clients/servers.mjs';
import { testsslCheck } from './tls-clients/testssl.mjs';

const { values } = parseArgs({
  options: {
    layers: { type: 'string', default: 'uring,epoll,portable' },
    only: { type: 'string', default: '' },
    short: { type: 'boolean', default: false },
    memory: { type: 'boolean', default: false },
    testssl: { type: 'boolean', default: false },
  },
});

for (const program of ['openssl', 'curl', 'python3'])
  if (versionOf(program, [program === 'openssl' ? 'version' : '--version']) === undefined) {
    console.error(`tls-clients: ${program} is missing, and nothing works without it`);
    process.exit(1);
  }
const folder = mkdtempSync(join(tmpdir(), 'tls-clients-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
makeCertificates(folder);

const nodes = [process.execPath, ...(values.short ? [] : (process.env.NODES ?? '').split(' '))].filter(Boolean);
const clients = values.testssl ? [] : httpClients({ buildFolder: folder, nodes, isShort: values.short });
for (const name of ['go', 'bun', 'deno', 'chromium'])
  if (!values.testssl && !values.short && !clients.some(({ client }) => client.startsWith(name)))
    console.log(`not installed: ${name}`);

function checksOf(world) {
  if (values.testssl) return [testsslCheck('testssl', world)];
  return [
    ...sClientChecks(world).map((check) => ({ version: versionOf('openssl', ['version']).split(' (')[0], ...check })),
    ...clients.map(({ test, ...client }) => ({ ...client, test: () => test(world) })),
    ...badInputChecks(world, { memory: values.memory, isShort: values.short }),
  ];
}

let failures = 0;
for (const layer of values.layers.split(',')) {
  const servers = await startServers(layer, folder);
  if (servers.eventLayer !== layer) {
    console.log(`\n${layer} does not work here`);
    await servers.stop();
    continue;
  }
  console.log(`\n| on ${layer} | version | what | seen |\n| --- | --- | --- | --- |`);
  for (const { client, version = '', what, test } of checksOf({ ...servers, layer, folder })) {
    if (!`${client} ${what}`.includes(values.only)) continue;
    let seen;
    try {
      seen = await test();
    } catch (error) {
      failures++;
      seen = `FAILED: ${error.message}`;
    }
    console.log(`| ${client} | ${version} | ${what} | ${seen.replaceAll(/\s+/g, ' ')} |`);
  }
  await servers.stop();
}
if (failures > 0) console.error(`\n${failures} failures`);
process.exit(failures > 0 ? 1 : 0);
