// The head of a request, read a second time: as a whole, by regular expressions made from the RFCs' grammar. What is executed must
// be well-formed, however it came.

import assert from 'node:assert/strict';

const token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
/** RFC 9112 §3: request-line; §5: field-line. Of the target here only that it has no white space, control character or number sign. */
const head = new RegExp(
  `^(?:\\r\\n)*(${token}) ([^\\x00-\\x20\\x7f#]+) HTTP/1\\.([0-9])\\r\\n((?:${token}:[\\t\\x20-\\x7e\\x80-\\xff]*\\r\\n)*)\\r\\n$`,
);
/** RFC 9110 §7.2 and RFC 3986 §3.2: uri-host, and a port. */
const host = /^(?:\[[0-9a-fA-F:.]+\]|[\w\-.~!$&'()*+,;=%]*)(?::[0-9]*)?$/;

/** @param text Latin-1 @throws {AssertionError} */
export function checkHead(text: string): void {
  const [, method, target, minor, lines] = head.exec(text) ?? [];
  assert.ok(method !== undefined, `executed, though it is no request head: ${JSON.stringify(text)}`);
  const values = new Map<string, string[]>();
  for (const line of lines.split('\r\n').slice(0, -1)) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    values.set(name, [...(values.get(name) ?? []), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')]);
  }
  const all = (name: string): string[] => values.get(name) ?? [];
  const must = (holds: boolean, rule: string) => assert.ok(holds, `executed, against ${rule}: ${JSON.stringify(text)}`);
  const hosts = all('host');
  const lengths = all('content-length');
  const codings = all('transfer-encoding');
  must(hosts.length === 1 || (hosts.length === 0 && minor === '0'), 'RFC 9112 §3.2: one Host field');
  must(
    hosts.every((value) => host.test(value)),
    'RFC 9110 §7.2: a host and a port',
  );
  must(lengths.length <= 1 && lengths.every((value) => /^[0-9]+$/.test(value)), 'RFC 9110 §8.6: one length, of digits');
  must(
    codings.every((value) => value.toLowerCase() === 'chunked'),
    'RFC 9112 §6.1: chunked, and no other coding',
  );
  must(codings.length + lengths.length <= 1, 'RFC 9112 §6.1: one framing');
  must(codings.length === 0 || minor !== '0', 'RFC 9112 §6.1: no transfer coding in HTTP/1.0');
  const expectations = all('expect').flatMap((value) => value.toLowerCase().split(/[ \t]*,[ \t]*/));
  const isKnown = expectations.every((expectation) => expectation === '' || expectation === '100-continue');
  must(minor === '0' || isKnown, 'RFC 9110 §10.1.1: no expectation but 100-continue');
  must(method !== 'CONNECT', 'RFC 9110 §9.3.6: CONNECT is for proxies');
  const isAbsolute = /^https?:\/\/[^/?]+/i.test(target);
  const isAsterisk = target === '*' && method === 'OPTIONS';
  must(target.startsWith('/') || isAbsolute || isAsterisk, 'RFC 9112 §3.2: a form of target for this method');
}
