// Runs a case of the protocol suite over a real socket of node:net, which knows nothing of this project.

import assert from 'node:assert/strict';
import { Network } from '#sluice/connection/network.js';
import type { EventLayer } from '#sluice/event-layer/event-layer.js';
import { type Server, serve } from '#sluice/server/serve.js';
import { describe } from '#sluice/util/inspect.js';
import { local } from '../support/certificates.js';
import { RawClient } from '../support/raw-client.js';
import { type Case, isBulky, type ServerName, servers } from './cases.js';
import { check, Outcome, probe } from './check.js';
import { fetchFor, Ledger } from './handlers.js';

/** How a client hands its bytes to the system: as few as may be in each write, or as many. */
export type Cut = 'bytes' | 'whole';

/** So many clients at once. */
const crowd = 50;
/** A client that waits for so many milliseconds has lost its server: a failure, so that the test ends. */
const patience = 30_000;

/** Runs the cases against servers on a layer, and closes both. @param hasTls over TLS @throws if one does not come out as it should */
export async function overSockets(layer: EventLayer, cases: readonly Case[], cut: Cut, hasTls = false): Promise<void> {
  const network = new Network(layer);
  const escaped: unknown[] = [];
  network.scheduler.report = (error) => escaped.push(error);
  const ledger = new Ledger();
  const errors: unknown[] = [];
  const open = new Map<ServerName, Server>();
  for (const name of Object.keys(servers) as ServerName[]) {
    const onError = (error: unknown) => {
      errors.push(error);
    };
    const own = { network, fetch: fetchFor(ledger), onError, hostname: '127.0.0.1', port: 0, globals: false };
    open.set(
      name,
      await serve({ ...servers[name], ...own, tls: hasTls ? { key: local.key, cert: local.cert } : undefined }),
    );
  }
  try {
    const waiting = [...cases];
    const work = async (): Promise<void> => {
      for (let c: Case | undefined; (c = waiting.shift()) !== undefined; )
        check(c, asReset(c, await exchange(open.get(c.server)?.port ?? 0, c, cut, hasTls)));
    };
    await Promise.all(Array.from({ length: crowd }, work));
  } finally {
    for (const server of open.values()) await server.close();
    await layer.close();
  }
  const expected = cases.reduce((count, c) => count + c.errors, 0);
  assert.equal(errors.length, expected, `calls of onError: ${errors.slice(0, 20).map(describe).join('; ')}`);
  assert.deepEqual(escaped, [], 'unreported errors');
  assert.deepEqual(ledger.smuggled, [], 'what was refused has been executed');
  assert.equal(ledger.left, ledger.entered, 'handlers, and streams that were made, that have been left');
  assert.equal(network.scheduler.timers.size, 0, 'timers that are armed');
}

/**
 * Bytes and the RST behind them, seen in one poll, are to node:net bytes and a FIN (libuv takes the hang-up for the end of input), so
 * that here either is taken for a reset; what really went out is the business of the simulated network and of the layers' contract.
 */
function asReset(c: Case, outcome: Outcome): Outcome {
  if (c.ending !== 'resets' || outcome.ending !== 'FIN') return outcome;
  const reset = new Outcome(c);
  reset.ending = 'reset';
  return reset;
}

async function exchange(port: number, c: Case, cut: Cut, hasTls: boolean): Promise<Outcome> {
  const outcome = new Outcome(c);
  const { parser } = outcome;
  const client = new RawClient(port, hasTls);
  const { socket } = client;
  socket.on('data', (text: string) => outcome.push(Buffer.from(text, 'latin1')));
  const over = client.ending.then((how) => {
    if (how === 'FIN') outcome.end();
    else outcome.ending = 'reset';
    socket.end();
  });
  const guard = setTimeout(() => socket.destroy(), patience);

  const send = async (text: string): Promise<void> => {
    const size = cut === 'whole' ? Infinity : isBulky(c) ? 61 : 1;
    for (let at = 0; at < text.length && socket.writable && outcome.ending === 'open'; at += size)
      await new Promise<void>((resolve) => {
        socket.write(text.slice(at, at + size), 'latin1', () => resolve());
      });
  };
  for (const step of c.steps) {
    if (typeof step !== 'string') {
      if ('wait' in step) throw new Error(`${c.name}: waiting is for virtual time`);
      if ('interims' in step) await client.until(() => parser.interimCount >= step.interims);
      else await client.until(() => parser.responses.length >= step.responses);
    } else if (step === 'FIN') {
      socket.end();
    } else {
      await send(step);
    }
  }
  if (c.ending === 'stays') {
    await client.until(() => parser.responses.length >= c.responses.length);
    await send(probe);
    await client.until(() => parser.responses.length > c.responses.length);
    socket.end();
  }
  await over;
  socket.destroy();
  clearTimeout(guard);
  return outcome;
}
