// How responses are framed: every combination of method, version, status and content.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '#sluice/event-layer/simulated/random.js';
import type { BodyInit } from '#sluice/http/fetch/body.js';
import { Response } from '#sluice/http/fetch/response.js';
import { stream } from '#sluice/http/stream.js';
import { field, fieldValues } from '../support/response-parser.js';
import { World } from '../support/world.js';

type ContentName =
  | 'none'
  | 'text'
  | 'bytes'
  | 'large'
  | 'readable'
  | 'thread'
  | 'a piece of the platform'
  | 'pieces of the platform';
const contents: Record<ContentName, () => BodyInit | null> = {
  none: () => null,
  text: () => 'content',
  bytes: () => Buffer.from('content'),
  large: () => 'c'.repeat(10_000),
  readable: () => readable('content'),
  thread: () => null,
  'a piece of the platform': () => 'content',
  'pieces of the platform': () => readable('con', 'tent'),
};

function readable(...chunks: string[]): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(Buffer.from(chunk));
      controller.close();
    },
  });
}

/** Its length is not known in front. That of one piece of the platform's is read ahead, but not for a response to HEAD. */
const streamed = (content: ContentName, method: string) =>
  content === 'readable' ||
  content === 'thread' ||
  content === 'pieces of the platform' ||
  (content === 'a piece of the platform' && method === 'HEAD');

function respond(content: ContentName, status: number, length: string | null): Response | globalThis.Response {
  const headers: Record<string, string> = length === null ? {} : { 'content-length': length };
  const init = { status, headers };
  if (content === 'thread') {
    return stream(function* (out) {
      yield* out.write('content');
    }, init);
  }
  if (content.endsWith('platform')) return new globalThis.Response(contents[content]() as string, init);
  return new Response(contents[content](), init);
}

for (const method of ['GET', 'HEAD', 'POST'])
  for (const version of ['1.1', '1.0', '1.0 with keep-alive'])
    for (const status of [200, 204, 205, 304, 404, 500])
      for (const content of Object.keys(contents) as ContentName[])
        for (const declared of [false, true]) {
          const bodiless = status === 204 || status === 205 || status === 304;
          if (bodiless && content !== 'none') continue; // Response refuses to be made
          const size = content === 'none' ? 0 : content === 'large' ? 10_000 : 7;
          const name = `${method}, HTTP/${version}, status ${status}, content ${content}${declared ? ', its length declared' : ''}`;

          test(name, async () => {
            const world = await World.open({ fetch: () => respond(content, status, declared ? String(size) : null) });
            const fields = version === '1.0 with keep-alive' ? 'connection: keep-alive\r\n' : '';
            const one = `${method} / HTTP/${version.slice(0, 3)}\r\nhost: a\r\n${fields}\r\n`;
            const client = world.exchange(`${one}GET /last HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`, method);
            await world.pass();
            const { responses, ending } = await client;
            const [response] = responses;
            assert.equal(ending, 'FIN');
            assert.equal(response.status, status);

            const isHead = method === 'HEAD';
            const untilClose = version !== '1.1' && streamed(content, method) && !declared;
            const stays = version !== '1.0' && !untilClose;
            assert.equal(responses.length, stays ? 2 : 1, 'whether the next request is answered');
            assert.equal(response.body.length, isHead ? 0 : size);
            const connection = !stays ? 'close' : version === '1.1' ? undefined : 'keep-alive';
            assert.equal(field(response, 'connection'), connection);
            const chunked = version === '1.1' && streamed(content, method) && !declared;
            assert.deepEqual(fieldValues(response, 'transfer-encoding'), chunked ? ['chunked'] : []);
            const lengths = () => {
              if (status === 204) return [];
              if (status === 304) return declared ? ['0'] : [];
              if (isHead && content === 'none' && status !== 205 && !declared) return []; // it is not known what a GET would get
              return streamed(content, method) && !declared ? [] : [String(size)];
            };
            assert.deepEqual(fieldValues(response, 'content-length'), lengths());
            assert.deepEqual(world.errors, []);
            await world.close();
          });
        }

for (const framing of ['in chunks', 'with its length declared'] as const)
  test(`what a body's thread writes arrives as it is, ${framing}, wherever it is cut into pieces`, async () => {
    // Characters of one to four bytes, and halves of characters, so that each falls on the end of a piece.
    const texts = ['a', 'é', '€', '😀', '\ud83d', '\ud83d😀'].map((unit) => `b${unit.repeat(20_000)}`);
    const written = [...texts, '', Buffer.alloc(100_000, 'c'), new Uint8Array(0), 'last'];
    const expected = Buffer.concat(written.map((data) => Buffer.from(data as string))); // from bytes too, which are copied
    const headers: Record<string, string> =
      framing === 'in chunks' ? {} : { 'content-length': String(expected.length) };
    const fetch = () =>
      stream(
        function* (out) {
          for (const data of written) yield* out.write(data);
        },
        { headers },
      );
    const world = await World.open({ fetch }, { capacity: 20_000 });
    const client = world.exchange('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n', 'GET');
    await world.pass();
    const [response] = (await client).responses;
    assert.ok(Buffer.from(response.body, 'latin1').equals(expected));
    assert.deepEqual(world.errors, []);
    await world.close();
  });

