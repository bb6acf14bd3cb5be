// A real browser for tests, with a separate profile.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { chromium, type Page } from 'playwright-core';
import { chromiumFlags, chromiumPlaces, findChromium } from './chromium.js';

/** The browser's program. Skips the test where there is none. */
export function browserFor(t: TestContext): string | undefined {
  const executable = findChromium();
  if (executable === undefined)
    t.skip(`no Chromium found (looked for ${chromiumPlaces.join(', ')}; CHROMIUM may name one)`);
  return executable;
}

/** Opens a page in the browser, and sees that no script of it throws. */
export async function withPage(
  executablePath: string,
  use: (page: Page) => Promise<void>,
  options: Parameters<typeof chromium.launchPersistentContext>[1] = {},
): Promise<void> {
  const profile = mkdtempSync(join(tmpdir(), 'sluice-browser-'));
  try {
    const browser = await chromium.launchPersistentContext(profile, {
      executablePath,
      args: chromiumFlags,
      ...options,
    });
    try {
      const page = browser.pages()[0] ?? (await browser.newPage());
      page.setDefaultTimeout(20_000);
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(error.message));
      await use(page);
      assert.deepEqual(errors, []);
    } finally {
      await browser.close();
    }
  } finally {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
