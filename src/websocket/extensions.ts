// Negotiating permessage-deflate (RFC 7692 §5, §7.1) in `Sec-WebSocket-Extensions` (RFC 6455 §9.1).

import type { OptionRules } from '../util/options.js';

/** How messages are compressed (RFC 7692). Both sides forget each message when the next one starts, unless they are told to take the context over. */
export interface DeflateOptions {
  /** Whether the server's messages may refer to the ones before: they become smaller, and each socket takes 2^(windowBits + 2) + 2^(memoryLevel + 9) bytes. Default false. */
  serverContextTakeover?: boolean | undefined;
  /** The same for the client's messages, for which the server takes 2^windowBits bytes. Default false. */
  clientContextTakeover?: boolean | undefined;
  /** The most that the server uses of its messages to compress them, as a power of two: 8 to 15. Default 15. */
  serverMaxWindowBits?: number | undefined;
  /** The same for the client, as a power of two. Clients that cannot be told (RFC 7692 §7.1.2.2) are served without compression if it is less than 15. Default 15. */
  clientMaxWindowBits?: number | undefined;
  /** Messages of fewer bytes are not compressed. Default 1024. */
  threshold?: number | undefined;
  /** How hard zlib tries, in order from 1, fast, to 9, small. Default 6. */
  level?: number | undefined;
  /** How much memory compressing takes: 1 to 9, for 2^(level + 9) bytes. Default 8. */
  memoryLevel?: number | undefined;
}

export const deflateRules: OptionRules = {
  serverContextTakeover: { type: 'boolean' },
  clientContextTakeover: { type: 'boolean' },
  serverMaxWindowBits: { whole: [8, 15] },
  clientMaxWindowBits: { whole: [8, 15] },
  threshold: { whole: [0, Number.MAX_SAFE_INTEGER] },
  level: { whole: [1, 9] },
  memoryLevel: { whole: [1, 9] },
};

/** The options with their defaults. */
export type DeflateSettings = { readonly [name in keyof DeflateOptions]-?: Exclude<DeflateOptions[name], undefined> };

export function deflateSettings(options: DeflateOptions): DeflateSettings {
  return {
    serverContextTakeover: options.serverContextTakeover ?? false,
    clientContextTakeover: options.clientContextTakeover ?? false,
    serverMaxWindowBits: options.serverMaxWindowBits ?? mostWindowBits,
    clientMaxWindowBits: options.clientMaxWindowBits ?? mostWindowBits,
    threshold: options.threshold ?? 1024,
    level: options.level ?? 6,
    memoryLevel: options.memoryLevel ?? 8,
  };
}

/** What both sides have agreed on. */
export interface DeflateParameters {
  readonly serverContextTakeover: boolean;
  readonly clientContextTakeover: boolean;
  readonly serverMaxWindowBits: number;
  readonly clientMaxWindowBits: number;
}

const name = 'permessage-deflate';
const mostWindowBits = 15;

/** One extension of the field, with its parameters in order: a parameter without a value has `true`. */
export interface Extension {
  readonly name: string;
  readonly parameters: readonly (readonly [name: string, value: string | true])[];
}

const token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const space = '[ \\t]*';
/** A parameter; a quoted value must be a token when its quotes and backslashes are removed. */
const parameter = new RegExp(
  `${space};${space}(${token})(?:${space}=${space}(?:(${token})|"((?:\\\\?${token.slice(0, -1)})+)"))?`,
  'y',
);
const extensionName = new RegExp(`${space}(${token})`, 'y');
const separator = new RegExp(`${space}(?:,|$)`, 'y');
const emptyElement = new RegExp(`${space},`, 'y');

/**
 * Parses a field. Empty elements of the list are allowed (RFC 9110 §5.6.1).
 * @param value several fields are joined by commas
 * @returns undefined if it is not of the form that RFC 6455 §9.1 gives: the handshake must be refused
 */
