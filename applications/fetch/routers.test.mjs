// Hono, H3, itty-router and Elysia.

import assert from 'node:assert/strict';
import { Elysia, t } from 'elysia';
import {
  getCookie as cookieOf,
  createEventStream,
  getQuery,
  H3,
  HTTPError,
  readBody,
  setCookie as setH3Cookie,
} from 'h3';
import { Hono } from 'hono';
import { compress } from 'hono/compress';
import { contextStorage, getContext } from 'hono/context-storage';
import { getCookie, getSignedCookie, setCookie, setSignedCookie } from 'hono/cookie';
import { cors } from 'hono/cors';
import { etag } from 'hono/etag';
import { HTTPException } from 'hono/http-exception';
import { stream, streamSSE, streamText } from 'hono/streaming';
import { AutoRouter, error, json, withParams } from 'itty-router';
import { ask, compare, eventually, readUntil, send, usual } from './compare.mjs';

const large = 'é'.repeat(300_000);

function form() {
  const data = new FormData();
  data.append('name', 'ü');
  data.append('file', new File(['content'], 'file.txt', { type: 'text/plain' }));
  return data;
}

/** A body that is sent in chunks. */
const chunked = () => ({
  method: 'POST',
  duplex: 'half',
  headers: { 'content-type': 'application/json' },
  body: ReadableStream.from(['{"a":', '"b"}'].map((part) => new TextEncoder().encode(part))),
});

/** Checks of the routes that H3's application and Elysia's have alike. */
const basics = {
  text: async (url) => {
    const answer = await ask(`${url}/`);
    assert.equal(answer.body, 'hello');
    return answer;
  },
  json: (url) => ask(`${url}/json`),
  parameters: (url) => ask(`${url}/users/7?a=b`),
  'a body of json': (url) => send(`${url}/body`, { a: 'ü' }),
};

