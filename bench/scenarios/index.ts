// All scenarios, in the order in which they are run and shown.

import type { Scenario } from '../scenario.js';
import { hello } from './hello.js';

export const scenarios: readonly Scenario[] = [hello];
