// The command itself: that a run with a broken peer is invalid, and that an interrupted one leaves nothing running.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { wrkVersion } from '../load/wrk.js';
import { folder } from '../paths.js';
import type { Results } from '../results.js';

const temporary = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
after(() => rmSync(temporary, { recursive: true, force: true }));

const skip = wrkVersion() === undefined && 'wrk is missing';

function bench(...args: string[]) {
  const child = spawn(process.execPath, [join(folder, 'bench.mjs'), ...args, '--results', temporary], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
  }
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, ended, printed: () => printed };
}

test('a run with a broken peer is reported as invalid and exits non-zero', { skip, timeout: 120_000 }, async () => {
  const { ended, printed } = bench('hello', '--quick', '--peers', 'broken');
  assert.equal(await ended, 1, printed());
  assert.match(printed(), /\| broken on purpose \| INVALID: \d+ of \d+ answers were not 2xx/);
  assert.match(printed(), /bench: INVALID/);
  const results = JSON.parse(readFileSync(join(temporary, 'latest.json'), 'utf8')) as Results;
  assert.equal(results.valid, false);
  const ofFloor = results.samples.filter(({ peer }) => peer === 'floor');
  assert.ok(ofFloor.length > 0 && ofFloor.every(({ problems }) => problems.length === 0), 'the others are valid');
});

test('an interrupted run ends its servers and its load', { skip, timeout: 60_000 }, async () => {
  const { child, ended, printed } = bench('hello', '--quick', '--peers', 'node');
  const children = () => readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ');
  // A server or two and wrk.
  let started: string[] = [];
  while (started.length < 3 && child.exitCode === null) {
    await new Promise((later) => setTimeout(later, 20));
    started = children();
  }
  child.kill('SIGINT');
  assert.equal(await ended, 130, printed());
  for (const pid of started) {
    for (let i = 0; i < 100 && isRunning(pid); i++) await new Promise((later) => setTimeout(later, 20));
    assert.ok(!isRunning(pid), `${pid} is running`);
  }
});

/** A process that has ended may be listed for a while, until whoever has inherited it asks for how it ended. */
function isRunning(pid: string): boolean {
  try {
    return !/\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
