// All scenarios, in the order in which they are run and shown.

import type { Scenario } from '../scenario.js';
import { flood, slow } from './beside.js';
import { fanOut } from './fan-out.js';
import { growth } from './growth.js';
import { heads } from './heads.js';
import { hello } from './hello.js';
import { idle } from './idle.js';
import { switching } from './switching.js';

export const scenarios: readonly Scenario[] = [hello, idle, slow, flood, growth, fanOut, switching, heads];

/**
 * Names of those that a quick run measures beside one another, before all others. Servers of `hello` go on to `growth` and `slow`: they
 * are not to wait for long, since V8 forgets what it has compiled. Slow senders are got ready last: most peers give them a minute.
 */
export const parties: readonly (readonly string[])[] = [[hello, switching], [growth], [flood, fanOut, slow]].map(
  (party) => party.map(({ name }) => name),
);
