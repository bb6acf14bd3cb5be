// A part of the simulated tests, all of whose connections go through the toy TLS, servers' and clients'. CI runs the whole: see docs/testing.md.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Program } from '../support/program.js';
import { chosenTransport } from '../support/transport.js';

const files = ['limits', 'closing', 'leaving', 'incoming-body'].map((name) => `build/test/http/${name}.test.js`);

test('limits, closing, leaving and request bodies of HTTP over TLS', {
  skip: chosenTransport !== 'plain',
}, async () => {
  const program = new Program([process.execPath, '--expose-gc', '--test', ...files], {
    env: { SLUICE_TEST_TRANSPORT: 'toy-tls' },
  });
  const { code } = await program.ended;
  assert.equal(code, 0, program.output);
  assert.match(program.output, /pass [1-9][0-9]+\n/);
});
