// A part of the simulated tests, all of whose connections go through TLS, servers' and clients': with the toy engine, and with the records of TLS 1.3. CI runs
// the whole: see docs/testing.md.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Program } from '../support/program.js';
import { chosenTransport, type TransportName } from '../support/transport.js';

const parts: Partial<Record<TransportName, readonly string[]>> = {
  'toy-tls': ['connection/writer', 'http/limits', 'http/closing', 'http/leaving'],
  'tls-records': ['connection/writer', 'http/limits'],
};

for (const [name, files] of Object.entries(parts))
  test(`simulated tests over TLS, ${name}: ${files.join(', ')}`, { skip: chosenTransport !== 'plain' }, async () => {
    const paths = files.map((file) => `build/test/${file}.test.js`);
    const program = new Program([process.execPath, '--expose-gc', '--test', ...paths], {
      env: { SLUICE_TEST_TRANSPORT: name },
    });
    const { code } = await program.ended;
    assert.equal(code, 0, program.output);
    assert.match(program.output, /pass [1-9][0-9]+\n/);
  });
