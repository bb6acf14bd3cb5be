// Each file of this folder is a room of the corpus: the cases of one matter, under the section of the RFC that asks for them. What
// must come back is stated in each of them, and nowhere computed by the code that is tested.

import type { Case, Expected, ServerName, Step } from './case.js';

export const crlf = (...lines: string[]): string => lines.map((line) => `${line}\r\n`).join('');
export const get = (target: string, ...fields: string[]): string =>
  crlf(`GET ${target} HTTP/1.1`, 'host: a', ...fields, '');
/** A request of HTTP/1.0. */
export const old = (target: string, ...fields: string[]): string => crlf(`GET ${target} HTTP/1.0`, ...fields, '');
/** A request without a body, by another method than GET. */
export const by = (method: string, target: string, ...fields: string[]): string =>
  crlf(`${method} ${target} HTTP/1.1`, 'host: a', ...fields, '');
export const post = (target: string, body: string, ...fields: string[]): string =>
  by('POST', target, `content-length: ${body.length}`, ...fields) + body;
/** The head of a message in chunks, and whatever follows. */
export const chunked = (target: string, body: string, ...fields: string[]): string =>
  by('POST', target, 'transfer-encoding: chunked', ...fields) + body;

/** What stands behind everything that is refused; its handler keeps a record of being called. */
export const smuggled = get('/smuggled');

export const closing = { connection: 'close' };
export const staying = { connection: undefined };

/** The kinds of handlers and bodies that do well; each is a path. */
export const kinds = ['plain', 'async', 'thread', 'stream', 'readable'];

const phrases: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  413: 'Content Too Large',
  414: 'URI Too Long',
  417: 'Expectation Failed',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  505: 'HTTP Version Not Supported',
};

/** The answer to what is refused. */
export const refusal = (status: number): Expected => ({
  status,
  body: phrases[status],
  fields: { connection: 'close', 'content-type': 'text/plain' },
});

export interface Details {
  server?: ServerName;
  ending?: Case['ending'];
  errors?: number;
  isVirtual?: boolean;
}

/** A room to put cases into. */
export class Room {
  readonly cases: Case[] = [];
  #section: string;

  /** @param section of the first cases */
  constructor(section: string) {
    this.#section = section;
  }

  /** What follows is of this section. */
  section(section: string): void {
    this.#section = section;
  }

  readonly answers = (
    name: string,
    sent: string | Step[],
    responses: Expected | Expected[],
    details: Details = {},
  ): void => {
    this.cases.push({
      name,
      section: this.#section,
      server: 'usual',
      steps: Array.isArray(sent) ? sent : [sent],
      responses: Array.isArray(responses) ? responses : [responses],
      ending: 'stays',
      errors: 0,
      isVirtual: false,
      ...details,
    });
  };

  /** The message is refused, the connection closed, and what follows in the same bytes is no request. */
  readonly refused = (name: string, sent: string | Step[], status: number, details: Details = {}): void => {
    const steps = typeof sent === 'string' ? [sent + smuggled] : sent;
    this.answers(`${name}: ${status}`, steps, refusal(status), { ending: 'closes', ...details });
  };

  /** The response comes, and then that of a request which stands right behind. */
  readonly answersAndGoesOn = (name: string, sent: string, response: Expected, details: Details = {}): void => {
    this.answers(name, sent + get('/plain?next'), [response, { status: 200, body: 'plain GET /plain?next' }], details);
  };

  /** The response comes, and then the connection is closed, whatever follows. */
  readonly answersAndCloses = (name: string, sent: string, response: Expected, details: Details = {}): void => {
    this.answers(name, sent + smuggled, response, { ending: 'closes', ...details });
  };
}
