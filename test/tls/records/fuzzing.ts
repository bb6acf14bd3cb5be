// Records that are made at random: right ones that are damaged on their way, and well-sealed ones whose inside is anything. See test/fuzz/.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { runAtOnce } from './at-once.js';
import { alertNumbers, message, ticket } from './build.js';
import type { Case, Ends, Wire } from './case.js';
import { bytesOfCase, check, type Outcome, secretsOf, wireOf } from './outcome.js';
import { bytesOf, contentType, header, join, suiteNames } from './wire.js';

/** The inside of a record. */
interface Inner {
  type: number;
  content: Uint8Array;
  padding: number;
}

/** What an endpoint has to make of the insides of records, one after the other. Written from RFC 8446, not from the library. */
class Model {
  readonly #isClient: boolean;
  heard = '';
  ends: Ends = 'cut';
  requests = 0;
  /** Bytes of a handshake message that has come in part. */
  #partial: Uint8Array = new Uint8Array(0);
  #withoutContent = 0;

  constructor(isClient: boolean) {
    this.#isClient = isClient;
  }

  /** @returns whether the next record is sealed with new keys */
  take({ type, content }: Inner): boolean {
    if (this.ends !== 'cut') return false;
    // A type of 0 is padding, and the last byte of the content that is not 0 is the type.
    let end = content.length;
    if (type === 0) while (end > 0 && content[end - 1] === 0) end--;
    const [kind, inside] =
      type === 0 ? [end === 0 ? -1 : content[end - 1], content.subarray(0, Math.max(0, end - 1))] : [type, content];
    const isFatal =
      kind === contentType.alert && inside.length === 2 && inside[1] !== 0 && inside[1] !== alertNumbers.user_canceled;
    if (isFatal) this.ends = { received: inside[1] };
    else if (kind === contentType.handshake) return this.#handshake(inside);
    else if (kind === contentType.alert && inside.length > 0 && inside.length !== 2) this.#alert('decode_error');
    else if ((kind !== contentType.alert && kind !== contentType.content) || this.#partial.length > 0)
      this.#alert('unexpected_message');
    else if (kind === contentType.alert) {
      if (inside.length === 0) this.#alert('unexpected_message');
      else if (inside[1] === alertNumbers.close_notify) this.ends = 'end';
      else this.#isOneMoreWithoutContent();
    } else if (inside.length === 0) this.#isOneMoreWithoutContent();
    else {
      this.heard += Buffer.from(inside).toString('latin1');
      this.#withoutContent = 0;
    }
    return false;
  }

  #handshake(inside: Uint8Array): boolean {
    if (inside.length === 0) return this.#alert('unexpected_message');
    let bytes = join(this.#partial, inside);
    while (bytes.length > 0) {
      const [type] = bytes;
      if (type !== 24 && !(type === 4 && this.#isClient)) return this.#alert('unexpected_message');
      if (bytes.length < 4) break;
      const length = (bytes[1] << 16) | (bytes[2] << 8) | bytes[3];
      if (type === 24 && length !== 1) return this.#alert('decode_error');
      if (length > 16_384) return this.#alert('illegal_parameter');
      if (bytes.length < 4 + length) break;
      const body = bytes.subarray(4, 4 + length);
      bytes = bytes.subarray(4 + length);
      if (!this.#isOneMoreWithoutContent()) return false;
      if (type === 4) {
        if (!isTicket(Buffer.from(body))) return this.#alert('decode_error');
        continue;
      }
      if (bytes.length > 0) return this.#alert('unexpected_message');
      if (body[0] > 1) return this.#alert('illegal_parameter');
      this.requests += body[0];
      this.#partial = bytes;
      return true;
    }
    this.#partial = bytes;
    return false;
  }

  #isOneMoreWithoutContent(): boolean {
    return ++this.#withoutContent <= 32 || this.#alert('unexpected_message');
  }

  #alert(name: keyof typeof alertNumbers): false {
    this.ends = { alert: alertNumbers[name] };
    return false;
  }
}

function isTicket(body: Buffer): boolean {
  try {
    const nonceEnd = 9 + body.readUInt8(8);
    const ticketBytes = body.readUInt16BE(nonceEnd);
    const extensionsAt = nonceEnd + 2 + ticketBytes;
    const end = extensionsAt + 2 + body.readUInt16BE(extensionsAt);
    let at = extensionsAt + 2;
    while (at < end) at += 4 + body.readUInt16BE(at + 2);
    return ticketBytes > 0 && at === end && end === body.length;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

const text = fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 30 }).map(bytesOf);
const usually = <T>(right: fc.Arbitrary<T>, wrong: fc.Arbitrary<T>, weight = 20): fc.Arbitrary<T> =>
  fc.oneof({ weight, arbitrary: right }, { weight: 1, arbitrary: wrong });
const padding = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(40) });

