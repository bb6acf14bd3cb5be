import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import {
  type IncomingBody,
  isLightRequest,
  Request,
  type RequestSource,
  requestFrom,
  toPlatformRequest,
} from '#sluice/http/fetch/request.js';
import { Response } from '#sluice/http/fetch/response.js';
import { type Classes, outcome, platform, same, untyped } from './differential.js';

type Init = ConstructorParameters<Classes['Request']>[1];
const URL_HERE = 'http://localhost:8080/a?b=c';
const make = ({ Request }: Classes, input: unknown, init?: unknown) =>
  new Request(untyped<string>(input), untyped<Init>(init));
const shape = (request: globalThis.Request) => ({
  method: request.method,
  url: request.url,
  headers: [...request.headers],
  destination: request.destination,
  referrer: request.referrer,
  referrerPolicy: request.referrerPolicy,
  mode: request.mode,
  credentials: request.credentials,
  cache: request.cache,
  redirect: request.redirect,
  integrity: request.integrity,
  keepalive: request.keepalive,
  duplex: request.duplex,
  aborted: request.signal.aborted,
  hasBody: request.body !== null,
  bodyUsed: request.bodyUsed,
});
const streamOf = (text: string) => new Blob([text]).stream();

describe('Request, beside the platform’s', () => {
  const inputs: Record<string, [input: unknown, init?: () => unknown]> = {
    'a string': [URL_HERE],
    'a URL': [new URL(URL_HERE)],
    'a relative URL': ['/a'],
    'a URL with a fragment': ['http://localhost/a#b'],
    'a URL with credentials': ['http://user:secret@localhost/'],
    undefined: [undefined],
    'an object': [{ url: URL_HERE }],
    'null as init': [URL_HERE, () => null],
    'a number as init': [URL_HERE, () => 1],
    headers: [URL_HERE, () => ({ headers: { A: 'b', Cookie: 'c=d' } })],
    'a lower-case method': [URL_HERE, () => ({ method: 'post' })],
    'a method of its own': [URL_HERE, () => ({ method: 'PURGE' })],
    'a forbidden method': [URL_HERE, () => ({ method: 'TRACE' })],
    'a bad method': [URL_HERE, () => ({ method: 'a b' })],
    'a body with GET': [URL_HERE, () => ({ body: 'x' })],
    'a text body': [URL_HERE, () => ({ method: 'POST', body: 'x' })],
    'bytes as body': [URL_HERE, () => ({ method: 'POST', body: new Uint8Array([1, 2]) })],
    'parameters as body': [URL_HERE, () => ({ method: 'PUT', body: new URLSearchParams('a=b') })],
    'a stream without duplex': [URL_HERE, () => ({ method: 'POST', body: streamOf('x') })],
    'a stream with duplex': [URL_HERE, () => ({ method: 'POST', body: streamOf('x'), duplex: 'half' })],
    'all the rest': [
      URL_HERE,
      () => ({
        ...{ keepalive: true, cache: 'no-store', credentials: 'omit', redirect: 'manual', integrity: 'x' },
        ...{ referrer: '', referrerPolicy: 'origin', mode: 'same-origin' },
      }),
    ],
    'a bad mode': [URL_HERE, () => ({ mode: 'navigate' })],
    'an aborted signal': [URL_HERE, () => ({ signal: AbortSignal.abort() })],
    'no signal at all': [URL_HERE, () => ({ signal: {} })],
  };
  for (const [name, [input, init]] of Object.entries(inputs)) {
    same(`from ${name}`, {
      'has the same shape': (classes) => shape(make(classes, input, init?.())),
      'has the same text': (classes) => make(classes, input, init?.()).text(),
      'gives the same request when it is made again': (classes) => shape(make(classes, make(classes, input, init?.()))),
    });
  }

  const post = (classes: Classes) => make(classes, URL_HERE, { method: 'POST', body: 'hi', headers: { a: 'b' } });
  same('a request made from another', {
    'takes the body over': async (classes) => {
      const first = post(classes);
      const second = make(classes, first);
      return [first.bodyUsed, await second.text(), await outcome(() => first.text(), classes), shape(second)];
    },
    'with a body of its own leaves the first alone': async (classes) => {
      const first = post(classes);
      const second = make(classes, first, { body: 'yo' });
      return [first.bodyUsed, await second.text(), await first.text()];
    },
    'whose body was read': async (classes) => {
      const first = post(classes);
      await first.text();
      return make(classes, first);
    },
    'whose body was read, with a new one': async (classes) => {
      const first = post(classes);
      await first.text();
      return make(classes, first, { body: 'x' }).text();
    },
    'whose body is locked': (classes) => {
      const first = post(classes);
      first.body?.getReader();
      return make(classes, first);
    },
    'as GET': (classes) => make(classes, post(classes), { method: 'GET' }),
    'replaces headers': (classes) => [...make(classes, post(classes), { headers: { c: 'd' } }).headers],
    'with headers that were changed': (classes) => {
      const first = post(classes);
      first.headers.set('a', 'changed');
      return [...make(classes, first).headers];
    },
    'after clone()': async (classes) => {
      const first = post(classes);
      const clone = first.clone();
      return [await make(classes, first).text(), await clone.text(), shape(clone)];
    },
    'as the init of a new URL': async (classes) => {
      const first = post(classes);
      const second = make(classes, 'http://other/', first);
      return [second.url, second.method, second.headers.get('a'), await second.text(), first.bodyUsed];
    },
    'follows its signal': (classes) => {
      const controller = new AbortController();
      const second = make(classes, make(classes, URL_HERE, { signal: controller.signal }));
      controller.abort(new RangeError('left'));
      return [second.signal.aborted, second.signal.reason.name];
    },
    'the signal of a clone': (classes) => {
      const controller = new AbortController();
      const first = make(classes, URL_HERE, { signal: controller.signal });
      const clone = first.clone();
      const { signal } = clone;
      const seen = [clone.signal === signal, signal === first.signal, signal.aborted];
      controller.abort(new RangeError('left'));
      const late = first.clone().clone().signal;
      return [...seen, clone.signal.aborted, clone.signal.reason.name, late.aborted];
    },
    'without its signal': (classes) => {
      const controller = new AbortController();
      const second = make(classes, make(classes, URL_HERE, { signal: controller.signal }), { signal: null });
      controller.abort();
      return second.signal.aborted;
    },
    'keeps what was set on the first': (classes) => {
      const first = make(classes, URL_HERE, {
        redirect: 'error',
        referrer: '',
        referrerPolicy: 'origin',
        cache: 'no-store',
      });
      return [shape(make(classes, first)), shape(make(classes, first, { headers: { a: 'b' } }))];
    },
  });

  same('the class', {
    'its name and length': ({ Request }) => [Request.name, Request.length],
    'its tag': (classes) => String(make(classes, URL_HERE)),
    'a getter on something else': ({ Request }) => Request.prototype.url,
    'a subclass': ({ Request }) => {
      class Own extends Request {}
      const own = new Own(URL_HERE);
      return [own.url, own instanceof Own, own instanceof Request, new Request(URL_HERE) instanceof Own];
    },
  });
});

