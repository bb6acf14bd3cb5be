#!/usr/bin/env node
// The `sluice` command: `sluice app.js` serves the default export of a module until SIGINT or SIGTERM.
// Arguments, messages and signals are here; what a module may export is in app.ts.

import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { formatAddress } from '../event-layer/event-layer.js';
import { type ServeOptions, type Server, serve } from '../server/serve.js';
import { TlsConfigError } from '../tls/options/errors.js';
import { urlsOf, wildcardMeaning } from './addresses.js';
import { CommandError, loadApp, oneLine } from './app.js';
import { diagnose } from './doctor.js';
import { redirectOptions } from './redirect.js';
import {
  checkTlsArguments,
  inTermsOfCommand,
  reloadOnChange,
  type TlsArguments,
  type TlsFilePair,
  tlsFiles,
  withTls,
} from './tls.js';
import { serveWatched, Watcher, watchSettings } from './watch.js';

/** How long requests in flight may take after the first signal, in milliseconds: container runtimes kill after 10 s. */
const closingDeadline = 8_000;

/** The default of `serve`. */
const defaultHost = '0.0.0.0';

const help = `Usage: sluice [options] <app.js>
       sluice doctor

Serves the default export of a module: { fetch(request) { … } }, or the function itself, as written for sluice, Bun, Deno or
srvx. Other options on the same object (port, hostname, maxBodySize, …) are honoured. idleTimeout up to 255 is in seconds, as
in Bun, and above in milliseconds.

Options:
  -p, --port <number>   TCP port; 0 lets the system choose one. Else PORT, the module's port, 3000.
  -H, --host <name>     Host name or address to listen on. Else HOST, the module's hostname, 0.0.0.0.
      --tls-key <file>  Serve https: with this private key, in PEM,
      --tls-cert <file>   and this certificate with its chain, in PEM. Both are loaded again when they change.
      --tls-self-signed   Serve https with a certificate for this machine, for development. It is made once and kept.
      --redirect-http <port>  Also listen here without TLS, and send clients to https.
      --watch           Start the application again when a file changes that it has imported. The old process finishes its
                        requests. If the new one cannot start, the old one continues, where both can listen.
  -h, --help            Print this and exit.
  -v, --version         Print the version and exit.

sluice doctor says which event layers work here, and why another does not. A module of that name is ./doctor.

SIGINT and SIGTERM let requests in flight finish, for up to ${closingDeadline / 1000} seconds; a second signal ends at once.
`;

const options = {
  port: { type: 'string', short: 'p' },
  host: { type: 'string', short: 'H' },
  'tls-key': { type: 'string' },
  'tls-cert': { type: 'string' },
  'tls-self-signed': { type: 'boolean' },
  'redirect-http': { type: 'string' },
  watch: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const;

interface Arguments {
  app: string | undefined;
  port: string | undefined;
  host: string | undefined;
  tls: TlsArguments;
  watch: boolean;
  help: boolean;
  version: boolean;
}

/** @throws {CommandError} for what the command does not know. The checks are ours: each runtime words its own differently. */
function readArguments(argv: string[]): Arguments {
  const { values, positionals, tokens } = parseArgs({
    args: argv,
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    if (!isOption(token.name)) {
      throw new CommandError(`unknown option ${token.rawName}; sluice --help lists the options`);
    }
    const takesValue = options[token.name].type === 'string';
    if (takesValue && (token.value === undefined || token.value === '')) {
      throw new CommandError(`${token.rawName} needs a value`);
    }
    if (!takesValue && token.value !== undefined) throw new CommandError(`${token.rawName} takes no value`);
  }
  if (positionals.length > 1) {
    throw new CommandError(`expected one module, found ${positionals.length}: ${positionals.join(', ')}`);
  }
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
  return {
    app: positionals[0],
    port: text(values.port),
    host: text(values.host),
    tls: {
      key: text(values['tls-key']),
      cert: text(values['tls-cert']),
      selfSigned: values['tls-self-signed'] === true,
      redirectHttp: text(values['redirect-http']),
    },
    watch: values.watch === true,
    help: values.help === true,
    version: values.version === true,
  };
}

function isOption(name: string): name is keyof typeof options {
  return Object.hasOwn(options, name);
}

/** The address to listen on: the command line, then the environment, then the module. */
function withAddress(app: ServeOptions, args: Arguments): ServeOptions {
  const { PORT, HOST } = process.env;
  const given = { ...app };
  if (args.port !== undefined || args.host !== undefined) delete given.path;
  else if (app.path !== undefined) return app; // a Unix-domain socket has neither port nor host
  if (args.port !== undefined) given.port = portOf('--port', args.port);
  else if (PORT) given.port = portOf('PORT', PORT);
  const hostname = args.host ?? (HOST || undefined);
  if (hostname !== undefined) given.hostname = hostname;
  return given;
}

function portOf(name: string, text: string): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) {
    throw new CommandError(`${name} is ${JSON.stringify(text)}; expected a whole number from 0 to 65535`);
  }
  return port;
}

