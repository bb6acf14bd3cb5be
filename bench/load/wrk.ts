// The closed-loop load: wrk, on the core that is not the server's.

import { join } from 'node:path';
import { versionOf } from '../machine.js';
import { folder } from '../paths.js';
import { InterruptedTooSoon, loadCore, output } from '../processes.js';
import type { Server } from './server.js';

/** How wrk is had where it is missing. */
export const wrkHint = 'wrk is missing; it is the load of the closed-loop scenarios (on Debian: apt-get install wrk)';

export function wrkVersion(): string | undefined {
  return versionOf('wrk', '--version')?.split(' Copyright')[0];
}

export interface LoadOptions {
  connections: number;
  /** Requests that are sent at a time on each connection. */
  pipelined?: number;
  /** wrk itself knows whole seconds only, so it is told when to stop; it looks every 0.1 s. */
  seconds: number;
}

/** What a load has brought about. */
export interface LoadFigures {
  /** CPU microseconds of the server for each request. */
  cpu: number;
  /** Requests a second. */
  throughput: number;
  /** Microseconds from a request to its answer. */
  p50: number;
  p99: number;
}

interface Summary {
  requests: number;
  microseconds: number;
  bytes: number;
  p50: number;
  p99: number;
  connect: number;
  read: number;
  write: number;
  timeout: number;
  status: number;
}

/** Answers may differ so much in length from the one that was looked at; there may be half an answer for each connection. */
const lengthTolerance = 0.02;

/** Loads a server with `GET /`. Problems are told and not thrown: the figures may still show what happened. */
export async function load(
  server: Server,
  options: LoadOptions,
): Promise<{ figures: LoadFigures; problems: string[] }> {
  const { connections, pipelined = 1, seconds } = options;
  const command = ['wrk', '-t1', `-c${connections}`, '-d600s', '-s', join(folder, 'load', 'wrk.lua'), server.url];
  if (pipelined > 1) command.push('--', String(pipelined));
  const { printed, cpuSeconds } = await runWrk(server, command, seconds * 1000);
  const summary = JSON.parse(printed.trim().split('\n').at(-1) ?? '') as Summary;
  const figures = {
    cpu: (cpuSeconds * 1e6) / summary.requests,
    throughput: (summary.requests * 1e6) / summary.microseconds,
    // wrk 4.1 corrects the delays for requests that it could not send, and forgets where they begin when they are pipelined.
    p50: pipelined > 1 ? Number.NaN : summary.p50,
    p99: pipelined > 1 ? Number.NaN : summary.p99,
  };
  return { figures, problems: problemsOf(summary, server, options) };
}

/** Runs wrk for so long. On a machine that is busy it may not have begun by then; it is given more time then, and begins anew. */
async function runWrk(
  server: Server,
  command: string[],
  milliseconds: number,
  attempts = 4,
): Promise<{ printed: string; cpuSeconds: number }> {
  const before = server.cpu();
  try {
    const printed = await output(command, { core: loadCore, interruptAfter: milliseconds });
    return { printed, cpuSeconds: server.cpu() - before };
  } catch (error) {
    if (!(error instanceof InterruptedTooSoon) || attempts === 1) throw error;
    return runWrk(server, command, milliseconds * 2, attempts - 1);
  }
}

/** How a server is warmed up, in seconds: windows of so long, for at most so long altogether. */
const warmUpWindow = 0.2;
const warmUpPatience = 3.2;
/** It is warm when so many windows in a row have each been hardly better than the best before. */
const warmWindows = 5;
const hardlyBetter = 0.05;

/**
 * Loads a server until its requests do not get cheaper any more. To be done last before anything is measured: a garbage collection
 * that was asked for, and a while without requests, make V8 forget some of what it has compiled.
 */
export async function warmUp(server: Server, connections: number): Promise<void> {
  if (server.peer.compiled) {
    await load(server, { connections, seconds: warmUpWindow });
    return;
  }
  let best = Number.POSITIVE_INFINITY;
  let warm = 0;
  for (let spent = 0; warm < warmWindows && spent < warmUpPatience; spent += warmUpWindow) {
    const { cpu } = (await load(server, { connections, seconds: warmUpWindow })).figures;
    warm = cpu > best * (1 - hardlyBetter) ? warm + 1 : 0;
    best = Math.min(best, cpu);
  }
}

function problemsOf(summary: Summary, server: Server, { connections, pipelined = 1 }: LoadOptions): string[] {
  const problems = server.problems();
  const { requests, bytes } = summary;
  if (requests === 0) problems.push('no request was answered');
  if (summary.status > 0) problems.push(`${summary.status} of ${requests} answers were not 2xx`);
  for (const kind of ['connect', 'read', 'write', 'timeout'] as const) {
    if (summary[kind] > 0) problems.push(`${summary[kind]} connections had a ${kind} error`);
  }
  const expected = requests * server.answerBytes;
  const allowed = expected * lengthTolerance + connections * pipelined * server.answerBytes;
  if (Math.abs(bytes - expected) > allowed) {
    problems.push(`${requests} answers had ${bytes} bytes; ${expected} were expected`);
  }
  return problems;
}
