// Where Chromium is, and how it is started.

import { existsSync } from 'node:fs';

export const chromiumFlags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export const chromiumPlaces = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
];

/** The browser's program; undefined if there is none. */
export function findChromium(): string | undefined {
  return process.env.CHROMIUM || chromiumPlaces.find((path) => existsSync(path));
}
