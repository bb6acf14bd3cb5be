// docs/websocket-protocol.md says which test shows what; here it is seen to that there is such a test, and that no section of the corpus is left out.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { corpus } from './corpus/all.js';
import { offerCases } from './corpus/negotiation.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const page = readFileSync(join(root, 'docs/websocket-protocol.md'), 'utf8');
const files = readdirSync(join(root, 'test/websocket'));
const cases = [...corpus, ...offerCases];

/** Each row: `RFC 6455 §5.2`, and what its last column has between backquotes. */
const rows: { section: string; tests: string[] }[] = [];
let rfc = '';
for (const line of page.split('\n')) {
  rfc = /^## (RFC [0-9]+)$/.exec(line)?.[1] ?? rfc;
  const [, section, ...columns] = line.split('|').map((column) => column.trim());
  if (!section?.startsWith('§')) continue;
  assert.equal(columns.length, 4, `a row of four columns: ${line}`);
  rows.push({ section: `${rfc} ${section}`, tests: [...columns[2].matchAll(/`([^`]+)`/g)].map(([, name]) => name) });
}

/** Whether there is such a file, or a case of this section; `…` stands for any text. */
function exists(name: string, section: string): boolean {
  if (name.endsWith('.ts')) return files.includes(name);
  const pattern = name.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const named = new RegExp(`^${pattern.join('.*')}$`, 's');
  return cases.some((c) => c.section.startsWith(section) && named.test(c.name));
}

test('every requirement in docs/websocket-protocol.md names tests of its section, and every one of them exists', () => {
  assert.ok(rows.length > 35, `${rows.length} rows were found`);
  for (const { section, tests } of rows) {
    assert.ok(tests.length > 0, `${section} names no test`);
    for (const name of tests)
      assert.ok(exists(name, section), `${section} names ${JSON.stringify(name)}, which there is not`);
  }
});

test('every section that a case is for is in docs/websocket-protocol.md', () => {
  const sections = new Set(rows.map(({ section }) => section));
  const missing = new Set(cases.map(({ section }) => section).filter((section) => !sections.has(section)));
  assert.deepEqual([...missing], []);
});
