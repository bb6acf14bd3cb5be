// `sluice doctor`: which event layers work on this machine, in this runtime, and why others do not.

import { release } from 'node:os';
import { chooseEventLayer, examineEventLayers } from '../event-layer/choose.js';
import { engineOf } from '../tls/engines.js';
import { CommandError, oneLine } from './app.js';

const about: Record<string, string> = {
  uring: 'io_uring',
  epoll: 'epoll',
  portable: 'node:net',
};

/** @returns what is to be printed @throws {CommandError} if the layer that SLUICE_EVENT_LAYER names is unavailable */
export async function diagnose(): Promise<string> {
  const reports = await examineEventLayers(engineOf);
  const lines = reports.map(({ name, reason, more }) => {
    const what = `${name.padEnd(9)} ${(about[name] ?? '').padEnd(9)}`;
    return reason === undefined ? `  ${what} works; TLS by ${more}` : `  ${what} does not: ${reason}`;
  });
  return [`${machine()}:`, ...lines, await choice(), ''].join('\n');
}

async function choice(): Promise<string> {
  const forced = process.env.SLUICE_EVENT_LAYER;
  try {
    const layer = chooseEventLayer(forced);
    await layer.close();
    const why = forced ? 'SLUICE_EVENT_LAYER says so' : 'the best that works; SLUICE_EVENT_LAYER may name another';
    return `Servers run on ${layer.name} (${why}).`;
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : oneLine(error));
  }
}

function machine(): string {
  const { bun, deno, node } = process.versions;
  const runtime = bun !== undefined ? `Bun ${bun}` : deno !== undefined ? `Deno ${deno}` : `Node ${node}`;
  return `${runtime} on ${process.platform} ${release()}, ${process.arch}`;
}
