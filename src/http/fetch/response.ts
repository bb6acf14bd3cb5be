// The light `Response`: what handlers make for every request, so its constructor does the checks of the standard and
// nothing else. http/ takes status, fields and content out of it through the functions above the class, and no Headers
// and no stream exists unless user code asked for one. https://fetch.spec.whatwg.org/#response-class

import { isTask, taskNotRun } from '../../threads/task.js';
import { Body, type BodyInit, BodyWithType, type Content, extract, type Takeover, TEXT_TYPE } from './body.js';
import { type Fields, fieldsFrom, getField, type Headers, type HeadersInit, hasField, headersOver } from './headers.js';
import { type Inspect, inspect, masqueradeAs, PlatformResponse } from './platform.js';

export interface ResponseInit {
  readonly status?: number | undefined;
  readonly statusText?: string | undefined;
  readonly headers?: HeadersInit | undefined;
}

/** The raw content, for the sender, which owns it from then on. TypeError if the body was used before, or is locked. */
export let takeContent: (response: Response) => Content;
/** The fields as they are now, lowercased names and values in turn; the array itself, so do not keep or change it. */
export let responseFields: (response: Response) => readonly string[];
/** The content's length in bytes where it is known before it is read (bytes, blobs). Ask before `takeContent`. */
export let knownLength: (response: Response) => number | undefined;
/** True for a response made by this class, also in a subclass; never for the platform's. */
export let isLightResponse: (value: unknown) => value is Response;

/**
 * A response with content that user code cannot make: `stream()` passes a ThreadBody. Checked as by the constructor, but that the
 * status may be one without a body: the sender cancels the body then.
 */
export function makeResponse(content: Content, init?: ResponseInit | null): Response {
  return new Response(new BodyWithType(new Body(content), null), init);
}

/** A response of status 101, which user code cannot make: it hands the connection over. @param fields lowercased names and values in turn, checked where they are written */
export let makeTakeover: (takeover: Takeover, fields: Fields) => Response;

/**
 * True for the platform's own Response, and for one of another implementation of the standard whose body is the platform's stream (npm's
 * undici has one): the sender reads both through their public interface.
 */
export function isPlatformResponse(value: unknown): value is PlatformResponse {
  if (isLightResponse(value)) return false;
  if (value instanceof PlatformResponse) return true;
  if (Object.prototype.toString.call(value) !== '[object Response]') return false;
  const { body } = value as { body: unknown };
  return body === null || body instanceof ReadableStream;
}

/** The platform's object for a light response, whose body goes with it. */
export function toPlatformResponse(response: Response): PlatformResponse {
  return platformTwin(response, response.body);
}

function platformTwin(response: Response, body: ReadableStream | null): PlatformResponse {
  if (response.type === 'error') return PlatformResponse.error();
  const { status, statusText } = response;
  // The cast: the platform takes streams, its types (undici's) do not list them.
  return new PlatformResponse(body as unknown as string, { status, statusText, headers: [...response.headers] });
}

interface Statics {
  error(): Response;
  json(...args: [] | [data: unknown, init?: ResponseInit | null]): Response;
  redirect(url: string | URL, status?: number): Response;
}

type ResponseKind = 'default' | 'error' | 'redirect';

/** The platform's `Response`, at the price of a few fields. @see https://fetch.spec.whatwg.org/#response-class */
export class Response {
  #body: Body;
  #fields: Fields;
  /** Over `#fields`, so that what user code changes is in the array; made at the first use of `headers`. */
  #headers: Headers | null = null;
  #status = 200;
  #statusText = '';
  #kind: ResponseKind = 'default';

  static {
    takeContent = (response) => response.#body.take();
    responseFields = (response) => response.#fields;
    knownLength = (response) => response.#body.length;
    makeTakeover = (takeover, fields) => {
      const response = new Response(new BodyWithType(new Body(takeover), null));
      response.#status = 101;
      response.#fields.push(...fields);
      return response;
    };
    isLightResponse = (value): value is Response => typeof value === 'object' && value !== null && #body in value;
  }

