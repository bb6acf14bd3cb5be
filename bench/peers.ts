// The peers: how each is had, how it is started, and why it cannot be where it cannot. Their programs are in peers/.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { versionOf } from './machine.js';
import { folder } from './paths.js';
import { complaint } from './processes.js';
import type { PeerRecord } from './results.js';

/** A peer that can be measured. */
export interface Peer {
  name: string;
  title: string;
  version: string;
  command: string[];
  env: Record<string, string>;
  /** It is machine code from the start: there is no need to warm it up. */
  compiled: boolean;
}

/** What becomes of looking for a peer. */
type Found =
  | { version: string; command: string[]; env?: Record<string, string>; compiled?: boolean }
  | { missing: string };

interface Candidate {
  /** What `--peers` calls it. */
  name: string;
  /** Event layers, which `--layer` chooses from. */
  layer?: string;
  title: string;
  /** Measured only if `--peers` names it. */
  onRequest?: boolean;
  find(): Found;
}

const architecture = process.arch;
const modules = join(folder, 'node_modules');
const program = (name: string) => join(folder, 'build', 'peers', `${name}.js`);

/** Node of the current version, from npm; else the one that runs this. */
export const node = [join(modules, `node-${process.platform}-${architecture}`, 'bin', 'node'), process.execPath].find(
  (path) => existsSync(path),
) as string; // the second is running

const nodeVersion = `Node ${versionOf(node, '--version')}`;

function packageVersion(name: string): string {
  const { version } = JSON.parse(readFileSync(join(modules, name, 'package.json'), 'utf8')) as { version: string };
  return version;
}

function onNode(name: string, version = ''): Found {
  return { version: `${version}${nodeVersion}`, command: [node, '--expose-gc', program(name)] };
}

/** A runtime whose npm package for this system is its binary. */
function runtime(name: string, binary: string, args: string[]): Found {
  const path = join(modules, binary);
  if (!existsSync(path))
    return { missing: `package.json names no npm package of ${name} for ${process.platform} on ${architecture}` };
  const version = versionOf(path, '--version');
  if (version === undefined) return { missing: `${path} does not run` };
  return { version, command: [path, ...args, program(name)] };
}

/** A program that is compiled here. */
function compiled(name: string, compiler: string[], versionArgs: string[], cwd: string, how: string): Found {
  const [tool = '', ...args] = compiler;
  const version = versionOf(tool, ...versionArgs);
  if (version === undefined) return { missing: `there is no ${tool} (${how})` };
  mkdirSync(join(folder, 'build', 'peers'), { recursive: true });
  const path = join(folder, 'build', 'peers', name);
  const { status, stderr } = spawnSync(tool, [...args, '-o', path, '.'].slice(0, name === 'floor' ? -1 : undefined), {
    cwd,
    encoding: 'utf8',
  });
  if (status !== 0) return { missing: `${tool} fails: ${stderr.trim().split('\n')[0]}` };
  return { version, command: [path], compiled: true };
}

function eventLayer(layer: string): Found {
  const env = { SLUICE_EVENT_LAYER: layer };
  const { stdout, stderr, status } = spawnSync(node, [program('layer')], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
    timeout: 10_000,
  });
  if (status !== 0) return { missing: complaint(stderr) || `it ended with ${status}` };
  if (stdout.trim() !== layer) return { missing: `the server runs on ${stdout.trim()} instead` };
  const found = onNode('sluice');
  return { ...found, env };
}

let crowds: string | undefined;

/**
 * The event layer that the crowd's clients are on: epoll, or the portable layer where that cannot be had. There they cost a good part more, on
 * the core that they share with wrk.
 */
export function crowdLayer(): string {
  crowds ??= 'missing' in eventLayer('epoll') ? 'portable' : 'epoll';
  return crowds;
}

const bunArchitecture = architecture === 'arm64' ? 'aarch64' : architecture;

const candidates: Candidate[] = [
  {
    name: 'floor',
    title: 'floor (C, epoll)',
    find: () =>
      compiled('floor', ['cc', '-O2', join(folder, 'peers', 'floor.c')], ['--version'], folder, 'apt-get install gcc'),
  },
  ...['uring', 'epoll', 'portable'].map((layer) => ({
    name: 'sluice',
    layer,
    title: `sluice, ${layer}`,
    find: () => eventLayer(layer),
  })),
  {
    name: 'bun',
    title: 'Bun.serve',
    find: () => runtime('bun', `@oven/bun-linux-${bunArchitecture}/bin/bun`, []),
  },
  {
    name: 'deno',
    title: 'Deno.serve',
    find: () =>
      runtime('deno', `@deno/linux-${architecture}-glibc/deno`, ['run', '--allow-all', '--v8-flags=--expose-gc']),
  },
  {
    name: 'go',
    title: 'Go net/http',
    find: () => compiled('go', ['go', 'build'], ['version'], join(folder, 'peers', 'go'), 'apt-get install golang-go'),
  },
  { name: 'node', title: 'node:http', find: () => onNode('node') },
  { name: 'fastify', title: 'Fastify', find: () => onNode('fastify', `${packageVersion('fastify')}, `) },
  {
    name: 'hono',
    title: 'Hono on @hono/node-server',
    find: () => onNode('hono', `${packageVersion('hono')} on ${packageVersion('@hono/node-server')}, `),
  },
  // What each of the means of the uring layer is worth: `hello --layer uring --peers sluice,no-direct,no-registered,no-silent,no-merged`.
  ...[
    ['direct', "uring, the process's own descriptors"],
    ['registered', 'uring, the ring looked up each time'],
    ['silent', 'uring, a completion for each send'],
    ['merged', 'uring, sends apart from the wait'],
  ].map(([without = '', title = '']) => ({
    ...{ name: `no-${without}`, title, onRequest: true },
    find: (): Found => ({ ...onNode('uring-without'), env: { WITHOUT: without } }),
  })),
  { name: 'broken', title: 'broken on purpose', onRequest: true, find: () => onNode('broken') },
];

/** Names that `--peers` knows. */
export const peerNames = [...new Set(candidates.map(({ name }) => name))];
/** Names that `--layer` knows. */
export const layerNames = candidates.flatMap(({ layer }) => layer ?? []);

/**
 * Looks for the peers that are wanted; all of them if none is named. The floor always takes part: ratios are taken to it.
 * @returns those that can be measured, and what is to be said of all
 */
export function findPeers(
  names: readonly string[] | undefined,
  layers: readonly string[] | undefined,
): { peers: Peer[]; records: PeerRecord[] } {
  const peers: Peer[] = [];
  const records: PeerRecord[] = [];
  for (const { name, layer, title, onRequest = false, find } of candidates) {
    const wanted = name === 'floor' || (names?.includes(name) ?? !onRequest);
    if (!wanted || (layer !== undefined && layers !== undefined && !layers.includes(layer))) continue;
    const found = find();
    const id = layer === undefined ? name : `${name}-${layer}`;
    if ('missing' in found) {
      records.push({ name: id, title, version: '', missing: found.missing });
    } else {
      peers.push({ name: id, title, env: {}, compiled: false, ...found });
      records.push({ name: id, title, version: found.version });
    }
  }
  return { peers, records };
}
