// The light `Request`. The server makes one for every message over a RequestSource, and asks the source for each member
// only when user code asks; a Request that user code makes holds the platform's own inside.
// https://fetch.spec.whatwg.org/#request-class

import { Body, type BodyInit, type IncomingBody, PlatformBody } from './body.js';
import { fieldsFrom, Headers, type HeadersInit, headersOver } from './headers.js';
import { type Inspect, inspect, masqueradeAs, PlatformRequest } from './platform.js';

export type { IncomingBody } from './body.js';

/**
 * What the server knows of a request. Every member may be a getter that computes on demand. `method`, `url` and `signal`
 * are asked for as often as user code asks, and `signal` must be the same object each time; the others at most once.
 */
export interface RequestSource {
  /** As received: 'GET'. */
  readonly method: string;
  /** Absolute and serialised. */
  readonly url: string;
  /** All fields as received: lowercased names and values in turn; copied, not kept. */
  readonly fields: readonly string[];
  /** Null when the message has none. Not asked for with GET and HEAD, whose Request has no body by the standard. */
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

/** Init members that an object of a class (a Request given as init) has on its prototype, where a spread misses them. */
const INIT_MEMBERS = [
  ...(['method', 'headers', 'body', 'cache', 'credentials', 'duplex', 'integrity', 'keepalive', 'mode'] as const),
  ...(['redirect', 'referrer', 'referrerPolicy', 'signal', 'window'] as const),
];

/** Tells the constructor that its arguments are ours, already checked. */
const internal = Symbol('made by sluice');

/** The Request of one received message. */
export function requestFrom(source: RequestSource): Request {
  return new Request(source, internal, null);
}

/** True for a request made by this class, also in a subclass; never for the platform's. */
export let isLightRequest: (value: unknown) => value is Request;
/** What the server knows of the message that a request was made for; undefined for a request of other code's. */
export let sourceOf: (request: Request) => RequestSource | undefined;
/** The platform's object for a light request with `init` laid over it; the body goes over to it. */
export let toPlatformRequest: (request: Request, init?: RequestInit | null) => PlatformRequest;

let bodyOf: (request: Request) => Body;

/** The platform's `Request`, at the price of a few fields. @see https://fetch.spec.whatwg.org/#request-class */
export class Request {
  /** Says method, URL and signal: the server's source, or the platform's request. */
  readonly #origin: RequestSource | PlatformRequest;
  /** The origin if it is the platform's: it says the members that a server's request has at their defaults. */
  readonly #platform: PlatformRequest | null;
  #headers: Headers | null = null;
  #body: Body | null = null;

  static {
    isLightRequest = (value): value is Request => typeof value === 'object' && value !== null && #origin in value;
    // The origin is one or the other, and the platform's stands in both fields.
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
        // A body that is still the platform's goes over inside the platform, which then still knows its length.
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
      this.#origin = input as RequestSource | PlatformRequest; // What the second overload says.
      this.#platform = platform;
    } else {
      this.#platform = isLightRequest(input)
        ? toPlatformRequest(input, init as RequestInit | null)
        : new PlatformRequest(input as string, init === null ? undefined : (init as PlatformInit)); // It checks both itself.
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
    return false;
  }

  get isReloadNavigation(): boolean {
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
    return this.#origin.signal;
  }

  get url(): string {
    return this.#origin.url;
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return bodyOf(this).arrayBuffer();
  }

  blob(): Promise<Blob> {
    return bodyOf(this).blob(this.headers.get('content-type'));
  }

  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return bodyOf(this).bytes();
  }

  /** The copy shares the signal; the platform makes one that follows it, which shows only in a comparison of the two. */
  clone(): Request {
    const body = bodyOf(this).clone();
    const copy = new Request(this.#origin, internal, this.#platform);
    copy.#headers = new Headers(this.headers);
    copy.#body = body;
    return copy;
  }

  formData(): Promise<FormData> {
    return bodyOf(this).formData(this.headers.get('content-type'));
  }

  json(): Promise<unknown> {
    return bodyOf(this).json();
  }

  text(): Promise<string> {
    return bodyOf(this).text();
  }

  textStream(): ReadableStream<string> {
    return bodyOf(this).textStream();
  }

  get [Symbol.toStringTag](): 'Request' {
    return 'Request';
  }

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
 * A copy without the fields that are about the connection and the framing (RFC 9110 §7.6.1 and RFC 9113 §8.2.2), and without Expect: the
 * server has acted on them. A handler that passes a request on passes its fields on, and the platform's `fetch` refuses these.
 */
function endToEnd(fields: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i];
    // A switch and not a Set: it compares lengths first, and hashes nothing.
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

/** A copy to add to. */
function membersOf(init: RequestInit | null | undefined): Record<string, unknown> {
  const members: Record<string, unknown> = { ...init };
  for (const member of INIT_MEMBERS) {
    const value = init?.[member];
    if (value !== undefined) members[member] = value;
  }
  return members;
}

// A getter of a newer platform is asked of an object without the body, so that looking at one does not use it up.
masqueradeAs(Request, PlatformRequest, (self, consume) => {
  const request = self as Request; // masqueradeAs calls with instances of the class alone.
  if (consume) return toPlatformRequest(request);
  const { method, headers } = request;
  return new PlatformRequest(request.url, { method, headers: [...headers] });
});
