// Clients of HTTP that are installed: curl, Python, Go, Node, Bun, Deno, Chromium, the package ws, and the library's own.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromiumProgram, tryChromium } from './chromium.mjs';
import { expect, run, versionOf } from './program.mjs';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const javascript = here('javascript-client.mjs');
const versions = ['TLSv1.2', 'TLSv1.3'];

/** Runs a program that prints `feature NAME` for what it has done. @returns these names */
async function features(command, args, options) {
  const output = await run(command, args, options);
  return [...output.matchAll(/^feature (.*)$/gm)].map(([, name]) => name).join(', ');
}

async function curl({ ports, folder }, version) {
  const limit = version === 'TLSv1.2' ? ['--tls-max', '1.2'] : ['--tlsv1.3'];
  const args = ['-sS', '--max-time', '10', '--cacert', join(folder, 'ca.pem'), ...limit];
  const url = `https://localhost:${ports.plain}`;
  // Two requests on one connection.
  const two = await run('curl', [...args, `${url}/`, `${url}/`]);
  const [, first, second] = expect(two, /"peer":"([^"]*)"[\s\S]*"peer":"([^"]*)"/);
  if (first !== second) throw new Error('the connection was not kept');
  expect(two, new RegExp(`"protocol":"${version}"`));
  const sent = await run('curl', [...args, '--data-binary', '@-', `${url}/length`], { input: 'a'.repeat(2 ** 20) });
  expect(sent, /^1048576 bytes, sum 23280$/m);
  expect(await run('curl', [...args, '-o', '/dev/null', '-w', '%{size_download}', `${url}/mebibyte`]), /^1048576$/);
  expect(await run('curl', [...args, '-N', `${url}/stream`]), /^one two three$/m);
  expect(await run('curl', [...args, '--head', `${url}/`]), /^HTTP\/1\.1 200 OK/);
  const h2 = await run('curl', [...args, '--http2', '-w', '%{http_version}', '-o', '/dev/null', `${url}/`]);
  return `keep-alive, POST, 1 MiB, stream, HEAD; --http2 gets ${h2}`;
}

/** Other programs than those of the system are found in these variables, or in PATH. */
function programs() {
  const fromPath = (name) => (spawnSync('which', [name]).status === 0 ? name : undefined);
  const given = (name) => process.env[name.toUpperCase()] ?? fromPath(name);
  return { bun: given('bun'), deno: given('deno'), go: given('go') };
}

/** Node's options for a version of TLS, and for EventSource where it is behind one. */
function nodeOptions(command, version) {
  const options = version === 'TLSv1.2' ? ['--tls-max-v1.2'] : [];
  if (spawnSync(command, ['--experimental-eventsource', '-e', '0']).status === 0)
    options.push('--experimental-eventsource', '--no-warnings');
  return options;
}

/** @returns the clients that are installed: name, version, and a function that returns what was seen */
export function httpClients({ buildFolder, nodes, isShort }) {
  const { bun, deno, go } = isShort ? {} : programs();
  const clients = [];
  const client = (name, version, test) => version !== undefined && clients.push({ name, version, test });
  const argsOf = ({ ports, folder }, version) => [String(ports.plain), join(folder, 'ca.pem'), version];
  const trusting = ({ folder }) => {
    const ca = join(folder, 'ca.pem');
    return { env: { ...process.env, NODE_EXTRA_CA_CERTS: ca, DENO_CERT: ca } };
  };

  client('curl', versionOf('curl')?.split(' (')[0], curl);
  client('python3', versionOf('python3'), (world, version) =>
    features('python3', [here('python_client.py'), ...argsOf(world, version)]),
  );
  for (const node of nodes)
    client('node', versionOf(node), (world, version) =>
      features(node, [...nodeOptions(node, version), javascript, ...argsOf(world, version)], trusting(world)),
    );
  client('ws', versionOf(process.execPath), (world, version) =>
    features(process.execPath, [here('ws-client.mjs'), ...argsOf(world, version)]),
  );
  client('sluice', versionOf(process.execPath), (world, version) =>
    features(process.execPath, [here('sluice-client.mjs'), ...argsOf(world, version)]),
  );
  if (bun !== undefined)
    client('bun', versionOf(bun), (world, version) =>
      features(bun, [javascript, ...argsOf(world, version)], trusting(world)),
    );
  if (deno !== undefined)
    client('deno', versionOf(deno), (world, version) =>
      features(deno, ['run', '--allow-all', '--no-lock', javascript, ...argsOf(world, version)], trusting(world)),
    );
  if (go !== undefined) {
    const program = join(buildFolder, 'go-client');
    client('go net/http', versionOf(go, ['version']), async (world, version) => {
      if (!existsSync(program)) await run(go, ['build', '-o', program, here('go-client.go')], { timeout: 120_000 });
      return features(program, argsOf(world, version));
    });
  }
  if (chromiumProgram !== undefined)
    client('chromium', versionOf(chromiumProgram), ({ ports }, version) => tryChromium(ports.plain, version));
  return clients.flatMap(({ name, version, test }) =>
    versions.map((tls) => ({ client: name, version, what: tls, test: (world) => test(world, tls) })),
  );
}
