// All cases.

import type { Case } from './case.js';
import { cases as control } from './control.js';
import { cases as deflate } from './deflate.js';
import { cases as fragmentation } from './fragmentation.js';
import { cases as framing } from './framing.js';
import { cases as limits } from './limits.js';
import { cases as utf8 } from './utf8.js';

export const corpus: readonly Case[] = [...framing, ...fragmentation, ...control, ...utf8, ...limits, ...deflate];
