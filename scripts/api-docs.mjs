// What `npm run docs:api` starts: installs what it needs (npm ci, in api-docs/), then writes docs/api. Fails if a docstring is missing.

import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, 'api-docs');
const installed = join(folder, 'node_modules', '.package-lock.json');

if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(join(folder, 'package-lock.json')).mtimeMs) {
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status } = spawnSync('npm', args, { cwd: folder, stdio: ['ignore', 2, 2] });
  if (status !== 0) process.exit(1);
}
await import('./api-docs/main.mjs');
