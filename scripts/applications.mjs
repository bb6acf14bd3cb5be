// Runs the applications of frameworks in applications/ as tests, on each event layer of the machine: `npm run test:applications`.
//
//   node scripts/applications.mjs             all of them
//   node scripts/applications.mjs frameworks  those whose path contains this
//
// Installs the frameworks first, in applications/node_modules. The library is that of this checkout, as it was built last.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'applications');
const modules = join(folder, 'node_modules');
const installed = join(modules, '.package-lock.json');

/** @returns its exit code */
function run(cwd, program, args, env = {}) {
  const { status, error } = spawnSync(program, args, { cwd, stdio: 'inherit', env: { ...process.env, ...env } });
  if (error) console.error(`applications: ${program}: ${error.message}`);
  return status ?? 1;
}

if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(join(folder, 'package-lock.json')).mtimeMs) {
  const status = run(folder, 'npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
  if (status !== 0) process.exit(status);
}
rmSync(join(modules, 'sluice'), { recursive: true, force: true });
symlinkSync(root, join(modules, 'sluice'), 'dir');

const parts = process.argv.slice(2);
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.mjs') && !file.includes('node_modules'))
  .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
  .sort();
if (files.length === 0) {
  console.error(`applications: no test file matches ${parts.join(', ')}`);
  process.exit(1);
}

/** Whether a server can be started on a layer: `sluice doctor` says why not. */
function isAvailable(layer) {
  const source = `const { serve } = await import('sluice');
    await (await serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('') })).close();`;
  const env = { ...process.env, SLUICE_EVENT_LAYER: layer };
  return spawnSync(process.execPath, ['--input-type=module', '-e', source], { cwd: folder, env }).status === 0;
}

let failed = false;
for (const layer of ['uring', 'epoll', 'portable']) {
  if (!isAvailable(layer)) {
    console.log(`applications: the event layer ${layer} is unavailable here`);
    continue;
  }
  console.log(`\napplications: on ${layer}`);
  const args = ['--test', '--test-reporter=dot', '--test-timeout=300000', '--test-concurrency=1', ...files];
  if (run(folder, process.execPath, args, { SLUICE_EVENT_LAYER: layer }) !== 0) failed = true;
}
if (failed) process.exit(1);
