// Runs the compiled tests: of every test/**/*.test.ts, or of those whose path contains one of the arguments. An argument that starts with an
// exclamation mark excludes those whose path contains the rest of it. The list is made from the sources: the compiler leaves the output of a source
// that was removed where it is.
// SEED=n runs the seeded protocol suite alone, with that one seed.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

const sources = 'test';
const compiled = 'build/test';
const seeded = 'protocol-seeds.test.ts';

const names = process.env.SEED === undefined ? process.argv.slice(2) : [seeded];
const wanted = names.filter((name) => !name.startsWith('!'));
const excluded = names.filter((name) => name.startsWith('!')).map((name) => name.slice(1));
const files = readdirSync(sources, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts'))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .filter((file) => !excluded.some((part) => file.includes(part)))
  .sort()
  .map((file) => join(compiled, file.replace(/\.ts$/, '.js')));
if (files.length === 0) {
  console.error(`no test file below ${sources} matches ${names.join(', ')}`);
  process.exit(1);
}
// One file more than there are cores: about a fifth of the time of the tests is spent waiting. (By itself, Node leaves one core unused.)
const concurrency = availableParallelism() + 1;
const reporter = new URL('test-reporter.mjs', import.meta.url).href;
const options = ['--expose-gc', `--test-reporter=${reporter}`, `--test-concurrency=${concurrency}`, '--test'];
const { status, signal } = spawnSync(process.execPath, [...options, ...files], { stdio: 'inherit' });
if (signal) console.error(`the test runner was ended by ${signal}`);
process.exit(status ?? 1);
