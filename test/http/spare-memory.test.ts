// The memory of a large body is used again when its response has been sent: nothing that handlers still have may change by that.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Response } from '#sluice/http/fetch/response.js';
import { get, World } from '../support/world.js';

// A block as a whole, and one that is filled in part.
for (const size of [2 ** 17, 100_000])
  test(`what a handler keeps of a body of ${size} bytes stays as it is after the response has been sent`, async () => {
    const kept: Response[] = [];
    let read = new Uint8Array();
    const world = new World({ pieces: 'whole' });
    await world.serve({
      async fetch() {
        const response = new Response(new Uint8Array(size).fill(kept.length + 1));
        const clone = response.clone();
        kept.push(response.clone());
        read = new Uint8Array(await clone.arrayBuffer());
        return response;
      },
    });
    const exchanged = world.exchange(get('/') + get('/') + get('/', 'connection: close'));
    await world.pass();
    const { responses } = await exchanged;
    assert.deepEqual(
      responses.map(({ body }) => [body.length, new Set(body)]),
      [1, 2, 3].map((byte) => [size, new Set(String.fromCharCode(byte))]),
    );
    assert.deepEqual(read, new Uint8Array(size).fill(3));
    for (const [i, response] of kept.entries())
      assert.deepEqual(new Uint8Array(await response.arrayBuffer()), new Uint8Array(size).fill(i + 1));
    await world.close();
  });
