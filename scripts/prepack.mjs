// Compiles what `npm pack` ships, before it packs: the library without its internals in the types, and without source maps, as the sources are not
// shipped. The next `npm run build` compiles the usual form again.
//
//   node scripts/prepack.mjs [FOLDER]   into another folder than dist/: a test looks at the types in this way

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..');
const dist = process.argv[2] === undefined ? join(root, 'dist') : resolve(process.argv[2]);
rmSync(dist, { recursive: true, force: true });

const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const options = ['--outDir', dist, '--stripInternal', 'true'];
for (const name of ['composite', 'incremental', 'declarationMap', 'sourceMap']) options.push(`--${name}`, 'false');
const { status } = spawnSync(process.execPath, [tsc, '-p', join(root, 'src'), ...options], { stdio: 'inherit' });
if (status !== 0) process.exit(1);

// Classes implement internal interfaces by members that are left out of the types, so the clause would be an error there. Types are compared by
// their members: nothing is lost without it.
for (const path of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
  if (!path.endsWith('.d.ts')) continue;
  const file = join(dist, path);
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace(/^((?:export )?declare (?:abstract )?class [^{]*?) implements [^{]+\{/gm, '$1 {'));
}
