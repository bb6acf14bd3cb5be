// Express, Koa, Fastify and NestJS, and plain functions.

import 'reflect-metadata';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { Body, Controller, Get, Module, Param, Post, Req } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import express from 'express';
import Fastify from 'fastify';
import Koa from 'koa';
import { ask, compare } from './compare.mjs';

const json = { 'content-type': 'application/json' };
const large = 'é'.repeat(400_000);

/** What clients do with every application. Each has these routes. */
const common = {
  text: (port) => ask(port, '/text'),
  head: (port) => ask(port, '/text', { method: 'HEAD' }),
  'not found': (port) => ask(port, '/nowhere'),
  json: (port) => ask(port, '/echo', { method: 'POST', headers: json, body: JSON.stringify({ a: [1, 'é'] }) }),
  'malformed json': async (port) => (await ask(port, '/echo', { method: 'POST', headers: json, body: '{' })).status,
  'large response': async (port) => (await ask(port, '/large')).body === large,
  'chunked upload': (port) =>
    ask(port, '/echo', { method: 'POST', headers: json, body: Readable.from(['{"a":', '"b"', '}']) }),
  failure: async (port) => (await ask(port, '/fail')).status,
  'async failure': async (port) => (await ask(port, '/fail/later')).status,
  address: (port) => ask(port, '/address'),
  'a stream to a slow client': (port) => slowRead(port, '/large'),
  'pipelined requests': (port) => pipelined(port),
  'a client that leaves': (port) => leave(port),
};

function slowRead(port, path) {
  return new Promise((resolve, reject) => {
    http.get({ host: '127.0.0.1', port, path }, async (response) => {
      let length = 0;
      response.on('data', (part) => {
        length += part.length;
        response.pause();
        setTimeout(() => response.resume(), 1);
      });
      response.on('end', () => resolve(length)).on('error', reject);
    });
  });
}

async function pipelined(port) {
  const socket = net.connect(port, '127.0.0.1');
  const get = (target, more = '') => `GET ${target} HTTP/1.1\r\nhost: a\r\n${more}\r\n`;
  socket.write(get('/text') + get('/nowhere') + get('/text', 'connection: close\r\n'));
  let text = '';
  for await (const part of socket.setEncoding('latin1')) text += part;
  return text.match(/HTTP\/1\.1 \d+/g);
}

/** Leaves while the application answers. @returns whether it has seen that */
async function leave(port) {
  const request = http.get({ host: '127.0.0.1', port, path: '/hang' });
  request.on('error', () => {});
  await wait(30);
  request.destroy();
  for (let tries = 0; tries < 100; tries++) {
    const { body } = await ask(port, '/left');
    if (Number(body) > 0) return true;
    await wait(10);
  }
  return false;
}

compare(
  'Express 5',
  (createServer) => {
    const app = express();
    let left = 0;
    app.use(express.json());
    app.get('/text', (_request, response) => response.send('text'));
    app.post('/echo', (request, response) => response.status(201).json(request.body));
    app.get('/large', (_request, response) => response.type('text/plain').send(large));
    app.get('/fail', () => {
      throw new Error('failure on purpose');
    });
    app.get('/fail/later', async () => {
      await wait(1);
      throw new Error('failure on purpose');
    });
    app.get('/address', ({ ip, protocol, secure, hostname, socket }, response) =>
      response.json({ ip, protocol, secure, hostname, family: socket.remoteFamily, local: socket.localAddress }),
    );
    app.get('/hang', (_request, response) => response.on('close', () => left++));
    app.get('/left', (_request, response) => response.send(String(left)));
    app.get('/user/:id', (request, response) =>
      response.cookie('a', '1').cookie('b', '2').json([request.params, request.query]),
    );
    app.get('/redirect', (_request, response) => response.redirect(301, '/text'));
    app.get('/file', (_request, response) => response.sendFile('compare.mjs', { root: import.meta.dirname }));
    app.get('/stream', (_request, response) => Readable.from(['one ', 'two ', 'three']).pipe(response));
    app.use((error, _request, response, next) => {
      if (response.headersSent) next(error);
      else response.status(error.status ?? 500).send(error.message);
    });
    return createServer(app);
  },
  {
    ...common,
    'parameters and cookies': (port) => ask(port, '/user/7?a=b&c[]=d'),
    redirect: (port) => ask(port, '/redirect'),
    file: (port) => ask(port, '/file'),
    'part of a file': (port) => ask(port, '/file', { headers: { range: 'bytes=10-29' } }),
    stream: (port) => ask(port, '/stream'),
  },
);

