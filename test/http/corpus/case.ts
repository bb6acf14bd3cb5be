// What a case of the protocol suite is: what a client sends, and what it must get.

import type { ServeOptions } from '#sluice/server/serve.js';

/** What a client does, one after the other. Strings are sent as Latin-1. */
export type Step =
  | string
  /** Waits until that many interim, or that many final responses have come. */
  | { interims: number }
  | { responses: number }
  /** Waits; for virtual time only. */
  | { wait: number }
  /** Sends FIN. */
  | 'FIN';

export interface Expected {
  status: number;
  /** Default: not looked at. */
  body?: string | RegExp;
  /** Fields that there must be, with these values or of this form, or, where it is undefined, must not be. */
  fields?: Readonly<Record<string, string | RegExp | undefined>>;
  /** How many `100 Continue` come before it. Default 0. */
  interims?: number | 'any';
  /** Of the request; tells the client what to expect. Default GET. */
  method?: string;
}

/** The servers that the cases are sent to, by the options that matter. */
export const servers = {
  usual: {},
  small: { maxHeadSize: 256, maxTargetSize: 32, maxFields: 4, maxBodySize: 10 },
  patient: { allowHalfOpen: true },
} satisfies Record<string, Partial<ServeOptions>>;

export type ServerName = keyof typeof servers;

export interface Case {
  name: string;
  /** Of the RFC that asks for it: `RFC 9112 §3.2`. */
  section: string;
  server: ServerName;
  steps: readonly Step[];
  responses: readonly Expected[];
  /** `stays`: the server goes on to answer the next request. `closes`: it sends FIN by itself. `resets`: it cuts a response short. */
  ending: 'stays' | 'closes' | 'resets';
  /** How often `onError` is called. */
  errors: number;
  /** Needs time to pass. */
  isVirtual: boolean;
}

/** Moves so many bytes that one at a time is too slow. */
export function isBulky(c: Case): boolean {
  const sent = c.steps.reduce((sum, step) => sum + (typeof step === 'string' ? step.length : 0), 0);
  return c.responses.reduce((sum, { body }) => sum + (typeof body === 'string' ? body.length : 0), sent) > 3_000;
}
