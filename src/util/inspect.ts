// Looking at values of any kind without being thrown at. What a handler throws, or returns, may be anything: a Proxy that was revoked,
// an object whose getters throw. Code that handles errors looks at them through these functions alone, so that it always ends.

/** The most characters of a description. */
const longestDescription = 1_000;
/** The most characters that are shown of a string in a message about a wrong value. */
const longestShown = 80;

/** `value instanceof type`; false where the value cannot be inspected. Never throws. */
export function isInstance<T>(value: unknown, type: abstract new (...args: never[]) => T): value is T {
  try {
    return value instanceof type;
  } catch {
    return false;
  }
}

/** A property of a value of any kind; undefined where there is none, or where it cannot be read. Never throws. */
export function propertyOf(value: unknown, key: PropertyKey): unknown {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return undefined;
  try {
    return Reflect.get(value, key);
  } catch {
    return undefined;
  }
}

/** What a value of any kind is, in a few words: the message of an error, a primitive as it is. At most 1,001 characters. Never throws. */
export function describe(value: unknown): string {
  const message = isInstance(value, Error) ? propertyOf(value, 'message') : undefined;
  return cut(typeof message === 'string' ? message : nameOf(value), longestDescription);
}

/** The same for messages that say what was found: a string is in quotes, with its control characters escaped. Never throws. */
export function show(value: unknown): string {
  return typeof value === 'string' ? escapeControls(JSON.stringify(cut(value, longestShown))) : nameOf(value);
}

/** What ends a line, moves the cursor, or changes the direction of text on a terminal. */
const controls = /[\p{Cc}\u2028\u2029\p{Bidi_Control}]/gu;
/** The same, but for what lays out text of more than one line. */
const controlsInLines = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\p{Bidi_Control}]/gu;

/** A text with its control characters as escape sequences of JavaScript, so that it stays on one line and cannot act on a terminal. */
export function escapeControls(text: string): string {
  return text.replace(controls, escaped);
}

/** The same of a text that may have several lines: line feeds and tabs stay. */
export function escapeControlsInLines(text: string): string {
  return text.replace(controlsInLines, escaped);
}

function escaped(character: string): string {
  if (character === '\n') return '\\n';
  if (character === '\r') return '\\r';
  if (character === '\t') return '\\t';
  const code = character.charCodeAt(0).toString(16); // all of these are in the basic plane
  return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
}

/** The beginning of a text that is longer than the limit. */
function cut(text: string, limit: number): string {
  return text.length > limit ? `${text.slice(0, limit)}…` : text;
}

/** A primitive as it is, `[object Map]`, `[Function: name]`. */
function nameOf(value: unknown): string {
  if (typeof value === 'function') {
    const name = propertyOf(value, 'name');
    return typeof name === 'string' && name !== '' ? `[Function: ${cut(name, longestShown)}]` : '[Function]';
  }
  try {
    return typeof value === 'object' && value !== null ? Object.prototype.toString.call(value) : String(value);
  } catch {
    return 'a value that cannot be inspected';
  }
}
