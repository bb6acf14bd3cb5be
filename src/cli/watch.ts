// `--watch`: runs the application in a separate process, and starts another process when a file that the application has imported changes. The new process
// listens on the same port before the old one stops accepting, and the old one finishes its requests. If the new one cannot start, the old one continues.

import { type ChildProcess, spawn } from 'node:child_process';
import { type FSWatcher, statSync, watch } from 'node:fs';
import { createServer } from 'node:net';
import { basename, dirname, resolve, sep } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { ConnectionError } from '../event-layer/event-layer.js';
import { type ServeOptions, type Server, serve } from '../server/serve.js';
import { describe, propertyOf } from '../util/inspect.js';

/** The environment variable with the `WatchSettings` for the process of an application. */
const variable = 'SLUICE_WATCH';
/** How long no file may change before the application is started again, in milliseconds: editors and compilers write several. */
const quietTime = 100;
/** How long a new process waits for the old one to release the address, where they cannot share it, in milliseconds. */
const addressTimeout = 10_000;
/** How long it waits between two attempts, in milliseconds. */
const retryInterval = 50;

interface WatchSettings {
  /** It replaces another process. */
  readonly isRestart: boolean;
  /** The port that the process before listened on. Used where the system chooses the port, so that it stays the same. */
  readonly port?: number | undefined;
}

/** Sent by the process of an application when it listens. */
interface ListeningMessage {
  readonly sluice: 'listening';
  readonly port?: number | undefined;
  /** Another process may listen on the same port at the same time. */
  readonly isShared: boolean;
}

// In the process of the application.

/** The settings from `--watch`; undefined if something else has started this process. */
export function watchSettings(): WatchSettings | undefined {
  const text = process.env[variable];
  if (text === undefined || process.send === undefined) return undefined;
  return JSON.parse(text) as WatchSettings; // written below
}

/** `serve`, on an address that the process before may still use. */
export async function serveWatched(options: ServeOptions, { isRestart, port }: WatchSettings): Promise<Server> {
  const { path } = options;
  const given = path === undefined && options.port === 0 && port !== undefined ? { ...options, port } : options;
  if (path === undefined && !isRestart) await checkFree(given);
  const shared = path === undefined ? await serveShared(given) : undefined;
  const server = shared ?? (await serveAfter(given, isRestart ? Date.now() + addressTimeout : 0));
  const message: ListeningMessage = { sluice: 'listening', port: server.port, isShared: shared !== undefined };
  process.send?.(message);
  return server;
}

/** @returns undefined if this event layer cannot share a port */
async function serveShared(options: ServeOptions): Promise<Server | undefined> {
  try {
    return await serve({ ...options, reusePort: true });
  } catch (error) {
    if (codeOf(error) === 'ENOTSUP') return undefined;
    throw error;
  }
}

/** @param deadline when to stop trying, by `Date.now` */
async function serveAfter(options: ServeOptions, deadline: number): Promise<Server> {
  for (;;) {
    try {
      return await serve(options);
    } catch (error) {
      if (codeOf(error) !== 'EADDRINUSE' || Date.now() >= deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, retryInterval));
    }
  }
}

/** Without this check, two applications that share a port would get half of the connections each. @throws {ConnectionError} (rejects) `EADDRINUSE` */
function checkFree({ port = 3000, hostname = '0.0.0.0' }: ServeOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    const refuse = (error: Error): void => {
      if (codeOf(error) === 'EADDRINUSE') reject(new ConnectionError('EADDRINUSE', error.message));
      else resolve(); // `serve` reports what is wrong
    };
    probe.once('error', refuse);
    probe.listen({ port, host: hostname, exclusive: true }, () => probe.close(() => resolve()));
  });
}

function codeOf(error: unknown): unknown {
  return propertyOf(error, 'code');
}

// In the process that watches.

/** A process of the application. */
interface Running {
  readonly child: ChildProcess;
  isListening: boolean;
}

export class Watcher {
  readonly #command: readonly string[];
  readonly #name: string;
  readonly #files = new WatchedFiles(() => this.#changed());
  /** The process that serves, or the first one, which is starting. */
  #current: Running | undefined;
  /** The process that is starting to replace it. */
  #next: Running | undefined;
  /** Processes that have got SIGTERM, and finish their requests. */
  readonly #old = new Set<ChildProcess>();
  #port: number | undefined;
  #isShared = true;
  #isChangedAgain = false;
  #isEnding = false;

  /** @param command of the process, without `--watch` @param file the module */
  constructor(command: readonly string[], file: string) {
    this.#command = command;
    this.#name = file;
    this.#files.add(file);
  }

  start(): void {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => this.#end(signal));
    this.#current = this.#run(false);
  }

