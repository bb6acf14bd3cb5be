// The reporters of Node, with positions in the TypeScript sources. The tests run without --enable-source-maps, which makes every use of `error.stack` slow, and
// reads another file for each module. Few stacks are printed; their positions are translated here.
import { existsSync, readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { compose } from 'node:stream';
import { spec, tap } from 'node:test/reporters';
import { fileURLToPath, pathToFileURL } from 'node:url';

const position = /(?:file:\/\/)?(\/[^\s():'"]+\.js):(\d+):(\d+)/g;
const maps = new Map();

function mapOf(file) {
  if (!maps.has(file)) {
    const path = `${file}.map`;
    maps.set(file, existsSync(path) ? new SourceMap(JSON.parse(readFileSync(path, 'utf8'))) : undefined);
  }
  return maps.get(file);
}

/** The text, with positions in compiled files replaced by those in their sources. */
export function inSources(text) {
  return text.replace(position, (found, file, line, column) => {
    const entry = mapOf(file)?.findEntry(line - 1, column - 1);
    if (entry?.originalSource === undefined) return found;
    const source = fileURLToPath(new URL(entry.originalSource, pathToFileURL(file)));
    return `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  });
}

export default async function* report(events) {
  const reporter = process.stdout.isTTY ? new spec() : tap;
  for await (const text of compose(events, reporter)) yield inSources(String(text));
}
