// The pages of the examples with WebSockets, in a real browser: on a screen as narrow as a phone's, and in dark mode.

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
  for (const channel of channels) assert.ok(Number(channel) < 64, ground);
  assert.equal(channels.length, 3, ground);
}

const textsOf = (page: Page) =>
  page.locator('.text').evaluateAll((all) => all.map((each) => each.firstChild?.textContent));

test('chat in two pages at once: they see each other and what both say, also after a restart', async (t) => {
  const executable = browserFor(t);
  if (executable === undefined) return;
  let example = new Example('chat/main.js');
  try {
    const address = await example.address();
    await withPage(
      executable,
      async (ann) => {
        const bob = await ann.context().newPage();
        bob.setDefaultTimeout(20_000);
        for (const [page, name] of [
          [ann, 'Ann'],
          [bob, 'Bob'],
        ] as const) {
          await page.goto(`http://${address}/`);
          await page.getByRole('textbox', { name: 'What is your name?' }).fill(name);
          await page.getByRole('button', { name: 'Enter' }).click();
          await page.locator('#state', { hasText: /^connected/ }).waitFor();
        }
        for (const page of [ann, bob]) {
          await page.locator('#people li', { hasText: 'Ann' }).waitFor();
          await page.locator('#people li', { hasText: 'Bob' }).waitFor();
        }
        const say = async (page: Page, text: string) => {
          await page.getByLabel('message', { exact: true }).fill(text);
          await page.getByRole('button', { name: 'Send' }).click();
        };
        await say(ann, 'hello');
        await bob.locator('.text', { hasText: 'hello' }).waitFor();
        await say(bob, '<i>hello</i> yourself');
        await ann.locator('.text', { hasText: 'yourself' }).waitFor();
        for (const page of [ann, bob]) assert.deepEqual(await textsOf(page), ['hello', '<i>hello</i> yourself']);
        assert.equal(await ann.locator('li.mine').count(), 1);
        await fitsAndIsDark(ann);

        await example.stop();
        await ann.locator('#state', { hasText: 'reconnecting' }).waitFor();
        example = new Example('chat/main.js', { PORT: address.split(':')[1] ?? '' });
        await example.address();
        for (const page of [ann, bob]) await page.locator('#state', { hasText: /^connected/ }).waitFor();
        await say(bob, 'there we are again');
        await ann.locator('.text', { hasText: 'there we are again' }).waitFor();
      },
      phone,
    );
    await example.stop();
  } finally {
    example.kill();
  }
});

test('devices in a browser: readings of all devices, and one that is reset at the press of a button', async (t) => {
  const executable = browserFor(t);
  if (executable === undefined) return;
  const example = new Example('devices/main.js', { DEVICE_PORT: '0', DEVICES: '4' });
  try {
    const address = await example.address();
    await withPage(
      executable,
      async (page) => {
        await page.goto(`http://${address}/`);
        await page.locator('#state', { hasText: 'live' }).waitFor();
        await page.locator('article').nth(3).waitFor();
        const barometer = page.locator('article[data-device=barometer-2]');
        await barometer.locator('b', { hasText: /^\d+\.\d+ hPa$/ }).waitFor();
        // It is shown until the next reading, which may come before a test that looks now and then has seen it.
        const isReset = page.evaluate(`new Promise((resolve) => {
          const article = document.querySelector('article[data-device=barometer-2]');
          const look = () => article.querySelector('b').textContent === '1013 hPa' && resolve();
          new MutationObserver(look).observe(article, { childList: true, subtree: true });
        })`);
        await barometer.getByRole('button', { name: 'Reset' }).click();
        await isReset;
        await fitsAndIsDark(page);
      },
      phone,
    );
    await example.stop();
  } finally {
    example.kill();
  }
});
