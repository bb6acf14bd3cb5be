// The closed-loop load: wrk, on the core that is not the server's.

import { join } from 'node:path';
import { versionOf } from '../machine.js';
import { folder } from '../paths.js';
import { loadCore, output } from '../processes.js';
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
  const before = server.cpu();
  const command = ['wrk', '-t1', `-c${connections}`, '-d600s', '-s', join(folder, 'load', 'wrk.lua'), server.url];
  if (pipelined > 1) command.push('--', String(pipelined));
  const printed = await output(command, { core: loadCore, interruptAfter: seconds * 1000 });
  const cpuSeconds = server.cpu() - before;
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

/** So many requests have V8's compilers done with what they do in the background, which counts as the server's CPU. */
const warmUpRequests = 60_000;
/** A slow machine is not waited for for longer, in seconds. */
const warmUpPatience = 4;

/** Loads a server before anything is measured: by requests and not by time, so that a busy machine changes nothing in it. */
export async function warmUp(server: Server, connections: number): Promise<void> {
  const seconds = 0.4;
  let requests = 0;
  for (let spent = 0; requests < warmUpRequests && spent < warmUpPatience; spent += seconds) {
    const { figures } = await load(server, { connections, seconds });
    requests += figures.throughput * seconds;
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