compare(
  'Hono',
  () => {
    const app = new Hono();
    app.use(contextStorage());
    app.use(async (c, next) => {
      c.set('user', 'ann');
      await next();
      c.header('x-after', 'middleware');
    });
    app.get('/', (c) => c.text('hello'));
    app.get('/users/:id/:rest{.+}', (c) => c.json({ ...c.req.param(), ...c.req.query(), all: c.req.queries('a') }));
    app.get('/context', async (c) => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      return c.text(getContext().get('user'));
    });
    app.get('/html', (c) => c.html('<p>ü</p>'));
    app.get('/redirect', (c) => c.redirect('/', 301));
    app.get('/large', (c) => c.text(large));
    app.get('/bytes', (c) =>
      c.body(new Uint8Array([0, 128, 255]), 200, { 'content-type': 'application/octet-stream' }),
    );
    app.get('/empty', (c) => c.body(null, 204));
    app.get('/cookies/set', async (c) => {
      setCookie(c, 'a', '1', { path: '/', httpOnly: true, maxAge: 1000 });
      await setSignedCookie(c, 'b', '2', 'secret');
      return c.text('set');
    });
    app.get('/cookies', async (c) => c.json([getCookie(c), await getSignedCookie(c, 'secret', 'b')]));
    app.post('/json', async (c) => c.json(await c.req.json(), 201));
    app.post('/text', async (c) => c.text(await c.req.text()));
    app.post('/form', async (c) => {
      const { name, file } = await c.req.parseBody();
      return c.json([name, file.name, file.type, await file.text()]);
    });
    app.post('/urlencoded', async (c) => c.json(await c.req.parseBody({ all: true })));
    app.post('/bytes', async (c) => c.text(String((await c.req.arrayBuffer()).byteLength)));
    app.post('/raw', (c) => c.body(c.req.raw.body));
    app.get('/fail', () => {
      throw new Error('on purpose');
    });
    app.get('/exception', () => {
      throw new HTTPException(418, { message: 'a teapot' });
    });
    app.onError((problem, c) =>
      problem instanceof HTTPException ? problem.getResponse() : c.text(`failed: ${problem.message}`, 500),
    );
    app.notFound((c) => c.text(`no ${c.req.path}`, 404));
    app.get('/stream', (c) =>
      streamText(c, async (out) => {
        for (const word of ['one ', 'two ', 'three']) {
          await out.write(word);
          await out.sleep(1);
        }
      }),
    );
    app.get('/pipe', (c) => {
      c.header('content-type', 'text/plain'); // node-server would add it
      return stream(c, (out) => out.pipe(new Blob(['piped']).stream()));
    });
    app.get('/events', (c) =>
      streamSSE(c, async (out) => {
        for (let id = 1; id <= 3; id++) await out.writeSSE({ id: String(id), event: 'tick', data: `${id}\nmore` });
      }),
    );
    let left = 0;
    app.get('/endless', (c) =>
      streamSSE(c, async (out) => {
        out.onAbort(() => left++);
        while (!out.aborted) {
          await out.writeSSE({ data: 'tick' });
          await out.sleep(5);
        }
      }),
    );
    app.use('/etag', etag());
    app.get('/etag', (c) => c.text('tagged'));
    app.use('/zip', compress());
    app.get('/zip', (c) => c.text('zip '.repeat(1000)));
    app.use('/cors', cors({ origin: 'http://a.example', allowMethods: ['PUT'] }));
    app.all('/cors', (c) => c.text('cors'));
    app.route(
      '/nested',
      new Hono().get('/deep', (c) => c.text(c.req.path)),
    );
    app.mount('/mounted', (request) => new Response(new URL(request.url).pathname));
    app.get('/clone', async (c) => new Response((await new Response('cloned').clone().text()) + c.req.raw.method));
    app.get('/headers', (c) =>
      c.json(Object.fromEntries([...c.req.raw.headers].filter(([name]) => name.startsWith('x-')))),
    );
    return { fetch: app.fetch, left: () => left };
  },
  usual.nodeServer,
  {
    text: async (url) => {
      const answer = await ask(`${url}/`);
      assert.equal(answer.body, 'hello');
      return answer;
    },
    head: (url) => ask(`${url}/`, { method: 'HEAD' }),
    parameters: (url) => ask(`${url}/users/7/a/b%20c?a=1&a=2&b=%C3%BC`),
    contextStorage: async (url) => {
      const answer = await ask(`${url}/context`);
      assert.equal(answer.body, 'ann');
      return answer;
    },
    html: (url) => ask(`${url}/html`),
    redirect: (url) => ask(`${url}/redirect`),
    'large response': async (url) => assert.equal((await ask(`${url}/large`)).body, large),
    bytes: async (url) => [...new Uint8Array(await (await fetch(`${url}/bytes`)).arrayBuffer())],
    'no content': (url) => ask(`${url}/empty`),
    'cookies that are set': (url) => ask(`${url}/cookies/set`),
    'cookies that come back': async (url) => {
      const { headers } = await fetch(`${url}/cookies/set`);
      const cookie = headers.getSetCookie().map((field) => field.split(';')[0]);
      const answer = await ask(`${url}/cookies`, { headers: { cookie: cookie.join('; ') } });
      assert.equal(JSON.parse(answer.body)[1], '2');
      return answer;
    },
    json: (url) => send(`${url}/json`, { a: [1, 'ü'] }),
    'json in chunks': (url) => ask(`${url}/json`, chunked()),
    'malformed json': async (url) => (await ask(`${url}/json`, { method: 'POST', body: '{' })).status,
    'text of a request': (url) => ask(`${url}/text`, { method: 'POST', body: 'ü'.repeat(50_000) }),
    form: async (url) => {
      const answer = await ask(`${url}/form`, { method: 'POST', body: form() });
      assert.deepEqual(JSON.parse(answer.body), ['ü', 'file.txt', 'text/plain', 'content']);
      return answer;
    },
    urlencoded: (url) => ask(`${url}/urlencoded`, { method: 'POST', body: new URLSearchParams('a=1&a=2&b=ü') }),
    'bytes of a request': (url) => ask(`${url}/bytes`, { method: 'POST', body: new Uint8Array(1_000_000) }),
    'a body that is sent back': async (url) =>
      (await ask(`${url}/raw`, { method: 'POST', body: large })).body === large,
    'an error': (url) => ask(`${url}/fail`),
    'an HTTPException': (url) => ask(`${url}/exception`),
    'not found': (url) => ask(`${url}/nowhere`),
    'streamed text': (url) => ask(`${url}/stream`),
    'a piped stream': (url) => ask(`${url}/pipe`),
    'server-sent events': (url) => ask(`${url}/events`),
    'a client that leaves a stream': async (url, app) => {
      await readUntil(`${url}/endless`, /data: tick\n\n/);
      await eventually(() => app.left() === 1);
    },
    etag: (url) => ask(`${url}/etag`),
    'not modified': async (url) => {
      const { headers } = await fetch(`${url}/etag`);
      const answer = await ask(`${url}/etag`, { headers: { 'if-none-match': headers.get('etag') } });
      assert.equal(answer.status, 304);
      return answer;
    },
    compressed: (url) => ask(`${url}/zip`, { headers: { 'accept-encoding': 'gzip' } }),
    'cors preflight': (url) =>
      ask(`${url}/cors`, {
        method: 'OPTIONS',
        headers: { origin: 'http://a.example', 'access-control-request-method': 'PUT' },
      }),
    'nested routes': (url) => ask(`${url}/nested/deep`),
    'a mounted application': (url) => ask(`${url}/mounted/inside`),
    'a cloned response': (url) => ask(`${url}/clone`),
    'fields of a request': (url) => ask(`${url}/headers`, { headers: { 'x-a': '1', 'X-B': 'two,  three' } }),
  },
);

