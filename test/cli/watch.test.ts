// `sluice --watch`: the application is started again when a file changes that it has imported.

import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { serve } from '#sluice/index.js';
import { Program } from '../support/program.js';

const command = fileURLToPath(import.meta.resolve('#sluice/cli/sluice.js'));
const directory = mkdtempSync(join(tmpdir(), 'sluice-watch-'));
const programs: Program[] = [];

after(async () => {
  for (const program of programs) await program.stop('SIGTERM');
  rmSync(directory, { recursive: true });
});

const shares = await serve({ port: 0, hostname: '127.0.0.1', reusePort: true, fetch: () => new Response('') }).catch(
  () => undefined,
);
const sharesPorts = shares !== undefined;
await shares?.close();

function write(name: string, text: string): void {
  // Like many editors: renames a new file to the old name.
  writeFileSync(join(directory, `${name}.new`), text);
  renameSync(join(directory, `${name}.new`), join(directory, name));
}

function watchApp(app = 'app.mjs', ...options: string[]): Program {
  const args = ['--watch', '--host', '127.0.0.1', ...options, app];
  const program = new Program([process.execPath, command, ...args], {
    cwd: directory,
    env: { PORT: undefined, HOST: undefined },
  });
  programs.push(program);
  return program;
}

/** A port on which nothing listens. */
async function freePort(): Promise<number> {
  await using server = await serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('') });
  return server.port ?? 0;
}

/** Waits until the server answers with a text. */
async function answers(url: string, expected: string): Promise<void> {
  let text = '';
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; ) {
    text = await fetch(url).then(
      (response) => response.text(),
      (error: Error) => error.message,
    );
    if (text === expected) return;
    await new Promise((later) => setTimeout(later, 20));
  }
  assert.equal(text, expected);
}

test('a change of an imported file starts the application again on its port; if the new one cannot start, the old one continues where both can listen', {
  timeout: 60_000,
}, async () => {
  write('app.mjs', `import { text } from './text.mjs'; export default { fetch: () => new Response(text) };`);
  write('text.mjs', `export const text = 'one';`);
  const program = watchApp('app.mjs', '--port', '0');
  const [, url] = await program.printed(/ at (http:\S+) \(/);
  await answers(url, 'one');
  write('text.mjs', `export const text = 'two';`);
  await answers(url, 'two');
  write('text.mjs', 'export const text = ;');
  // Where a layer cannot share a port, the old process ends first.
  const how = /has (?:not started \(1\); (the one before goes on), |ended \(1\); )waiting for a file to change\n/;
  const [, goesOn] = await program.printed(how);
  assert.equal(goesOn !== undefined, sharesPorts);
  if (sharesPorts) await answers(url, 'two');
  write('text.mjs', `export const text = 'three';`);
  await answers(url, 'three');
  const { code } = await program.stop('SIGTERM');
  assert.equal(code, 0, program.output);
  await assert.rejects(fetch(url), 'no process is left that listens');
});

test('an application whose port changes listens on the new one', { timeout: 60_000 }, async () => {
  const [before, behind] = [await freePort(), await freePort()];
  const source = (port: number) => `export default { port: ${port}, fetch: () => new Response('${port}') };`;
  write('port.mjs', source(before));
  const program = watchApp('port.mjs');
  await answers(`http://127.0.0.1:${before}/`, `${before}`);
  write('port.mjs', source(behind));
  await answers(`http://127.0.0.1:${behind}/`, `${behind}`);
  assert.equal((await program.stop('SIGTERM')).code, 0, program.output);
});

test('an application that starts and does not listen is replaced at the next change', { timeout: 60_000 }, async () => {
  write('stuck.mjs', `export default { fetch: () => new Response('one') };`);
  const program = watchApp('stuck.mjs', '--port', '0');
  const [, url] = await program.printed(/ at (http:\S+) \(/);
  await answers(url, 'one');
  write('stuck.mjs', `console.error('stuck'); setInterval(() => {}, 1000); await new Promise(() => {});`);
  await program.printed(/stuck\n/);
  write('stuck.mjs', `export default { fetch: () => new Response('two') };`);
  await answers(url, 'two');
  assert.equal((await program.stop('SIGTERM')).code, 0, program.output);
});

test('a module in a folder that does not exist is not waited for', { timeout: 60_000 }, async () => {
  const { code, stderr } = await watchApp('missing/app.mjs').endsWithin(30_000);
  assert.equal(stderr, 'sluice: there is no file missing/app.mjs\n');
  assert.equal(code, 1);
});
