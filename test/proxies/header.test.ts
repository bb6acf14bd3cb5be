// The header of the PROXY protocol, byte by byte and as a whole.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProxyHeader } from '#sluice/connection/proxy-protocol/header.js';
import { binaryHeader, tlv } from './headers.js';

const unix = Buffer.alloc(216);
const ipv4 = [192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 0x01, 0xbb];
const ipv6 = Buffer.from(`20010db8${'00'.repeat(11)}01${'00'.repeat(15)}02303901bb`, 'hex');
const mapped = Buffer.from(`${'00'.repeat(10)}ffffc0000201${'00'.repeat(16)}303901bb`, 'hex');
const tlvs = [...tlv(0x04, Buffer.alloc(50)), ...tlv(0x20, Buffer.alloc(1000))];

/** `peer` is undefined where the connection's own address counts. */
const headers: [what: string, header: Uint8Array | string, peer: string | undefined][] = [
  ['version 1, TCP4', 'PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n', '192.0.2.1:12345'],
  ['version 1, TCP6', 'PROXY TCP6 2001:DB8:0::1 ::2 12345 443\r\n', '[2001:db8::1]:12345'],
  ['version 1, TCP6 for IPv4', 'PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 1 2\r\n', '192.0.2.1:1'],
  ['version 1, UNKNOWN', 'PROXY UNKNOWN\r\n', undefined],
  ['version 1, UNKNOWN with more', 'PROXY UNKNOWN ffff:f...f:ffff what ever 65535\r\n', undefined],
  ['version 1, the longest line', `PROXY UNKNOWN ${'x'.repeat(91)}\r\n`, undefined],
  ['version 2, TCP over IPv4', binaryHeader(0x21, 0x11, ipv4), '192.0.2.1:12345'],
  ['version 2, UDP over IPv4', binaryHeader(0x21, 0x12, ipv4), '192.0.2.1:12345'],
  ['version 2, TCP over IPv6', binaryHeader(0x21, 0x21, ipv6), '[2001:db8::1]:12345'],
  ['version 2, IPv6 for IPv4', binaryHeader(0x21, 0x21, mapped), '192.0.2.1:12345'],
  ['version 2, a Unix-domain socket', binaryHeader(0x21, 0x31, unix), ''],
  ['version 2, no family', binaryHeader(0x21, 0x00, []), undefined],
  ['version 2, no family, with more', binaryHeader(0x21, 0x00, Buffer.alloc(7)), undefined],
  ['version 2, LOCAL', binaryHeader(0x20, 0x00, []), undefined],
  ['version 2, LOCAL with addresses', binaryHeader(0x20, 0x11, ipv4), undefined],
  ['version 2, LOCAL with an unknown family', binaryHeader(0x20, 0xff, [1, 2, 3]), undefined],
  ['version 2 with TLVs', binaryHeader(0x21, 0x11, [...ipv4, ...tlvs]), '192.0.2.1:12345'],
  ['version 2, the longest', binaryHeader(0x21, 0x11, [...ipv4, ...Buffer.alloc(16_384 - 28)]), '192.0.2.1:12345'],
];

for (const [what, header, peer] of headers)
  test(`a header of ${what} is read to its last byte and no further, however it is cut`, () => {
    const bytes = Buffer.concat([Buffer.from(header as string, 'latin1'), Buffer.from('GET / HTTP/1.1')]);
    const length = bytes.length - 'GET / HTTP/1.1'.length;
    for (const size of [1, 2, 3, 7, 16, 28, bytes.length]) {
      const read = new ProxyHeader();
      let at = 0;
      while (at < length) {
        assert.equal(read.isComplete, false, `complete after ${at} of ${length}`);
        at = read.push(bytes, at, Math.min(at + size, bytes.length));
      }
      assert.equal(at, length, `in pieces of ${size}`);
      assert.equal(read.isComplete, true);
      assert.equal(read.peer, peer);
    }
  });

const malformed: [what: string, header: Uint8Array | string, at: number][] = [
  ['HTTP', 'GET / HTTP/1.1\r\n', 0],
  ['something that starts alike', 'PUT / HTTP/1.1\r\n', 1],
  ['a TLS handshake', Uint8Array.of(22, 3, 1), 0],
  ['lower case', 'proxy TCP4', 0],
  ['another protocol', 'PROXY TCP5 192.0.2.1 198.51.100.2 1 2\r\n', 38],
  ['a name instead of an address', 'PROXY TCP4 localhost 198.51.100.2 1 2\r\n', 38],
  ['an address of the other family', 'PROXY TCP4 ::1 ::2 1 2\r\n', 23],
  ['an address with a zone', 'PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n', 32],
  ['a port that is too high', 'PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n', 42],
  ['a port with a zero before it', 'PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n', 39],
  ['two spaces', 'PROXY TCP4 192.0.2.1  198.51.100.2 1 2\r\n', 39],
  ['too few parts', 'PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n', 36],
  ['a line feed alone', 'PROXY UNKNOWN\n', 13],
  ['a carriage return alone', 'PROXY UNKNOWN\rx', 14],
  ['a control character', 'PROXY UNKNOWN \0', 14],
  ['a line without an end', `PROXY UNKNOWN ${'x'.repeat(200)}`, 106],
  ['a signature that is wrong at its end', Buffer.from('0d0a0d0a000d0a515549540b', 'hex'), 11],
  ['version 1 in binary', binaryHeader(0x11, 0x11, ipv4), 12],
  ['version 3', binaryHeader(0x31, 0x11, ipv4), 12],
  ['an unknown command', binaryHeader(0x22, 0x11, ipv4), 12],
  ['an unknown family', binaryHeader(0x21, 0x41, ipv4), 13],
  ['an unknown protocol', binaryHeader(0x21, 0x13, ipv4), 13],
  ['too few bytes for the addresses', binaryHeader(0x21, 0x11, ipv4.slice(1)), 15],
  ['too few bytes for those of IPv6', binaryHeader(0x21, 0x21, ipv4), 15],
  ['too few bytes for a path', binaryHeader(0x21, 0x31, ipv4), 15],
  ['a length above the limit', binaryHeader(0x21, 0x11, Buffer.alloc(16_369)), 15],
];

for (const [what, header, at] of malformed)
  test(`${what} in place of a header is refused at byte ${at}`, () => {
    const bytes = Buffer.from(header as string, 'latin1');
    const read = new ProxyHeader();
    read.push(bytes, 0, at);
    assert.equal(read.isComplete, false);
    assert.throws(() => read.push(bytes, at, at + 1), { name: 'ConnectionError', code: 'ERR_PROXY_HEADER' });
  });
