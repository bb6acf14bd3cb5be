// A strict reader of responses, for tests: it takes what RFC 9112 allows a server to send and throws at anything else, and
// says of each response how it was framed. Bytes may come in any pieces.

export interface ReceivedResponse {
  status: number;
  reason: string;
  /** Lowercased names and values, in the order in which they came. */
  fields: [name: string, value: string][];
  /** As Latin-1. */
  body: string;
  framing: 'none' | 'length' | 'chunked' | 'close';
  /** Statuses of the 1xx responses before it. */
  interim: number[];
}

/** The values of a field; most have one or none. */
export function fieldValues(response: ReceivedResponse, name: string): string[] {
  return response.fields.filter(([other]) => other === name).map(([, value]) => value);
}

export function field(response: ReceivedResponse, name: string): string | undefined {
  return fieldValues(response, name)[0];
}

/** RFC 9110 §5.6.7: the one form that is sent. */
const imfFixdate =
  /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT$/;

const token = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

export class ResponseParser {
  /** The responses that are complete. */
  readonly responses: ReceivedResponse[] = [];
  /** Interim responses that have come so far, of all responses together. */
  interimCount = 0;
  readonly #methods: readonly string[];
  readonly #isOfNode: boolean;
  #bytes = '';
  #at = 0;
  #current: ReceivedResponse | undefined;
  #interim: number[] = [];
  #left = 0;
  #chunk: 'size' | 'data' | 'trailers' = 'size';

  /**
   * @param methods of the requests, in order: a response to HEAD has no body. `GET` where there are none
   * @param isOfNode it was made by node:http: names of fields are in upper case, too, there may be trailers, and refusals have no date
   */
  constructor(methods: readonly string[] = [], isOfNode = false) {
    this.#methods = methods;
    this.#isOfNode = isOfNode;
  }

  /** Whether the input may end here without cutting a response short. */
  get isBetween(): boolean {
    return this.#current === undefined && this.#at === this.#bytes.length && this.#interim.length === 0;
  }