/** A source that records what was asked of it. */
class Received implements RequestSource {
  readonly asked: string[] = [];
  readonly controller = new AbortController();
  readonly #method: string;
  readonly #fields: string[];
  readonly #body: IncomingBody | null;

  constructor(method: string, fields: string[] = [], body: IncomingBody | null = null) {
    this.#method = method;
    this.#fields = fields;
    this.#body = body;
  }
  get method() {
    this.asked.push('method');
    return this.#method;
  }
  get url() {
    this.asked.push('url');
    return URL_HERE;
  }
  get fields() {
    this.asked.push('fields');
    return this.#fields;
  }
  get body() {
    this.asked.push('body');
    return this.#body;
  }
  get signal() {
    this.asked.push('signal');
    return this.controller.signal;
  }
}

function incoming(text: string | Error): IncomingBody & { calls: string[] } {
  const calls: string[] = [];
  return {
    calls,
    get used() {
      return calls.length > 0;
    },
    async bytes() {
      calls.push('bytes');
      if (text instanceof Error) throw text;
      return new TextEncoder().encode(text);
    },
    stream() {
      calls.push('stream');
      return new ReadableStream<Uint8Array>({
        start(controller) {
          if (text instanceof Error) return controller.error(text);
          for (const char of text) controller.enqueue(new TextEncoder().encode(char));
          controller.close();
        },
      });
    },
  };
}

