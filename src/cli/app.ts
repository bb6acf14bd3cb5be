// What the `sluice` command serves: the default export of a module, by the convention of Bun, Deno and srvx. Called by sluice.ts.

import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { passEverything } from '../http/fallback.js';
import type { Fetch, ServeOptions } from '../server/serve.js';
import { describe, isInstance, propertyOf } from '../util/inspect.js';
import { isAmbiguous, nodeExportOf } from './node-export.js';

/** An error that the user of the command can correct; printed as one line. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** The options of `serve` that a module may set. `globals` and `network` concern code that calls `serve` itself. */
const supportedOptions: Readonly<Record<keyof Omit<ServeOptions, 'fetch' | 'globals' | 'network' | 'secure'>, true>> = {
  port: true,
  websocket: true,
  node: true,
  hostname: true,
  path: true,
  backlog: true,
  reusePort: true,
  onError: true,
  onRefused: true,
  keepAlive: true,
  sendBufferSize: true,
  allowHalfOpen: true,
  maxHeadSize: true,
  maxTargetSize: true,
  maxFields: true,
  maxBodySize: true,
  maxChunkExtensionSize: true,
  maxTrailerSize: true,
  maxQueuedBytes: true,
  maxBufferedBytes: true,
  maxPipelined: true,
  maxRequests: true,
  maxConnections: true,
  maxConnectionsPerAddress: true,
  idleTimeout: true,
  headTimeout: true,
  bodyTimeout: true,
  minBodyRate: true,
  writeTimeout: true,
  minWriteRate: true,
  leaveTimeout: true,
  lingerTimeout: true,
  tls: true,
};

/** @throws {CommandError} if there is no such file, if it cannot be loaded, and if it exports nothing that can be served */
export async function loadApp(file: string): Promise<ServeOptions> {
  const path = resolve(file);
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw new CommandError(`there is no file ${file}`);
  if (!found.isFile()) throw new CommandError(`${file} is no file; expected a module`);
  let module: { default?: unknown };
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
  return optionsOf(file, module.default);
}

function optionsOf(file: string, exported: unknown): ServeOptions {
  const found = nodeExportOf(exported);
  if (found !== undefined) {
    console.error(`sluice: ${file} exports a ${found.kind}, which is served by node:http`);
    return { fetch: passEverything, node: found.application };
  }
  if (isAmbiguous(exported))
    console.error(
      `sluice: ${file} exports a function with two parameters, which is called as fetch(request, info); for (req, res), call the second one res`,
    );
  // What the function returns is checked by the server, for each response.
  if (typeof exported === 'function') return { fetch: exported as Fetch };
  if (typeof exported !== 'object' || exported === null || !('fetch' in exported)) {
    throw new CommandError(
      `${file} has no default export to serve; expected: export default { fetch(request) { … } }, or an application for node:http`,
    );
  }
  const { fetch } = exported;
  if (typeof fetch !== 'function') {
    throw new CommandError(`${file}: fetch of its default export is ${typeof fetch}; expected a function`);
  }
  const options = { fetch: (...args: unknown[]) => fetch.apply(exported, args) };
  // An application of a framework (Hono, Elysia, …) has members with these names that are not options.
  const prototype = Object.getPrototypeOf(exported);
  if (prototype === Object.prototype || prototype === null) {
    const known = (name: string) => Object.hasOwn(supportedOptions, name);
    const entries = Object.entries(exported).filter(([name]) => name !== 'fetch');
    Object.assign(options, Object.fromEntries(entries.filter(([name]) => known(name))));
    const unknown = entries.map(([name]) => name).filter((name) => !known(name));
    if (unknown.length > 0) console.error(`sluice: ${file}: no options of sluice, ignored: ${unknown.join(', ')}`);
  }
  return options;
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