compare(
  'Koa',
  (createServer) => {
    const app = new Koa();
    app.silent = true;
    let left = 0;
    app.use(async (context) => {
      const { path, method, request, req, res } = context;
      if (path === '/text') context.body = 'text';
      else if (path === '/echo' && method === 'POST') {
        let text = '';
        for await (const part of req) text += part;
        try {
          context.body = JSON.parse(text);
          context.status = 201;
        } catch {
          context.status = 400;
        }
      } else if (path === '/large') context.body = Readable.from([large]);
      else if (path === '/fail') throw new Error('failure on purpose');
      else if (path === '/fail/later') {
        await wait(1);
        throw new Error('failure on purpose');
      } else if (path === '/address') {
        const { ip, protocol, secure, hostname } = request;
        context.body = { ip, protocol, secure, hostname };
      } else if (path === '/hang') {
        await once(res, 'close');
        left++;
      } else if (path === '/left') context.body = String(left);
    });
    return createServer(app.callback());
  },
  common,
);

compare(
  'Fastify',
  async (createServer) => {
    const app = Fastify({ serverFactory: (handler, options) => createServer(options, handler) });
    let left = 0;
    app.get('/text', async () => 'text');
    app.post('/echo', async (request, reply) => reply.code(201).send(request.body));
    app.get('/large', async (_request, reply) => reply.type('text/plain').send(Readable.from([large])));
    app.get('/fail', () => {
      throw new Error('failure on purpose');
    });
    app.get('/fail/later', async () => {
      await wait(1);
      throw new Error('failure on purpose');
    });
    app.get('/address', async ({ ip, protocol, hostname }) => ({ ip, protocol, hostname }));
    app.get('/hang', (_request, reply) => reply.raw.on('close', () => left++));
    app.get('/left', async () => String(left));
    await app.ready();
    return app.server;
  },
  common,
);

// A class as the decorators of TypeScript would make it.
class NestController {
  left = 0;
  text() {
    return 'text';
  }
  echo(body) {
    return body;
  }
  large() {
    return large;
  }
  fail() {
    throw new Error('failure on purpose');
  }
  async failLater() {
    await wait(1);
    throw new Error('failure on purpose');
  }
  address({ ip, protocol, hostname }) {
    return { ip, protocol, hostname };
  }
  hang(request) {
    request.res.on('close', () => this.left++);
    return new Promise(() => {});
  }
  countLeft() {
    return String(this.left);
  }
  user(id) {
    return { id };
  }
}

function decorate(name, decorators, parameters = []) {
  const { prototype } = NestController;
  const descriptor = Object.getOwnPropertyDescriptor(prototype, name);
  for (const [index, parameter] of parameters.entries()) parameter(prototype, name, index);
  for (const decorator of decorators) decorator(prototype, name, descriptor);
}
Controller()(NestController);
decorate('text', [Get('/text')]);
decorate('echo', [Post('/echo')], [Body()]);
decorate('large', [Get('/large')]);
decorate('fail', [Get('/fail')]);
decorate('failLater', [Get('/fail/later')]);
decorate('address', [Get('/address')], [Req()]);
decorate('hang', [Get('/hang')], [Req()]);
decorate('countLeft', [Get('/left')]);
decorate('user', [Get('/user/:id')], [Param('id')]);

class NestModule {}
Module({ controllers: [NestController] })(NestModule);

/** The adapter for Express, with a server that is made by another function. */
class Adapter extends ExpressAdapter {
  constructor(createServer) {
    super();
    this.createServer = createServer;
  }

  initHttpServer() {
    this.httpServer = this.createServer(this.getInstance());
  }
}

compare(
  'NestJS',
  async (createServer) => {
    const app = await NestFactory.create(NestModule, new Adapter(createServer), { logger: false });
    await app.init();
    return app.getHttpServer();
  },
  { ...common, parameters: (port) => ask(port, '/user/7') },
);

compare(
  'a plain function',
  (createServer) => {
    const app = async (request, response) => {
      if (request.url === '/trailers') {
        response.writeHead(200, { trailer: 'x-sum' });
        response.write('body');
        response.addTrailers({ 'x-sum': '4' });
        response.end();
        return;
      }
      let text = '';
      for await (const part of request) text += part;
      response.writeHead(200, 'Fine', ['x-one', '1', 'x-one', '2']);
      response.end(`${request.method} ${text} ${JSON.stringify(request.rawHeaders.slice(0, 2))}`);
    };
    return createServer(app);
  },
  {
    fields: (port) => ask(port, '/', { method: 'PUT', headers: { 'X-Case': 'Kept' }, body: 'text' }),
    trailers: (port) => ask(port, '/trailers'),
    'expect: 100-continue': async (port) => {
      const request = http.request({ port, host: '127.0.0.1', method: 'POST', headers: { expect: '100-continue' } });
      request.flushHeaders();
      await once(request, 'continue');
      request.end('body');
      const [response] = await once(request, 'response');
      let text = '';
      for await (const part of response) text += part;
      return text;
    },
  },
);
