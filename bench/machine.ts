// What the figures were taken on, and with which tools.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { canPin, loadCore, serverCore } from './processes.js';
import type { Machine } from './results.js';

export function describeMachine(): Machine {
  const pinned = `server on core ${serverCore}, load on core ${loadCore} (taskset)`;
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memory: totalmem(),
    system: `${type()} ${release()}${distribution()}`,
    separation: canPin ? pinned : 'none: there is no taskset, so server and load share the cores',
  };
}

function distribution(): string {
  try {
    const name = /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'));
    return name?.[1] === undefined ? '' : `, ${name[1]}`;
  } catch {
    return '';
  }
}

/** The first line that a program prints about its version, or undefined if there is no such program. */
export function versionOf(program: string, ...args: string[]): string | undefined {
  const { error, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (error !== undefined) return undefined;
  return `${stdout}${stderr}`.trim().split('\n')[0];
}
