// `sluice/hono`: the helpers that an application of Hono imports from the adapter of its server.

export { getConnInfo } from './conn-info.js';
export { type SSEMessage, type SSEStream, streamSSE } from './stream-sse.js';
export { type HonoWebSocket, type HonoWebSocketOptions, upgradeWebSocket } from './web-socket.js';
