// The light `Response`. Handlers create one for each request, so its constructor does only the checks of the standard. http/ reads status, fields and content
// through the functions above the class. Headers and streams are created only if user code asks for them. https://fetch.spec.whatwg.org/#response-class

import { isTask, taskNotRun } from '../../threads/task.js';
import { Body, type BodyInit, BodyWithType, type Content, extract, type Takeover, TEXT_TYPE } from './body.js';
import { type Fields, fieldsFrom, getField, type Headers, type HeadersInit, hasField, headersOver } from './headers.js';
import { type Inspect, inspect, masqueradeAs, PlatformResponse } from './platform.js';

export interface ResponseInit {
  readonly status?: number | undefined;
  readonly statusText?: string | undefined;
  readonly headers?: HeadersInit | undefined;
}

/** Takes the raw content, which then belongs to the caller. TypeError if the body was used before, or is locked. */
export let takeContent: (response: Response) => Content;
/** The current fields: lowercased names, each followed by its value. This is the array itself; do not keep or change it. */
export let responseFields: (response: Response) => readonly string[];
/** The content's length in bytes if known before reading (bytes, blobs). Must be called before `takeContent`. */
export let knownLength: (response: Response) => number | undefined;
/** True for a response made by this class, also in a subclass; never for the platform's. */
export let isLightResponse: (value: unknown) => value is Response;

/**
 * A response with content that user code cannot create, such as the ThreadBody of `stream()`. The checks are those of the constructor, except that the status
 * may be one without a body: then the sender cancels the body.
 */
export function makeResponse(content: Content, init?: ResponseInit | null): Response {
  return new Response(new BodyWithType(new Body(content), null), init);
}

/**
 * A response with status 101, which hands the connection over. User code cannot create one.
 * @param fields lowercased names, each followed by its value; checked when they are written
 */
export let makeTakeover: (takeover: Takeover, fields: Fields) => Response;

/** The platform's response for a light one. The body moves to it. */
export function toPlatformResponse(response: Response): PlatformResponse {
  return platformTwin(response, response.body);
}

function platformTwin(response: Response, body: ReadableStream | null): PlatformResponse {
  if (response.type === 'error') return PlatformResponse.error();
  const { status, statusText } = response;
  // The cast: the platform accepts streams, but its types (of undici) omit them.
  return new PlatformResponse(body as unknown as string, { status, statusText, headers: [...response.headers] });
}

interface Statics {
  error(): Response;
  json(...args: [] | [data: unknown, init?: ResponseInit | null]): Response;
  redirect(url: string | URL, status?: number): Response;
}

type ResponseKind = 'default' | 'error' | 'redirect';

/** A light `Response`, which has only a few fields. @see https://fetch.spec.whatwg.org/#response-class */
export class Response {
  #body: Body;
  #fields: Fields;
  /** Over `#fields`, so that changes by user code reach the array; created at the first use of `headers`. */
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
    const { headers, status, statusText } = init; // in the order of WebIDL, which getters can tell
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

  // These are properties, not static methods: WebIDL makes them enumerable, and redefining static methods would turn the class into a dictionary-mode
  // object in V8, which makes every construction slower. They have the types of methods, for subclasses.

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
    if (!isLightResponse(this)) throw wrongThis('redirected');
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
    if (!isLightResponse(this)) throw wrongThis('url');
    return '';
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return isLightResponse(this) ? this.#body.arrayBuffer() : refused('arrayBuffer');
  }

  blob(): Promise<Blob> {
    return isLightResponse(this) ? this.#body.blob(getField(this.#fields, 'content-type')) : refused('blob');
  }

  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return isLightResponse(this) ? this.#body.bytes() : refused('bytes');
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
    return isLightResponse(this) ? this.#body.formData(getField(this.#fields, 'content-type')) : refused('formData');
  }

  json(): Promise<unknown> {
    return isLightResponse(this) ? this.#body.json() : refused('json');
  }

  text(): Promise<string> {
    return isLightResponse(this) ? this.#body.text() : refused('text');
  }

  textStream(): ReadableStream<string> {
    return this.#body.textStream();
  }

  declare readonly [Symbol.toStringTag]: 'Response';

  [inspect](depth: number, options: object, show: Inspect): string {
    const { status, statusText, headers, bodyUsed, ok, redirected, type, url } = this;
    const body = this.#body.preview;
    const shown = { status, statusText, headers, body, bodyUsed, ok, redirected, type, url };
    return `Response ${show(shown, { ...options, depth })}`;
  }
}

// Properties of the function, not of the class: see the statics.
Object.defineProperty(Response.json, 'length', { value: 1, configurable: true });

/** For a method that returns a promise and is called with another `this`: https://webidl.spec.whatwg.org/#dfn-create-operation-function */
function refused(method: string): Promise<never> {
  return Promise.reject(wrongThis(method));
}

function wrongThis(member: string): TypeError {
  return new TypeError(`Response.${member}: expected a Response as \`this\``);
}

/** https://webidl.spec.whatwg.org/#js-unsigned-short */
function unsignedShort(value: unknown): number {
  return new Uint16Array([+(value as number)])[0] ?? 0; // not `Number`, which takes a bigint
}

function checkedStatus(value: unknown): number {
  const status = Number.isInteger(value) && value === (Number(value) & 0xffff) ? value : unsignedShort(value);
  if (status < 200 || status > 599) throw new RangeError(`expected a status in 200 to 599, found ${status}`);
  return status;
}

/** reason-phrase of RFC 9112 §4. The pattern also rejects what is not a byte string. */
function checkedReason(value: unknown): string {
  const text = `${value}`;
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(text)) throw new TypeError(`${JSON.stringify(text)} is no reason phrase`);
  return text;
}

// A getter of a newer platform is read from an object without the body, so that reading it does not use the body.
masqueradeAs(Response, PlatformResponse, (self, consume) => {
  const response = self as Response; // masqueradeAs passes only instances of the class
  return consume ? toPlatformResponse(response) : platformTwin(response, null);
});
