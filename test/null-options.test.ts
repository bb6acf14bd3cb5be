// Options that are objects are refused by name where null or an array is given, whatever they are an option of.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { connect, connectWebSocket, events, listen, run, serve, topic } from '#sluice/index.js';

const request = new Request('http://a/');
const fetch = () => new Response();
const given: Record<string, (value: never) => unknown> = {
  'serve: websocket': (websocket) => serve({ port: 0, fetch, websocket }),
  'serve: tls': (tls) => serve({ port: 0, fetch, tls }),
  'listen: tls': (tls) => listen({ port: 0, tls }, function* () {}),
  'connect: tls': (tls) => run(() => connect({ port: 1, tls })),
  'connectWebSocket: tls': (tls) => run(() => connectWebSocket('wss://127.0.0.1:1/', { tls })),
  'connectWebSocket: perMessageDeflate': (perMessageDeflate) =>
    run(() => connectWebSocket('ws://127.0.0.1:1/', { perMessageDeflate })),
  'topic: history': (history) => topic('a', { history }),
  serve: (options) => serve(options),
  listen: (options) => listen(options, function* () {}),
  connect: (options) => run(() => connect(options)),
  connectWebSocket: (options) => run(() => connectWebSocket('ws://127.0.0.1:1/', options)),
  topic: (options) => topic('a', options),
  publish: (options) => topic('a').publish('x', options),
  subscribe: (options) => topic('a').subscribe(options),
  events: (options) => events(request, function* () {}, options),
};

for (const [where, give] of Object.entries(given))
  it(`${where} is refused where it is null, or an array`, async () => {
    const name = where.includes(':') ? `${where} is` : `${where}: the options are`;
    for (const [value, shown] of [
      [null, 'null'],
      [[], '(?:\\[object Array\\]|an empty array)'],
    ])
      await assert.rejects(
        async () => give(value as never),
        (error: Error) => new RegExp(`^TypeError: ${name} ${shown}; expected `).test(String(error)),
      );
  });

it('headers are refused where they are null, a string or a number; pairs are taken', () => {
  for (const [value, shown] of [
    [null, 'null'],
    ['x', '"x"'],
    [5, '5'],
  ])
    assert.throws(() => events(request, function* () {}, { headers: value as never }), {
      message: `events: headers is ${shown}; expected an object of names and values, pairs, or Headers`,
    });
  assert.equal(events(request, function* () {}, { headers: [['a', 'b']] }).headers.get('a'), 'b');
});
