import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  internetName,
  isPath,
  parseName,
  unixName,
} from '#sluice/event-layer/linux/addresses.js';

/** The address and the port of what the kernel is given. */
function told(host: string, port = 0): string {
  const { bytes } = internetName(host, port);
  return Buffer.from(bytes).toString('hex');
}

const port = fc.integer({ min: 0, max: 65_535 });

describe('an IPv4 address', () => {
  it('is a sockaddr_in: family, port and address, the latter two with the high byte first', () => {
    assert.deepEqual(internetName('127.0.0.1', 8080), {
      family: AF_INET,
      bytes: Uint8Array.of(2, 0, 0x1f, 0x90, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0),
    });
  });

  it('comes back as it went', () => {
    fc.assert(
      fc.property(fc.ipV4(), port, (hostname, number) => {
        assert.deepEqual(parseName(internetName(hostname, number).bytes), { hostname, port: number });
      }),
    );
  });
});

describe('an IPv6 address', () => {
  it('is a sockaddr_in6: family, port, flow, address, scope', () => {
    const { family, bytes } = internetName('2001:db8::1', 443);
    assert.equal(family, AF_INET6);
    assert.equal(
      Buffer.from(bytes).toString('hex'),
      '0a0001bb' + '00000000' + '20010db8000000000000000000000001' + '00000000',
    );
  });

  for (const [spelling, address] of [
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['1::', '00010000000000000000000000000000'],
    ['1::8', '00010000000000000000000000000008'],
    ['1:2:3:4:5:6:7::', '00010002000300040005000600070000'],
    ['::2:3:4:5:6:7:8', '00000002000300040005000600070008'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['0001:0002:0003:0004:0005:0006:0007:0008', '00010002000300040005000600070008'],
    ['FE80::ABCD:EF01', 'fe8000000000000000000000abcdef01'],
    ['::1.2.3.4', '00000000000000000000000001020304'],
    ['::ffff:1.2.3.4', '00000000000000000000ffff01020304'],
    ['::ffff:102:304', '00000000000000000000ffff01020304'],
    ['64:ff9b::255.254.253.252', '0064ff9b0000000000000000fffefdfc'],
    ['1:2:3:4:5:6:1.2.3.4', '00010002000300040005000601020304'],
    ['::0.0.0.9', '00000000000000000000000000000009'],
  ] as const) {
    it(`is understood as it may be spelt: ${spelling}`, () => {
      assert.equal(told(spelling).slice(16, 48), address);
    });
  }

  it('that stands for one of IPv4 is shown as that', () => {
    assert.deepEqual(parseName(internetName('::ffff:1.2.3.4', 5).bytes), { hostname: '1.2.3.4', port: 5 });
    assert.deepEqual(parseName(internetName('::ffff:ffff:ffff', 5).bytes), { hostname: '255.255.255.255', port: 5 });
    assert.deepEqual(parseName(internetName('::fffe:1.2.3.4', 5).bytes), { hostname: '::fffe:102:304', port: 5 });
  });

  it('comes back as the same address, however it was spelt', () => {
    fc.assert(
      fc.property(fc.ipV6(), port, (hostname, number) => {
        const { bytes } = internetName(hostname, number);
        const parsed = parseName(bytes) ?? assert.fail('no name');
        assert.equal(parsed.port, number);
        if (parsed.hostname.includes(':')) {
          assert.deepEqual(internetName(parsed.hostname, number).bytes, bytes);
        } else {
          assert.deepEqual(internetName(`::ffff:${parsed.hostname}`, number).bytes, bytes);
        }
      }),
    );
  });

  it('may have a zone, by number or by the name of an interface', () => {
    assert.equal(told('fe80::1%3').slice(48), '03000000');
    assert.equal(told('fe80::1%258').slice(48), '02010000');
    for (const [name, addresses] of Object.entries(networkInterfaces())) {
      const own = addresses?.find(({ family }) => family === 'IPv6');
      if (own?.family !== 'IPv6' || own.scopeid === 0) continue;
      const { bytes } = internetName(`fe80::1%${name}`, 0);
      assert.equal(new DataView(bytes.buffer).getUint32(24, true), own.scopeid);
    }
  });

  it('with a zone that there is not fails, and says so', () => {
    for (const zone of ['nosuch0', '0', '-1', '1.5']) {
      assert.throws(() => internetName(`fe80::1%${zone}`, 80), {
        code: 'ERR_ADDRESS',
        message: `[fe80::1%${zone}]:80: the zone is ${zone}; expected an interface's name or number`,
      });
    }
  });
});

describe('what is no address', () => {
  it('fails for a host that is a name, or nothing', () => {
    for (const host of ['localhost', '', '1.2.3', '1.2.3.256', '01.2.3.4', '1::2::3', ':1', '[::1]', '1:2:3:4:5:6:7']) {
      assert.throws(() => internetName(host, 80), { code: 'ERR_ADDRESS', message: /the host is no IP address$/ }, host);
    }
  });

  it('fails for a port that is none', () => {
    for (const number of [-1, 65_536, 1.5, Number.NaN, Infinity]) {
      assert.throws(() => internetName('127.0.0.1', number), {
        code: 'ERR_ADDRESS',
        message: `127.0.0.1:${number}: the port is ${number}; expected a whole number from 0 to 65535`,
      });
    }
  });
});

describe('the path of a socket', () => {
  it('is a sockaddr_un: the family, the path in UTF-8, a zero', () => {
    const { family, bytes } = unixName('/tmp/ä');
    assert.equal(family, AF_UNIX);
    assert.deepEqual(Buffer.from(bytes), Buffer.from('\x01\0/tmp/\xc3\xa4\0', 'latin1'));
  });

  it('may have 107 bytes, which need not be as many characters, and no more', () => {
    assert.equal(unixName('x'.repeat(107)).bytes.length, 110);
    for (const path of ['x'.repeat(108), 'ä'.repeat(54)]) {
      assert.throws(() => unixName(path), {
        code: 'ENAMETOOLONG',
        message: `${path}: the path of a Unix-domain socket has 108 bytes; at most 107 are possible`,
      });
    }
  });

  it('has no zero byte, with which it would end, or be a name without a file', () => {
    for (const path of ['\0abstract', '/tmp/a\0b']) {
      assert.throws(() => unixName(path), { code: 'ERR_ADDRESS', message: /"[^"]*\\u0000[^"]*".*a zero byte$/ });
    }
  });

  it('is no internet address', () => {
    assert.equal(parseName(unixName('/tmp/a').bytes), undefined);
    assert.ok(isPath({ path: '/tmp/a' }));
    assert.ok(!isPath({ hostname: '::', port: 1 }));
  });
});
