// The servers that are measured: how each is found and started, or why it cannot be. Their programs are in peers/.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { complaint, versionOf } from './processes.js';

export const folder = import.meta.dirname.replace(/[\\/]build$/, '');
const modules = join(folder, 'node_modules');
const program = (name: string) => join(folder, 'build', 'peers', `${name}.js`);

/**
 * What a peer can do.
 * - `requests`: the routes of HTTP.
 * - `events`: `/events`.
 * - `frameworks`: `/`, by an application of a framework that is measured on several servers.
 * - `tls`: all of it over TLS, if the bench gives it a certificate.
 * - `sockets`: WebSockets on `/echo`. `topics`: also on `/topic` and `/publish`. `deflate`: compressed ones.
 */
export type Service = 'requests' | 'frameworks' | 'tls' | 'events' | 'sockets' | 'topics' | 'deflate';

export interface Peer {
  name: string;
  title: string;
  version: string;
  command: string[];
  env: Record<string, string>;
  /** Machine code from the start: it needs no load before it is measured. */
  compiled: boolean;
  /** It serves `/`, `/flood` and `/events` only. */
  isFloor: boolean;
  services: readonly Service[];
}

/** A peer that cannot be measured here. */
export interface Missing {
  name: string;
  title: string;
  reason: string;
}

const plainServices: readonly Service[] = ['requests', 'events'];
const frameworkServices: readonly Service[] = ['frameworks'];
const httpServices: readonly Service[] = ['requests', 'tls', 'events'];
const threadServices: readonly Service[] = ['sockets', 'topics', 'deflate'];
const allServices: readonly Service[] = ['requests', 'tls', 'events', 'sockets', 'topics', 'deflate'];

interface Found {
  version: string;
  command: string[];
  env?: Record<string, string>;
  compiled?: boolean;
  /** Default: those of HTTP, over TCP and TLS. */
  services?: readonly Service[];
}

interface Candidate {
  name: string;
  title: string;
  /** Measured only if `--peers` names it. */
  onRequest?: boolean;
  /** @throws {Error} that says why the peer cannot be measured here */
  find(): Found;
}

export const layers = ['uring', 'epoll', 'portable'] as const;

/** The current Node from npm; else the one that runs the bench. */
export const node = [join(modules, `node-${process.platform}-${process.arch}`, 'bin', 'node'), process.execPath].find(
  (path) => existsSync(path),
) as string; // the second exists: it runs this

const nodeVersion = `Node ${versionOf(node, '--version')}`;

function packageVersion(name: string): string {
  const { version } = JSON.parse(readFileSync(join(modules, name, 'package.json'), 'utf8')) as { version: string };
  return version;
}

function onNode(name: string, version = ''): Found {
  return { version: `${version}${nodeVersion}`, command: [node, '--expose-gc', program(name)] };
}

/** A runtime whose npm package for this system contains its binary. */
function runtime(name: string, binary: string, args: string[], peer = name): Found {
  const path = join(modules, binary);
  const version = existsSync(path) ? versionOf(path, '--version') : undefined;
  if (version === undefined) throw new Error(`no npm package of ${name} for ${process.platform} on ${process.arch}`);
  return { version, command: [path, ...args, program(peer)] };
}

