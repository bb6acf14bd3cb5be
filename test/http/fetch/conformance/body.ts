// https://fetch.spec.whatwg.org/#body-mixin, of requests and of responses

import {
  bytes,
  type Classes,
  errorOf,
  type Row,
  type Statement,
  statements,
  streamOf,
  typeError,
} from './statement.js';

type Message = Request | Response;
type Maker = (classes: Classes, body: unknown, type?: string) => Message;

const here = 'http://localhost/';
const makers: Record<string, Maker> = {
  Response: ({ Response }, body, type) =>
    new Response(body, type === undefined ? {} : { headers: { 'content-type': type } }),
  Request: ({ Request }, body, type) =>
    new Request(here, {
      ...{ method: 'POST', body, duplex: 'half' },
      ...(type === undefined ? {} : { headers: { 'content-type': type } }),
    }),
};

interface Kind {
  readonly body: () => unknown;
  readonly text: string;
  readonly type: string | null;
}

const kinds: Record<string, Kind> = {
  'an empty string': { body: () => '', text: '', type: 'text/plain;charset=UTF-8' },
  'a string': { body: () => '{"a":"é€"}', text: '{"a":"é€"}', type: 'text/plain;charset=UTF-8' },
  'a number': { body: () => 7, text: '7', type: 'text/plain;charset=UTF-8' },
  'an object': { body: () => ({ toString: () => '[1]' }), text: '[1]', type: 'text/plain;charset=UTF-8' },
  'a lone surrogate': { body: () => 'a\ud800b', text: 'a\ufffdb', type: 'text/plain;charset=UTF-8' },
  'an array buffer': { body: () => bytes('{"a":1}').buffer, text: '{"a":1}', type: null },
  'a view': { body: () => bytes('x[1]y').subarray(1, 4), text: '[1]', type: null },
  'a data view': { body: () => new DataView(bytes('x[1]y').buffer, 1, 3), text: '[1]', type: null },
  'no bytes': { body: () => new Uint8Array(0), text: '', type: null },
  'a blob': { body: () => new Blob(['"b"'], { type: 'text/html' }), text: '"b"', type: 'text/html' },
  'a blob without a type': { body: () => new Blob(['"b"']), text: '"b"', type: null },
  'search parameters': {
    body: () => new URLSearchParams('a=b c&d=é'),
    text: 'a=b+c&d=%C3%A9',
    type: 'application/x-www-form-urlencoded;charset=UTF-8',
  },
  'a stream': { body: () => streamOf(bytes('[1,'), bytes('2]')), text: '[1,2]', type: null },
  'an empty stream': { body: () => streamOf(), text: '', type: null },
};

async function textOf(body: unknown): Promise<string> {
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  for (let text = ''; ; ) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    text += decoder.decode(value, { stream: true });
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return { thrown: (error as Error).name };
  }
}