describe('A request that the server received', () => {
  test('nothing is asked of the source until user code asks', () => {
    const source = new Received('GET', ['a', 'b']);
    const request = requestFrom(source);
    assert.deepEqual(source.asked, []);
    assert.equal(request.url, URL_HERE);
    assert.equal(request.method, 'GET');
    assert.equal(request.headers.get('A'), 'b');
    assert.equal(request.headers.get('c'), null);
    assert.deepEqual(source.asked, ['url', 'method', 'fields']);
    assert.equal(request.signal, source.controller.signal);
  });

  test('it has the shape of the platform’s request for the same message', () => {
    const source = new Received('POST', ['a', 'b'], incoming('x'));
    const heavy = new platform.Request(URL_HERE, { method: 'POST', headers: { a: 'b' }, body: new Uint8Array(1) });
    assert.deepEqual(shape(requestFrom(source)), shape(heavy));
  });

  test('its headers can be changed, and the source’s fields are left alone', () => {
    const fields = ['a', 'b'];
    const request = requestFrom(new Received('GET', fields));
    request.headers.set('a', 'c');
    assert.equal(request.headers.get('a'), 'c');
    assert.deepEqual(fields, ['a', 'b']);
  });

  test('a body that is read whole is asked for its bytes once, and never for a stream', async () => {
    const body = incoming('\ufeff{"a":1}');
    const request = requestFrom(new Received('POST', [], body));
    assert.equal(request.bodyUsed, false);
    assert.deepEqual(await request.json(), { a: 1 });
    assert.equal(request.bodyUsed, true);
    assert.deepEqual(body.calls, ['bytes']);
    await assert.rejects(request.text(), TypeError);
    assert.throws(() => request.clone(), TypeError);
    assert.equal(request.body?.locked, true);
  });

  test('text, bytes, arrayBuffer, blob and stream agree', async () => {
    const received = () => requestFrom(new Received('PUT', ['content-type', 'x/y'], incoming('h€')));
    const expected = new TextEncoder().encode('h€');
    assert.equal(await received().text(), 'h€');
    assert.deepEqual(await received().bytes(), expected);
    assert.deepEqual(await received().arrayBuffer(), expected.buffer);
    const blob = await received().blob();
    assert.deepEqual([blob.type, await blob.text()], ['x/y', 'h€']);
    let streamed = '';
    for await (const chunk of received().body ?? []) streamed += Buffer.from(chunk).toString('latin1');
    assert.equal(Buffer.from(streamed, 'latin1').toString(), 'h€');
  });

  test('json that is none is a SyntaxError, and a client that leaves is the source’s own error', async () => {
    await assert.rejects(requestFrom(new Received('POST', [], incoming('{'))).json(), SyntaxError);
    const left = new Error('the client left');
    await assert.rejects(requestFrom(new Received('POST', [], incoming(left))).text(), left);
  });

  test('a form is parsed by its content type', async () => {
    const type = ['content-type', 'application/x-www-form-urlencoded'];
    const form = await requestFrom(new Received('POST', type, incoming('a=b&c=d'))).formData();
    assert.deepEqual(
      [...form],
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    );
    await assert.rejects(requestFrom(new Received('POST', [], incoming('a=b'))).formData(), TypeError);
  });

  test('GET and HEAD have no body, whatever was sent', async () => {
    for (const method of ['GET', 'HEAD']) {
      const source = new Received(method, [], incoming('x'));
      const request = requestFrom(source);
      assert.deepEqual([request.body, await request.text(), request.bodyUsed], [null, '', false]);
      assert.ok(!source.asked.includes('body'));
      assert.equal(new Request(request).method, method);
    }
  });

  test('a clone has the body too, and its own headers', async () => {
    const request = requestFrom(new Received('POST', ['a', 'b'], incoming('abc')));
    const clone = request.clone();
    clone.headers.set('a', 'c');
    assert.deepEqual([await clone.text(), await request.text()], ['abc', 'abc']);
    assert.deepEqual([request.headers.get('a'), clone.headers.get('a')], ['b', 'c']);
    assert.deepEqual([clone.url, clone.method], [URL_HERE, 'POST']);
  });

  test('middleware can rewrite its URL and headers: body and signal go along', async () => {
    const source = new Received('POST', ['a', 'b'], incoming('abc'));
    const request = requestFrom(source);
    const rewritten = new Request('http://other/x', request);
    const again = new Request(rewritten, { headers: { c: 'd' } });
    assert.deepEqual([again.url, again.method, [...again.headers]], ['http://other/x', 'POST', [['c', 'd']]]);
    source.controller.abort(new RangeError('left'));
    assert.equal(again.signal.reason.message, 'left');
    assert.equal(await again.text(), 'abc');
    await assert.rejects(request.text(), TypeError);
  });

  test('a request made from it takes the body over', async () => {
    const request = requestFrom(new Received('POST', ['a', 'b'], incoming('abc')));
    const copy = new Request(request);
    assert.equal(request.bodyUsed, true);
    assert.deepEqual([copy.headers.get('a'), await copy.text()], ['b', 'abc']);
    assert.throws(() => new Request(request), TypeError);
  });

  test('a request that cannot be made leaves the body where it was', async () => {
    const request = requestFrom(new Received('POST', [], incoming('abc')));
    assert.throws(() => new Request(request, { method: 'GET' }), TypeError);
    assert.equal(await request.text(), 'abc');
  });

  test('its body can be sent back in a response', async () => {
    const request = requestFrom(new Received('POST', [], incoming('abc')));
    assert.equal(await new Response(request.body).text(), 'abc');
    assert.equal(request.bodyUsed, true);
  });

  test('the platform’s object of it is the platform’s', async () => {
    const heavy = toPlatformRequest(requestFrom(new Received('POST', ['a', 'b'], incoming('abc'))));
    assert.equal(isLightRequest(heavy), false);
    assert.deepEqual([heavy.method, heavy.headers.get('a'), await heavy.text()], ['POST', 'b', 'abc']);
  });

  test('the platform’s Request, and what extends that, takes it as the second argument', async () => {
    class Own extends platform.Request {}
    const own = new Own(URL_HERE, requestFrom(new Received('POST', ['a', 'b'], incoming('abc'))));
    assert.deepEqual([own.method, own.headers.get('a'), await own.text()], ['POST', 'b', 'abc']);
  });

  test('it is an instance of both classes, and the platform’s requests are of ours', () => {
    const request = requestFrom(new Received('GET'));
    class Own extends Request {}
    assert.ok(request instanceof Request && request instanceof platform.Request);
    assert.ok(new platform.Request(URL_HERE) instanceof Request);
    assert.ok(!(request instanceof Own));
    assert.ok(new Own(request) instanceof platform.Request);
    assert.deepEqual([isLightRequest(request), isLightRequest(new platform.Request(URL_HERE))], [true, false]);
  });

  test('no member of the platform’s prototype is reached with a light instance', () => {
    for (const request of [requestFrom(new Received('POST', [], incoming('x'))), new Request(URL_HERE)]) {
      for (const key of Reflect.ownKeys(platform.Request.prototype)) {
        assert.doesNotThrow(() => Reflect.get(request, key), String(key));
      }
    }
  });

  test('printing it shows method, URL and headers, and does not open the body', async () => {
    const body = incoming('abc');
    const printed = inspect(requestFrom(new Received('POST', ['a', 'b'], body)));
    assert.match(
      printed,
      /^Request \{\n {2}method: 'POST',\n {2}url: 'http:\/\/localhost:8080\/a\?b=c',\n {2}headers: Headers \{ a: 'b' \}/,
    );
    assert.deepEqual(body.calls, []);
  });
});
