// The character classes of HTTP/1.1, as tables: one bit for each class a byte belongs to.

/** tchar, of which methods and field names are made (RFC 9110 §5.6.2). */
export const TOKEN = 1;
/**
 * What may stand in a request target: every byte but white space, control characters and `#`. A URI has only some of the visible
 * characters of US-ASCII (RFC 3986 §2). Clients send the others, and UTF-8, as they are, and every server and proxy splits the request
 * line at the same places then: RFC 9112 §3.2 asks for 400 because of white space.
 */
export const TARGET = 2;
/** What may stand in a field value: visible characters, space, tab, and obs-text (RFC 9110 §5.5). */
export const VALUE = 4;
/**
 * What may stand in a Host field: reg-name, IPv4, the brackets and colons of IPv6, and the colon before a port (RFC 3986 §3.2.2). No
 * comma, although a reg-name may have one: two Host fields that a proxy has combined must not count as one (RFC 9112 §3.2).
 */
export const HOST = 8;
/** Decimal digits. */
export const DIGIT = 16;
/** Hexadecimal digits. */
export const HEXDIG = 32;
/** tchar without the upper-case letters: of these a field name is made that is sent. */
export const LOWER_TOKEN = 64;
/** What may stand in the label of a host name without meaning anything to a URL parser: a host's characters but for `%`, brackets, dots and colons. */
export const LABEL = 128;

export const classes = new Uint8Array(256);

function mark(bit: number, characters: string): void {
  for (let i = 0; i < characters.length; i++) classes[characters.charCodeAt(i)] |= bit;
}

const digits = '0123456789';
const lowerCase = 'abcdefghijklmnopqrstuvwxyz';
const letters = lowerCase + lowerCase.toUpperCase();
const marks = "!#$%&'*+-.^_`|~";
mark(DIGIT | HEXDIG, digits);
mark(HEXDIG, 'abcdefABCDEF');
mark(TOKEN, digits + letters + marks);
mark(LOWER_TOKEN, digits + lowerCase + marks);
mark(HOST, `${digits}${letters}-._~%!$&'()*+;=[]:`);
mark(LABEL, `${digits}${letters}-_~!$&'()*+;=`);
for (let byte = 0x21; byte < 0x7f; byte++) classes[byte] |= TARGET | VALUE;
classes['#'.charCodeAt(0)] &= ~TARGET;
mark(VALUE, ' \t');
for (let byte = 0x80; byte <= 0xff; byte++) classes[byte] |= TARGET | VALUE;

/** The value of each byte that is a hexadecimal digit; 255 for every other. */
export const hexDigits = new Uint8Array(256).fill(255);
for (let value = 0; value < 16; value++) {
  const digit = value.toString(16);
  hexDigits[digit.charCodeAt(0)] = value;
  hexDigits[digit.toUpperCase().charCodeAt(0)] = value;
}

/** True if every character of a string is in the class. An empty string is. */
export function isAll(text: string, bit: number): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0xff || (classes[unit] & bit) === 0) return false;
  }
  return true;
}

/**
 * A part of a text without the white space around it (RFC 9110 §5.5). By hand, since a pattern for white space at the end costs time
 * quadratic in the white space within.
 */
export function trim(text: string, from = 0, to = text.length): string {
  let start = from;
  let end = to;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isSpace(unit: number): boolean {
  return unit === 32 || unit === 9;
}
