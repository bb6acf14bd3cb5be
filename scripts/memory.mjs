// What a process of a script has in memory.
import { readFileSync } from 'node:fs';

/** Resident bytes of this process, without its program, after a garbage collection. */
export function memory() {
  for (let i = 0; i < 3; i++) globalThis.gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  const status = readFileSync('/proc/self/status', 'utf8');
  let bytes = 0;
  for (const [, kilobytes] of status.matchAll(/^Rss(?:Anon|Shmem):\s*(\d+) kB/gm)) bytes += Number(kilobytes) * 1024;
  return bytes;
}
