// Checks the imports between the files of a source folder, as part of `npm run lint`:
//
//   1. There are no import cycles. Imports of types count, too: files in a cycle can only be understood together.
//   2. Imports between folders point down, by the table below.
//
//   node scripts/check-imports.mjs           checks src/
//   node scripts/check-imports.mjs FOLDER    checks another folder
//
// Prints each finding with file and line, and exits with 1 if there is one.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folders of src/, from the top down. A folder may import from the folders on lower lines. */
const layers = [
  ['cli'],
  ['srvx'],
  ['server'],
  ['hono'],
  ['observe', 'events', 'topics', 'websocket', 'node'],
  ['http'],
  ['connection'],
  ['threads', 'event-layer', 'tls'],
  ['util'],
];

/** What a folder may import from its own line. */
const onSameLine = { tls: ['event-layer'], events: ['topics'], websocket: ['topics'] };

/** Folders inside a folder, and which of the others each of them may import. Files outside these folders are not restricted. */
const inside = {
  http: { h1: [], h2: [] },
  'event-layer': { simulated: [], portable: [], linux: [], epoll: ['linux'], uring: ['linux'] },
};

/** Folders whose other files are shared by the folders inside, and do not import them. */
const shared = ['http'];

/** @returns the imports of a source text, of relative paths only: `{ line, from }` each */
function importsOf(source) {
  // A statement begins its line, which nothing in a block comment does: those lines begin with ` *`.
  const statement = /^(?:import|export)\b(?:[^'";`]*?\bfrom)?\s*'(?<path>\.[^']+)'/;
  const expression = /^(?!\s*(?:\/\/|\*)).*\bimport\(\s*'(?<path>\.[^']+)'/;
  const found = [];
  for (const pattern of [statement, expression]) {
    for (const match of source.matchAll(new RegExp(pattern, 'gm'))) {
      const { length: line } = source.slice(0, match.index + match[0].length).split('\n');
      found.push({ line, from: match.groups.path });
    }
  }
  return found.sort((one, other) => one.line - other.line);
}

/** @returns for each file, by its path in the folder, its imports: `{ line, to }` each */
function readGraph(root) {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .map((file) => file.split(sep).join('/'))
    .filter((file) => file.endsWith('.ts') && statSync(join(root, file)).isFile())
    .sort();
  const graph = new Map();
  for (const file of files) {
    const imports = importsOf(readFileSync(join(root, file), 'utf8')).map(({ line, from }) => {
      const path = posix.normalize(posix.join(posix.dirname(file), from));
      return { line, to: path.replace(/\.js$/, '.ts') };
    });
    graph.set(file, imports);
  }
  return graph;
}

/** @returns the groups of files in which each can be reached from each other one, of two files and more (Tarjan's algorithm) */
function cyclicGroups(graph) {
  const groups = [];
  const numbers = new Map();
  const lowest = new Map();
  const stack = [];
  const visit = (file) => {
    const number = numbers.size;
    numbers.set(file, number);
    lowest.set(file, number);
    stack.push(file);
    for (const { to } of graph.get(file)) {
      if (!graph.has(to)) continue;
      if (!numbers.has(to)) visit(to);
      if (stack.includes(to)) lowest.set(file, Math.min(lowest.get(file), lowest.get(to)));
    }
    if (lowest.get(file) !== number) return;
    const group = stack.splice(stack.indexOf(file));
    if (group.length > 1 || graph.get(file).some(({ to }) => to === file)) groups.push(group.sort());
  };
  for (const file of graph.keys()) if (!numbers.has(file)) visit(file);
  return groups;
}

/** @returns one of the shortest cycles of a group: `{ file, line, to }` for each step */
function shortestCycle(graph, group) {
  let shortest;
  for (const start of group) {
    const paths = [{ file: start, steps: [] }];
    const seen = new Set();
    for (const { file, steps } of paths) {
      if (shortest !== undefined && steps.length + 1 >= shortest.length) break;
      for (const { line, to } of graph.get(file)) {
        const longer = [...steps, { file, line, to }];
        if (to === start) {
          shortest = longer;
          break;
        }
        if (!group.includes(to) || seen.has(to)) continue;
        seen.add(to);
        paths.push({ file: to, steps: longer });
      }
    }
  }
  return shortest;
}

/** @returns what is wrong with an import between two files, or undefined */
function wrongDirection(file, to) {
  const [folder, ...names] = file.split('/');
  const [target, ...targetNames] = to.split('/');
  if (names.length === 0) return undefined; // index.ts, which gathers the public API
  if (targetNames.length === 0) return `${target} stands above all folders`;
  if (folder === target) {
    const rules = inside[folder] ?? {};
    const [part, other] = [names[0], targetNames[0]];
    if (shared.includes(folder) && !Object.hasOwn(rules, part) && Object.hasOwn(rules, other))
      return `${folder}/${part} is shared by what is in ${folder}/${other}, and may not import it`;
    if (part === other || !Object.hasOwn(rules, part) || !Object.hasOwn(rules, other)) return undefined;
    return rules[part].includes(other) ? undefined : `${folder}/${part} may not import ${folder}/${other}`;
  }
  const [level, targetLevel] = [folder, target].map((name) => layers.findIndex((line) => line.includes(name)));
  if (level === -1) return `the table of folders in scripts/check-imports.mjs does not have ${folder}`;
  if (targetLevel === -1) return `the table of folders in scripts/check-imports.mjs does not have ${target}`;
  if (targetLevel > level) return undefined;
  if (targetLevel === level && onSameLine[folder]?.includes(target)) return undefined;
  return `${folder} may not import ${target}`;
}

/** @returns messages, in the order of files */
function check(root) {
  const graph = readGraph(root);
  const shown = relative(process.cwd(), root) || '.';
  const at = (file, line) => `${join(shown, file)}:${line}`;
  const findings = [];

  for (const [file, imports] of graph) {
    for (const { line, to } of imports) {
      if (!graph.has(to)) findings.push(`${at(file, line)}: there is no file ${to}`);
      const wrong = graph.has(to) && wrongDirection(file, to);
      if (wrong) findings.push(`${at(file, line)}: imports ${to}: ${wrong}`);
    }
  }

  for (const group of cyclicGroups(graph)) {
    const steps = shortestCycle(graph, group).map(({ file, line, to }) => `  ${at(file, line)} imports ${to}`);
    const others = group.length > steps.length ? ` (the shortest of those between ${group.join(', ')})` : '';
    findings.push(`an import cycle of ${steps.length} files${others}:\n${steps.join('\n')}`);
  }
  return findings;
}

const [folder] = process.argv.slice(2);
const findings = check(folder ?? join(dirname(fileURLToPath(import.meta.url)), '..', 'src'));
for (const finding of findings) console.error(finding);
if (findings.length > 0) {
  console.error(`\nimports: ${findings.length} found`);
  process.exit(1);
}
