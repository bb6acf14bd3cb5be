// The pages of the examples with event streams, in a real browser: on a screen as narrow as a phone's, and in dark mode.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { Example } from '../examples/example.js';
import { browserFor, withPage } from './browser.js';

const phone = { viewport: { width: 360, height: 740 }, colorScheme: 'dark' } as const;

/** The page is not wider than the screen, and dark. */
async function fitsAndIsDark(page: Page): Promise<void> {
  assert.equal(await page.evaluate('document.documentElement.scrollWidth'), phone.viewport.width);
  const ground = String(await page.evaluate('getComputedStyle(document.body).backgroundColor'));
  const [, ...channels] = /rgb\((\d+), (\d+), (\d+)\)/.exec(ground) ?? [];
  assert.equal(channels.length, 3, ground);
  for (const channel of channels) assert.ok(Number(channel) < 64, ground);
}

async function withExamplePage(
  executable: string,
  file: string,
  env: Record<string, string>,
  use: (page: Page) => Promise<void>,
): Promise<void> {
  const example = new Example(file, env);
  try {
    const url = `http://${await example.address()}/`;
    await withPage(
      executable,
      async (page) => {
        await page.goto(url);
        await use(page);
        await fitsAndIsDark(page);
      },
      phone,
    );
    await example.stop();
  } finally {
    example.kill();
  }
}

test('tokens in a browser: they appear, and stop ends the work of the source', async (t) => {
  const executable = browserFor(t);
  if (executable === undefined) return;
  await withExamplePage(executable, 'tokens/main.js', {}, async (page) => {
    await page.getByRole('button', { name: 'Ask' }).click();
    await page.locator('output', { hasText: 'You asked: “Who ends' }).waitFor();
    await page.locator('#running', { hasText: '1' }).waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.locator('#cancelled', { hasText: '1' }).waitFor();
    assert.equal(await page.locator('#running').textContent(), '0');
  });
});

test('dashboard in a browser: readings of all sensors, and viewers that come at the press of a button', async (t) => {
  const executable = browserFor(t);
  if (executable === undefined) return;
  await withExamplePage(executable, 'dashboard/main.js', { VIEWERS: '10' }, async (page) => {
    await page.locator('article').nth(11).waitFor();
    await page.locator('#state', { hasText: 'live' }).waitFor();
    await page.getByRole('button', { name: '100 that read nothing' }).click();
    await page.locator('#said', { hasText: '100 have been opened' }).waitFor();
    await page.locator('#stalled', { hasText: '100' }).waitFor();
    await page.locator('#viewers', { hasText: '111' }).waitFor();
  });
});
