// Finds words in src/ that readers of this project have misunderstood, as part of `npm run lint`. Prints each with file and line, and a plain word for it;
// exits with 1 if there is one. Names and comments count alike.
//
//   node scripts/check-words.mjs
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Patterns, without regard to case, and what to write instead. */
const words = {
  nobody: 'name the code that does not do it',
  somebody: 'name the code',
  whoever: 'name the caller',
  whom: 'which connection, client or thread',
  tenant: 'connection, or owner',
  begun: 'started',
  anew: 'again',
  'lets? go of|letting go of': 'release, or free',
  'cannot be had': 'is unavailable',
};

const pattern = new RegExp(`\\b(?:${Object.keys(words).join('|')})\\b`, 'gi');
const root = fileURLToPath(new URL('../src', import.meta.url));
let found = 0;
for (const file of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
  if (!/\.(?:ts|md)$/.test(file)) continue;
  const lines = readFileSync(join(root, file), 'utf8').split('\n');
  lines.forEach((line, index) => {
    for (const [match] of line.matchAll(pattern)) {
      const [, instead] = Object.entries(words).find(([word]) => new RegExp(`^(?:${word})$`, 'i').test(match)) ?? [];
      console.error(`src/${file}:${index + 1}: "${match}"; write: ${instead}`);
      found++;
    }
  });
}
if (found > 0) process.exit(1);