const consuming: Row[] = Object.entries(makers).flatMap(([message, make]) =>
  Object.entries(kinds).flatMap(([kind, { body, text, type }]): Row[] => {
    const of = (what: string) => `${message} of ${kind}, ${what}`;
    return [
      [of('text'), text, (classes) => make(classes, body()).text()],
      [of('arrayBuffer'), bytes(text), async (classes) => new Uint8Array(await make(classes, body()).arrayBuffer())],
      [
        of('blob'),
        [type?.toLowerCase() ?? '', text],
        async (classes) => {
          const blob = await make(classes, body()).blob();
          return [blob.type.replace('; ', ';'), await blob.text()];
        },
      ],
      [
        of('json'),
        jsonOf(text),
        async (classes) => {
          try {
            return await make(classes, body()).json();
          } catch (error) {
            return { thrown: (error as Error).name };
          }
        },
      ],
      [of('stream'), text, (classes) => textOf(make(classes, body()).body)],
      [of('type'), type, (classes) => make(classes, body()).headers.get('content-type')],
      [of('type that is given'), 'x/y', (classes) => make(classes, body(), 'x/y').headers.get('content-type')],
      [
        of('used by text'),
        [false, true, 'TypeError', 'TypeError', true],
        async (classes) => {
          const one = make(classes, body());
          const before = one.bodyUsed;
          const reading = one.text();
          const during = one.bodyUsed;
          await reading;
          return [before, during, await errorOf(() => one.text()), await errorOf(() => one.clone()), one.body?.locked];
        },
      ],
      [
        of('a reader alone does not use it'),
        [false, 'TypeError', 'TypeError'],
        async (classes) => {
          const one = make(classes, body());
          one.body?.getReader();
          return [one.bodyUsed, await errorOf(() => one.text()), await errorOf(() => one.clone())];
        },
      ],
      [
        of('a reader that was released'),
        text,
        (classes) => {
          const one = make(classes, body());
          one.body?.getReader().releaseLock();
          return one.text();
        },
      ],
      [
        of('used by cancel'),
        [true, 'TypeError'],
        async (classes) => {
          const one = make(classes, body());
          await one.body?.cancel();
          return [one.bodyUsed, await errorOf(() => one.text())];
        },
      ],
      [
        of('twice after clone'),
        [text, text],
        async (classes) => {
          const one = make(classes, body());
          const clone = one.clone();
          return Promise.all([one.text(), clone.text()]);
        },
      ],
      [
        of('cloned after its stream was made'),
        [text, text],
        async (classes) => {
          const one = make(classes, body());
          void one.body;
          const clone = one.clone();
          return [await textOf(clone.body), await one.text()];
        },
      ],
      [
        of('moved by its stream'),
        [text, true],
        async (classes) => {
          const one = make(classes, body());
          const other = new classes.Response(one.body);
          return [await other.text(), one.bodyUsed];
        },
      ],
      [
        of('its stream is one'),
        true,
        (classes) => {
          const one = make(classes, body());
          const stream = one.body;
          return one.body === stream;
        },
      ],
    ];
  }),
);

const nothing: Row[] = Object.entries(makers).flatMap(([message, make]): Row[] => [
  [`${message}, body`, null, (classes) => make(classes, null).body],
  [`${message}, undefined as body`, null, (classes) => make(classes, undefined).body],
  [`${message}, text`, '', (classes) => make(classes, null).text()],
  [`${message}, arrayBuffer`, 0, async (classes) => (await make(classes, null).arrayBuffer()).byteLength],
  [
    `${message}, blob`,
    ['', 0],
    async (classes) => {
      const { type, size } = await make(classes, null).blob();
      return [type, size];
    },
  ],
  [`${message}, json`, 'SyntaxError', (classes) => errorOf(() => make(classes, null).json())],
  [`${message}, formData`, typeError, (classes) => make(classes, null).formData()],
  [
    `${message}, used`,
    [false, ''],
    async (classes) => {
      const one = make(classes, null);
      await one.text();
      return [one.bodyUsed, await one.text()];
    },
  ],
  [`${message}, clone`, null, (classes) => make(classes, null).clone().body],
  [`${message}, type`, null, (classes) => make(classes, null).headers.get('content-type')],
]);

const wrong: Row[] = Object.entries(makers).flatMap(([message, make]): Row[] => [
  [`${message} of a symbol`, typeError, (classes) => make(classes, Symbol('a'))],
  [
    `${message} of a locked stream`,
    typeError,
    (classes) => {
      const stream = streamOf(bytes('a'));
      stream.getReader();
      return make(classes, stream);
    },
  ],
  [
    `${message} of a stream that was read from`,
    typeError,
    async (classes) => {
      const stream = streamOf(bytes('a'));
      const reader = stream.getReader();
      await reader.read();
      reader.releaseLock();
      return make(classes, stream);
    },
  ],
  [
    `${message} of a stream that was cancelled`,
    typeError,
    async (classes) => {
      const stream = streamOf(bytes('a'));
      await stream.cancel();
      return make(classes, stream);
    },
  ],
  ...[
    ['a string', 'a'],
    ['a number', 1],
    ['null', null],
    ['an array buffer', new ArrayBuffer(1)],
    ['an array', [1]],
  ].map(
    ([name, chunk]): Row => [
      `${message} of a stream of ${name}, read as text`,
      typeError,
      (classes) => make(classes, streamOf(chunk)).text(),
    ],
  ),
  ...(['text', 'json', 'arrayBuffer', 'blob'] as const).map(
    (method): Row => [
      `${message} of a stream that fails, ${method}`,
      'RangeError',
      (classes) =>
        errorOf(() =>
          make(classes, new ReadableStream({ start: (controller) => controller.error(new RangeError('no')) }))[
            method
          ](),
        ),
    ],
  ),
  ...(['text', 'json', 'arrayBuffer', 'blob', 'formData'] as const).flatMap((method): Row[] => [
    [
      `${method} of ${message} on something else`,
      typeError,
      (classes) => Reflect.apply(make(classes, null)[method], {}, []),
    ],
    [
      `${method} of ${message} on something else is a promise`,
      true,
      (classes) => {
        const result = Reflect.apply(make(classes, null)[method], {}, []);
        result.catch(() => {});
        return result instanceof Promise;
      },
    ],
    [
      `${method} of ${message} on nothing is a promise`,
      true,
      (classes) => {
        const result = Reflect.apply(make(classes, null)[method], undefined, []);
        result.catch(() => {});
        return result instanceof Promise;
      },
    ],
  ]),
]);

