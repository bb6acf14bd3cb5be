import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { printError } from '#sluice/connection/on-error.js';
import { Response } from '#sluice/http/fetch/response.js';
import { World } from '../support/world.js';

/** What `console.error` is given while something runs. */
async function printedBy(action: () => unknown): Promise<string[]> {
  const error = mock.method(console, 'error', () => {});
  try {
    await action();
  } finally {
    error.mock.restore();
  }
  return error.mock.calls.map((call) => String(call.arguments[0]));
}

test('the default onError prints what a client has sent without its control characters, and on no line of its own', async () => {
  const forged = 'x\x1b[2J\x1b]0;title\x07\x9b31m\u202e\r\nGET /admin: Error: forged\n    at ok (file:1:1)';
  const makers: Record<string, () => unknown> = {
    'in a message': () => new Error(forged),
    'in a message, changed since the stack was made': () => Object.assign(new Error('x'), { message: forged }),
    'in a cause': () => new Error('outer', { cause: new Error(forged) }),
    'in a property': () => Object.assign(new Error('outer'), { [forged]: forged }),
    'in an AggregateError': () => new AggregateError([new Error(forged)], forged),
    'in a name': () => Object.assign(new Error('x'), { name: forged }),
    'in a stack': () => Object.assign(new Error('x'), { stack: forged }),
    'as a string': () => forged,
  };
  for (const [where, make] of Object.entries(makers)) {
    const fetch = () => {
      throw make();
    };
    const world = await World.open({ fetch, onError: undefined });
    const texts = await printedBy(async () => {
      const client = world.exchange('GET /path HTTP/1.1\r\nhost: a\r\n\r\n', 'GET');
      await world.pass();
      await client;
    });
    assert.equal(texts.length, 1, where);
    const [text] = texts;
    assert.match(text, /^GET http:\/\/a\/path: /, where);
    if (/message|cause/.test(where)) assert.match(text, /\\r\\nGET \/admin: Error: forged\\n {4}at ok/, where);
    assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/, where);
    for (const line of text.split('\n').slice(1)) assert.match(line, /^(\s|$)/, where);
    await world.close();
  }
});

test('a line feed in the message of an error is escaped: what follows cannot be taken for its stack', async () => {
  const [text] = await printedBy(() => printError(new TypeError('one\ntwo\r\n    at three')));
  assert.match(text, /^TypeError: one\\ntwo\\r\\n {4}at three\n {4}at /);
});

test('errors are printed with stack, code and cause, values of other kinds as they are', async () => {
  const error = Object.assign(new Error('outer', { cause: new RangeError('inner') }), { code: 'E_CODE' });
  const texts = await printedBy(() => {
    for (const value of [error, 'text', undefined, { a: 1 }]) printError(value);
  });
  assert.match(texts[0], /^Error: outer\n {4}at [\s\S]*code: 'E_CODE'[\s\S]*\[cause\]: RangeError: inner\n/);
  assert.deepEqual(texts.slice(1), ["'text'", 'undefined', '{ a: 1 }']);
});

test('an error is printed up to a limit', async () => {
  const [text] = await printedBy(() => printError(new Error('m'.repeat(1_000_000))));
  assert.ok(text.length < 17_000, `${text.length} characters`);
  assert.match(text, / more characters\)$/);
});

test('a target with a percent sign is printed as it is, and no format', async () => {
  const fetch = () => new Response(null, { headers: { a: '\x01' } });
  const world = await World.open({ fetch, onError: undefined });
  const [text] = await printedBy(async () => {
    const client = world.exchange('GET /%s%d%o HTTP/1.1\r\nhost: a\r\n\r\n', 'GET');
    await world.pass();
    await client;
  });
  assert.match(text, /^GET http:\/\/a\/%s%d%o: ResponseError: the field a is "\\u0001"/);
  await world.close();
});