compare(
  'H3',
  () => {
    const app = new H3();
    app.use((event, next) => {
      event.context.user = 'ann';
      event.res.headers.set('x-middleware', 'yes');
      return next();
    });
    app.get('/', () => 'hello');
    app.get('/json', () => ({ a: [1, 'ü'] }));
    app.get('/users/:id', (event) => ({ ...event.context.params, ...getQuery(event), user: event.context.user }));
    app.post('/body', async (event) => ({ body: await readBody(event) }));
    app.post('/form', async (event) => {
      const data = await event.req.formData();
      return [data.get('name'), data.get('file').name, await data.get('file').text()];
    });
    app.get('/cookies', (event) => {
      setH3Cookie(event, 'seen', '1', { path: '/' });
      return cookieOf(event, 'a') ?? 'none';
    });
    app.get('/status', (event) => {
      event.res.status = 202;
      return null;
    });
    app.get('/error', () => {
      throw new HTTPError({ status: 418, statusText: 'teapot', message: 'a teapot', data: { a: 1 } });
    });
    app.get('/stream', () => ReadableStream.from(['one ', 'two'].map((part) => new TextEncoder().encode(part))));
    app.get('/events', (event) => {
      const events = createEventStream(event);
      const timer = setInterval(() => events.push('tick'), 2);
      events.onClosed(() => clearInterval(timer));
      return events.send();
    });
    app.get('/response', () => new Response('made', { status: 201, headers: { 'x-a': '1' } }));
    return app;
  },
  usual.srvx,
  {
    ...basics,
    'a body in chunks': (url) => ask(`${url}/body`, chunked()),
    form: (url) => ask(`${url}/form`, { method: 'POST', body: form() }),
    cookies: (url) => ask(`${url}/cookies`, { headers: { cookie: 'a=1; b=2' } }),
    status: (url) => ask(`${url}/status`),
    'an error': (url) => ask(`${url}/error`),
    'not found': (url) => ask(`${url}/nowhere`),
    stream: (url) => ask(`${url}/stream`),
    'server-sent events': (url) => readUntil(`${url}/events`, /data: tick\n\n/),
    'a response': (url) => ask(`${url}/response`),
  },
);

