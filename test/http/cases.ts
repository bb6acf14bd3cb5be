// The cases of the protocol suite, from all rooms of the corpus. They are run in one piece, byte by byte, and cut and merged at
// random, over simulated and real networks; what comes back must not depend on it.

import { cases as bodies } from './corpus/bodies.js';
import type { Case } from './corpus/case.js';
import { cases as chunked } from './corpus/chunked.js';
import { cases as connection } from './corpus/connection.js';
import { cases as contentLength } from './corpus/content-length.js';
import { cases as endings } from './corpus/endings.js';
import { cases as expect } from './corpus/expect.js';
import { cases as failures } from './corpus/failures.js';
import { cases as fields } from './corpus/fields.js';
import { cases as host } from './corpus/host.js';
import { cases as limits } from './corpus/limits.js';
import { cases as methods } from './corpus/methods.js';
import { cases as pipelining } from './corpus/pipelining.js';
import { cases as requestLine } from './corpus/request-line.js';
import { cases as responses } from './corpus/responses.js';
import { cases as target } from './corpus/target.js';
import { cases as transferEncoding } from './corpus/transfer-encoding.js';
import { cases as versions } from './corpus/versions.js';

export type { Case, Expected, ServerName, Step } from './corpus/case.js';
export { isBulky, servers } from './corpus/case.js';

export const cases: readonly Case[] = [
  ...methods,
  ...requestLine,
  ...target,
  ...limits,
  ...versions,
  ...connection,
  ...pipelining,
  ...bodies,
  ...contentLength,
  ...transferEncoding,
  ...chunked,
  ...expect,
  ...fields,
  ...host,
  ...responses,
  ...failures,
  ...endings,
];

const names = new Set<string>();
for (const { name } of cases) {
  if (names.has(name)) throw new Error(`there are two cases "${name}"`);
  names.add(name);
}
