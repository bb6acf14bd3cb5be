// The options of a WebSocket, and what is made of them for all sockets that have the same.

import type { Owner } from '../connection/network.js';
import { checkOptions, isOptions, longestDelay, type OptionRules } from '../util/options.js';
import type { PaceLimit } from '../util/pace.js';
import { type DeflateOptions, type DeflateSettings, deflateRules, deflateSettings } from './extensions.js';
import { MessageParser } from './messages.js';
import { outputWatchOf } from './output-watch.js';
import type { SocketEndpoint } from './socket-base.js';
import { unfinishedMessages } from './unfinished.js';

/** How slowly a message may come. */
export interface MessagePaceOptions {
  /**
   * How long a message that has started may pause before all of it has come, in milliseconds; a longer pause is refused with 1008. Time in which the connection is
   * not read does not count. Default 60,000.
   */
  messageTimeout?: number | undefined;
  /** The fewest bytes a second of a message that has started, on average, once `messageTimeout` has passed; fewer are refused with 1008. Default 240. */
  minMessageRate?: number | undefined;
}

export interface SocketOptions extends MessagePaceOptions {
  /** The most bytes of a message; more is refused with 1009 before it is held. Default 16 MiB. */
  maxPayloadLength?: number | undefined;
  /**
   * Whether messages are compressed (RFC 7692), if the other side can; and how. It costs CPU, and memory where contexts are taken over. Default
   * false.
   */
  perMessageDeflate?: boolean | DeflateOptions | undefined;
  /**
   * How long nothing may come before a ping is sent, in milliseconds; 0 for none. Default 30,000. Proxies end connections on which nothing happens
   * for a minute.
   */
  pingInterval?: number | undefined;
  /** How long after a ping the connection is reset if still nothing has come, and no output has been taken, in milliseconds. Default 30,000. */
  pongTimeout?: number | undefined;
  /**
   * How long the peer may take for its part of the closing handshake, in milliseconds; and how long the task may go on when the WebSocket is closed,
   * before it is unwound. Default 10,000.
   */
  closeTimeout?: number | undefined;
}

/** Of `MessagePaceOptions`. */
export const paceRules: OptionRules<MessagePaceOptions> = {
  messageTimeout: { number: [1, longestDelay] },
  minMessageRate: { number: [0.001, 2 ** 30] },
};

export function messagePaceOf({ messageTimeout = 60_000, minMessageRate = 240 }: MessagePaceOptions): PaceLimit {
  return { timeout: messageTimeout, rate: minMessageRate };
}

export const socketRules: OptionRules = {
  maxPayloadLength: { whole: [0, 2 ** 31 - 1] },
  perMessageDeflate: {
    accepts: (value) => typeof value === 'boolean' || isOptions(value),
    expected: 'true, false, or an object of options',
  },
  pingInterval: { number: [0, longestDelay] },
  pongTimeout: { number: [1, longestDelay] },
  closeTimeout: { number: [1, longestDelay] },
  ...paceRules,
};

/** @returns undefined if messages are not to be compressed @throws {TypeError | RangeError} for options that are wrong */
export function deflateOf(where: string, option: boolean | DeflateOptions | undefined): DeflateSettings | undefined {
  if (option === undefined || option === false) return undefined;
  const options = option === true ? {} : option;
  checkOptions(`${where}: perMessageDeflate`, options, deflateRules);
  return deflateSettings(options);
}

const endpoints = new WeakMap<Owner, Map<string, SocketEndpoint>>();

/** What sockets of one owner with the same options share. @param end see `SocketEndpoint` */
export function endpointOf(
  owner: Owner,
  options: SocketOptions,
  isClient: boolean,
  end: SocketEndpoint['end'],
): SocketEndpoint {
  const {
    maxPayloadLength = 16 * 1024 * 1024,
    pingInterval = 30_000,
    pongTimeout = 30_000,
    closeTimeout = 10_000,
  } = options;
  const messagePace = messagePaceOf(options);
  let known = endpoints.get(owner);
  if (known === undefined) {
    known = new Map();
    endpoints.set(owner, known);
  }
  const key = [maxPayloadLength, pingInterval, pongTimeout, closeTimeout, messagePace.timeout, messagePace.rate].join();
  let endpoint = known.get(key);
  if (endpoint === undefined) {
    endpoint = {
      owner,
      parser: new MessageParser(isClient ? 'client' : 'server', maxPayloadLength),
      isClient,
      closeTimeout,
      pingAfter: pingInterval === 0 ? Infinity : pingInterval,
      pongTimeout,
      sendsPings: true,
      messagePace,
      unfinished: unfinishedMessages(owner.buffers),
      outputWatch: outputWatchOf(owner),
      end,
    };
    known.set(key, endpoint);
  }
  return endpoint;
}
