import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { ThreadBody } from '#sluice/http/fetch/body.js';
import { isOtherResponse } from '#sluice/http/fetch/other-response.js';
import {
  knownLength,
  makeResponse,
  Response,
  responseFields,
  takeContent,
  toPlatformResponse,
} from '#sluice/http/fetch/response.js';
import { captureContext } from '#sluice/threads/context.js';
import { type Classes, outcome, type Probe, platform, same, untyped } from './differential.js';

type Body = ConstructorParameters<Classes['Response']>[0];
type Init = ConstructorParameters<Classes['Response']>[1];
const make = ({ Response }: Classes, body?: unknown, init?: unknown) =>
  new Response(untyped<Body>(body), untyped<Init>(init));
const shape = (response: globalThis.Response) => ({
  status: response.status,
  statusText: response.statusText,
  ok: response.ok,
  type: response.type,
  url: response.url,
  redirected: response.redirected,
  headers: [...response.headers],
  hasBody: response.body !== null,
  bodyUsed: response.bodyUsed,
});
const bytes = (text: string) => new TextEncoder().encode(text);
const streamOf = (...chunks: unknown[]) =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });

describe('Response, beside the platform’s', () => {
  const inits: Record<string, unknown> = {
    undefined: undefined,
    null: null,
    'a number': 5,
    'an empty object': {},
    'a function': () => {},
    ...Object.fromEntries(
      [undefined, null, 0, 101, 199, 200, 201, 204, 205, 304, 599, 600, 200.9, 65736, -1, '201', 'abc', NaN].map(
        (status) => [`status ${typeof status} ${status}`, { status }],
      ),
    ),
    ...Object.fromEntries(
      [undefined, '', 'OK', 'a\tb', 'a\nb', 'a\0', 'é', '€', '\u007f', 5].map((statusText) => [
        `statusText ${JSON.stringify(statusText)}`,
        { statusText },
      ]),
    ),
    'headers null': { headers: null },
    'a bad header': { headers: { 'a b': 'c' } },
    'its own content type': { headers: { 'Content-Type': 'x/y' } },
    'an empty content type': { headers: { 'Content-Type': '' } },
    'repeated headers': {
      headers: [
        ['Set-Cookie', 'a'],
        ['set-cookie', 'b'],
        ['X', '1'],
        ['x', '2'],
      ],
    },
    'another response': new platform.Response('x', { status: 201, statusText: 'Made', headers: { x: 'y' } }),
  };
  for (const [name, init] of Object.entries(inits)) {
    same(`init ${name}`, {
      'without a body': (classes) => shape(make(classes, undefined, init)),
      'with an empty body': (classes) => shape(make(classes, '', init)),
      'with a null body': (classes) => shape(make(classes, null, init)),
    });
  }

  const bodies: Record<string, () => unknown> = {
    nothing: () => undefined,
    null: () => null,
    'an empty string': () => '',
    'a string': () => 'héllo €',
    'a byte order mark': () => '\ufeffabc',
    'a lone surrogate': () => 'a\ud800b\udc00 😀',
    'a string object': () => new String('abc'),
    'a number': () => 5,
    'a boolean': () => false,
    'a symbol': () => Symbol('a'),
    'a plain object': () => ({}),
    'an array': () => [1, 2],
    'an array buffer': () => bytes('abc').buffer,
    'an empty view': () => new Uint8Array(0),
    'bytes in the middle of a buffer': () => bytes('abcdef').subarray(2, 4),
    'a data view': () => new DataView(bytes('abcdef').buffer, 1, 3),
    'wider elements': () => new Uint16Array([0x4142, 0x4344]),
    'a Node buffer': () => Buffer.from('abc'),
    'bytes that are no UTF-8': () => new Uint8Array([0xff, 0x41, 0xef, 0xbb, 0xbf]),
    'search parameters': () => new URLSearchParams('a=b c&d=é'),
    'a blob with a type': () => new Blob(['abc'], { type: 'text/html' }),
    'a blob without one': () => new Blob(['abc']),
    'a stream': () => streamOf(bytes('ab'), bytes('c')),
    'an empty stream': () => streamOf(),
    'a stream of strings': () => streamOf('abc'),
    'a stream that fails': () => new ReadableStream({ start: (controller) => controller.error(new RangeError('no')) }),
    'a locked stream': () => {
      const stream = streamOf(bytes('a'));
      stream.getReader();
      return stream;
    },
    'a cancelled stream': () => {
      const stream = streamOf(bytes('a'));
      void stream.cancel();
      return stream;
    },
    'an async generator': () =>
      (async function* () {
        yield bytes('ab');
        yield bytes('c');
      })(),
    JSON: () => '{"a":[1,"é"]}',
    'JSON behind a byte order mark': () => '\ufeff{"a":1}',
  };
  for (const [name, body] of Object.entries(bodies)) {
    const read =
      (method: 'text' | 'json' | 'arrayBuffer' | 'bytes'): Probe =>
      (classes) =>
        untyped<Record<string, () => unknown>>(make(classes, body()))[method]?.();
    same(`a body of ${name}`, {
      'has the same shape': (classes) => shape(make(classes, body())),
      'has the same text': read('text'),
      'has the same JSON': read('json'),
      'has the same buffer': read('arrayBuffer'),
      'has the same bytes': read('bytes'),
      'has the same blob': async (classes) => {
        const blob = await make(classes, body()).blob();
        return [blob.type, blob.size, await blob.text()];
      },
      'streams the same': async (classes) => {
        const chunks: Uint8Array[] = [];
        for await (const chunk of make(classes, body()).body ?? []) chunks.push(chunk);
        return Buffer.concat(chunks).toString('latin1');
      },
      'is there twice after clone()': async (classes) => {
        const response = make(classes, body(), { status: 201, headers: { x: 'y' } });
        const clone = response.clone();
        return [await clone.text(), await response.text(), shape(clone), shape(response)];
      },
      'cannot be read twice': async (classes) => {
        const response = make(classes, body());
        const first = response.text();
        const used = response.bodyUsed;
        const second = await outcome(() => response.text(), classes);
        return [await first, used, second, response.bodyUsed, response.body?.locked];
      },
      'cannot be cloned once read': async (classes) => {
        const response = make(classes, body());
        await response.text();
        return response.clone().status;
      },
      'is not usable under a reader': async (classes) => {
        const response = make(classes, body());
        response.body?.getReader();
        return [response.bodyUsed, await outcome(() => response.text(), classes)];
      },
      'is used once its stream was read from': async (classes) => {
        const response = make(classes, body());
        const reader = response.body?.getReader();
        const before = response.bodyUsed;
        const reading = reader?.read();
        const during = response.bodyUsed;
        await reading;
        return [before, during, await outcome(() => response.text(), classes)];
      },
      'is used once its stream was cancelled': async (classes) => {
        const response = make(classes, body());
        await response.body?.cancel();
        return response.bodyUsed;
      },
    });
  }

  same('form data', {
    'goes out and in': async (classes) => {
      const form = new FormData();
      form.append('a', 'b');
      form.append('file', new Blob(['content'], { type: 'x/y' }), 'name.txt');
      const response = make(classes, form);
      const type = response.headers.get('content-type')?.replace(/boundary=.*/, 'boundary');
      return [type, ...(await parts(response))];
    },
    'from search parameters': async (classes) => parts(make(classes, new URLSearchParams('a=b&c=d%20e'))),
    'from text': async (classes) => parts(make(classes, 'abc')),
    'from nothing': async (classes) => parts(make(classes)),
  });
  async function parts(response: globalThis.Response): Promise<unknown[]> {
    const form = await response.formData();
    const entries: unknown[] = [];
    for (const [name, value] of form) {
      entries.push(typeof value === 'string' ? [name, value] : [name, value.name, value.type, await value.text()]);
    }
    return entries;
  }

  same('a static', {
    error: ({ Response }) => shape(Response.error()),
    'error, changed': ({ Response }) => Response.error().headers.append('a', 'b'),
    'error, cloned': ({ Response }) => shape(Response.error().clone()),
    redirect: ({ Response }) => shape(Response.redirect('http://a/é b', 301)),
    'redirect by default': ({ Response }) =>
      shape(untyped<(url: string) => globalThis.Response>(Response.redirect)('http://a')),
    'redirect to a relative URL': ({ Response }) => Response.redirect('/a', 302),
    'redirect with another status': ({ Response }) => Response.redirect('http://a', untyped(300)),
    'redirect, changed': ({ Response }) => Response.redirect('http://a', 302).headers.set('a', 'b'),
    'redirect, cloned and changed': ({ Response }) => Response.redirect('http://a', 302).clone().headers.set('a', 'b'),
    'redirect, read': ({ Response }) => Response.redirect('http://a', 302).text(),
    json: async ({ Response }) => {
      const response = Response.json({ a: ['é'] }, { status: 201 });
      return [shape(response), await response.text()];
    },
    'json with a type': ({ Response }) => shape(Response.json(null, { headers: { 'content-type': 'x/y' } })),
    'json of undefined': ({ Response }) => Response.json(undefined),
    'json of nothing': ({ Response }) => Reflect.apply(Response.json, Response, []),
    'json of a function': ({ Response }) => Response.json(() => {}),
    'json of a bigint': ({ Response }) => Response.json(1n),
    'json without content allowed': ({ Response }) => Response.json(1, { status: 204 }),
  });

  same('the class', {
    'called without new': ({ Response }) => Reflect.apply(Response, undefined, []),
    'its name and length': ({ Response }) => [Response.name, Response.length],
    'its tag': (classes) => String(make(classes)),
    'its methods on something else': async ({ Response }) => {
      const methods = [Response.prototype.text, Response.prototype.blob, Response.prototype.json];
      const results = await Promise.allSettled(methods.map((method) => Reflect.apply(method, {}, [])));
      return results.map((result) => result.status === 'rejected' && result.reason.name);
    },
    'the lengths of its functions': ({ Response }) =>
      [Response.json, Response.error, Response.redirect, Response.prototype.clone].map(({ length }) => length),
    'the property of its tag': ({ Response }) =>
      Object.getOwnPropertyDescriptor(Response.prototype, Symbol.toStringTag),
    'its getters on something else': ({ Response }) => Response.prototype.status,
    'as JSON': (classes) => JSON.stringify(make(classes, 'a')),
    'its keys in a loop': (classes) => {
      const keys = new Set<string>();
      for (const key in make(classes)) keys.add(key);
      return ['status', 'headers', 'text', 'clone', 'body'].map((key) => keys.has(key));
    },
    'a subclass': ({ Response }) => {
      class Own extends Response {
        extra = 1;
      }
      const own = new Own('x', { status: 201 });
      return [own.status, own.extra, own instanceof Own, own instanceof Response, new Response() instanceof Own];
    },
    'the clone and the statics of a subclass': ({ Response }) => {
      class Own extends Response {}
      return [new Own().clone() instanceof Own, Own.json(1) instanceof Own, Own.error() instanceof Response];
    },
    'something else': ({ Response }) =>
      [{}, null, 1, undefined, 'a'].map((value) => untyped<object>(value) instanceof Response),
  });

  test('any text is read as the platform reads it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), fc.boolean(), async (text, mark) => {
        const body = mark ? `\ufeff${text}` : text;
        assert.equal(await new Response(body).text(), await new platform.Response(body).text());
        assert.deepEqual(await new Response(body).arrayBuffer(), await new platform.Response(body).arrayBuffer());
      }),
    );
  });
});

