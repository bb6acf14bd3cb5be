// The memory that this process may use: that of the machine, or the limit of its control groups if that is lower.

import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';

/** @param root where `proc` and `sys` are, for tests @returns bytes */
export function memoryLimit(root = '/', machine = totalmem()): number {
  let least = machine;
  for (const file of limitFiles(root)) {
    const text = readIfThere(file);
    // Without a limit, version 2 has `max` here (cgroups(7)), and version 1 a number larger than any memory.
    const bytes = text === undefined ? Number.NaN : Number.parseInt(text, 10);
    if (bytes > 0 && bytes < least) least = bytes;
  }
  return least;
}

/** The files that may contain a limit: of the process's groups and their ancestors, for both versions of control groups. */
function* limitFiles(root: string): Generator<string, void, void> {
  const groups = join(root, 'sys/fs/cgroup');
  for (const line of readIfThere(join(root, 'proc/self/cgroup'))?.split('\n') ?? []) {
    // 0::/path for version 2, 4:memory:/path for version 1
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined) continue;
    const isUnified = controllers === '';
    if (!isUnified && !controllers.split(',').includes('memory')) continue;
    for (let group = path; ; group = join(group, '..')) {
      if (isUnified) {
        yield join(groups, group, 'memory.max');
        yield join(groups, group, 'memory.high');
      } else {
        yield join(groups, 'memory', group, 'memory.limit_in_bytes');
      }
      if (group === '/') break;
    }
  }
}

/** @returns undefined if the file does not exist or is not readable: on other systems, and in some containers */
function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
