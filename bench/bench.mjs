// What `npm run bench` starts: installs the bench's dependencies, compiles the library and the bench, then runs main.ts. Plain JavaScript,
// because it runs before anything is compiled.
//
//   node bench.mjs [arguments of main.ts]
//   node bench.mjs --build-only

import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

const bench = import.meta.dirname ?? new URL('.', import.meta.url).pathname;
const modules = join(bench, 'node_modules');
const installed = join(modules, '.package-lock.json');

/** Exits if the program fails. */
function run(cwd, program, args) {
  const { status, error } = spawnSync(program, args, { cwd, stdio: ['ignore', 2, 2] });
  if (status === 0) return;
  console.error(`bench: ${program} ${args.join(' ')} failed${error ? `: ${error.message}` : ''}`);
  process.exit(1);
}

if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(join(bench, 'package-lock.json')).mtimeMs) {
  console.error("bench: installing the bench's dependencies (npm ci)");
  run(bench, 'npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
}

const tsc = join(modules, 'typescript', 'bin', 'tsc');

/** Compiles a checkout's library into node_modules, so that peers import it as users do, and later changes do not disturb a run. */
function compile(checkout, name) {
  const target = join(modules, name);
  mkdirSync(target, { recursive: true });
  if (!existsSync(join(checkout, 'src', 'index.ts'))) {
    console.error(`bench: --against ${checkout}: there is no src/index.ts; expected a checkout of sluice`);
    process.exit(2);
  }
  copyFileSync(join(checkout, 'package.json'), join(target, 'package.json'));
  rmSync(join(target, 'dist'), { recursive: true, force: true });
  const output = ['--outDir', join(target, 'dist'), '--tsBuildInfoFile', join(target, 'dist', 'tsconfig.tsbuildinfo')];
  run(bench, process.execPath, [tsc, '-p', join(checkout, 'src'), ...output]);
}

compile(join(bench, '..'), 'sluice');
const index = process.argv.findIndex((argument) => /^--against(=|$)/.test(argument));
if (index !== -1) {
  const against = process.argv[index].split('=')[1] ?? process.argv[index + 1] ?? '';
  compile(resolve(against), 'sluice-against');
}
run(bench, process.execPath, [tsc, '-p', 'tsconfig.json']);

if (!process.argv.includes('--build-only')) await import('./build/main.js');
