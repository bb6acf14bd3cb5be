// examples/https, with a module in place of acme-client that asks for what an authority asks for, and has certificates at hand.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { signed } from '../support/certificates.js';
import { open } from '../support/tls-clients.js';
import { Example, occupiedPort } from './example.js';

const day = 86_400_000;

test('the example for https gets a certificate, renews it in time, and serves the new one without a restart', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-acme-'));
  const { port, free } = await occupiedPort();
  free();
  const [first, second] = [10, 80].map((days) =>
    signed(['localhost', `for-${days}-days`], { to: Date.now() + days * day }),
  );
  const client = path.join(folder, 'client.mjs');
  const go = path.join(folder, 'go');
  writeFileSync(
    client,
    `import { existsSync } from 'node:fs';
    const certificates = ${JSON.stringify([first, second])};
    export class Client {
      async auto({ challengeCreateFn, challengeRemoveFn }) {
        // The second one, once the first has been seen.
        while (certificates.length === 1 && !existsSync(${JSON.stringify(go)})) await new Promise((later) => setTimeout(later, 10));
        await challengeCreateFn({}, { token: 'question' }, 'answer');
        const response = await fetch('http://127.0.0.1:${port}/.well-known/acme-challenge/question');
        if ((await response.text()) !== 'answer') throw new Error('not answered');
        await challengeRemoveFn({}, { token: 'question' });
        return certificates.shift().cert;
      }
    }
    export const crypto = {
      createPrivateEcdsaKey: async () => Buffer.from(certificates[0].key),
      createCsr: async (_, key) => [key, Buffer.alloc(0)],
    };`,
  );
  const env = { NAMES: 'localhost', FOLDER: folder, HTTP_PORT: String(port), HTTPS_PORT: '0', HOST: '127.0.0.1' };
  const example = new Example('https/main.js', { ...env, ACME_CLIENT: pathToFileURL(client).href, CHECK_EVERY: '20' });
  try {
    const address = await example.address();
    const names = async () => {
      const socket = await open(Number(address.split(':')[1]));
      const { subjectaltname } = socket.getPeerCertificate();
      socket.destroy();
      return subjectaltname;
    };
    assert.match((await names()) ?? '', /for-10-days/);
    writeFileSync(go, '');
    const redirect = await fetch(`http://127.0.0.1:${port}/a?b`, { redirect: 'manual' });
    assert.deepEqual([redirect.status, redirect.headers.get('location')], [308, 'https://127.0.0.1/a?b']);
    await example.printed(/the certificate has been renewed/);
    assert.match((await names()) ?? '', /for-80-days/);
    await example.stop();
    assert.equal(example.stderr, '');
  } finally {
    example.kill();
    rmSync(folder, { recursive: true });
  }
});
