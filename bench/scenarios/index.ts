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
