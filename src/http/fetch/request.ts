// The light `Request`. The server creates one for each request, over a RequestSource, and reads a member of the source only when user code does. A Request
// that user code creates contains the platform's.
// https://fetch.spec.whatwg.org/#request-class

import { Body, type BodyInit, type IncomingBody, PlatformBody } from './body.js';
import { fieldsFrom, Headers, type HeadersInit, headersOver } from './headers.js';
import { type Inspect, inspect, masqueradeAs, PlatformRequest } from './platform.js';

export type { IncomingBody } from './body.js';

/**
 * The server's side of a request. Every member may be a getter that computes on demand. `method`, `url` and `signal` may be read any number of
 * times, and `signal` must be the same object each time; the others are read at most once.
 */
export interface RequestSource {
  /** As received: 'GET'. */
  readonly method: string;
  /** Absolute and serialised. */
  readonly url: string;
  /** All fields as received: lowercased names, each followed by its value. The array is copied. */
  readonly fields: readonly string[];
  /** Null if the message has none. Not read for GET and HEAD, whose Request has no body by the standard. */
  readonly body: IncomingBody | null;
  readonly signal: AbortSignal;
}

export interface RequestInit {
  method?: string | undefined;
  headers?: HeadersInit | undefined;
  body?: BodyInit | null | undefined;
  cache?: PlatformRequest['cache'] | undefined;
  credentials?: PlatformRequest['credentials'] | undefined;
  duplex?: 'half' | undefined;
  integrity?: string | undefined;
  keepalive?: boolean | undefined;
  mode?: PlatformRequest['mode'] | undefined;
  redirect?: PlatformRequest['redirect'] | undefined;
  referrer?: string | undefined;
  referrerPolicy?: PlatformRequest['referrerPolicy'] | undefined;
  signal?: AbortSignal | null | undefined;
  window?: null | undefined;
}

/** Members of an init object. A Request as init has them on its prototype, where a spread misses them. */
const INIT_MEMBERS = [
  ...(['method', 'headers', 'body', 'cache', 'credentials', 'duplex', 'integrity', 'keepalive', 'mode'] as const),
  ...(['redirect', 'referrer', 'referrerPolicy', 'signal', 'window'] as const),
];

/** Marks calls of the constructor by this module, whose arguments need no checks. */
const internal = Symbol('made by sluice');

/** Creates the Request for a received message. */
export function requestFrom(source: RequestSource): Request {
  return new Request(source, internal, null);
}

/** True for a request made by this class, also in a subclass; never for the platform's. */
export let isLightRequest: (value: unknown) => value is Request;
/** The source of a request that the server has created; undefined for other requests. */
export let sourceOf: (request: Request) => RequestSource | undefined;
/** The platform's request for a light one, with the members of `init`. The body moves to it. */
export let toPlatformRequest: (request: Request, init?: RequestInit | null) => PlatformRequest;

let bodyOf: (request: Request) => Body;

/** The signals of clones, null until one is asked for. Not in the requests: few are clones. */
const clonedSignals = new WeakMap<Request, AbortSignal | null>();

/** A signal that aborts when another does, for the same reason. */
function following(signal: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const abort = () => controller.abort(signal.reason);
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  return controller.signal;
}

/** For a method that returns a promise and is called with another `this`: https://webidl.spec.whatwg.org/#dfn-create-operation-function */
function refused(method: string): Promise<never> {
  return Promise.reject(wrongThis(method));
}

function wrongThis(member: string): TypeError {
  return new TypeError(`Request.${member}: expected a Request as \`this\``);
}

/** A light `Request`, which has only a few fields. @see https://fetch.spec.whatwg.org/#request-class */
export class Request {
  /** Where method, URL and signal come from: the server's source, or the platform's request. */
  readonly #origin: RequestSource | PlatformRequest;
  /** The origin if it is the platform's: it has the members that are at their defaults in a request of the server. */
  readonly #platform: PlatformRequest | null;
  #headers: Headers | null = null;
  #body: Body | null = null;