/** @param portOption the option with the port, for messages @param files of the command line, for messages @param start default: `serve` */
async function listen(
  options: ServeOptions,
  portOption: string,
  files: TlsFilePair | undefined,
  start: (options: ServeOptions) => Promise<Server> = serve,
): Promise<Server> {
  try {
    return await start(options);
  } catch (error) {
    const { port = 3000, hostname = defaultHost, path } = options;
    const address = path ?? `${hostname}:${port}`;
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
      throw new CommandError(`${address} is in use; choose another port with ${portOption}`);
    }
    if (error instanceof TlsConfigError) throw new CommandError(inTermsOfCommand(error.message, files));
    throw new CommandError(`cannot serve on ${address}: ${oneLine(error)}`);
  }
}

/** Ends the process cleanly on the first SIGINT or SIGTERM, and at once on the second. */
function endOnSignal(server: Server, others: readonly Server[]): void {
  let ending = false;
  const end = (signal: 'SIGINT' | 'SIGTERM') => {
    if (ending) process.exit(128 + constants.signals[signal]);
    ending = true;
    const { total, idle, closing } = server.connections;
    const working = total - idle - closing;
    if (working > 0) console.error(`sluice: ${signal}: ${working} connections at work may finish; again ends them`);
    // What the application may have left behind (a timer, a pool of connections) is no reason to stay.
    const closes = [server, ...others].map((each) => each.close({ deadline: closingDeadline }));
    Promise.all(closes).then(() => process.exit(0));
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  if (watchSettings() !== undefined) process.once('disconnect', () => end('SIGTERM')); // the process that watches has ended
}

async function main(argv: string[]): Promise<void> {
  const args = readArguments(argv);
  if (args.help) {
    process.stdout.write(help);
    return;
  }
  if (args.version) {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    console.log(version);
    return;
  }
  if (args.app === undefined) throw new CommandError('no module given; expected one, as in: sluice app.js');
  if (args.app === 'doctor') {
    process.stdout.write(await diagnose());
    return;
  }
  checkTlsArguments(args.tls);
  const watched = watchSettings();
  if (args.watch && watched === undefined) {
    startWatching(args.app);
    return;
  }
  const { options: found, onListen, onServer } = await loadApp(args.app);
  const app = withAddress(found, args);
  const redirectPort = redirectPortOf(args, app);
  const files = tlsFiles(args.tls); // after all checks: it may make a certificate
  const options = withTls(app, files);
  const start = watched && ((given: ServeOptions) => serveWatched(given, watched));
  const server = await listen(options, '--port', files, start);
  onServer?.(server);
  if (files !== undefined) reloadOnChange(server, files);
  const redirects: Server[] = [];
  if (redirectPort !== undefined)
    redirects.push(
      await listen(
        redirectOptions(redirectPort, options.hostname, () => server.port),
        '--redirect-http',
        undefined,
      ),
    );
  endOnSignal(server, redirects);
  const { hostname, port } = server;
  onListen?.({ transport: port === undefined ? 'unix' : 'tcp', hostname, port, path: options.path });
  console.log(`sluice: ${args.app} ${describeAddress(server, options)}`);
  for (const { url } of redirects) console.log(`sluice: ${url} redirects to https`);
}

/** @throws {CommandError} on other runtimes, which have such an option themselves; and if the module's folder does not exist, so that it cannot be watched */
function startWatching(app: string): void {
  const { bun, deno } = process.versions as { bun?: string; deno?: string };
  if (bun !== undefined || deno !== undefined)
    throw new CommandError(`--watch needs Node.js; here, give it to the runtime: ${bun ? 'bun' : 'deno run'} --watch`);
  if (!existsSync(dirname(resolve(app)))) throw new CommandError(`there is no file ${app}`);
  const [script, ...args] = process.argv.slice(1);
  const command = [process.execPath, ...process.execArgv, script, ...args.filter((each) => each !== '--watch')];
  new Watcher(command, app).start();
}

/** @throws {CommandError} if it is no port, or there is nothing to redirect to */
function redirectPortOf({ tls: args }: Arguments, { tls, path, port = 3000 }: ServeOptions): number | undefined {
  const { redirectHttp } = args;
  if (redirectHttp === undefined) return undefined;
  if (tls === undefined && args.key === undefined && !args.selfSigned)
    throw new CommandError(
      '--redirect-http is given without TLS; expected --tls-key and --tls-cert, --tls-self-signed, or a module with the option tls',
    );
  if (path !== undefined)
    throw new CommandError('--redirect-http is given for a server on a Unix-domain socket; expected one on a port');
  const redirectPort = portOf('--redirect-http', redirectHttp);
  if (redirectPort === port && port !== 0)
    throw new CommandError(`--redirect-http is ${port}, the port that is served with TLS; expected another`);
  return redirectPort;
}

/** Where the server listens: its URL, or all of them if it listens on all addresses of the machine. */
function describeAddress(server: Server, { hostname = defaultHost }: ServeOptions): string {
  const layer = `event layer: ${server.eventLayer}`;
  const { port, url } = server;
  const meaning = wildcardMeaning(hostname);
  if (port === undefined || meaning === undefined) return `at ${url} (${layer})`;
  const urls = urlsOf(hostname, port, url.protocol.slice(0, -1)).map((each) => `\n  ${each}`);
  return `on ${formatAddress({ hostname, port })}, ${meaning} (${layer}):${urls.join('')}`;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof CommandError)) throw error;
  console.error(`sluice: ${error.message}`);
  process.exit(1); // a module that was loaded may have left handles open
}