export function parseExtensions(value: string): Extension[] | undefined {
  const extensions: Extension[] = [];
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(value);
    if (found !== null) at = pattern.lastIndex;
    return found;
  };
  while (at < value.length) {
    if (match(emptyElement) !== null) continue;
    const found = match(extensionName);
    if (found === null) break;
    const parameters: [string, string | true][] = [];
    for (let next: RegExpExecArray | null; (next = match(parameter)) !== null; )
      parameters.push([next[1], next[2] ?? next[3]?.replaceAll('\\', '') ?? true]);
    extensions.push({ name: found[1], parameters });
    if (match(separator) === null) return undefined;
  }
  return value.slice(at).trim() === '' ? extensions : undefined;
}

/** The parameters of one offer or response; undefined if one is unknown, is there twice, or has a value that it cannot have. */
interface Parsed {
  serverNoContextTakeover: boolean;
  clientNoContextTakeover: boolean;
  serverMaxWindowBits: number | undefined;
  /** `true`: the client only says that it can be told. */
  clientMaxWindowBits: number | true | undefined;
}

/** What is wrong with a parameter. */
interface Wrong {
  readonly found: string;
  readonly expected: string;
}

const bits = 'a whole number from 8 to 15';

function parseParameters(extension: Extension): Parsed | Wrong {
  const parsed: Parsed = {
    serverNoContextTakeover: false,
    clientNoContextTakeover: false,
    serverMaxWindowBits: undefined,
    clientMaxWindowBits: undefined,
  };
  const seen = new Set<string>();
  for (const [parameterName, value] of extension.parameters) {
    if (seen.has(parameterName)) return { found: `${parameterName} is there twice`, expected: 'it once' };
    seen.add(parameterName);
    const isBits = typeof value === 'string' && /^(?:[89]|1[0-5])$/.test(value);
    switch (parameterName) {
      case 'server_no_context_takeover':
        if (value !== true) return { found: `${parameterName} has a value`, expected: 'none' };
        parsed.serverNoContextTakeover = true;
        break;
      case 'client_no_context_takeover':
        if (value !== true) return { found: `${parameterName} has a value`, expected: 'none' };
        parsed.clientNoContextTakeover = true;
        break;
      case 'server_max_window_bits':
        if (!isBits) return { found: `${parameterName} is ${String(value)}`, expected: bits };
        parsed.serverMaxWindowBits = Number(value);
        break;
      case 'client_max_window_bits':
        if (!isBits && value !== true) return { found: `${parameterName} is ${String(value)}`, expected: bits };
        parsed.clientMaxWindowBits = value === true ? true : Number(value);
        break;
      default:
        return { found: `${parameterName} is unknown`, expected: 'parameters of RFC 7692 §7.1' };
    }
  }
  return parsed;
}

/** What a server answers. */
export interface AcceptedDeflate {
  readonly parameters: DeflateParameters;
  /** The value of `Sec-WebSocket-Extensions` in the response. */
  readonly response: string;
}

/**
 * Chooses among the offers of a client: the first one that can be accepted (RFC 7692 §5.1). Offers with unknown, repeated or wrong parameters are declined.
 * @returns undefined if there is none: the WebSocket does without compression
 */
