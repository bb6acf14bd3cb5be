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
}

/** How long clients have waited: microseconds from a request to its answer. Of pipelined requests wrk does not know it. */
export interface Delays {
  p50: number;
  p99: number;
}

/** Over all of a run of wrk. */
export interface Summary {
  requests: number;
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

/** What runs wrk against a server, with `GET /`, until it is interrupted. It knows whole seconds only. */
export function wrkCommand(server: Server, { connections, pipelined = 1 }: LoadOptions): string[] {
  const script = ['-s', join(folder, 'load', 'wrk.lua')];
  const command = ['wrk', '-t1', `-c${connections}`, '-d36000s', ...script, server.url];
  return pipelined > 1 ? [...command, '--', String(pipelined)] : command;
}

/** What wrk has said at its end (wrk.lua), or undefined if it has not. */
export function summaryOf(printed: string): Summary | undefined {
  const last = printed.trim().split('\n').at(-1) ?? '';
  return last.startsWith('{') ? (JSON.parse(last) as Summary) : undefined;
}

/**
 * Loads a server with `GET /` for so many seconds, and up to 0.1 s more: wrk looks that often whether it has been interrupted.
 * Problems are told and not thrown: the figures may still show what happened.
 */
export async function load(
  server: Server,
  options: LoadOptions & { seconds: number },
): Promise<{ delays: Delays; problems: string[] }> {
  const printed = await runWrk(wrkCommand(server, options), options.seconds * 1000);
  const summary = summaryOf(printed);
  if (summary === undefined) throw new Error(`wrk said ${JSON.stringify(printed)}`);
  const { p50, p99 } = summary;
  return { delays: { p50, p99 }, problems: problemsOf(summary, server, options) };
}

/** Runs wrk for so long. On a machine that is busy it may not have begun by then; it is given more time then, and begins anew. */
async function runWrk(command: string[], milliseconds: number, attempts = 4): Promise<string> {
  try {
    return await output(command, { core: loadCore, interruptAfter: milliseconds });
  } catch (error) {
    if (!(error instanceof InterruptedTooSoon) || attempts === 1) throw error;
    return runWrk(command, milliseconds * 2, attempts - 1);
  }
}

/** What of a summary makes a run invalid. */
export function problemsOf(summary: Summary, server: Server, { connections, pipelined = 1 }: LoadOptions): string[] {
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
