// `sluice/hono`: the helpers that applications of Hono import from the adapter of their server.

export { getConnInfo } from './conn-info.js';
export { type SSEMessage, type SSEStream, streamSSE } from './stream-sse.js';
export { type HonoWebSocket, type HonoWebSocketOptions, upgradeWebSocket } from './web-socket.js';
