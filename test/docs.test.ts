import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

test('every TypeScript example in the README and the guide compiles as it stands', () => {
  const folder = join(root, 'build/docs-examples');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  let count = 0;
  for (const page of ['README.md', 'docs/guide.md']) {
    const text = readFileSync(join(root, page), 'utf8');
    for (const [, code] of text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)) {
      const name = `${page.replace(/\W/g, '-')}-${++count}.ts`;
      writeFileSync(join(folder, name), `${code}\nexport {};\n`);
    }
  }
  assert.ok(count >= 10, `${count} examples were found`);
  const options = {
    module: 'nodenext',
    target: 'es2022',
    strict: true,
    noEmit: true,
    types: ['node'],
    lib: ['es2023', 'esnext.disposable'],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['*.ts'] }));
  const { status, stdout } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', folder], { encoding: 'utf8' });
  assert.equal(status, 0, stdout);
});
