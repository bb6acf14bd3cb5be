// `upgradeWebSocket` for Hono: calls the events of Hono from WebSockets by handlers.

import { createWSMessageEvent, defineWebSocketHelper, type UpgradeWebSocket, WSContext, type WSEvents } from 'hono/ws';
import { isThenable } from '../threads/task.js';
import { HandlerUpgrades } from '../websocket/handler-upgrades.js';
import type { ServerWebSocket, WebSocketHandlers } from '../websocket/handlers.js';

/** The state of one WebSocket. */
interface SocketData {
  readonly events: WSEvents<HonoWebSocket>;
  readonly url: string;
  context: WSContext<HonoWebSocket> | undefined;
}

/** The type of `ws.raw`: the WebSocket that handlers of `serve` get. */
export type HonoWebSocket = ServerWebSocket<unknown>;

/** Limits and the handshake, as in the option `websocket` of `serve`. */
export type HonoWebSocketOptions = Omit<
  WebSocketHandlers,
  'open' | 'message' | 'drain' | 'close' | 'ping' | 'pong' | 'data'
>;

/**
 * Answers a request with a WebSocket in an application of Hono, like `upgradeWebSocket` of Hono's own adapters. `serve` does not need the option `websocket`.
 *
 * ```ts
 * app.get('/echo', upgradeWebSocket(() => ({ onMessage: (event, ws) => ws.send(`${event.data}`) })));
 * ```
 *
 * Errors of an event's handler go to `onError` of the events, or else to `onError` of `serve`.
 */
export const upgradeWebSocket: UpgradeWebSocket<HonoWebSocket, HonoWebSocketOptions> = defineWebSocketHelper<
  HonoWebSocket,
  HonoWebSocketOptions
>((c, events, options = noOptions) => {
  const data: SocketData = { events, url: c.req.url, context: undefined };
  if (!upgradesOf(options).upgrade('upgradeWebSocket', c.req.raw, { data })) return undefined;
  return new Response(null); // the request is answered by the handshake
});

const noOptions: HonoWebSocketOptions = {};
/** By the object of options: routes with the same object, or none, share an entry. */
const byOptions = new WeakMap<HonoWebSocketOptions, HandlerUpgrades<SocketData>>();

function upgradesOf(options: HonoWebSocketOptions): HandlerUpgrades<SocketData> {
  let upgrades = byOptions.get(options);
  if (upgrades === undefined) {
    upgrades = new HandlerUpgrades<SocketData>({ ...(options as WebSocketHandlers<SocketData>), ...handlers });
    byOptions.set(options, upgrades);
  }
  return upgrades;
}

const handlers: WebSocketHandlers<SocketData> = {
  open(ws) {
    ws.binaryType = 'arraybuffer'; // as in Hono's events
    return call(ws, ({ onOpen }, context) => onOpen?.(new Event('open'), context));
  },
  message(ws, message) {
    return call(ws, ({ onMessage }, context) =>
      // The cast: bytes come as `binaryType` says, which the declared type does not tell.
      onMessage?.(createWSMessageEvent(message as string | ArrayBuffer), context),
    );
  },
  close(ws, code, reason) {
    return call(ws, ({ onClose }, context) => onClose?.(closeEvent(code, reason), context));
  },
};

/** Calls a handler of an event. Its error goes to `onError` if there is one, and otherwise to the caller. */
function call(
  ws: ServerWebSocket<SocketData>,
  handler: (events: WSEvents<HonoWebSocket>, context: WSContext<HonoWebSocket>) => unknown,
): unknown {
  const { events } = ws.data;
  const context = contextOf(ws);
  const failed = (error: unknown): void => {
    if (events.onError === undefined) throw error;
    events.onError(Object.assign(new Event('error'), { error }), context);
  };
  try {
    const result = handler(events, context);
    return isThenable(result) ? Promise.resolve(result).catch(failed) : undefined;
  } catch (error) {
    return failed(error);
  }
}

function contextOf(ws: ServerWebSocket<SocketData>): WSContext<HonoWebSocket> {
  const { data } = ws;
  data.context ??= new WSContext<HonoWebSocket>({
    send: (message, { compress }) => void ws.send(message, compress),
    close: (code, reason) => ws.close(code, reason),
    raw: ws,
    get readyState() {
      return ws.readyState;
    },
    url: data.url,
  });
  return data.context;
}

/** An event with the members of `CloseEvent`, which Node before version 23 does not have. */
function closeEvent(code: number, reason: string): Event & { code: number; reason: string; wasClean: boolean } {
  return Object.assign(new Event('close'), { code, reason, wasClean: code !== 1006 });
}
