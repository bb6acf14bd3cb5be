// The server name in the first bytes of a client, however they are cut into records, and however wrong they are.

import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { findServerName } from '#sluice/tls/client-hello.js';
import { readFirstBytes } from '#sluice/tls/node/first-bytes.js';

/** What node:tls sends first. */
function helloOf(servername: string): Promise<Buffer> {
  return new Promise((resolve) => {
    const below = new Duplex({ read() {}, write: (bytes: Buffer) => resolve(bytes) });
    connect({ socket: below, servername }).on('error', () => {});
  });
}

const headerBytes = 5;
const hello = await helloOf('Name.Example');
const message = hello.subarray(headerBytes);

/** The same message in records of so many bytes. */
function inRecords(size: number): Buffer {
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(Buffer.of(22, 3, 1, part.length >> 8, part.length & 255), part);
  }
  return Buffer.concat(records);
}

test('the name is found in one record as in many', () => {
  for (const size of [1, 2, 3, 5, 100, 16_384])
    assert.equal(findServerName(inRecords(size))?.serverName, 'name.example', `records of ${size}`);
});

test('the beginning of a ClientHello is incomplete, wherever it is cut', () => {
  for (const records of [hello, inRecords(50)]) {
    for (let length = 0; length < records.length; length++)
      assert.deepEqual(readFirstBytes(records.subarray(0, length)), { is: 'incomplete' }, `${length} bytes`);
    assert.deepEqual(readFirstBytes(records), { is: 'tls', serverName: 'name.example' });
  }
});

test('what is no ClientHello is left to the engine, and HTTP is found', () => {
  const wrongType = Buffer.from(hello);
  wrongType[headerBytes] = 2;
  const unnamed = { is: 'tls', serverName: undefined };
  for (const bytes of [
    wrongType,
    Buffer.from('hello, world'),
    Buffer.of(22, 3, 1, 0, 0),
    Buffer.of(22, 3, 1, 255, 255, 1),
    Buffer.of(23, 3, 3, 0, 1, 0),
    Buffer.concat([Buffer.of(22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff), Buffer.alloc(40_000)]),
  ])
    assert.deepEqual(readFirstBytes(bytes), unnamed, bytes.toString('hex', 0, 10));
  assert.deepEqual(readFirstBytes(Buffer.from('GET / HTTP/1.1')), { is: 'http' });
});

test('a ClientHello that is damaged anywhere gives a name or none, and does not throw', () => {
  for (let at = headerBytes; at < hello.length; at++) {
    for (const byte of [0, 1, 0x7f, 0xff]) {
      const damaged = Buffer.from(hello);
      damaged[at] = byte;
      const first = readFirstBytes(damaged);
      if (first.is === 'tls' && first.serverName !== undefined) assert.match(first.serverName, /^[!-~]+$/);
    }
  }
});
