// The types that are shipped: those of the build, without what is marked `@internal`. They compile by themselves, however strict the
// user's settings are, and show the public members of classes alone.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'sluice-packed-types-'));
after(() => rmSync(folder, { recursive: true }));

function runScript(script: string, ...args: string[]): void {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, script), ...args], { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
}

it('the shipped types compile by themselves, and have the public members only', () => {
  const library = join(folder, 'node_modules', 'sluice');
  runScript('scripts/prepack.mjs', join(library, 'dist'));
  cpSync(join(root, 'package.json'), join(library, 'package.json'));
  symlinkSync(join(root, 'node_modules', 'hono'), join(folder, 'node_modules', 'hono'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
  for (const { files, lib } of [
    { files: ['members.ts', 'web-sockets.ts', 'node.ts'], lib: ['ES2023'] },
    { files: ['around.ts'], lib: ['ES2023', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable'] }, // Hono's types need those of the DOM
  ]) {
    for (const file of files) cpSync(join(root, 'test', 'packed', file), join(folder, file));
    const compilerOptions = {
      ...{ target: 'es2022', module: 'nodenext', lib, strict: true, noEmit: true, skipLibCheck: false },
      ...{ exactOptionalPropertyTypes: true, typeRoots: [join(root, 'node_modules', '@types')], types: ['node'] },
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
    runScript('node_modules/typescript/bin/tsc', '-p', folder);
  }
});
