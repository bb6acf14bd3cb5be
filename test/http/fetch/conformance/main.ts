// Runs the statements on the current runtime, with the `sluice` that it resolves: see scripts/fetch-conformance.mjs and scripts/packed.mjs.

import { Headers, Request, Response } from 'sluice';
import { all, compare } from './compare.js';
import type { Classes } from './statement.js';

const platform = {
  Headers: globalThis.Headers,
  Request: globalThis.Request,
  Response: globalThis.Response,
} as unknown as Classes;
const {
  ours,
  platform: theirs,
  neither,
  failures,
} = await compare(platform, { Headers, Request, Response } as unknown as Classes);
for (const line of failures) console.log(`FAILED ${line}`);
if (process.argv.includes('--all')) for (const line of neither) console.log(`neither: ${line}`);
console.log(
  `${all.length} statements: ours ${ours}, the platform's ${theirs}, neither ${neither.length}, failures ${failures.length}`,
);
process.exit(failures.length === 0 ? 0 : 1);