const types: [type: string, blob: string][] = [
  ['text/plain', 'text/plain'],
  ['TEXT/PLAIN', 'text/plain'],
  ['text/plain;charset=utf-8', 'text/plain;charset=utf-8'],
  ['text/html ; charset=x', 'text/html;charset=x'],
  ['image/png', 'image/png'],
  ['', ''],
  ['nonsense', ''],
  ['/', ''],
];
const mimeTypes: Row[] = Object.entries(makers).flatMap(([message, make]) =>
  types.map(
    ([type, expected]): Row => [
      `${message} with ${JSON.stringify(type)}`,
      expected,
      async (classes) => (await make(classes, 'a', type).blob()).type,
    ],
  ),
);
mimeTypes.push(
  ...Object.entries(makers).map(
    ([message, make]): Row => [
      `${message} whose type was changed`,
      'x/y',
      async (classes) => {
        const one = make(classes, 'a');
        one.headers.set('content-type', 'x/y');
        return (await one.blob()).type;
      },
    ],
  ),
);

function form(): FormData {
  const form = new FormData();
  form.append('a', 'é');
  form.append('a', 'c');
  form.append('file', new File(['content'], 'name.txt', { type: 'x/y' }));
  return form;
}

async function parts(message: Message): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const [name, value] of await message.formData())
    found.push(typeof value === 'string' ? [name, value] : [name, value.name, value.type, await value.text()]);
  return found;
}

const sent = [
  ['a', 'é'],
  ['a', 'c'],
  ['file', 'name.txt', 'x/y', 'content'],
];
const multipart = (...lines: string[]) => lines.join('\r\n');
const forms: Row[] = Object.entries(makers).flatMap(([message, make]): Row[] => [
  [`${message}, out and in`, sent, (classes) => parts(make(classes, form()))],
  [
    `${message}, its type`,
    'multipart/form-data; boundary=',
    (classes) =>
      make(classes, form())
        .headers.get('content-type')
        ?.replace(/(boundary=).*/, '$1'),
  ],
  [
    `${message}, twice after clone`,
    [sent, sent],
    async (classes) => {
      const one = make(classes, form());
      const clone = one.clone();
      return [await parts(one), await parts(clone)];
    },
  ],
  [
    `${message}, used`,
    [true, 'TypeError'],
    async (classes) => {
      const one = make(classes, form());
      await one.formData();
      return [one.bodyUsed, await errorOf(() => one.formData())];
    },
  ],
  [
    `${message}, search parameters`,
    [
      ['a', 'b'],
      ['c', 'd e'],
    ],
    (classes) => parts(make(classes, new URLSearchParams('a=b&c=d+e'))),
  ],
  [
    `${message}, text that is encoded so`,
    [
      ['a', 'b c'],
      ['d', ''],
    ],
    (classes) => parts(make(classes, 'a=b+c&d', 'application/x-www-form-urlencoded')),
  ],
  [`${message}, another type`, typeError, (classes) => make(classes, 'a=b', 'text/plain').formData()],
  [`${message}, no boundary`, typeError, (classes) => make(classes, 'a=b', 'multipart/form-data').formData()],
  [
    `${message}, nonsense`,
    typeError,
    (classes) => make(classes, 'nonsense', 'multipart/form-data; boundary=x').formData(),
  ],
  [
    `${message}, written by hand`,
    [['a', 'b']],
    (classes) =>
      parts(
        make(
          classes,
          multipart('--x', 'Content-Disposition: form-data; name="a"', '', 'b', '--x--', ''),
          'multipart/form-data; boundary=x',
        ),
      ),
  ],
  [
    `${message}, a file written by hand`,
    [['a', 'f', 'image/png', 'b']],
    (classes) =>
      parts(
        make(
          classes,
          multipart(
            '--x',
            'Content-Disposition: form-data; name="a"; filename="f"',
            'Content-Type: image/png',
            '',
            'b',
            '--x--',
            '',
          ),
          'multipart/form-data; boundary="x"',
        ),
      ),
  ],
]);

