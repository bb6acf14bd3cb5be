// What `npm run bench` starts: has the dependencies, the library and the bench itself ready, then hands over to main.ts.
// Plain JavaScript, because it must run before anything is compiled, on Node 20.
//
//   node bench.mjs [arguments of main.ts]
//   node bench.mjs --build-only

import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, lstatSync, mkdirSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

const bench = import.meta.dirname ?? new URL('.', import.meta.url).pathname;
const library = join(bench, '..');
const modules = join(bench, 'node_modules');
const installed = join(modules, '.package-lock.json');

/** Ends with the program's own words if it fails. */
function run(cwd, program, args) {
  const { status, error } = spawnSync(program, args, { cwd, stdio: ['ignore', 2, 2] });
  if (status === 0) return;
  console.error(`bench: ${program} ${args.join(' ')} failed${error ? `: ${error.message}` : ''}`);
  process.exit(1);
}

if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(join(bench, 'package-lock.json')).mtimeMs) {
  console.error("bench: installing the bench's own dependencies (npm ci)");
  run(bench, 'npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
}

// The peers import 'sluice' as its users do. It is compiled from this very tree, into a place of its own: whatever is built
// elsewhere while the bench runs, all of its servers run the same code.
const sluice = join(modules, 'sluice');
if (lstatSync(sluice, { throwIfNoEntry: false })?.isSymbolicLink()) unlinkSync(sluice);
mkdirSync(sluice, { recursive: true });
copyFileSync(join(library, 'package.json'), join(sluice, 'package.json'));

const tsc = join(modules, 'typescript', 'bin', 'tsc');
run(bench, process.execPath, [tsc, '-b', 'tsconfig.library.json', 'tsconfig.json']);

if (!process.argv.includes('--build-only')) await import('./build/main.js');
