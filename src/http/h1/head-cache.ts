// Heads of responses that have been made before. Most responses of a server differ in their content alone, so a few heads make up most of what it
// sends. To compare the fields of a response with those of a known head costs a tenth of making and encoding the head. There are several
// entries because a server has several routes, which clients ask for in turn.

import { Buffer } from 'node:buffer';
import { type OutputMemory, outputMemory } from '../../util/output-memory.js';
import { hasField } from '../fetch/headers.js';
import type { OutgoingResponse } from '../outgoing.js';
import { lengthRoom, makeHead, writeLength } from './response-head.js';

/** A head as it was sent, and what it was made of. */
interface KnownHead {
  readonly status: number;
  readonly statusText: string;
  readonly fields: readonly string[];
  readonly framing: number;
  readonly isEmpty: boolean;
  /** Of a head that contains it; else of no account. */
  readonly length: number;
  readonly bytes: OutputMemory;
  readonly endsInLength: boolean;
  readonly keepAlive: boolean;
  /** The date in it, and where that stands; -1 if the handler has given one. */
  date: string;
  readonly dateAt: number;
  /** Other heads that were looked for in its place. */
  misses: number;
}

const entries: (KnownHead | undefined)[] = new Array(32).fill(undefined);
/** A head takes the place of another after so many that were not the same: to keep one costs time, which is lost where all differ. */
const missesBeforeReplace = 16;

/** What `writeHead` has written. A variable, so that it makes no object for a response. */
export const written = { end: 0, keepAlive: false };

/**
 * Reserves room for a response whose content is there as a whole, and writes its head: see `makeHead`.
 * @param most bytes that head and content may have together
 * @param to where to write
 * @returns false if there are more. Else `written` says where the content begins, and whether the connection stays open
 */
export function writeHead(
  to: { readonly output: OutputMemory; reserve(bytes: number): number },
  out: OutgoingResponse,
  framing: number,
  date: string,
  length: number,
  most: number,
): boolean {
  const place = placeOf(out, framing);
  const known = entries[place];
  if (known !== undefined && isSame(known, out, framing, length)) {
    if (known.date !== date && known.dateAt >= 0) {
      known.bytes.latin1Write(date, known.dateAt, date.length);
      known.date = date;
    }
    const { bytes } = known;
    const room = bytes.length + lengthRoom + length;
    if (room > most) return false;
    const at = to.reserve(room);
    const { output } = to;
    output.set(bytes, at);
    const end = at + bytes.length;
    written.end = known.endsInLength ? writeLength(output, end, length) : end;
    written.keepAlive = known.keepAlive;
    return true;
  }
  const head = makeHead(out, framing, date, length);
  const { text, endsInLength, keepAlive } = head;
  const room = text.length + lengthRoom + length;
  if (room > most) return false;
  const at = to.reserve(room);
  const { output } = to;
  const end = at + output.latin1Write(text, at, text.length);
  written.end = endsInLength ? writeLength(output, end, length) : end;
  written.keepAlive = keepAlive;
  if (known === undefined || ++known.misses >= missesBeforeReplace) {
    const { status, statusText, fields, content } = out;
    const dateField = hasField(fields, 'date') ? -1 : text.indexOf('\r\ndate: ');
    entries[place] = {
      status,
      statusText,
      fields: fields.slice(),
      framing,
      isEmpty: content === null,
      length,
      bytes: outputMemory(Buffer.from(text, 'latin1')),
      endsInLength,
      keepAlive,
      date,
      dateAt: dateField === -1 ? -1 : dateField + '\r\ndate: '.length,
      misses: 0,
    };
  }
  return true;
}

/**
 * The entry of a head: the same for equal heads, another for most that differ. (Whether a status is a number and a value a string is not known before
 * `makeHead`.)
 */
function placeOf({ status, fields }: OutgoingResponse, framing: number): number {
  let mixed = typeof status === 'number' ? status + 7 * framing : 0;
  for (let i = 1; i < fields.length; i += 2) {
    const value = fields[i];
    mixed = (5 * mixed + (typeof value === 'string' ? value.length : 0)) | 0;
  }
  return mixed & (entries.length - 1);
}

function isSame(known: KnownHead, out: OutgoingResponse, framing: number, length: number): boolean {
  const { fields } = known;
  const others = out.fields;
  if (
    known.status !== out.status ||
    known.framing !== framing ||
    known.statusText !== out.statusText ||
    known.isEmpty !== (out.content === null) ||
    fields.length !== others.length ||
    !(known.endsInLength || known.length === length)
  )
    return false;
  for (let i = 0; i < fields.length; i++) if (fields[i] !== others[i]) return false;
  return true;
}