const chunks: [name: string, make: () => ArrayBuffer | ArrayBufferView][] = [
  ['ArrayBuffer', () => new ArrayBuffer(8)],
  ['DataView', () => new DataView(new ArrayBuffer(16), 2, 8)],
  ...[
    Int8Array,
    Uint8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    Float32Array,
    Float64Array,
  ].map((type): [string, () => ArrayBufferView] => [type.name, () => new type(new ArrayBuffer(16), 8)]),
];
const copies: Row[] = Object.entries(makers).flatMap(([message, make]) =>
  chunks.map(
    ([name, chunkOf]): Row => [
      `${message}, a chunk that is a ${name}`,
      [true, false, true, true],
      async (classes) => {
        const chunk = chunkOf();
        const one = make(classes, streamOf(chunk));
        const clone = one.clone();
        const kept: unknown = (await one.body?.getReader().read())?.value;
        const given = (await clone.body?.getReader().read())?.value as object;
        const isOfType = Object.getPrototypeOf(given) === Object.getPrototypeOf(chunk);
        return [kept === chunk, given === chunk, isOfType, Reflect.get(given, 'byteLength') === chunk.byteLength];
      },
    ],
  ),
);
copies.push([
  'made before one of the two is read',
  'abc',
  async ({ Response }) => {
    const given = bytes('abc');
    const one = new Response(streamOf(given));
    const clone = one.clone();
    await one.body?.getReader().read();
    given.fill(0);
    return clone.text();
  },
]);
copies.push([
  'cancelling one leaves the other',
  [true, false, 'ab'],
  async ({ Response }) => {
    const one = new Response(streamOf(bytes('a'), bytes('b')));
    const clone = one.clone();
    void one.body?.cancel();
    return [one.bodyUsed, clone.bodyUsed, await clone.text()];
  },
]);

const marks: Row[] = Object.entries(makers).flatMap(([message, make]): Row[] => [
  [`${message}, of a string`, 'a', (classes) => make(classes, '\ufeffa').text()],
  [`${message}, of bytes`, 'a', (classes) => make(classes, bytes('\ufeffa')).text()],
  [`${message}, before JSON`, [1], (classes) => make(classes, '\ufeff[1]').json()],
  [`${message}, in the middle`, 'a\ufeffb', (classes) => make(classes, 'a\ufeffb').text()],
  [
    `${message}, as bytes`,
    bytes('\ufeffa'),
    async (classes) => new Uint8Array(await make(classes, '\ufeffa').arrayBuffer()),
  ],
  [`${message}, bytes that are no UTF-8`, '\ufffdA', (classes) => make(classes, new Uint8Array([0xff, 0x41])).text()],
  [
    `${message}, changed after it was made`,
    'abc',
    (classes) => {
      const given = bytes('abc');
      const one = make(classes, given);
      given.fill(0);
      return one.text();
    },
  ],
  [
    `${message}, BYOB reader`,
    [bytes('abc'), true],
    async (classes) => {
      const reader = make(classes, 'abc').body?.getReader({ mode: 'byob' });
      const first = await reader?.read(new Uint8Array(8));
      return [first?.value, (await reader?.read(new Uint8Array(8)))?.done];
    },
  ],
]);

export const bodyStatements: Statement[] = [
  ...statements('a body', consuming),
  ...statements('a body that is null', nothing),
  ...statements('a wrong body', wrong),
  ...statements('the type of a blob', mimeTypes),
  ...statements('form data', forms),
  ...statements('clone copies', copies),
  ...statements('bytes and text', marks),
];