test('responses that differ in their length alone each say their own', async () => {
  const sizes = [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 4095, 4096, 4097, 10_000, 3, 3, 12];
  for (const character of ['x', 'é', '€']) {
    const world = await World.open({
      maxPipelined: sizes.length + 1,
      fetch: (request) => new Response(character.repeat(Number(new URL(request.url).pathname.slice(1)))),
    });
    const requests = sizes.map((size) => `GET /${size} HTTP/1.1\r\nhost: a\r\n\r\n`);
    const client = world.exchange(`${requests.join('')}GET /5 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`, 'GET');
    await world.pass();
    const { responses, ending } = await client;
    assert.equal(ending, 'FIN');
    const bytes = [...sizes, 5].map((size) => size * Buffer.byteLength(character));
    assert.deepEqual(
      responses.map((response) => Number(field(response, 'content-length'))),
      bytes,
    );
    assert.deepEqual(
      responses.map(({ body }) => body.length),
      bytes,
    );
    assert.deepEqual(world.errors, []);
    await world.close();
  }
});

test('responses that are said again and again, and others in between, each say their own', async () => {
  const contents: (() => BodyInit | null)[] = [
    ...['', 'same', 'sane', 'é', 'éé'].map((text) => () => text),
    () => null,
    () => Buffer.from('same'),
    () => Buffer.from('ÿ', 'latin1'),
  ];
  const statuses = [200, 201];
  const fields: Record<string, string>[] = [{}, { a: '1' }, { a: '2' }];
  const random = new Random(7);
  const pick = (list: readonly unknown[]) => random.whole(0, list.length - 1);
  // Runs of the same, some long enough that the server looks out for them again.
  const asked: { method: string; content: number; status: number; field: number }[] = [];
  for (let run = 0; run < 300; run++) {
    const one = {
      method: random.whole(0, 3) === 0 ? 'HEAD' : 'GET',
      content: pick(contents),
      status: pick(statuses),
      field: pick(fields),
    };
    const times = run % 10 === 0 ? 80 : random.whole(1, 4);
    for (let i = 0; i < times; i++) asked.push(one);
  }
  const world = await World.open({
    maxPipelined: asked.length + 1,
    fetch(request) {
      const [content, status, field] = new URL(request.url).pathname.slice(1).split('/').map(Number);
      return new Response(contents[content](), { status: statuses[status], headers: fields[field] });
    },
  });
  const text = asked.map(
    ({ method, content, status, field }) => `${method} /${content}/${status}/${field} HTTP/1.1\r\nhost: a\r\n\r\n`,
  );
  const client = world.exchange(
    `${text.join('')}GET /0/0/0 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`,
    ...asked.map(({ method }) => method),
    'GET',
  );
  await world.pass();
  const { responses, ending } = await client;
  assert.equal(ending, 'FIN');
  assert.equal(responses.length, asked.length + 1);
  for (const [i, { method, content, status, field: which }] of asked.entries()) {
    const bytes = Buffer.from((contents[content]() ?? '') as string);
    const response = responses[i];
    assert.equal(response.status, statuses[status]);
    assert.equal(field(response, 'a'), fields[which].a);
    assert.equal(response.body, method === 'HEAD' ? '' : bytes.toString('latin1'), `response ${i}`);
    const isUnknown = method === 'HEAD' && contents[content]() === null;
    assert.equal(field(response, 'content-length'), isUnknown ? undefined : String(bytes.length));
  }
  assert.deepEqual(world.errors, []);
  await world.close();
});

test('text that was sent is not kept in memory, nor what it is a part of, once another was', async () => {
  const world = await World.open({
    fetch(request) {
      const size = Number(new URL(request.url).pathname.slice(1));
      const text = `${'x'.repeat(size)}${Math.random()}`;
      return new Response(text.slice(-100)); // to the engine it is a part of the whole
    },
  });
  const held = () => {
    gc?.();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const ask = async (count: number, size: number) => {
    for (let i = 0; i < count; i++) {
      const client = world.exchange(`GET /${size} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`, 'GET');
      await world.pass();
      await client;
    }
  };
  await ask(100, 200);
  const before = held();
  await ask(40, 20_000_000); // all differ, and so one of them is kept to be compared with the next
  await ask(1, 200);
  assert.ok(gc !== undefined, 'to be run with --expose-gc');
  assert.ok(held() - before < 8_000_000, `${held() - before} bytes more`);
  await world.close();
});

test('a long text is measured part by part, in several turns', async (t) => {
  const long = 'é'.repeat(3 * 2 ** 20) + '\u{1f600}'.repeat(2 ** 19);
  const { mock } = t.mock.method(Buffer, 'byteLength');
  const world = await World.open(
    {
      fetch(request) {
        return new Response(request.url.endsWith('/long') ? long : 'short');
      },
    },
    { latency: 0.01, pieces: 'whole', capacity: 2 ** 20 },
  );
  const client = world.exchange('GET /long HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  await world.pass();
  const measured = mock.calls.map(({ arguments: [text] }) => (typeof text === 'string' ? text.length : 0));
  mock.restore();
  assert.ok(Math.max(...measured) <= 2 ** 20, `${Math.max(...measured)} characters at once`);
  const [response] = (await client).responses;
  assert.equal(field(response, 'content-length'), String(Buffer.from(long).length));
  assert.equal(response.body, Buffer.from(long).toString('latin1'));
  await world.close();
});