compare(
  'itty-router',
  () => {
    const router = AutoRouter({
      before: [withParams],
      catch: (problem) => error(problem.status ?? 500, problem.message),
    });
    router
      .get('/', () => 'hello')
      .get('/users/:id', ({ id, query }) => ({ id, query }))
      .get('/files/:path+', ({ path }) => path)
      .post('/json', async (request) => json(await request.json(), { status: 201 }))
      .get('/fail', () => {
        throw new Error('on purpose');
      })
      .get('/teapot', () => error(418, 'a teapot'))
      .get('/response', () => new Response('made', { headers: { 'x-a': '1' } }));
    return { fetch: (request) => router.fetch(request) }; // the router itself would pass for a promise
  },
  usual.nodeServer,
  {
    text: async (url) => {
      const answer = await ask(`${url}/`);
      assert.equal(answer.status, 200);
      return answer;
    },
    parameters: (url) => ask(`${url}/users/7?a=1&a=2`),
    'greedy parameters': (url) => ask(`${url}/files/a/b/c`),
    json: (url) => send(`${url}/json`, { a: 'ü' }),
    'an error': (url) => ask(`${url}/fail`),
    'an error with a status': (url) => ask(`${url}/teapot`),
    'not found': (url) => ask(`${url}/nowhere`),
    'a response': (url) => ask(`${url}/response`),
  },
);

compare(
  'Elysia',
  () =>
    new Elysia({ aot: false })
      .onError(({ code, error: problem }) => `${code}: ${code === 'VALIDATION' ? 'invalid' : problem.message}`)
      .get('/', () => 'hello')
      .get('/json', () => ({ a: [1, 'ü'] }))
      .get('/users/:id', ({ params, query }) => ({ ...params, ...query }))
      .post('/body', ({ body, set }) => {
        set.status = 201;
        return body;
      })
      .post('/valid', ({ body }) => body.name, { body: t.Object({ name: t.String() }) })
      .get('/cookies', ({ cookie: { a, seen } }) => {
        seen.value = '1';
        return a.value ?? 'none';
      })
      .get('/headers', ({ headers, set }) => {
        set.headers['x-b'] = 'set';
        return headers['x-a'];
      })
      .get('/redirect', ({ redirect }) => redirect('http://a.example/', 302))
      .get('/fail', () => {
        throw new Error('on purpose');
      })
      .get('/status', ({ status }) => status(418, 'a teapot'))
      .get('/stream', async function* () {
        yield 'one ';
        await new Promise((resolve) => setTimeout(resolve, 1));
        yield 'two';
      })
      .get('/response', () => new Response('made', { headers: { 'x-a': '1' } }))
      .post('/form', async ({ body }) => [body.name, body.file.name, await body.file.text()]),
  usual.srvx,
  {
    ...basics,
    'a valid body': (url) => send(`${url}/valid`, { name: 'ann' }),
    'an invalid body': (url) => send(`${url}/valid`, { name: 1 }),
    cookies: (url) => ask(`${url}/cookies`, { headers: { cookie: 'a=x' } }),
    fields: (url) => ask(`${url}/headers`, { headers: { 'x-a': '1' } }),
    redirect: (url) => ask(`${url}/redirect`),
    'an error': (url) => ask(`${url}/fail`),
    status: (url) => ask(`${url}/status`),
    'a stream from a generator': (url) => ask(`${url}/stream`),
    'a response': (url) => ask(`${url}/response`),
    form: (url) => ask(`${url}/form`, { method: 'POST', body: form() }),
    'not found': (url) => ask(`${url}/nowhere`),
  },
);