describe('Response, as user code sees it', () => {
  test('bytes are copied when the response is made', async () => {
    const given = bytes('abc');
    const fromView = new Response(given);
    const fromBuffer = new Response(given.buffer);
    given.fill(0);
    assert.equal(await fromView.text(), 'abc');
    assert.equal(await fromBuffer.text(), 'abc');
  });

  test('one byte order mark is removed, not two, as the standard has it and Node has not', async () => {
    assert.equal(await new Response('\ufeff\ufeffa').text(), '\ufeffa');
    assert.equal(await new Response(bytes('\ufeff\ufeffa')).text(), '\ufeffa');
  });

  test('the buffers of a response and of its clone are two', async () => {
    const response = new Response(bytes('abc'));
    const clone = response.clone();
    new Uint8Array(await response.arrayBuffer()).fill(0);
    assert.equal(await clone.text(), 'abc');
  });

  test('the chunks of a clone’s stream are copies, made before one of the two is read', async () => {
    const given = bytes('abc');
    const response = new Response(streamOf(given));
    const clone = response.clone();
    const { value } = (await response.body?.getReader().read()) ?? {};
    assert.equal(value, given);
    given.fill(0);
    assert.equal(await clone.text(), 'abc');
    const odd = new Response(streamOf({ a: 1 }));
    const [kept, copied] = [odd, odd.clone()].map(({ body }) => body?.getReader().read());
    assert.deepEqual(await copied, { value: { a: 1 }, done: false });
    assert.notEqual((await copied)?.value, (await kept)?.value);
    const fails = new Response(streamOf(() => {}));
    const both = [fails.clone(), fails].map((each) => each.text());
    for (const { status } of await Promise.allSettled(both)) assert.equal(status, 'rejected');
  });

  test('changing the headers of a clone does not change the original', () => {
    const response = new Response('a', { headers: { a: '1' } });
    const clone = response.clone();
    clone.headers.set('a', '2');
    assert.equal(response.headers.get('a'), '1');
  });

  test('body is one stream, with BYOB readers where the content was given whole', async () => {
    const response = new Response('abc');
    assert.equal(response.body, response.body);
    const reader = response.body?.getReader({ mode: 'byob' });
    assert.deepEqual(await reader?.read(new Uint8Array(8)), { value: bytes('abc'), done: false });
    assert.equal((await reader?.read(new Uint8Array(8)))?.done, true);
  });

  test('the platform makes its own response of the body of a light one', async () => {
    const response = new Response('abc');
    assert.equal(await new platform.Response(untyped<Body>(response.body)).text(), 'abc');
    assert.equal(response.bodyUsed, true);
  });

  test('a response rewritten by middleware keeps body, status and headers', async () => {
    const inner = new Response('abc', { status: 201, headers: { a: '1' } });
    const outer = new Response(inner.body, inner);
    outer.headers.set('b', '2');
    assert.deepEqual([outer.status, [...outer.headers.keys()]], [201, ['a', 'b', 'content-type']]);
    assert.equal(await outer.text(), 'abc');
  });

  test('textStream gives decoded text, and marks the body as used', async () => {
    const response = new Response('h€llo');
    let text = '';
    for await (const part of response.textStream()) text += part;
    assert.deepEqual([text, response.bodyUsed], ['h€llo', true]);
    assert.throws(() => response.textStream(), TypeError);
    for await (const part of new Response().textStream()) assert.fail(part);
  });

  test('a light response is an instance of the platform’s class, and the other way round', () => {
    const heavy = new platform.Response();
    assert.ok(new Response() instanceof platform.Response);
    assert.ok(heavy instanceof Response);
    assert.ok(new Response().headers instanceof platform.Headers);
    class Own extends Response {}
    assert.ok(new Own() instanceof platform.Response);
    assert.ok(!(heavy instanceof Own));
  });

  test('no member of the platform’s prototype is reached with a light instance', () => {
    const response = new Response('a');
    for (const key of Reflect.ownKeys(platform.Response.prototype)) {
      assert.doesNotThrow(() => Reflect.get(response, key), String(key));
    }
  });

  test('it fits where the platform’s type is asked for', () => {
    const handler: (request: globalThis.Request) => globalThis.Response = () => new Response('a');
    assert.equal(handler(new platform.Request('http://localhost/')).status, 200);
  });

  test('a subclass may have statics of its own, with the parameters that it wants', async () => {
    class Own extends Response {
      static override json<T>(data: T, init?: { status?: number }): Response {
        return Response.json({ data }, init);
      }

      static override redirect(url: string): Response {
        return Response.redirect(url, 307);
      }
    }
    assert.deepEqual(await Own.json(1).json(), { data: 1 });
    assert.equal(Own.redirect('http://a/').status, 307);
  });

  test('printing it shows status and headers, and does not touch the body', () => {
    const response = new Response('a', { status: 201, headers: { a: 'b' } });
    const printed = inspect(response);
    assert.match(printed, /^Response \{/);
    assert.match(printed, /status: 201/);
    assert.match(printed, /a: 'b'/);
    assert.match(printed, /body: ReadableStream \{ not opened yet \}/);
    assert.equal(takeContent(response), 'a');
  });
});

describe('Response, as the sender sees it', () => {
  test('the content is what was given: text stays text', () => {
    const response = new Response('hello', { headers: { 'Content-Type': 'text/plain' } });
    assert.deepEqual(responseFields(response), ['content-type', 'text/plain']);
    assert.equal(takeContent(response), 'hello');
    assert.equal(response.bodyUsed, true);
  });

  test('bytes stay bytes, with a known length; a blob has a known length too', () => {
    const response = new Response(bytes('abc'));
    assert.equal(knownLength(response), 3);
    assert.deepEqual(takeContent(response), bytes('abc'));
    const blob = new Response(new Blob(['abcd']));
    assert.equal(knownLength(blob), 4);
    assert.ok(takeContent(blob) instanceof ReadableStream);
    assert.equal(knownLength(new Response('abc')), undefined);
  });

  test('a null body can be taken any number of times', () => {
    const response = new Response(null, { status: 204 });
    assert.equal(takeContent(response), null);
    assert.equal(takeContent(response), null);
    assert.equal(response.bodyUsed, false);
  });

  test('content that was read, taken or locked cannot be taken', async () => {
    const taken = new Response('a');
    takeContent(taken);
    assert.throws(() => takeContent(taken), TypeError);
    await assert.rejects(taken.text(), TypeError);
    assert.equal(taken.body?.locked, true);
    const read = new Response('a');
    void read.text();
    assert.throws(() => takeContent(read), TypeError);
    const locked = new Response('a');
    locked.body?.getReader();
    assert.throws(() => takeContent(locked), TypeError);
  });

  test('content whose stream was not read is the content still, also of a response made of the stream', () => {
    for (const [made, content, length] of [
      ['a', 'a', undefined],
      [bytes('abc'), bytes('abc'), 3],
    ]) {
      const response = new Response(made as string);
      const other = new Response(response.body, response);
      assert.equal(knownLength(other), length);
      assert.deepEqual(takeContent(other), content);
      assert.deepEqual([response.bodyUsed, other.bodyUsed, response.body?.locked], [true, true, true]);
      assert.throws(() => takeContent(response), TypeError);
    }
  });

  test('a stream that was read from is the content', async () => {
    const { body } = new Response('a');
    const reader = body?.getReader();
    reader?.releaseLock();
    const response = new Response(body);
    assert.equal(takeContent(response), 'a');
    assert.throws(() => new Response(body), TypeError);
  });

  test('form data comes as a stream with its content type', async () => {
    const form = new FormData();
    form.append('a', 'b');
    const response = new Response(form);
    assert.match(responseFields(response)[1] ?? '', /^multipart\/form-data; boundary=/);
    const content = takeContent(response);
    assert.ok(content instanceof ReadableStream);
    assert.match(await new platform.Response(untyped<Body>(content)).text(), /name="a"/);
  });

  test('changes through headers are in the fields, at any time', () => {
    const response = new Response('a');
    const fields = responseFields(response);
    response.headers.set('x-a', '1');
    response.headers.delete('content-type');
    assert.deepEqual(responseFields(response), ['x-a', '1']);
    assert.equal(responseFields(response), fields);
  });

  test('a response of another implementation is taken for one of the platform’s, if its body can be read', () => {
    class Other {
      readonly [Symbol.toStringTag] = 'Response';
      readonly body: unknown;
      constructor(body: unknown) {
        this.body = body;
      }
    }
    assert.equal(isOtherResponse(new Other(null)), true);
    assert.equal(isOtherResponse(new Other(new ReadableStream())), true);
    assert.equal(isOtherResponse(new Other(Readable.from(['text']))), true);
    for (const body of [undefined, 'text', {}]) assert.equal(isOtherResponse(new Other(body)), false);
    const members = { status: 200, headers: new Map(), body: null };
    assert.equal(isOtherResponse(members), true);
    for (const wrong of [{ status: '200' }, { headers: {} }, { headers: [] }, { body: 'text' }])
      assert.equal(isOtherResponse({ ...members, ...wrong }), false);
  });

  test('the platform’s own is a platform response; ours is none, nor is what is no response', () => {
    class Own extends platform.Response {}
    assert.equal(isOtherResponse(new platform.Response()), true);
    assert.equal(isOtherResponse(new Own()), true);
    for (const other of [new Response(), {}, null, 'a', undefined]) assert.equal(isOtherResponse(other), false);
  });

  test('toPlatformResponse hands everything over', async () => {
    const response = new Response('abc', { status: 201, statusText: 'Made', headers: { a: 'b' } });
    const heavy = toPlatformResponse(response);
    assert.equal(isOtherResponse(heavy), true);
    assert.deepEqual([heavy.status, heavy.statusText, heavy.headers.get('a')], [201, 'Made', 'b']);
    assert.equal(await heavy.text(), 'abc');
    assert.equal(response.bodyUsed, true);
    assert.equal(toPlatformResponse(Response.error()).type, 'error');
  });
});

describe('A response whose body is a thread', () => {
  function* start() {}
  const thread = () => {
    const opened: string[] = [];
    const body = new ThreadBody(start, captureContext(), () => {
      opened.push('opened');
      return streamOf(bytes('from '), bytes('a thread'));
    });
    return { opened, response: makeResponse(body, { status: 201, headers: { 'content-type': 'text/event-stream' } }) };
  };

  test('the sender gets the thread itself, and no stream is made', () => {
    const { opened, response } = thread();
    const content = takeContent(response);
    assert.ok(content instanceof ThreadBody);
    assert.equal(content.start, start);
    assert.deepEqual([response.status, responseFields(response)], [201, ['content-type', 'text/event-stream']]);
    assert.deepEqual(opened, []);
  });

  test('user code can read it, clone it and wrap it', async () => {
    assert.equal(await thread().response.text(), 'from a thread');
    const { opened, response } = thread();
    const clone = response.clone();
    assert.deepEqual([await response.text(), await clone.text()], ['from a thread', 'from a thread']);
    assert.deepEqual(opened, ['opened']);
    const wrapped = new Response(thread().response.body, { status: 202 });
    assert.ok(takeContent(wrapped) instanceof ThreadBody);
  });

  test('it brings no content type of its own, and may have a status without content: the sender cancels the body', () => {
    const body = new ThreadBody(start, captureContext(), () => streamOf());
    assert.deepEqual(responseFields(makeResponse(body)), []);
    const response = makeResponse(body, { status: 304 });
    assert.equal(response.status, 304);
    assert.equal(takeContent(response), body);
    assert.throws(() => makeResponse('text', { status: 304 }), TypeError);
  });

  test('makeResponse takes text and bytes as they are', () => {
    const content = bytes('abc');
    assert.equal(takeContent(makeResponse(content)), content);
    assert.equal(takeContent(makeResponse('abc')), 'abc');
    assert.equal(takeContent(makeResponse(null)), null);
  });
});
