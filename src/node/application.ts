// What an application for Node may be: a `(req, res)` function, an application of a framework, or a server of node:http.

import { createServer, Server } from 'node:http';
import { Server as HttpsServer } from 'node:https';
import type { Server as NetServer } from 'node:net';
import { isInstance, propertyOf, show } from '../util/inspect.js';
import { listenerFor, type NodeHandler, type RequestErrors } from './request-errors.js';

/** The kinds of applications, as people call them. */
export type ApplicationKind =
  | '(req, res) function'
  | 'Express application'
  | 'Koa application'
  | 'Fastify instance'
  | 'NestJS application'
  | 'http.Server';

/**
 * An application for Node: a `(req, res)` function (an Express application is one), a Koa application, a Fastify instance, a NestJS application, or a server of
 * node:http that does not listen.
 */
export type NodeApplication =
  | NodeHandler
  | NetServer
  | { callback(): NodeHandler }
  | { ready(): unknown; server: NetServer }
  | { init(): unknown; getHttpServer(): unknown };

/** @returns undefined for what is no application */
export function applicationKind(value: unknown): ApplicationKind | undefined {
  if (typeof value === 'function') {
    const isExpress =
      typeof propertyOf(value, 'handle') === 'function' && typeof propertyOf(value, 'use') === 'function';
    return isExpress ? 'Express application' : '(req, res) function';
  }
  if (isHttpServer(value)) return 'http.Server';
  const has = (name: string) => typeof propertyOf(value, name) === 'function';
  if (has('callback') && has('use')) return 'Koa application';
  if (has('ready') && has('inject') && isHttpServer(propertyOf(value, 'server'))) return 'Fastify instance';
  if (has('getHttpServer') && has('init')) return 'NestJS application';
  return undefined;
}

function isHttpServer(value: unknown): value is Server {
  return isInstance(value, Server) || isInstance(value, HttpsServer);
}

/** The server whose listeners answer the requests of an application. Made where the application has none. @throws {TypeError} for what is no application */
export async function serverOf(where: string, application: unknown, errors: RequestErrors): Promise<NetServer> {
  switch (applicationKind(application)) {
    case '(req, res) function':
    case 'Express application':
      return createServer(listenerFor(application as NodeHandler, errors));
    case 'Koa application':
      return createServer(listenerFor((application as { callback(): NodeHandler }).callback(), errors));
    case 'http.Server':
      return application as NetServer;
    case 'Fastify instance': {
      const instance = application as { ready(): unknown; server: NetServer };
      await instance.ready();
      return instance.server;
    }
    case 'NestJS application': {
      const instance = application as { init(): unknown; getHttpServer(): unknown };
      await instance.init();
      const server = instance.getHttpServer();
      if (isHttpServer(server)) return server;
      throw new TypeError(
        `${where}: the HTTP server of the NestJS application is ${show(server)}; expected one of node:http`,
      );
    }
    default:
      throw new TypeError(
        `${where} is ${show(application)}; expected a (req, res) function, an application of Express, Koa, Fastify or NestJS, or a server of node:http`,
      );
  }
}
