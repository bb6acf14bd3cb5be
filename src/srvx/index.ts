// `sluice/srvx`: an adapter for srvx, with what its own adapters export.

import { Response } from '../http/fetch/response.js';

export type { ServerHandler, ServerMiddleware, ServerRequest, SrvxOptions } from './options.js';
export { SrvxServer, serve } from './server.js';

/** The light `Response`. */
export const FastResponse = Response;
/** The platform's `URL`: a request's URL costs nothing until it is asked for. */
export const FastURL: typeof globalThis.URL = globalThis.URL;