  constructor(body?: BodyInit | null, init?: ResponseInit | null);
  /** @internal */
  constructor(body: BodyWithType, init?: ResponseInit | null);
  constructor(body: BodyInit | BodyWithType | null = null, init: ResponseInit | null = null) {
    let type: string | null = null;
    if (body === null) {
      this.#body = new Body(null);
    } else if (typeof body === 'string') {
      this.#body = new Body(body);
      type = TEXT_TYPE;
    } else {
      const extracted = body instanceof BodyWithType ? body : extract(body);
      this.#body = extracted.body;
      type = extracted.type;
    }
    if (init === null) {
      this.#fields = type === null ? [] : ['content-type', type];
      return;
    }
    if (typeof init !== 'object' && typeof init !== 'function') {
      throw new TypeError(`Response: expected an object as init, found ${typeof init}`);
    }
    const { status, statusText, headers } = init;
    if (status !== undefined) this.#status = checkedStatus(status);
    if (statusText !== undefined) this.#statusText = checkedReason(statusText);
    this.#fields = fieldsFrom(headers);
    if (!this.#body.isNull) {
      // https://fetch.spec.whatwg.org/#null-body-status; 101 and 103 never get here.
      const code = this.#status;
      if ((code === 204 || code === 205 || code === 304) && !this.#body.isThread)
        throw new TypeError(`a response of status ${code} has no body`);
      if (type !== null && !hasField(this.#fields, 'content-type')) this.#fields.push('content-type', type);
    }
  }

  // These are no methods, since to make static methods enumerable afterwards, as WebIDL has them, would make the class itself an object
  // whose properties the engine looks up by name, each time that one is constructed. Their types are those of methods, for subclasses.

  static error: Statics['error'] = () => {
    const response = new Response();
    response.#status = 0;
    response.#kind = 'error';
    return response;
  };

  static json: Statics['json'] = (...args: [] | [data: unknown, init?: ResponseInit | null]) => {
    if (args.length === 0) throw new TypeError('Response.json: expected an argument, found none');
    if (isTask(args[0])) throw new TypeError(`Response.json: the value is ${taskNotRun}`);
    const text: string | undefined = JSON.stringify(args[0]);
    if (text === undefined) throw new TypeError('Response.json: the value has no representation in JSON');
    return new Response(new BodyWithType(new Body(text), 'application/json'), args[1]);
  };

  static redirect: Statics['redirect'] = (url, status = 302) => {
    const location = new URL(url).href;
    const code = unsignedShort(status);
    if (code !== 301 && code !== 302 && code !== 303 && code !== 307 && code !== 308) {
      throw new RangeError(`Response.redirect: expected the status 301, 302, 303, 307 or 308, found ${code}`);
    }
    const response = new Response();
    response.#status = code;
    response.#kind = 'redirect';
    response.#fields.push('location', location);
    return response;
  };

  get body(): globalThis.Response['body'] {
    return this.#body.stream;
  }

  get bodyUsed(): boolean {
    return this.#body.used;
  }

  get headers(): Headers {
    this.#headers ??= headersOver(this.#fields, this.#kind !== 'default');
    return this.#headers;
  }

  get ok(): boolean {
    return this.#status >= 200 && this.#status <= 299;
  }

  get redirected(): boolean {
    return false;
  }

  get status(): number {
    return this.#status;
  }

  get statusText(): string {
    return this.#statusText;
  }

  get type(): 'default' | 'error' {
    return this.#kind === 'error' ? 'error' : 'default';
  }

  get url(): string {
    return '';
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#body.arrayBuffer();
  }

  blob(): Promise<Blob> {
    return this.#body.blob(getField(this.#fields, 'content-type'));
  }

  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#body.bytes();
  }

  clone(): Response {
    const copy = new Response(new BodyWithType(this.#body.clone(), null));
    copy.#fields = this.#fields.slice();
    copy.#status = this.#status;
    copy.#statusText = this.#statusText;
    copy.#kind = this.#kind;
    return copy;
  }

  formData(): Promise<FormData> {
    return this.#body.formData(getField(this.#fields, 'content-type'));
  }

  json(): Promise<unknown> {
    return this.#body.json();
  }

  text(): Promise<string> {
    return this.#body.text();
  }

  textStream(): ReadableStream<string> {
    return this.#body.textStream();
  }

  get [Symbol.toStringTag](): 'Response' {
    return 'Response';
  }

  [inspect](depth: number, options: object, show: Inspect): string {
    const { status, statusText, headers, bodyUsed, ok, redirected, type, url } = this;
    const body = this.#body.preview;
    const shown = { status, statusText, headers, body, bodyUsed, ok, redirected, type, url };
    return `Response ${show(shown, { ...options, depth })}`;
  }
}

/** https://webidl.spec.whatwg.org/#js-unsigned-short */
function unsignedShort(value: unknown): number {
  return new Uint16Array([Number(value)])[0] ?? 0;
}

function checkedStatus(value: unknown): number {
  const status = Number.isInteger(value) && value === (Number(value) & 0xffff) ? value : unsignedShort(value);
  if (status < 200 || status > 599) throw new RangeError(`expected a status in 200 to 599, found ${status}`);
  return status;
}

/** reason-phrase of RFC 9112 §4; what is no byte string is refused by the same pattern. */
function checkedReason(value: unknown): string {
  const text = `${value}`;
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(text)) throw new TypeError(`${JSON.stringify(text)} is no reason phrase`);
  return text;
}

// A getter of a newer platform is asked of an object without the body, so that looking at one does not use it up.
masqueradeAs(Response, PlatformResponse, (self, consume) => {
  const response = self as Response; // masqueradeAs calls with instances of the class alone.
  return consume ? toPlatformResponse(response) : platformTwin(response, null);
});
