// What a case of the WebSocket corpus is: the bytes that a peer sends when the handshake is done, and what they mean.

import type { DeflateOptions } from '#sluice/websocket/extensions.js';
import type { Heard } from '../feed.js';

/** The endpoints that the cases are sent to, by the options that matter. */
export const endpoints = {
  usual: { maxPayloadLength: 200_000 },
  small: { maxPayloadLength: 100 },
  deflated: { maxPayloadLength: 200_000, perMessageDeflate: { threshold: 0 } },
  smallDeflated: { maxPayloadLength: 100, perMessageDeflate: { threshold: 0 } },
  takeover: {
    maxPayloadLength: 200_000,
    perMessageDeflate: { threshold: 0, serverContextTakeover: true, clientContextTakeover: true },
  },
} satisfies Record<string, { maxPayloadLength: number; perMessageDeflate?: DeflateOptions }>;

export type EndpointName = keyof typeof endpoints;

/** What a client offers where the endpoint has permessage-deflate. */
export const offer = 'permessage-deflate; client_max_window_bits';

export interface Case {
  name: string;
  /** Of the RFC that asks for it: `RFC 6455 §5.2`. */
  section: string;
  endpoint: EndpointName;
  /** Who sends. */
  peer: 'client' | 'server';
  sent: Uint8Array;
  /** What the endpoint reads. A Close frame or a failure is the last of it; without one, the socket stays open. */
  heard: readonly Heard[];
  /** What has come in part at the end: nothing, a message of which frames are missing, or a frame. */
  left: 'nothing' | 'message' | 'frame';
}

/** So many bytes that sending them one by one is too slow. */
export function isBulky(c: Case): boolean {
  return c.sent.length > 300 || c.heard.some((each) => JSON.stringify(each).length > 10_000);
}
