// Reads what a peer sends with the engine alone, as the endpoint of a case would.

import { openCompression } from '#sluice/websocket/compression.js';
import { acceptDeflate, type DeflateOptions, deflateSettings, parseExtensions } from '#sluice/websocket/extensions.js';
import { MessageParser } from '#sluice/websocket/messages.js';
import { type Case, endpoints, offer } from './corpus/case.js';
import { type Cuts, feed, type Heard } from './feed.js';

/** Reads a case as its endpoint would. */
export function read(
  c: Pick<Case, 'endpoint' | 'peer' | 'sent'>,
  cuts: Cuts,
  reading: 'whole' | 'parts' = 'whole',
): { heard: Heard[]; left: Case['left'] } {
  const endpoint: { maxPayloadLength: number; perMessageDeflate?: DeflateOptions } = endpoints[c.endpoint];
  const role = c.peer === 'client' ? 'server' : 'client';
  const parser = new MessageParser(role, endpoint.maxPayloadLength);
  const settings = endpoint.perMessageDeflate && deflateSettings(endpoint.perMessageDeflate);
  const accepted = settings && acceptDeflate(parseExtensions(offer) ?? [], settings);
  const compression = accepted && openCompression(role, accepted.parameters, settings);
  const { heard, partial } = feed(parser, c.sent, cuts, { inflater: compression?.inflater, reading });
  compression?.close();
  return { heard, left: partial === undefined ? 'nothing' : isCut(c.sent) ? 'frame' : 'message' };
}

/** Whether right frames end in the middle of one. */
function isCut(frames: Uint8Array): boolean {
  const view = new DataView(frames.buffer, frames.byteOffset, frames.length);
  let at = 0;
  while (at < frames.length) {
    if (frames.length - at < 10) return !isWhole(frames.subarray(at));
    const short = view.getUint8(at + 1) & 127;
    const mask = view.getUint8(at + 1) < 128 ? 0 : 4;
    const [header, length] =
      short < 126 ? [2, short] : short === 126 ? [4, view.getUint16(at + 2)] : [10, Number(view.getBigUint64(at + 2))];
    at += header + mask + length;
  }
  return at > frames.length;
}

/** Whether fewer than ten bytes are whole frames: their lengths are then in one byte. */
function isWhole(bytes: Uint8Array): boolean {
  let at = 0;
  while (at + 1 < bytes.length) at += 2 + (bytes[at + 1] < 128 ? 0 : 4) + (bytes[at + 1] & 127);
  return at === bytes.length;
}
