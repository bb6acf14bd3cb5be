// Chromium, by playwright-core: a page whose script uses fetch, a WebSocket and an EventSource over TLS.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { chromiumFlags, findChromium } from '../../build/test/browser/chromium.js';

/** The browser's program; undefined if there is none. */
export const chromiumProgram = findChromium();

/** @param version of TLS @returns what was seen */
export async function tryChromium(port, version) {
  const profile = mkdtempSync(join(tmpdir(), 'tls-clients-chromium-'));
  // The authority of this script is not one that the browser trusts.
  const args = [
    ...chromiumFlags,
    '--ignore-certificate-errors',
    ...(version === 'TLSv1.2' ? ['--ssl-version-max=tls1.2'] : []),
  ];
  const options = { executablePath: chromiumProgram, args, ignoreHTTPSErrors: true };
  const browser = await chromium.launchPersistentContext(profile, options);
  try {
    const page = browser.pages()[0] ?? (await browser.newPage());
    page.setDefaultTimeout(15_000);
    const response = await page.goto(`https://localhost:${port}/page`);
    const { protocol } = await response.securityDetails();
    const seen = await page.evaluate(() => globalThis.tryAll());
    const again = await page.evaluate(async () => await (await fetch('/')).json());
    const expected = {
      protocol: version.replace('v', ' '),
      get: { ...seen.get, method: 'GET', protocol: version },
      post: '1048576 bytes, sum 23280\n',
      large: 2 ** 20,
      stream: 'one two three\n',
      webSocket: 'hello',
      events: ['event 1', 'event 2', 'event 3'],
    };
    const found = { protocol, ...seen };
    if (JSON.stringify(found) !== JSON.stringify(expected)) throw new Error(`seen: ${JSON.stringify(found)}`);
    if (again.method !== 'GET') throw new Error(`seen then: ${JSON.stringify(again)}`);
    return `${seen.get.cipher}: GET, POST, 1 MiB, stream, WebSocket, EventSource`;
  } finally {
    await browser.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
