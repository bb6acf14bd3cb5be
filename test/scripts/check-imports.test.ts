// The check of imports that `npm run lint` runs, on small source folders.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../../../scripts/check-imports.mjs', import.meta.url));

/** Runs the check on files with these contents. @returns its exit status and what it printed */
function check(files: Record<string, string>): { status: number | null; output: string } {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-imports-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(folder, 'src', dirname(name)), { recursive: true });
      writeFileSync(join(folder, 'src', name), text);
    }
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, 'src'], { cwd: folder, encoding: 'utf8' });
    return { status, output: stdout + stderr };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('the check of imports', () => {
  it('accepts imports that point down', () => {
    const { status, output } = check({
      'index.ts': "export { serve } from './server/serve.js';\n",
      'server/serve.ts': "import { parse } from '../http/h1/head.js';\nimport { wait } from '../threads/wait.js';\n",
      'http/h1/head.ts': "import { grow } from '../../util/grow.js';\n",
      'tls/tls.ts': "import { send } from '../event-layer/send.js';\n",
      'event-layer/send.ts': "import { grow } from '../util/grow.js';\n",
      'threads/wait.ts': "import { readFile } from 'node:fs';\n",
      'util/grow.ts': 'export const grow = 1;\n',
    });
    assert.deepEqual({ status, output }, { status: 0, output: '' });
  });

  it('names the file and the line of an import that points up', () => {
    const { status, output } = check({
      'threads/wait.ts':
        "import { grow } from '../util/grow.js';\n\nimport {\n  serve,\n} from '../server/serve.js';\n",
      'server/serve.ts': 'export const serve = 1;\n',
      'util/grow.ts': 'export const grow = 1;\n',
    });
    assert.equal(status, 1);
    assert.match(output, /^src\/threads\/wait\.ts:5: imports server\/serve\.ts: threads may not import server$/m);
  });

  it('accepts no import between folders that stand side by side', () => {
    const { output } = check({
      'threads/wait.ts': "import { send } from '../event-layer/send.js';\n",
      'event-layer/send.ts': "export { tls } from '../tls/tls.js';\n",
      'tls/tls.ts': '',
      'http/h1/head.ts': "import { frame } from '../h2/frame.js';\n",
      'http/h2/frame.ts': '',
    });
    assert.match(output, /wait\.ts:1: imports event-layer\/send\.ts: threads may not import event-layer/);
    assert.match(output, /send\.ts:1: imports tls\/tls\.ts: event-layer may not import tls/);
    assert.match(output, /head\.ts:1: imports http\/h2\/frame\.ts: http\/h1 may not import http\/h2/);
  });

  it('names a folder that the table does not have, and a file that does not exist', () => {
    const { output } = check({
      'other/one.ts': "import '../util/grow.js';\n",
      'util/grow.ts': "import './gone.js';\n",
    });
    assert.match(output, /one\.ts:1: .* does not have other/);
    assert.match(output, /grow\.ts:1: there is no file util\/gone\.ts/);
  });

  it('shows a cycle with the line of each import, imports of types and expressions included', () => {
    const { status, output } = check({
      'util/a.ts': "import type { B } from './b.js';\n",
      'util/b.ts': "\nexport type { C } from './c.js';\n",
      'util/c.ts': "const later = () => import('./a.js');\n",
      'util/outside.ts': "import { a } from './a.js';\n",
    });
    assert.equal(status, 1);
    assert.match(
      output,
      /an import cycle of 3 files:\n {2}src\/util\/a\.ts:1 imports util\/b\.ts\n {2}src\/util\/b\.ts:2 imports util\/c\.ts\n {2}src\/util\/c\.ts:1 imports util\/a\.ts\n/,
    );
    assert.doesNotMatch(output, /outside/);
  });

  it('shows the shortest cycle of those that share files', () => {
    const { output } = check({
      'util/a.ts': "import './b.js';\n",
      'util/b.ts': "import './c.js';\n",
      'util/c.ts': "import './a.js';\nimport './b.js';\n",
    });
    assert.match(
      output,
      /an import cycle of 2 files \(the shortest of those between util\/a\.ts, util\/b\.ts, util\/c\.ts\)/,
    );
    assert.match(output, /b\.ts:1 imports util\/c\.ts\n {2}src\/util\/c\.ts:2 imports util\/b\.ts/);
  });

  it('takes no import from a comment', () => {
    const { status } = check({
      'util/a.ts': "/**\n * import { b } from './b.js';\n * `import('./b.js')`\n */\n// import('./b.js')\n",
      'util/b.ts': "import './a.js';\n",
    });
    assert.equal(status, 0);
  });
});