  static {
    isLightRequest = (value): value is Request => typeof value === 'object' && value !== null && #origin in value;
    // The platform's request is in both fields, so null here means that the origin is a source.
    sourceOf = (request) => (request.#platform === null ? (request.#origin as RequestSource) : undefined);
    bodyOf = (request) => {
      request.#body ??= bodyFrom(request.#origin, request.#platform);
      return request.#body;
    };
    toPlatformRequest = (request, init) => {
      const platform = request.#platform;
      const given = membersOf(init);
      if (platform === null) {
        given.method ??= request.method;
        if (given.signal === undefined) given.signal = request.signal;
      } else if (Object.keys(given).length === 0) {
        // Any member in the init sets these two back: https://fetch.spec.whatwg.org/#dom-request
        given.referrer = platform.referrer;
        given.referrerPolicy = platform.referrerPolicy;
      }
      if (platform === null || request.#headers !== null) given.headers ??= [...request.headers];

      const body = bodyOf(request);
      const inherits = !body.isNull && (given.body === undefined || given.body === null);
      if (inherits) {
        if (body.unusable) throw new TypeError('cannot make a request from one whose body has been read, or is locked');
        // The platform's body moves inside the platform, so that its length stays known.
        if (platform === null || platform.body !== body.stream) {
          given.body = body.stream;
          given.duplex = 'half';
        }
      }
      const result = new PlatformRequest(platform ?? request.url, given as PlatformInit);
      if (inherits && !body.unusable) body.take(); // Bun lets both go on using it; the standard does not.
      return result;
    };
  }

  constructor(input: string | URL | globalThis.Request | Request, init?: RequestInit | globalThis.Request | null);
  /** @internal */
  constructor(origin: RequestSource | PlatformRequest, marker: typeof internal, platform: PlatformRequest | null);
  constructor(
    input: string | URL | object,
    init: RequestInit | globalThis.Request | typeof internal | null = null,
    platform: PlatformRequest | null = null,
  ) {
    if (init === internal) {
      this.#origin = input as RequestSource | PlatformRequest; // see the second overload
      this.#platform = platform;
    } else {
      this.#platform = isLightRequest(input)
        ? toPlatformRequest(input, init as RequestInit | null)
        : new PlatformRequest(input as string, init === null ? undefined : (init as PlatformInit)); // the platform checks both
      this.#origin = this.#platform;
    }
  }

  get body(): globalThis.Request['body'] {
    return bodyOf(this).stream;
  }

  get bodyUsed(): boolean {
    return bodyOf(this).used;
  }

  get cache(): PlatformRequest['cache'] {
    return this.#platform?.cache ?? 'default';
  }

  get credentials(): PlatformRequest['credentials'] {
    return this.#platform?.credentials ?? 'same-origin';
  }

  get destination(): PlatformRequest['destination'] {
    return this.#platform?.destination ?? '';
  }

  get duplex(): 'half' {
    if (!isLightRequest(this)) throw wrongThis('duplex');
    return 'half';
  }

  get headers(): Headers {
    this.#headers ??= headersOver(
      this.#platform === null ? endToEnd((this.#origin as RequestSource).fields) : fieldsFrom(this.#platform.headers),
      false,
    );
    return this.#headers;
  }

  get integrity(): string {
    return this.#platform?.integrity ?? '';
  }

  get isHistoryNavigation(): boolean {
    if (!isLightRequest(this)) throw wrongThis('isHistoryNavigation');
    return false;
  }

  get isReloadNavigation(): boolean {
    if (!isLightRequest(this)) throw wrongThis('isReloadNavigation');
    return false;
  }

  get keepalive(): boolean {
    return this.#platform?.keepalive ?? false;
  }

  get method(): string {
    return this.#origin.method;
  }

  get mode(): PlatformRequest['mode'] {
    return this.#platform?.mode ?? 'cors';
  }

  get redirect(): PlatformRequest['redirect'] {
    return this.#platform?.redirect ?? 'follow';
  }

  get referrer(): string {
    return this.#platform?.referrer ?? 'about:client';
  }

  get referrerPolicy(): PlatformRequest['referrerPolicy'] {
    return this.#platform?.referrerPolicy ?? '';
  }

  get signal(): AbortSignal {
    const cloned = clonedSignals.get(this);
    if (cloned === undefined) return this.#origin.signal;
    const signal = cloned ?? following(this.#origin.signal);
    clonedSignals.set(this, signal);
    return signal;
  }

  get url(): string {
    return this.#origin.url;
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return isLightRequest(this) ? bodyOf(this).arrayBuffer() : refused('arrayBuffer');
  }

  blob(): Promise<Blob> {
    return isLightRequest(this) ? bodyOf(this).blob(this.headers.get('content-type')) : refused('blob');
  }

  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return isLightRequest(this) ? bodyOf(this).bytes() : refused('bytes');
  }

  /** The signal of the copy follows that of this request. */
  clone(): Request {
    const body = bodyOf(this).clone();
    const copy = new Request(this.#origin, internal, this.#platform);
    clonedSignals.set(copy, null);
    copy.#headers = new Headers(this.headers);
    copy.#body = body;
    return copy;
  }

  formData(): Promise<FormData> {
    return isLightRequest(this) ? bodyOf(this).formData(this.headers.get('content-type')) : refused('formData');
  }

  json(): Promise<unknown> {
    return isLightRequest(this) ? bodyOf(this).json() : refused('json');
  }

  text(): Promise<string> {
    return isLightRequest(this) ? bodyOf(this).text() : refused('text');
  }

  textStream(): ReadableStream<string> {
    return bodyOf(this).textStream();
  }

  declare readonly [Symbol.toStringTag]: 'Request';

  [inspect](depth: number, options: object, show: Inspect): string {
    const { method, url, headers, bodyUsed, signal } = this;
    const { destination, referrer, referrerPolicy, mode, credentials, cache, redirect, integrity, keepalive } = this;
    const rest = { destination, referrer, referrerPolicy, mode, credentials, cache, redirect, integrity, keepalive };
    const shown = { method, url, headers, body: bodyOf(this).preview, bodyUsed, ...rest, signal };
    return `Request ${show(shown, { ...options, depth })}`;
  }
}

type PlatformInit = ConstructorParameters<typeof PlatformRequest>[1];

/** https://fetch.spec.whatwg.org/#dom-request: "Request with GET/HEAD method cannot have body", whatever was sent. */
function bodyFrom(origin: RequestSource | PlatformRequest, platform: PlatformRequest | null): Body {
  if (platform !== null) return new Body(platform.body === null ? null : new PlatformBody(platform));
  const { method } = origin;
  return new Body(method === 'GET' || method === 'HEAD' ? null : (origin as RequestSource).body);
}

/**
 * A copy without Expect and the fields for the connection and the framing (RFC 9110 §7.6.1 and RFC 9113 §8.2.2), which the server has handled. Handlers
 * that forward a request pass its fields to the platform's `fetch`, which rejects these.
 */
function endToEnd(fields: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i];
    // A switch is faster than a Set here: it compares lengths first and computes no hash.
    switch (name) {
      case 'connection':
      case 'expect':
      case 'keep-alive':
      case 'proxy-connection':
      case 'transfer-encoding':
      case 'upgrade':
        continue;
    }
    kept.push(name, fields[i + 1]);
  }
  return kept;
}

/** A copy that may be changed. */
function membersOf(init: RequestInit | null | undefined): Record<string, unknown> {
  const members: Record<string, unknown> = { ...init };
  for (const member of INIT_MEMBERS) {
    const value = init?.[member];
    if (value !== undefined) members[member] = value;
  }
  return members;
}

// A getter of a newer platform is read from an object without the body, so that reading it does not use the body.
masqueradeAs(Request, PlatformRequest, (self, consume) => {
  const request = self as Request; // masqueradeAs passes only instances of the class
  if (consume) return toPlatformRequest(request);
  const { method, headers } = request;
  return new PlatformRequest(request.url, { method, headers: [...headers] });
});