const keyUpdates = usually(fc.nat(1), fc.nat(255)).map((value) => message(24, Uint8Array.of(value)));
const tickets = usually(
  fc.constantFrom(ticket(), ticket({ nonce: '' }), ticket({ extensions: '\0\x2a\0\x04abcd' })),
  fc.uint8Array({ maxLength: 40 }).map((body) => message(4, body)),
);
const anyMessage = fc
  .tuple(fc.nat(30), fc.uint8Array({ maxLength: 10 }), fc.option(fc.nat(0xffffff), { nil: undefined }))
  .map(([type, body, length]) => message(type, body, length));

/** Records of handshake messages: one in each, several in one, or one in several. */
const handshakes = (isClient: boolean): fc.Arbitrary<Inner[]> =>
  fc
    .tuple(
      fc.array(usually(isClient ? fc.oneof(keyUpdates, tickets) : keyUpdates, anyMessage), {
        minLength: 1,
        maxLength: 3,
      }),
      fc.oneof(
        { weight: 2, arbitrary: fc.constant(undefined) },
        { weight: 1, arbitrary: fc.integer({ min: 1, max: 40 }) },
      ),
      padding,
    )
    .map(([messages, size, zeros]) => {
      const pieces =
        size === undefined
          ? messages
          : Array.from({ length: Math.ceil(join(...messages).length / size) }, (_, i) =>
              join(...messages).subarray(i * size, (i + 1) * size),
            );
      return pieces.map((content) => ({ type: contentType.handshake, content, padding: zeros }));
    });

const one = (type: fc.Arbitrary<number>, content: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Inner[]> =>
  fc.record({ type, content, padding }).map((inner) => [inner]);
const contents = one(fc.constant(contentType.content), usually(text, fc.constant(new Uint8Array(0)), 5));
const warnings = one(fc.constant(contentType.alert), fc.constant(Uint8Array.of(1, alertNumbers.user_canceled)));
const alerts = one(
  fc.constant(contentType.alert),
  usually(
    fc.tuple(fc.nat(2), fc.oneof(fc.constant(0), fc.nat(255))).map((bytes) => Uint8Array.from(bytes)),
    fc.uint8Array({ maxLength: 4 }),
    3,
  ),
);
const anything = one(fc.nat(255), fc.uint8Array({ maxLength: 20 }));
/** More of one kind than may come in a row. */
const many = fc
  .tuple(fc.oneof(contents, warnings), fc.nat(40))
  .map(([inners, count]) => Array(count).fill(inners).flat());

const insides = (isClient: boolean): fc.Arbitrary<Inner[]> =>
  fc
    .array(
      fc.oneof(
        { weight: 8, arbitrary: contents },
        { weight: 8, arbitrary: handshakes(isClient) },
        { weight: 1, arbitrary: warnings },
        { weight: 1, arbitrary: alerts },
        { weight: 1, arbitrary: anything },
        { weight: 1, arbitrary: many },
      ),
      { maxLength: 12 },
    )
    .map((all) => all.flat());

/** What peers send, without violations. */
const rightInsides = fc
  .array(
    fc.oneof(
      contents,
      fc.nat(1).map((value): Inner[] => [{ type: 22, content: message(24, Uint8Array.of(value)), padding: 0 }]),
    ),
    {
      minLength: 1,
      maxLength: 8,
    },
  )
  .map((all) => all.flat());

const circumstances = {
  suite: fc.constantFrom(...suiteNames),
  peer: fc.constantFrom('client' as const, 'server' as const),
};

export interface Sealed {
  suite: Case['suite'];
  peer: Case['peer'];
  inners: Inner[];
}

export const sealedRecords: fc.Arbitrary<Sealed> = fc
  .record(circumstances)
  .chain((given) => insides(given.peer === 'server').map((inners) => ({ ...given, inners })));

/** Seals each, and changes the keys where the model says so. */
function sealAll(inners: readonly Inner[], wire: Wire, model: Model): Uint8Array[] {
  return inners.map((inner) => {
    const record = wire.own.seal(inner.type, inner.content, inner.padding);
    if (model.take(inner)) wire.own.update();
    return record;
  });
}

const caseOf = ({ suite, peer }: Pick<Case, 'suite' | 'peer'>, steps: Case['steps'], ends: Ends = 'cut'): Case => {
  return {
    name: 'at random',
    section: 'RFC 8446',
    hears: '',
    requests: 0,
    renewals: 0,
    asks: 0,
    sequences: [0, 0],
    suite,
    peer,
    steps,
    ends,
  };
};

/** @throws if an endpoint makes something else of the records than the model, or if it depends on how they are cut */
export function trySealed(sealed: Sealed): string {
  const model = new Model(sealed.peer === 'server');
  const blank = caseOf(sealed, []);
  sealAll(sealed.inners, wireOf(blank, secretsOf(blank)).wire, model);
  const { ends, requests, heard: hears } = model;
  const again = (wire: Wire) => join(...sealAll(sealed.inners, wire, new Model(sealed.peer === 'server')));
  const c: Case = { ...caseOf(sealed, [again], ends), hears, requests };
  check(c, runAtOnce(c, []), true);
  check(c, runAtOnce(c, 'everywhere'), true);
  return typeof ends === 'string' ? ends : 'alert' in ends ? `answered with alert ${ends.alert}` : 'alert received';
}

/** What happens to records on their way. The numbers say where, and are taken modulo what there is. */
interface Damage {
  kind: 'flip' | 'drop' | 'repeat' | 'swap' | 'cut' | 'insert' | 'header' | 'splice';
  at: number;
  other: number;
  bytes: Uint8Array;
}

const damages: fc.Arbitrary<Damage[]> = fc.array(
  fc.record({
    kind: fc.constantFrom('flip', 'drop', 'repeat', 'swap', 'cut', 'insert', 'header', 'splice'),
    at: fc.nat(10_000),
    other: fc.nat(10_000),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 30 }),
  }),
  { minLength: 1, maxLength: 3 },
);

