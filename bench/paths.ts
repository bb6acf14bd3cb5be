// Where things are. The compiled bench runs in bench/build.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** bench/ */
export const folder = fileURLToPath(new URL('..', import.meta.url));
export const resultsFolder = join(folder, 'results');
export const figuresFolder = join(folder, '..', 'docs', 'figures');
export const performancePage = join(folder, '..', 'docs', 'performance.md');
