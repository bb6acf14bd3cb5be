// Loads the module that the `sluice` command serves. What it may export is in default-export.ts and module-options.ts. Called by sluice.ts.

import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { passEverything } from '../http/fallback.js';
import type { Fetch, ServeOptions, Server } from '../server/serve.js';
import { describe, isInstance, propertyOf } from '../util/inspect.js';
import { classify, defaultOf } from './default-export.js';
import { convertOptions } from './module-options.js';
import { isAmbiguous, nodeExportOf } from './node-export.js';

/** An error that the user of the command can correct; printed as one line. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** @throws {CommandError} if there is no such file, if it cannot be loaded, and if it exports nothing that can be served */
export async function loadApp(file: string): Promise<App> {
  const path = resolve(file);
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw new CommandError(`there is no file ${file}`);
  if (!found.isFile()) throw new CommandError(`${file} is no file; expected a module`);
  let module: object;
  try {
    module = await import(pathToFileURL(path).href);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_UNKNOWN_FILE_EXTENSION') {
      const hint = /\.[cm]?ts$/.test(file) ? 'compile it to JavaScript first' : 'expected a JavaScript module';
      throw new CommandError(`Node.js ${process.versions.node} cannot load ${file}; ${hint}`);
    }
    const hint = isModuleInCommonJs(error)
      ? '; Node.js takes this file for CommonJS: give it the extension .mjs, or write "type": "module" into its package.json'
      : '';
    throw new CommandError(`${file} cannot be loaded: ${oneLine(error)}${placeOf(error)}${hint}`);
  }
  return appOf(file, module);
}

/** What is to be served. */
export interface App {
  readonly options: ServeOptions;
  /** Called when it listens, as Deno does. */
  readonly onListen: ((address: object) => void) | undefined;
  /** Is to be called with the server. */
  readonly onServer?: ((server: Server) => void) | undefined;
}

function appOf(file: string, module: object): App {
  const found = nodeExportOf(defaultOf(module));
  if (found !== undefined) {
    console.error(`sluice: ${file} exports a ${found.kind}, which is served by node:http`);
    return { options: { fetch: passEverything, node: found.application }, onListen: undefined };
  }
  const exported = classify(module);
  switch (exported.kind) {
    case 'function':
      if (isAmbiguous(exported.fetch))
        console.error(
          `sluice: ${file} exports a function with two parameters, which is called as fetch(request, info); for (req, res), call the second one res`,
        );
      // What the function returns is checked by the server, for each response.
      return { options: { fetch: exported.fetch as Fetch }, onListen: undefined };
    case 'application':
      return { options: { fetch: exported.fetch as Fetch }, onListen: undefined };
    case 'options':
      return appOfOptions(file, exported.options);
    case 'nothing':
      throw new CommandError(
        `${file} ${exported.found}; expected: export default { fetch(request) { … } }, or an application for node:http`,
      );
  }
}

function appOfOptions(file: string, exported: Readonly<Record<string, unknown>>): App {
  const { options, unknown, onListen, onServer } = convertOptions(exported, (problem) => {
    throw new CommandError(`${file}: ${problem}`);
  });
  if (unknown.length > 0) console.error(`sluice: ${file}: no options of sluice, ignored: ${unknown.join(', ')}`);
  return { options, onListen, onServer };
}

/** Whether Node.js has found `import` or `export` in a file that is CommonJS by its name and its package.json. */
function isModuleInCommonJs(error: unknown): boolean {
  if (!(error instanceof SyntaxError)) return false;
  return /^(?:Unexpected token 'export'|Cannot use import statement outside a module)$/.test(error.message);
}

/** What was thrown, in one line. */
export function oneLine(thrown: unknown): string {
  const message = describe(thrown).split('\n', 1)[0];
  const name = isInstance(thrown, Error) ? propertyOf(thrown, 'name') : undefined;
  return typeof name !== 'string' || name === 'Error' ? message : `${name}: ${message}`;
}

/** Where it was thrown, if its stack says so: ` (/home/me/app.js:3:7)`, or the empty string. */
function placeOf(thrown: unknown): string {
  const stack = String(isInstance(thrown, Error) ? (propertyOf(thrown, 'stack') ?? '') : '');
  for (const [, file, position] of stack.matchAll(/(file:\/\/[^\s()]+?)(:\d+(?::\d+)?)(?=\)|\s|$)/g)) {
    if (!file.startsWith(ownFolder)) return ` (${fileURLToPath(file)}${position})`;
  }
  // A syntax error in CommonJS: the first line of the stack is path and line.
  const [first] = stack.split('\n', 1);
  return isInstance(thrown, SyntaxError) && /^\/.*:\d+$/.test(first) ? ` (${first})` : '';
}

const ownFolder = new URL('.', import.meta.url).href;
