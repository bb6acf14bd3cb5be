// docs/errors.md says what each error code means. Here it is compared with the sources, which are searched for the places that make errors.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as sluice from '#sluice/index.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => ({ path, text: read(join('src', path)) }));

/** The class of the error that the code at an index of a text goes to, or undefined where the text does not show it. */
function classAt(text: string, index: number): string | undefined {
  const before = text.slice(0, index);
  const call = /(?:new (\w+)|\b(super|fail|listenFailed))\([^;]*$|\bcode = $/.exec(before.slice(-200));
  if (call === null) return undefined;
  const [, made, called] = call;
  if (made !== undefined) return made;
  if (called === 'fail' || called === 'listenFailed') return 'ConnectionError'; // they make one with the code
  return [...before.matchAll(/\bclass (\w+)/g)].at(-1)?.[1];
}

/** The codes that the sources may give to an error, each with the classes of these errors, as far as they can be seen. */
function codesInSources(): Map<string, Set<string>> {
  const codes = new Map<string, Set<string>>();
  const add = (code: string, made: string | undefined): void => {
    const classes = codes.get(code) ?? new Set();
    codes.set(code, made === undefined ? classes : classes.add(made));
  };
  for (const { text } of sources) {
    for (const { 1: compared, 2: constant, 3: code, index } of text.matchAll(
      /([!=]== )?(?:const (\w+) = )?'(ERR_[A-Z_]+)'/g,
    )) {
      if (compared !== undefined) continue; // the error has been made elsewhere, perhaps by Node
      add(code, classAt(text, index));
      if (constant === undefined) continue;
      for (const { text: user } of sources)
        for (const use of user.matchAll(new RegExp(`\\b${constant},`, 'g'))) add(code, classAt(user, use.index));
    }
    for (const [, status] of text.matchAll(/\b(?:new HttpError\(\s*|reject\(\w+, )([0-9]{3})\b/g))
      add(`ERR_HTTP_${status}`, 'HttpError');
  }
  return codes;
}

interface Row {
  code: string;
  classes: string[];
  when: string;
  advice: string;
}

function rowsOfPage(): Row[] {
  const rows: Row[] = [];
  for (const line of read('docs/errors.md').split('\n')) {
    const [, code = '', classes = '', when = '', advice = ''] = line.split('|').map((column) => column.trim());
    if (!code.startsWith('`ERR_')) continue;
    rows.push({ code: code.replaceAll('`', ''), classes: classes.replaceAll('`', '').split(', '), when, advice });
  }
  return rows;
}

test('docs/errors.md has each error code of the sources once, with its classes, when it happens and what to do', () => {
  const rows = rowsOfPage();
  const codes = codesInSources();
  assert.ok(codes.size > 40, `${codes.size} codes were found in the sources`);
  assert.deepEqual(rows.map(({ code }) => code).sort(), [...codes.keys()].sort());
  for (const { code, classes, when, advice } of rows) {
    const made = codes.get(code) ?? new Set();
    if (made.size > 0) assert.deepEqual([...classes].sort(), [...made].sort(), `the classes of ${code}`);
    for (const name of classes) assert.ok(name in sluice, `${name}, of ${code}, is exported`);
    assert.ok(when.length > 10 && advice.length > 5, `${code} says when it happens and what to do`);
  }
});

/** The beginning of codes, and codes of Node's. */
const others = new Set(['ERR_HTTP', 'ERR_UNKNOWN_FILE_EXTENSION', 'ERR_TLS_CERT_ALTNAME_INVALID']);

test('comments and pages mention only error codes that there are', () => {
  const known = codesInSources();
  const pages = ['README.md', 'CHANGELOG.md', ...readdirSync(join(root, 'docs')).map((name) => join('docs', name))];
  const texts = [
    ...sources,
    ...pages.filter((path) => path.endsWith('.md')).map((path) => ({ path, text: read(path) })),
  ];
  for (const { path, text } of texts)
    for (const [code] of text.matchAll(/\bERR_[A-Z_]+[A-Z](?:_[0-9]{3})?\b/g))
      assert.ok(known.has(code) || others.has(code), `${path}: ${code}`);
});
