// The public face of sluice.

/// <reference lib="esnext.disposable" preserve="true" />

export type { BufferedCounts } from './connection/buffered-bytes.js';
export { type ConnectOptions, connect } from './connection/connect.js';
export { Connection } from './connection/connection.js';
export type { ConnectionMessage } from './connection/diagnostics.js';
export { type AddressOptions, type ListenOptions, listen, type TcpServer } from './connection/listen.js';
export {
  type CloseOptions,
  type ConnectionCounts,
  type ReloadOptions,
  ServerClosedError,
} from './connection/listener.js';
export { Network } from './connection/network.js';
export type { Reader } from './connection/reader.js';
export type { Writer } from './connection/writer.js';
export { ConnectionError } from './event-layer/event-layer.js';
export { SimulatedLayer, type SimulatedOptions } from './event-layer/simulated/simulated.js';
export type { PeerCertificate, TlsInfo } from './event-layer/tls-info.js';
export type { EventClient } from './events/event-client.js';
export type { ServerSentEvent } from './events/event-format.js';
export { type EventHandler, type EventsOptions, events } from './events/events.js';
export type { FollowOptions } from './events/following.js';
export type { RequestErrorMessage, RequestMessage } from './http/diagnostics.js';
export { HttpError } from './http/errors.js';
export { Headers } from './http/fetch/headers.js';
export { Request } from './http/fetch/request.js';
export { Response } from './http/fetch/response.js';
export { ClientLeftError } from './http/incoming-request.js';
export { ResponseError } from './http/outgoing.js';
export type { RequestRuntime, ServerRequestMembers } from './http/request-members.js';
export type { RefusedRequest, RequestInfo } from './http/settings.js';
export type { SocketAddress } from './http/socket-address.js';
export { type BodyTask, type BodyWriter, stream } from './http/stream.js';
export type { TrustProxy } from './http/trusted-proxies.js';
export type { FetchInfo, RemoteAddress, ServerMembers, ServerReloadOptions } from './server/fetch-server.js';
export {
  type ActiveConnection,
  type Answer,
  type AnyResponse,
  type Fetch,
  type ServeOptions,
  type Server,
  serve,
} from './server/serve.js';
export * from './threads/index.js';
export { TlsConfigError } from './tls/options/errors.js';
export type {
  TlsCertificateOptions,
  TlsClientOptions,
  TlsFile,
  TlsFiles,
  TlsServerOptions,
} from './tls/options/options.js';
export type { Policy, Subscription } from './topics/subscription.js';
export {
  type ParkingTopic,
  type PublishOptions,
  type SubscribeOptions,
  type Topic,
  type TopicCounts,
  type TopicOptions,
  topic,
} from './topics/topic.js';
export { connectWebSocket, type WebSocketClientOptions } from './websocket/client.js';
export { WebSocketError } from './websocket/errors.js';
export type { DeflateOptions } from './websocket/extensions.js';
export type { Following } from './websocket/following.js';
export type {
  BinaryType,
  Sendable,
  ServerWebSocket,
  UpgradeArguments,
  UpgradeOptions,
  WebSocketHandlers,
} from './websocket/handlers.js';
export type { HandshakeOptions, OriginRule } from './websocket/handshake.js';
export { type WebSocketOptions, type WebSocketTask, webSocket } from './websocket/server.js';
export type { MessageParts, WebSocketConnection, WebSocketMessage } from './websocket/web-socket.js';
