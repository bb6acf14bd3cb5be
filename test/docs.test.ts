import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

test('every TypeScript example in the README, the guide and the pages beside it compiles as it stands', () => {
  const folder = join(root, 'build/docs-examples');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  let count = 0;
  for (const page of [
    'README.md',
    'docs/guide.md',
    'docs/events.md',
    'docs/topics.md',
    'docs/websocket.md',
    'docs/fetch.md',
    'docs/proxies.md',
  ]) {
    const text = readFileSync(join(root, page), 'utf8');
    for (const [, code] of text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)) {
      const name = `${page.replace(/\W/g, '-')}-${++count}.ts`;
      writeFileSync(join(folder, name), `${code}\nexport {};\n`);
    }
  }
  assert.ok(count >= 10, `${count} examples were found`);
  const options = {
    module: 'nodenext',
    target: 'es2022',
    strict: true,
    noEmit: true,
    skipLibCheck: true, // Hono's own need those of the DOM
    types: ['node'],
    lib: ['es2023', 'esnext.disposable'],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['*.ts'] }));
  const { status, stdout } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', folder], { encoding: 'utf8' });
  assert.equal(status, 0, stdout);
});

test('the page on migration has the versions of the frameworks that applications/ installs', () => {
  const lock: { packages: Record<string, { version?: string }> } = JSON.parse(
    readFileSync(join(root, 'applications/package-lock.json'), 'utf8'),
  );
  const [, table] = readFileSync(join(root, 'docs/migrate.md'), 'utf8').split('## What has been run');
  const named = [...table.matchAll(/`([@\w./-]+)`(?: \|)? (\d+\.\d+\.\d+)/g)];
  assert.ok(named.length >= 16, `${named.length} versions were found`);
  for (const [, name, version] of named) assert.equal(version, lock.packages[`node_modules/${name}`]?.version, name);
});

/** The folders of src/ with the names of their own source files. */
function sourceFolders(): { folder: string; files: string[] }[] {
  const paths = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.ts'),
  );
  const folders = new Set(paths.map((path) => dirname(join('src', path))));
  return [...folders].map((folder) => ({
    folder,
    files: paths.filter((path) => dirname(join('src', path)) === folder).map((path) => basename(path)),
  }));
}

test('a source folder with more than five files has a README, which names each of its files and no others', () => {
  for (const { folder, files } of sourceFolders()) {
    const page = join(root, folder, 'README.md');
    assert.ok(files.length <= 5 || existsSync(page), `${folder} has no README.md`);
    if (!existsSync(page)) continue;
    const rows = readFileSync(page, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('| '));
    const named = rows.flatMap((row) => [...row.split('|')[1].matchAll(/`([\w-]+\.ts)`/g)].map(([, name]) => name));
    assert.deepEqual(named.sort(), files.sort(), `the files in ${folder}/README.md`);
  }
});

/** The anchors that GitHub gives to the headings of a page. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  );
}

test('every link between the pages leads to a file, and to a heading that it has', () => {
  const docs = readdirSync(join(root, 'docs')).map((name) => `docs/${name}`);
  const folders = ['', 'bench', ...sourceFolders().map(({ folder }) => folder)].map((folder) =>
    join(folder, 'README.md'),
  );
  const pages = [...docs, ...folders, 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'];
  let count = 0;
  for (const page of pages.filter((path) => path.endsWith('.md') && existsSync(join(root, path)))) {
    const text = readFileSync(join(root, page), 'utf8');
    for (const [, link] of text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [path, anchor] = link.split('#');
      const target = path === '' ? join(root, page) : join(root, dirname(page), path);
      assert.ok(existsSync(target), `${page}: ${link}`);
      if (anchor !== undefined) assert.ok(anchorsOf(readFileSync(target, 'utf8')).has(anchor), `${page}: ${link}`);
      count++;
    }
  }
  assert.ok(count >= 30, `${count} links were found`);
});

test('every source file that a page names exists', () => {
  const folders = ['src', 'test', 'scripts', 'examples', 'bench'];
  const isSource = (path: string) => !path.includes('node_modules') && /\.m?[jt]s$/.test(path);
  const paths = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter(isSource)
      .map((path) => `/${folder}/${path}`),
  );
  for (const page of [
    'CONTRIBUTING.md',
    'architecture',
    'threads',
    'event-layers',
    'memory',
    'testing',
    'http',
    'guide',
    'events',
    'topics',
  ]) {
    const text = readFileSync(join(root, page.endsWith('.md') ? page : `docs/${page}.md`), 'utf8');
    for (const [, name] of text.matchAll(/`([\w./-]+\.(?:ts|mjs))`/g))
      assert.ok(
        paths.some((path) => path.endsWith(`/${name}`)),
        `${page}: ${name}`,
      );
  }
});
