// The URL of a request: RFC 9110 §7.1.

/** Targets that a URL parser does not change: no dot segments, nothing to encode. Others are parsed with `URL`. */
const plainTarget = /^\/(?!\.)(?:[\w\-~!$&()*+,;=:@?]|\/(?!\.)|\.)*$/;
/** Hosts that a URL parser does not change: lower case, no default port of either scheme, and no number at the end, which would be parsed as an address. */
const plainHost = /^(?:[a-z0-9-]+\.)*[a-z][a-z0-9-]*(?::(?!0|80$|443$)[1-9][0-9]{0,4})?$/;
/** Characters that `escapedTarget` encodes. */
const unsafeInTarget = /[\\\x80-\xff]/;

/**
 * The target URI.
 * @param target the request target as received, decoded as Latin-1
 * @param host host and port, for a target that names none
 * @param scheme of the connection, for the same
 */
export function urlOf(target: string, host: string, scheme: 'http' | 'https'): string {
  const escaped = escapedTarget(target);
  if (!escaped.startsWith('/') && escaped !== '*') return new URL(escaped).href;
  const path = escaped === '*' ? '/*' : escaped;
  const url = `${scheme}://${host}${path}`;
  return plainTarget.test(path) && plainHost.test(host) ? url : new URL(url).href;
}

/**
 * Encodes the characters of a target that a URL parser would misread: bytes above 0x7f, which it would take for characters, and backslashes in the path,
 * which it would take for slashes, although a proxy in front does not. It encodes the other characters itself.
 */
function escapedTarget(target: string): string {
  if (!unsafeInTarget.test(target)) return target;
  const query = target.indexOf('?');
  return target.replace(/[\\\x80-\xff]/g, (character, at: number) => {
    if (character === '\\' && query !== -1 && at > query) return character;
    return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  });
}
