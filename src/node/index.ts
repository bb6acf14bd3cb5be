// The public face of `sluice/node`.

/// <reference lib="esnext.disposable" preserve="true" />

export type { NodeApplication } from './application.js';
export { createServer, type NodeServer, type NodeServerOptions } from './create-server.js';
export { listen, type NodeListening } from './listen.js';
export type { NodeListenOptions, NodeServerSettings } from './node-listener.js';
export { NodeSocket } from './node-socket.js';
export type { NodeErrorHandler, NodeHandler } from './request-errors.js';
export { TlsNodeSocket } from './tls-node-socket.js';
