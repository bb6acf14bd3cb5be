// docs/http.md says which test shows what; here it is seen to that there is such a test, and that no section of the corpus is left out.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cases } from './cases.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const page = readFileSync(join(root, 'docs/http.md'), 'utf8');
const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' }).map((path) =>
  path.split(/[/\\]/).at(-1),
);
const caseNames = cases.map(({ name }) => name);

interface Row {
  /** `RFC 9112 §2.2`. */
  section: string;
  /** What stands in the last column. */
  tests: string[];
}

/** What stands between backquotes, which no name has. */
const quoted = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, name]) => name);

function rows(): Row[] {
  const found: Row[] = [];
  let rfc = '';
  for (const line of page.split('\n')) {
    rfc = /^## (RFC [0-9]+)$/.exec(line)?.[1] ?? (line.startsWith('## ') ? '' : rfc);
    const [, section, ...columns] = line.split('|').map((column) => column.trim());
    if (rfc !== '' && section?.startsWith('§')) {
      assert.equal(columns.length, 4, `a row of four columns: ${line}`);
      found.push({ section: `${rfc} ${section}`, tests: quoted(columns[2]) });
    }
  }
  return found;
}

/** Whether there is such a case or file; `…` stands for any text. */
function exists(name: string): boolean {
  if (name.endsWith('.ts')) return files.includes(name);
  const pattern = name.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const named = new RegExp(`^${pattern.join('.*')}$`, 's');
  return caseNames.some((other) => named.test(other));
}

test('every requirement in docs/http.md names tests, and every one of them exists', () => {
  const all = rows();
  assert.ok(all.length > 80, `${all.length} rows were found`);
  for (const { section, tests } of all) {
    assert.ok(tests.length > 0, `${section} names no test`);
    for (const name of tests) assert.ok(exists(name), `${section} names ${JSON.stringify(name)}, which there is not`);
  }
});

test('every deviation that docs/http.md lists names a case that exists', () => {
  for (const title of ['Stricter than asked', 'More lenient than the grammar']) {
    const [, text = ''] = page.split(`## ${title}\n`);
    const items = text.split('\n## ')[0].split(/^- /m).slice(1);
    assert.ok(items.length > 0, title);
    for (const item of items) {
      const names = [...item.matchAll(/\(([^)]*)\)/g)].flatMap(([, inner]) => quoted(inner));
      assert.ok(names.length > 0, `no case is named: ${item}`);
      for (const name of names) assert.ok(exists(name), `${JSON.stringify(name)} is named, and there is none`);
    }
  }
});

test('every section that a case of the corpus names is in docs/http.md', () => {
  const reported = new Set(rows().map(({ section }) => section));
  const missing = new Set(cases.map(({ section }) => section).filter((section) => !reported.has(section)));
  assert.deepEqual(
    [...missing].filter((section) => !page.includes(section)),
    [],
  );
});