  #run(isRestart: boolean): Running {
    const [program, ...args] = this.#command;
    const settings: WatchSettings = { isRestart, port: this.#port };
    // In a separate process group, so that Ctrl+C reaches it once, by way of this process. With the second variable Node reports the files that it loads.
    const child = spawn(program, args, {
      stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, [variable]: JSON.stringify(settings), WATCH_REPORT_DEPENDENCIES: '1' },
      detached: true,
    });
    const running: Running = { child, isListening: false };
    child.on('message', (message) => this.#onMessage(running, message));
    child.on('exit', (code, signal) => this.#exited(running, code ?? signal));
    child.on('error', (error) => {
      console.error(`sluice: ${this.#name} cannot be run: ${error.message}`);
      if (child.pid === undefined) this.#exited(running, 'no process'); // `exit` does not come
    });
    return running;
  }

  #onMessage(running: Running, message: unknown): void {
    if (this.#isEnding) return;
    for (const name of ['watch:import', 'watch:require']) {
      const loaded = propertyOf(message, name);
      if (Array.isArray(loaded)) for (const each of loaded) this.#files.add(String(each));
    }
    if (propertyOf(message, 'sluice') !== 'listening' || this.#old.has(running.child)) return;
    const { port, isShared } = message as ListeningMessage;
    running.isListening = true;
    this.#port = port;
    this.#isShared = isShared;
    if (running !== this.#next) return;
    const before = this.#current;
    this.#current = running;
    this.#next = undefined;
    if (before !== undefined) this.#retire(before);
  }

  /** Makes a process stop accepting, finish its requests, and end. */
  #retire({ child }: Running): void {
    if (this.#old.has(child)) return; // a second signal would end it at once
    if (child.exitCode !== null || child.signalCode !== null) return;
    this.#old.add(child);
    child.kill('SIGTERM');
  }

  #changed(): void {
    if (this.#isEnding) return;
    this.#isChangedAgain = this.#next !== undefined;
    if (this.#next !== undefined) {
      this.#retire(this.#next); // it may never listen; `#changed` is called again when it has ended
      return;
    }
    console.error(`sluice: a file has changed: starting ${this.#name} again`);
    const current = this.#current;
    if (current === undefined) {
      this.#current = this.#run(false);
      return;
    }
    if (!this.#isShared || !current.isListening) this.#retire(current);
    this.#next = this.#run(true);
  }

  #exited(running: Running, how: number | string | null): void {
    const wasRetired = this.#old.delete(running.child);
    const wasNext = running === this.#next;
    if (wasNext) this.#next = undefined;
    if (running === this.#current) this.#current = undefined;
    if (this.#children().length === 0) {
      if (this.#isEnding) process.exit(0);
      if (!this.#files.areWatched) process.exit(1); // nothing could start it again
    }
    if (this.#isEnding) return;
    const oldServes = wasNext && this.#current !== undefined && !this.#old.has(this.#current.child);
    const what = oldServes ? 'has not started' : 'has ended';
    const others = oldServes ? 'the one before goes on, ' : '';
    if (!wasRetired && this.#next === undefined)
      console.error(`sluice: ${this.#name} ${what} (${how}); ${others}waiting for a file to change`);
    if (wasNext && this.#isChangedAgain) this.#changed();
  }

  #end(signal: 'SIGINT' | 'SIGTERM'): void {
    this.#isEnding = true;
    this.#files.close();
    const children = this.#children();
    if (children.length === 0) process.exit(0);
    for (const child of children) child.kill(signal); // a second signal ends it at once
  }

  #children(): ChildProcess[] {
    const all = new Set([this.#current?.child, this.#next?.child, ...this.#old]);
    return [...all].filter((child) => child !== undefined);
  }
}

/** The files that an application has loaded. Their folders are watched, because many editors replace a file when they save it. */
class WatchedFiles {
  readonly #changed: () => void;
  readonly #folders = new Map<string, { watcher: FSWatcher | undefined; files: Map<string, string> }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Whether a change of any of them would be noticed. */
  get areWatched(): boolean {
    return [...this.#folders.values()].some(({ watcher }) => watcher !== undefined);
  }

  /** @param file a path or a URL; only files outside of node_modules are watched */
  add(file: string): void {
    if (/^(?!file:)[a-z]{2,}:/i.test(file)) return;
    const path = file.startsWith('file:') ? fileURLToPath(file.replace(/[?#].*/, '')) : resolve(file);
    if (path.includes(`${sep}node_modules${sep}`)) return;
    const folder = dirname(path);
    let entry = this.#folders.get(folder);
    if (entry === undefined) {
      entry = { watcher: this.#watch(folder), files: new Map<string, string>() };
      this.#folders.set(folder, entry);
    }
    const name = basename(path);
    if (!entry.files.has(name)) entry.files.set(name, stateOf(path));
  }

  /** @returns undefined if the folder cannot be watched: it does not exist, or the system allows no more watchers */
  #watch(folder: string): FSWatcher | undefined {
    const failed = (error: unknown): void => console.error(`sluice: ${folder} cannot be watched: ${describe(error)}`);
    try {
      return watch(folder, () => this.#look(folder)).on('error', failed);
    } catch (error) {
      failed(error);
      return undefined;
    }
  }

  #look(folder: string): void {
    let isChanged = false;
    const files = this.#folders.get(folder)?.files ?? new Map<string, string>();
    for (const [name, before] of files) {
      const state = stateOf(`${folder}${sep}${name}`);
      if (state === before || state === '') continue; // without a file, an editor is about to replace it
      files.set(name, state);
      isChanged = true;
    }
    if (!isChanged) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#changed, quietTime);
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const { watcher } of this.#folders.values()) watcher?.close();
    this.#folders.clear();
  }
}

/** A text that differs when the file has changed; empty if there is no such file. */
function stateOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.ino} ${stat.size} ${stat.mtimeMs}`;
}
