// Two readings of the same bytes: this server's and that of node:http.

import assert from 'node:assert/strict';
import { METHODS } from 'node:http';
import { isRefusal } from './judge.js';
import type { NodeOutcome, NodeRequest } from './node.js';
import type { Outcome, Seen } from './server.js';

/** Where this server takes what node:http refuses, and is right. */
const known: readonly { name: string; is: (text: string, seen: Seen | undefined, error: string) => boolean }[] = [
  {
    // RFC 9110 §9.1: a method is any token, and the handler says which it knows. node:http knows those of a list.
    name: 'a method',
    is: (_, seen, error) => error === 'HPE_INVALID_METHOD' && seen !== undefined && !METHODS.includes(seen.method),
  },
  {
    // Clients send UTF-8 in targets as it is, and no recipient ends the target at such a byte. node:http refuses them.
    name: 'a target beyond US-ASCII',
    is: (_, seen, error) => error === 'HPE_INVALID_URL' && seen !== undefined && /[\x80-\xff]/.test(seen.target),
  },
  {
    // RFC 9113 §3.4: PRI is the method of HTTP/2's preface, and one as any other in HTTP/1.1.
    name: 'the method PRI',
    is: (_, seen, error) => error === 'HPE_INVALID_VERSION' && seen?.method === 'PRI',
  },
  {
    // RFC 9110 §2.5: a minor version that is not known counts as the highest that is.
    name: 'a minor version',
    is: (text, _, error) => error === 'HPE_INVALID_VERSION' && / HTTP\/1\.[2-9]\r\n/.test(text),
  },
  {
    // RFC 9110 §5.6.3 and RFC 9112 §5: tabs are optional white space as spaces are. node:http takes none behind these values.
    name: 'a tab behind a value',
    is: (text, _, error) =>
      ['HPE_INVALID_CONTENT_LENGTH', 'HPE_INVALID_TRANSFER_ENCODING', 'HPE_CLOSED_CONNECTION'].includes(error) &&
      /^(content-length|transfer-encoding|connection):.*\t[ \t]*\r\n/im.test(text),
  },
  {
    // RFC 9112 §7.1.1 and RFC 9110 §5.6.3 and §5.6.4: a recipient must put up with white space around ; and =, and a quoted string
    // may have tabs and obs-text. node:http takes none of them.
    name: 'a chunk extension',
    is: (text, _, error) =>
      ['HPE_STRICT', 'HPE_INVALID_CHUNK_SIZE'].includes(error) &&
      /^[0-9a-f]+([ \t]+;|;.*[ \t\x80-\xff]).*\r\n/im.test(text),
  },
  {
    // RFC 9112 appendix C.2.2: Proxy-Connection is a field as any other. node:http takes it for Connection.
    name: 'Proxy-Connection: close',
    is: (text, _, error) => error === 'HPE_CLOSED_CONNECTION' && /^proxy-connection:.*close/im.test(text),
  },
  {
    // RFC 9110 §7.8: a server may ignore Upgrade. node:http does, and with it what has come behind the request.
    name: 'what follows an Upgrade',
    is: (text, _, error) => error === 'nothing' && /^upgrade:/im.test(text) && /^connection:.*upgrade/im.test(text),
  },
  {
    // RFC 9110 §5.6.3: a tab behind `chunked` is optional white space. In a request with Upgrade node:http does not refuse it, but
    // takes the message to have no body.
    name: 'a tab behind chunked, beside Upgrade',
    is: (text, _, error) =>
      error === 'another body' && /^transfer-encoding:.*\t[ \t]*\r\n/im.test(text) && /^upgrade:/im.test(text),
  },
  {
    // RFC 9110 §6.5.1: a field that may not stand in a trailer is ignored there. node:http looks at these as if they stood in the head.
    name: 'a trailer',
    is: (text, _, error) =>
      ['HPE_INVALID_CONTENT_LENGTH', 'HPE_INVALID_TRANSFER_ENCODING', 'HPE_CLOSED_CONNECTION'].includes(error) &&
      /^0+(?:[ \t]*;.*)?\r\n(?:.+\r\n)*(?:content-length|transfer-encoding|(?:proxy-)?connection):/im.test(text),
  },
  {
    // RFC 9110 §10.1.1 and §5.6.1.2: Expect is a list, in which empty elements do not count. node:http knows one element alone.
    name: 'a list of expectations',
    is: (text, _, error) => error === '417' && /^expect:(?:[ \t]*\r\n|.*,)/im.test(text),
  },
];

/**
 * Compares what both have taken, in order.
 * @returns the class that it falls into
 * @throws if they differ, or node:http refuses what this server takes, for a reason that is not known
 */
export function differ(text: string, ours: Outcome, theirs: NodeOutcome): string {
  const requests = ours.requests.filter(isForHandler);
  const others = theirs.requests.filter(isForHandler);
  const count = Math.max(requests.length, others.length);
  for (let i = 0; i < count; i++) {
    const seen: Seen | undefined = requests[i];
    const other: NodeRequest | undefined = others[i];
    if (seen === undefined) {
      const last = ours.responses.at(-1);
      if (last !== undefined && isRefusal(last)) return `node takes what is refused with ${last.status}`;
      return 'node goes on where the connection is closed';
    }
    if (other === undefined) {
      const { error = 'nothing' } = theirs;
      const reason = known.find(({ is }) => is(text, seen, error));
      assert.ok(
        reason !== undefined,
        `node has answered ${error} to request ${i + 1}, which is taken here: ${JSON.stringify(seen)}`,
      );
      return `node refuses: ${reason.name}`;
    }
    assert.deepEqual(essence(seen), { ...essence(other), ...hostOf(other) }, `request ${i + 1}`);
    if (!seen.reads) continue;
    if (seen.broken && !other.complete) return 'both refuse a body';
    if (seen.broken) return 'node takes a body that is refused';
    if (!other.complete) {
      const { error = 'nothing' } = theirs;
      const reason = known.find(({ is }) => is(text, undefined, error));
      assert.ok(
        reason !== undefined,
        `node has answered ${error} to the body of request ${i + 1}, which is taken here: ${JSON.stringify(seen)}`,
      );
      return `node refuses: ${reason.name}`;
    }
    if (seen.body === other.body) continue;
    const reason = known.find(({ is }) => is(text, seen, 'another body'));
    assert.ok(reason !== undefined, `body of request ${i + 1}: ${JSON.stringify([seen.body, other.body])}`);
    return `node differs: ${reason.name}`;
  }
  const last = ours.responses.at(-1);
  if (last !== undefined && isRefusal(last))
    return theirs.error === undefined
      ? `node waits for more of what is refused with ${last.status}`
      : `both refuse: ${last.status}`;
  return theirs.error === undefined ? 'both take all of it' : 'both have stopped';
}

/** OPTIONS * is asked of a server, which may answer by itself (RFC 9110 §9.3.7). */
const isForHandler = ({ target }: Seen | NodeRequest): boolean => target !== '*';

const essence = ({ method, target, fields }: Seen | NodeRequest) => ({ method, target, fields });

/** RFC 9112 §3.2.2, which node:http leaves to its users. */
function hostOf({ target, fields }: NodeRequest): { fields: string[] } | undefined {
  if (target.startsWith('/') || target === '*') return undefined;
  const { host } = new URL(target);
  return { fields: fields.map((text, i) => (i % 2 === 1 && fields[i - 1] === 'host' ? host : text)) };
}