export function acceptDeflate(offers: readonly Extension[], settings: DeflateSettings): AcceptedDeflate | undefined {
  for (const offer of offers) {
    if (offer.name !== name) continue;
    const asked = parseParameters(offer);
    if ('found' in asked) continue;
    if (settings.clientMaxWindowBits < mostWindowBits && asked.clientMaxWindowBits === undefined) continue;
    const parameters: DeflateParameters = {
      serverContextTakeover: settings.serverContextTakeover && !asked.serverNoContextTakeover,
      clientContextTakeover: settings.clientContextTakeover && !asked.clientNoContextTakeover,
      serverMaxWindowBits: Math.min(settings.serverMaxWindowBits, asked.serverMaxWindowBits ?? mostWindowBits),
      clientMaxWindowBits: Math.min(
        settings.clientMaxWindowBits,
        typeof asked.clientMaxWindowBits === 'number' ? asked.clientMaxWindowBits : mostWindowBits,
      ),
    };
    let response = name;
    if (!parameters.serverContextTakeover) response += '; server_no_context_takeover';
    if (!parameters.clientContextTakeover) response += '; client_no_context_takeover';
    if (asked.serverMaxWindowBits !== undefined || parameters.serverMaxWindowBits < mostWindowBits)
      response += `; server_max_window_bits=${parameters.serverMaxWindowBits}`;
    if (parameters.clientMaxWindowBits < mostWindowBits)
      response += `; client_max_window_bits=${parameters.clientMaxWindowBits}`;
    return { parameters, response };
  }
  return undefined;
}

/** What a client offers: the value of `Sec-WebSocket-Extensions` in the request. */
export function offerDeflate(settings: DeflateSettings): string {
  let offer = `${name}; client_max_window_bits`;
  if (settings.clientMaxWindowBits < mostWindowBits) offer += `=${settings.clientMaxWindowBits}`;
  if (settings.serverMaxWindowBits < mostWindowBits)
    offer += `; server_max_window_bits=${settings.serverMaxWindowBits}`;
  if (!settings.serverContextTakeover) offer += '; server_no_context_takeover';
  if (!settings.clientContextTakeover) offer += '; client_no_context_takeover';
  return offer;
}

/** A server's answer does not fit the offer. */
export class ExtensionError extends Error {
  readonly found: string;
  readonly expected: string;

  constructor(found: string, expected: string) {
    super(`${found}; expected ${expected}`);
    this.found = found;
    this.expected = expected;
  }
}

/**
 * Reads a server's answer to `offerDeflate`.
 * @param answer its field
 * @param settings what was offered; undefined if nothing was
 * @returns what both agree on; undefined if the server does without compression
 * @throws {ExtensionError} if the answer does not fit the offer: the client must fail the connection (RFC 6455 §4.1, RFC 7692 §5.1)
 */
export function readAcceptedDeflate(
  answer: readonly Extension[],
  settings: DeflateSettings | undefined,
): DeflateParameters | undefined {
  if (answer.length === 0) return undefined;
  const [extension] = answer;
  if (answer.length > 1 || extension.name !== name || settings === undefined)
    throw new ExtensionError(
      `the ${answer.length === 1 ? 'extension' : 'extensions'} ${answer.map((each) => each.name).join(', ')}`,
      `${settings === undefined ? 'none, since none was offered' : `${name}, or none`} (RFC 6455 §4.1)`,
    );
  const accepted = parseParameters(extension);
  const fail = (what: string, expected: string): Error =>
    new ExtensionError(`the extension ${name}, of which ${what}`, `${expected} (RFC 7692 §7.1)`);
  if ('found' in accepted) throw fail(accepted.found, accepted.expected);
  const { serverMaxWindowBits = mostWindowBits, clientMaxWindowBits = mostWindowBits } = accepted;
  if (clientMaxWindowBits === true) throw fail('client_max_window_bits has no value', bits);
  if (serverMaxWindowBits > settings.serverMaxWindowBits)
    throw fail(
      `server_max_window_bits is ${serverMaxWindowBits}`,
      `at most ${settings.serverMaxWindowBits}, as offered`,
    );
  if (!settings.serverContextTakeover && !accepted.serverNoContextTakeover)
    throw fail('server_no_context_takeover is missing', 'it, since it was offered');
  return {
    serverContextTakeover: !accepted.serverNoContextTakeover,
    clientContextTakeover: settings.clientContextTakeover && !accepted.clientNoContextTakeover,
    serverMaxWindowBits,
    clientMaxWindowBits: Math.min(clientMaxWindowBits, settings.clientMaxWindowBits),
  };
}
