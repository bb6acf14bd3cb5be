// The same bytes, as the parser of node:http reads them: what a peer that is not of this project takes them for.

import http from 'node:http';
import { Duplex } from 'node:stream';

export interface NodeRequest {
  method: string;
  target: string;
  /** Lowercased names and values in turn. */
  fields: string[];
  /** As Latin-1. */
  body: string;
  /** Looked at in the end, when what it refuses later can no longer be in the way of what it has taken before. */
  readonly complete: boolean;
}

export interface NodeOutcome {
  requests: NodeRequest[];
  /** The code of the error with which it has refused something; `417` for an expectation. */
  error: string | undefined;
}

/** A connection without a system: what is written to it goes nowhere. */
class Wire extends Duplex {
  override _read(): void {}
  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done();
  }
}

const outcomes = new WeakMap<object, NodeOutcome>();

const server = http.createServer({ insecureHTTPParser: false, maxHeaderSize: 64 * 1024 });

function take(request: http.IncomingMessage, response: http.ServerResponse | undefined): void {
  const outcome = outcomes.get(request.socket);
  if (outcome === undefined || outcome.error !== undefined) return; // what follows a refusal does not count
  const { method = '', url = '', rawHeaders } = request;
  const fields = rawHeaders.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text));
  const taken: NodeRequest = {
    ...{ method, target: url, fields, body: '' },
    get complete() {
      return request.complete;
    },
  };
  outcome.requests.push(taken);
  request.on('data', (bytes: Buffer) => {
    taken.body += bytes.toString('latin1');
  });
  request.on('end', () => {
    response?.end();
  });
  request.on('error', () => {}); // `clientError` says it
}

server.on('request', take);
server.on('connect', (request: http.IncomingMessage) => take(request, undefined)); // without it, node:http ends the connection at once
server.on('checkExpectation', (request: http.IncomingMessage) => {
  const outcome = outcomes.get(request.socket);
  if (outcome !== undefined) outcome.error ??= '417';
});
server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
  const outcome = outcomes.get(socket);
  if (outcome !== undefined) outcome.error ??= error.code ?? error.message;
});

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Lets node:http read the text from one connection to its end. */
export async function readByNode(text: string): Promise<NodeOutcome> {
  const wire = new Wire();
  const outcome: NodeOutcome = { requests: [], error: undefined };
  outcomes.set(wire, outcome);
  server.emit('connection', wire);
  wire.on('error', () => {});
  wire.push(Buffer.from(text, 'latin1'));
  await quiet(outcome);
  wire.push(null);
  await quiet(outcome);
  wire.destroy();
  return outcome;
}

/** Until nothing new has come of it for some turns: all of it happens without the system. */
async function quiet(outcome: NodeOutcome): Promise<void> {
  const size = () => outcome.requests.length + outcome.requests.filter((request) => request.complete).length;
  for (let idle = 0, before = size(); idle < 4; idle++) {
    await turn();
    if (size() !== before) idle = 0;
    before = size();
  }
}