/** Compiles a program into `build/compiled`. @throws {Error} that says why it cannot be */
export function compile(name: string, tool: string, args: string[], versionArgument: string, cwd: string): Found {
  const version = versionOf(tool, versionArgument);
  if (version === undefined) throw new Error(`${tool} is not installed`);
  mkdirSync(join(folder, 'build', 'compiled'), { recursive: true });
  const path = join(folder, 'build', 'compiled', name);
  const { status, stderr } = spawnSync(tool, [...args, '-o', path], { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${tool} fails: ${stderr.trim().split('\n')[0]}`);
  return { version, command: [path], compiled: true };
}

interface Build {
  /** The module to import sluice from; default: the one built from this tree. */
  library?: string | undefined;
  /** WebSockets have threads instead of handlers. */
  inThreads?: boolean;
}

function sluice(layer: string, { library, inThreads = false }: Build): Found {
  const env = { SLUICE_EVENT_LAYER: layer, ...(library && { SLUICE: library }), ...(inThreads && { THREADS: 'yes' }) };
  const source = `const library = await import(${JSON.stringify(library ?? 'sluice')});
    const server = await library.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('') });
    console.log(server.eventLayer, 'topic' in library);
    await server.close();`;
  const trial = spawnSync(node, ['--input-type=module', '-e', source], {
    cwd: folder,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    timeout: 10_000,
  });
  if (trial.status !== 0) throw new Error(complaint(trial.stderr) || `the server ended with ${trial.status}`);
  const [found, hasTopics] = trial.stdout.trim().split(' ');
  if (found !== layer) throw new Error(`the server runs on ${found} instead`);
  const isOld = hasTopics !== 'true';
  if (inThreads && isOld) throw new Error('this build has no WebSockets');
  const services: readonly Service[] = isOld ? ['requests'] : inThreads ? threadServices : allServices;
  return { ...onNode('sluice'), env, services };
}

const bunBinary = `@oven/bun-linux-${process.arch === 'arm64' ? 'aarch64' : process.arch}/bin/bun`;

/** Applications of frameworks on sluice, for each event layer. */
const onLayers = (name: string, title: string, find: () => Found): Candidate[] =>
  layers.map((layer) => ({
    name: `${name}-${layer}`,
    title: `${title}, ${layer}`,
    find() {
      const found = find();
      return { ...found, env: { ...sluice(layer, {}).env, ...found.env } };
    },
  }));

/** The suffix of the names of peers that run the library of `--against`. */
export const againstSuffix = '@against';

function candidates(against: string | undefined): Candidate[] {
  return [
    {
      name: 'floor',
      title: 'floor (C, epoll)',
      find: () => ({
        ...compile('floor', 'cc', ['-O2', join(folder, 'peers', 'floor.c')], '--version', folder),
        services: plainServices,
      }),
    },
    ...layers.flatMap((layer): Candidate[] => {
      const name = `sluice-${layer}`;
      const title = `sluice, ${layer}`;
      return [undefined, against].flatMap((library, i): Candidate[] => {
        if (i > 0 && library === undefined) return [];
        const suffix = library === undefined ? '' : againstSuffix;
        const remark = library === undefined ? '' : ' (against)';
        return [
          { name: name + suffix, title: title + remark, find: () => sluice(layer, { library }) },
          {
            name: `${name}-threads${suffix}`,
            title: `${title}, threads${remark}`,
            find: () => sluice(layer, { library, inThreads: true }),
          },
        ];
      });
    }),
    {
      name: 'bun',
      title: 'Bun.serve',
      find: () => ({ ...runtime('bun', bunBinary, []), services: allServices }),
    },
    {
      name: 'deno',
      title: 'Deno.serve',
      find: () => ({
        ...runtime('deno', `@deno/linux-${process.arch}-glibc/deno`, ['run', '--allow-all', '--v8-flags=--expose-gc']),
        services: allServices.filter((service) => service !== 'deflate'), // its WebSockets have no compression
      }),
    },
    {
      name: 'go',
      title: 'Go net/http',
      find: () => compile('go', 'go', ['build'], 'version', join(folder, 'peers', 'go')),
    },
    { name: 'node', title: 'node:http', find: () => onNode('node') },
    ...onLayers('sluicenode', 'sluice/node', () => ({ ...onNode('node'), env: { ON_SLUICE: 'yes' } })),
    {
      name: 'ws',
      title: 'ws (on Node)',
      find: () => ({ ...onNode('ws', `${packageVersion('ws')}, `), services: ['sockets', 'topics', 'deflate'] }),
    },
    {
      name: 'fastify',
      title: 'Fastify',
      find: () => ({ ...onNode('fastify', `${packageVersion('fastify')}, `), services: plainServices }),
    },
    {
      name: 'hono',
      title: 'Hono on @hono/node-server',
      find: () => ({
        ...onNode('hono', `${packageVersion('hono')} on ${packageVersion('@hono/node-server')}, `),
        services: [...plainServices, ...frameworkServices],
      }),
    },
    {
      name: 'honobun',
      title: 'Hono on Bun.serve',
      find() {
        const found = runtime('bun', bunBinary, [], 'hono');
        const version = `${packageVersion('hono')}, Bun ${found.version}`;
        return { ...found, version, env: { SERVER: 'bun' }, services: frameworkServices };
      },
    },
    ...onLayers('honosluice', 'Hono on sluice', () => ({
      ...onNode('hono', `${packageVersion('hono')}, `),
      env: { SERVER: 'sluice' },
      services: frameworkServices,
    })),
    {
      name: 'express',
      title: 'Express on node:http',
      find: () => ({ ...onNode('express', `${packageVersion('express')}, `), services: frameworkServices }),
    },
    ...onLayers('expresssluice', 'Express on sluice/node', () => ({
      ...onNode('express', `${packageVersion('express')}, `),
      env: { ON_SLUICE: 'yes' },
      services: frameworkServices,
    })),
    {
      name: 'broken',
      title: 'broken on purpose',
      onRequest: true,
      find: () => ({ ...onNode('broken'), services: ['requests', 'sockets'] }),
    },
  ];
}

/** Names that `--peers` knows. */
export const peerNames = [
  ...['sluice', 'bun', 'deno', 'go', 'node', 'sluicenode', 'ws', 'fastify'],
  ...['hono', 'honobun', 'honosluice', 'express', 'expresssluice', 'broken'],
];

/** Finds the peers that are wanted. The floor always takes part. */
export function findPeers(
  names: readonly string[] | undefined,
  wantedLayers: readonly string[] | undefined,
  against: string | undefined,
): { peers: Peer[]; missing: Missing[] } {
  const peers: Peer[] = [];
  const missing: Missing[] = [];
  for (const { name, title, onRequest = false, find } of candidates(against)) {
    const [family = '', layer] = name.replace(againstSuffix, '').split('-');
    const isFloor = name === 'floor';
    const isWanted = isFloor || (names?.includes(family) ?? !onRequest);
    if (!isWanted || (layer !== undefined && wantedLayers?.includes(layer) === false)) continue;
    try {
      peers.push({ name, title, env: {}, compiled: false, isFloor, services: httpServices, ...find() });
    } catch (error) {
      missing.push({ name, title, reason: (error as Error).message });
    }
  }
  return { peers, missing };
}
