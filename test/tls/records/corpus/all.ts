// All cases.

import type { Case } from '../case.js';
import { cases as alerts } from './alerts.js';
import { cases as encryption } from './encryption.js';
import { cases as framing } from './framing.js';
import { cases as keyUpdates } from './key-updates.js';
import { cases as messages } from './messages.js';

export const corpus: readonly Case[] = [...framing, ...encryption, ...keyUpdates, ...messages, ...alerts];
