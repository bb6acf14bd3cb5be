// The wire format of events, read by another implementation.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import fc from 'fast-check';
import { formatComment, formatEvent, type ServerSentEvent } from '#sluice/events/event-format.js';

function parse(text: string): { events: EventSourceMessage[]; retries: number[]; comments: string[] } {
  const result = { events: [] as EventSourceMessage[], retries: [] as number[], comments: [] as string[] };
  const parser = createParser({
    onEvent: (event) => result.events.push(event),
    onRetry: (retry) => result.retries.push(retry),
    onComment: (comment) => result.comments.push(comment),
    onError: (error) => {
      throw error;
    },
  });
  parser.feed(text);
  return result;
}

describe('the format of an event', () => {
  it('has a line for each field', () => {
    const event = { data: 'text', event: 'news', id: 7, retry: 100 };
    assert.equal(formatEvent('send', event), 'id: 7\nevent: news\nretry: 100\ndata: text\n\n');
  });

  for (const [name, end] of [
    ['LF', '\n'],
    ['CR', '\r'],
    ['CRLF', '\r\n'],
  ]) {
    it(`splits data at ${name}`, () => {
      assert.equal(formatEvent('send', { data: `a${end}${end}b` }), 'data: a\ndata: \ndata: b\n\n');
    });
  }

  it('keeps spaces at the beginning of data, colons, and empty data', () => {
    assert.equal(parse(formatEvent('send', { data: '  a: b' })).events[0].data, '  a: b');
    assert.equal(parse(formatEvent('send', { data: '' })).events[0].data, '');
  });

  it('sends any other data as JSON', () => {
    for (const data of [null, 0, true, [1, 'a\nb'], { a: { b: '\r\n' } }])
      assert.deepEqual(JSON.parse(parse(formatEvent('send', { data })).events[0].data), data);
  });

  it('any text arrives as it is, but for its line ends', () => {
    const line = fc.string({ unit: 'binary' }).filter((text) => !/[\r\n\0]/.test(text));
    const fields = fc.record({ data: fc.string({ unit: 'binary' }), event: line, id: line });
    fc.assert(
      fc.property(fields, ({ data, event, id }) => {
        const [message, ...others] = parse(formatEvent('send', { data, event, id })).events;
        assert.deepEqual(others, []);
        assert.equal(message.data, data.replace(/\r\n|\r/g, '\n'));
        assert.equal(message.event ?? '', event);
        assert.equal(message.id, id);
      }),
    );
  });

  it('an event of id or retry alone dispatches nothing', () => {
    assert.deepEqual(parse(formatEvent('send', { id: 'a', retry: 5 })), { events: [], retries: [5], comments: [] });
  });

  it('a comment of several lines is one for each of them', () => {
    assert.deepEqual(parse(formatComment('comment', 'a\r\nb\rc')).comments, ['a', 'b', 'c']);
  });

  const wrong: [unknown, RegExp][] = [
    [{ data: 1, event: 'a\nb' }, /^TypeError: send: event is "a\\nb"; expected a string without CR, LF and NUL$/],
    [{ data: 1, event: 'a\r' }, /send: event is "a\\r"/],
    [{ data: 1, event: 5 }, /send: event is 5; expected a string$/],
    [{ data: 1, id: 'a\0' }, /send: id is "a\\x00"|send: id is "a\\u0000"/],
    [{ data: 1, id: '\n' }, /send: id is "\\n"/],
    [{ data: 1, id: Number.NaN }, /^TypeError: send: id is NaN; expected a string or a finite number$/],
    [undefined, /^TypeError: send: the event is undefined; expected an object with data, id or retry$/],
    ['text', /^TypeError: send: the event is "text"; expected an object/],
    [{ data: 1, id: {} }, /send: id is \[object Object\]; expected a string$/],
    [{ data: 1, retry: 1.5 }, /TypeError: send: retry is 1.5; expected whole milliseconds$/],
    [{ data: 1, retry: '5' }, /TypeError: send: retry is "5"; expected whole milliseconds$/],
    [{ data: 1, retry: -1 }, /RangeError: send: retry is -1; expected whole milliseconds from 0 to 604800000$/],
    [{ data: 1, retry: Number.NaN }, /send: retry is NaN/],
    [{ data: () => 1 }, /send: data is \[Function\]|send: data is \[Function: data\]/],
    [{ data: Symbol('x') }, /send: data is Symbol\(x\); expected a value that JSON can express$/],
    [{ data: new Uint8Array(3) }, /send: data is \[object Uint8Array\]; expected a value that JSON/],
    [{ event: 'a' }, /send: data is undefined; expected data with an event, since browsers ignore one without$/],
    [{}, /send: the event has no field; expected data, id or retry$/],
    [
      { data: 1, type: 'tick' },
      /^TypeError: send: unknown field "type", which is "tick"; expected event, which is the type/,
    ],
    [{ date: 1 }, /^TypeError: send: unknown field "date", which is 1; expected data, event, id or retry$/],
  ];
  for (const [event, message] of wrong) {
    it(`refuses ${message.source.slice(0, 60)}`, () => {
      assert.throws(
        () => formatEvent('send', event as ServerSentEvent),
        (error: Error) => message.test(String(error)),
      );
    });
  }
});