function damage(records: readonly Uint8Array[], { kind, at, other, bytes }: Damage): Uint8Array[] {
  const changed = records.map((record): Uint8Array => record.slice());
  if (changed.length === 0) return [bytes];
  const i = at % changed.length;
  const j = other % changed.length;
  const record = changed[i];
  const place = record.length === 0 ? 0 : other % record.length;
  switch (kind) {
    case 'flip':
      if (record.length > 0) record[place] ^= 1 << (bytes[0] % 8);
      return changed;
    case 'drop':
      return changed.filter((_, index) => index !== i);
    case 'repeat':
      return [...changed.slice(0, j + 1), record, ...changed.slice(j + 1)];
    case 'swap':
      [changed[i], changed[j]] = [changed[j], changed[i]];
      return changed;
    case 'cut':
      changed[i] = record.slice(0, place);
      return changed;
    case 'insert':
      changed[i] = join(record.subarray(0, place), bytes, record.subarray(place));
      return changed;
    case 'header':
      changed[i] = join(header({ type: 20 + (bytes[0] % 5), length: other % 20_000 }), record.subarray(5));
      return changed;
    default: // 'splice'
      changed[i] = join(record.subarray(0, place), changed[j].subarray(Math.min(place, changed[j].length)));
      return changed;
  }
}

export interface Damaged extends Sealed {
  damages: Damage[];
  cuts: number[];
}

export const damagedRecords: fc.Arbitrary<Damaged> = fc.record({
  ...circumstances,
  inners: rightInsides,
  damages,
  cuts: fc.array(fc.nat(400), { maxLength: 6 }),
});

/** @throws if an endpoint takes anything else than the beginning of what was sealed, or if it depends on how it was cut */
export function tryDamaged(damaged: Damaged): string {
  const model = new Model(damaged.peer === 'server');
  const step = (wire: Wire) =>
    join(...damaged.damages.reduce(damage, sealAll(damaged.inners, wire, new Model(damaged.peer === 'server'))));
  const c = caseOf(damaged, [step]);
  sealAll(damaged.inners, wireOf(c, secretsOf(c)).wire, model);
  const { length } = bytesOfCase(c, wireOf(c, secretsOf(c)).wire);
  const cuts = damaged.cuts.filter((at) => at < length).sort((a, b) => a - b);
  const outcomes = [runAtOnce(c, []), runAtOnce(c, 'everywhere'), runAtOnce(c, cuts)];
  const [first, ...others] = outcomes.map(summary);
  for (const other of others) assert.deepEqual(other, first);
  assert.ok(model.heard.startsWith(first.heard), `"${first.heard}" was taken of "${model.heard}"`);
  return first.alerts.length === 1 && first.alerts[0][1] > 0
    ? `answered with alert ${first.alerts[0][1]}`
    : first.ending;
}

/** What must not depend on cuts. */
function summary({ heard, ending, reader }: Outcome): { heard: string; ending: string; alerts: number[][] } {
  const alerts = reader.records.filter(({ type }) => type === contentType.alert).map(({ content }) => [...content]);
  assert.ok(alerts.length <= 1);
  return { heard, ending: typeof ending === 'string' ? ending : ending.message, alerts };
}