  /** What has come of a response that is not complete: for messages. */
  get rest(): string {
    return (
      (this.#current === undefined ? '' : `(in the body of ${this.#current.status}) `) + this.#bytes.slice(this.#at)
    );
  }

  push(bytes: Uint8Array): void {
    this.#bytes = this.#bytes.slice(this.#at) + Buffer.from(bytes).toString('latin1');
    this.#at = 0;
    while (this.#step());
  }

  /** The server has sent FIN. @throws if that cuts a response short */
  end(): void {
    if (this.#current?.framing === 'close') {
      this.#current.body += this.#take(this.#bytes.length - this.#at);
      this.#finish();
    }
    if (!this.isBetween)
      throw new Error(`the input ends within a response: ${JSON.stringify(this.rest.slice(0, 200))}`);
  }

  /** What there is of the body that is being received. */
  get partialBody(): string | undefined {
    return this.#current?.body;
  }

  #step(): boolean {
    const { responses } = this;
    const current = this.#current;
    if (current === undefined) return this.#head(this.#methods[responses.length] ?? 'GET');
    switch (current.framing) {
      case 'length': {
        const part = this.#take(Math.min(this.#left, this.#bytes.length - this.#at));
        current.body += part;
        this.#left -= part.length;
        if (this.#left > 0) return false;
        this.#finish();
        return true;
      }
      case 'chunked':
        return this.#chunked(current);
      default:
        current.body += this.#take(this.#bytes.length - this.#at);
        return false;
    }
  }

  #head(method: string): boolean {
    const end = this.#bytes.indexOf('\r\n\r\n', this.#at);
    if (end === -1) return false;
    const [statusLine, ...lines] = this.#take(end + 4 - this.#at)
      .slice(0, -4)
      .split('\r\n');
    const [, digits, reason] = /^HTTP\/1\.1 ([1-5][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)$/.exec(statusLine) ?? [];
    if (digits === undefined) throw new Error(`no status line: ${JSON.stringify(statusLine.slice(0, 200))}`);
    const status = Number(digits);
    const fields = lines.map((line): [string, string] => {
      const [, given, value] = /^([^:]*): ([\t\x20-\x7e\x80-\xff]*)$/.exec(line) ?? [];
      const name = this.#isOfNode ? given?.toLowerCase() : given;
      if (name === undefined || !token.test(name)) throw new Error(`no field line: ${JSON.stringify(line)}`);
      return [name, value];
    });
    const values = (name: string) => fields.filter(([other]) => other === name).map(([, value]) => value);
    const lengths = values('content-length');
    const codings = values('transfer-encoding');
    if (status < 200) {
      if (lengths.length + codings.length > 0) throw new Error(`a ${status} response has a body`);
      this.#interim.push(status);
      this.interimCount++;
      return true;
    }
    if (lengths.length > 1) throw new Error(`more than one content-length: ${lengths}`);
    if (lengths.length > 0 && codings.length > 0) throw new Error('both content-length and transfer-encoding');
    if (lengths.length > 0 && !/^(0|[1-9][0-9]*)$/.test(lengths[0])) throw new Error(`content-length is ${lengths[0]}`);
    if (codings.length > 0 && codings.join() !== 'chunked') throw new Error(`transfer-encoding is ${codings}`);
    if (values('date').length !== 1 && !this.#isOfNode)
      throw new Error(`a ${status} response has ${values('date').length} dates`);
    if (values('date').some((date) => !imfFixdate.test(date))) throw new Error(`the date is ${values('date')}`);
    if (values('connection').length > 1) throw new Error('more than one connection field');
    const current: ReceivedResponse = { status, reason, fields, body: '', framing: 'none', interim: this.#interim };
    this.#interim = [];
    this.#current = current;
    if (status === 204 && lengths.length + codings.length > 0) throw new Error('a 204 response is framed');
    if (status === 205 && lengths.join() !== '0') throw new Error('a 205 response is not framed as empty');
    if (method === 'HEAD' || status === 204 || status === 304) {
      this.#finish();
    } else if (codings.length > 0) {
      current.framing = 'chunked';
      this.#chunk = 'size';
    } else if (lengths.length > 0) {
      current.framing = 'length';
      this.#left = Number(lengths[0]);
    } else {
      if (!/^close(?:,|$)/.test(values('connection').join()))
        throw new Error('a body without framing on a connection that stays');
      current.framing = 'close';
    }
    return true;
  }

  #chunked(current: ReceivedResponse): boolean {
    if (this.#chunk === 'data') {
      const part = this.#take(Math.min(this.#left, this.#bytes.length - this.#at));
      this.#left -= part.length;
      current.body += part;
      if (this.#left > 0 || this.#bytes.length - this.#at < 2) return false;
      if (this.#take(2) !== '\r\n') throw new Error('a chunk does not end with CRLF');
      this.#chunk = 'size';
      return true;
    }
    const end = this.#bytes.indexOf('\r\n', this.#at);
    if (end === -1) return false;
    const line = this.#take(end + 2 - this.#at).slice(0, -2);
    if (this.#chunk === 'trailers') {
      if (line !== '' && !this.#isOfNode) throw new Error(`a trailer: ${JSON.stringify(line)}`);
      if (line === '') this.#finish();
      return true;
    }
    if (!/^[0-9a-f]{1,8}$/.test(line)) throw new Error(`no chunk size: ${JSON.stringify(line)}`);
    this.#left = Number.parseInt(line, 16);
    this.#chunk = this.#left === 0 ? 'trailers' : 'data';
    return true;
  }

  #take(count: number): string {
    const part = this.#bytes.slice(this.#at, this.#at + count);
    this.#at += count;
    return part;
  }

  #finish(): void {
    if (this.#current !== undefined) this.responses.push(this.#current);
    this.#current = undefined;
  }
}
