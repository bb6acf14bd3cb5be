// The demo's page in a real browser: opens streams, sees their threads parked, lets one go, and sees it unwound.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { Example } from '../examples/example.js';
import { browserFor, withPage } from './browser.js';

/** Opens the demo in a browser. */
async function withDemo(executablePath: string, use: (page: Page) => Promise<void>): Promise<void> {
  const example = new Example('demo/main.js');
  try {
    const url = `http://${await example.address()}/`;
    await withPage(executablePath, async (page) => {
      await page.goto(url);
      await page.locator('#pause').uncheck(); // only the clients of this test come and go
      await use(page);
    });
    await example.stop();
  } finally {
    example.kill();
  }
}

/** How many threads the page says are parked. */
async function parked(page: Page): Promise<number> {
  return Number((await page.locator('#parked').textContent())?.replace(',', ''));
}

/** Exactly so many: a request of the page's own may be among them for a moment. */
async function untilParked(page: Page, count: number): Promise<void> {
  let seen: number | undefined;
  await until(
    () => `${count} threads are parked; it was ${seen} last`,
    async () => {
      seen = await parked(page);
      return seen === count;
    },
  );
}

async function until(what: string | (() => string), holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, `not in time: ${typeof what === 'string' ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('the demo in a browser', async (t) => {
  const executable = browserFor(t);
  if (executable === undefined) return;
  await withDemo(executable, async (page) => {
    await t.test('shows the first crowd, parked in five different ways', async () => {
      const badges = page.locator('#kinds .badge');
      await until('every line marked has a thread parked at it', async () => {
        const texts = await badges.allTextContents();
        return texts.length === 5 && texts.every((text) => /^[1-9]\d* threads? (is|are) parked here$/.test(text));
      });
    });

    await t.test('opens a hundred more, and sees them parked', async () => {
      await untilParked(page, 36); // the first crowd
      await page.getByRole('button', { name: '+100' }).first().click();
      await untilParked(page, 136);
      assert.ok((await page.locator('#grid i').count()) > 136);
    });

    await t.test('streams of the browser itself: each is a thread, parked on the clock', async () => {
      await page.locator('#mine-open').click();
      await page.locator('#mine-open').click();
      await page.locator('#mine code', { hasText: 'tick' }).nth(1).waitFor();
      await page.locator('#rows tr.mine[data-wait="timer"]').nth(1).waitFor();
      assert.equal(await page.locator('#rows tr.mine').count(), 2);
    });

    await t.test('a fetch that is aborted in the browser: its thread is unwound', async () => {
      const row = page.locator('#rows tr.mine').first();
      const request = (await row.getAttribute('data-request')) ?? '';
      const thread = await row.getAttribute('data-thread');
      const [, visitor] = request.split('visitor=');
      await row.locator('.leave').click();
      const reported = page.locator(`#log li[data-visitor="${visitor}"]`);
      await reported.waitFor();
      assert.equal(await reported.getAttribute('data-by'), 'client');
      assert.match(
        (await reported.textContent()) ?? '',
        /parked on timer for .* its client left:.*finally ran; told here/,
      );
      await page.locator(`#rows tr[data-thread="${thread}"]`).waitFor({ state: 'detached' });
    });

    await t.test('one that the server closes: its thread is unwound, and the browser hears of it', async () => {
      const row = page.locator('#rows tr.mine').first();
      const [, visitor] = ((await row.getAttribute('data-request')) ?? '').split('visitor=');
      await row.locator('.unwind').click();
      const reported = page.locator(`#log li[data-visitor="${visitor}"]`);
      await reported.waitFor();
      assert.equal(await reported.getAttribute('data-by'), 'server');
      assert.match((await reported.textContent()) ?? '', /closed from the server:finally ran [\d.]+ ms later/);
      await page.locator(`#mine div[data-visitor="${visitor}"]`).waitFor({ state: 'detached' });
    });

    await t.test('one of the crowd leaves: the log says how long after that `finally` ran', async () => {
      const row = page.locator('#rows tr[data-request^="/clock"]').first();
      const [, visitor] = ((await row.getAttribute('data-request')) ?? '').split('visitor=');
      await row.locator('.leave').click();
      const reported = page.locator(`#log li[data-visitor="${visitor}"]`);
      await reported.waitFor();
      assert.match((await reported.textContent()) ?? '', /its client left:finally ran [\d.]+ ms later/);
    });

    await t.test('a message resumes everybody who waits for one, and they wait again', async () => {
      await page.getByRole('button', { name: 'tell them something' }).click();
      await page.getByText(/[1-9]\d* resumed, answered, and asked again/).waitFor();
    });

    await t.test('all leave: the threads are gone, and the page still gets its feed', async () => {
      await page.getByRole('button', { name: 'all leave' }).first().click();
      await page.locator('#leave-all').click();
      await until('no thread is parked', async () => (await parked(page)) === 0);
      await until(
        'only the thread that tells the page is left',
        async () => (await page.locator('#grid i').count()) === 1,
      );
    });
  });
});
