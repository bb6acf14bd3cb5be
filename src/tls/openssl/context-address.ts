// The address of the SSL_CTX behind a secure context of node:tls.

import type { SecureContext } from 'node:tls';
import { inspect } from 'node:util';

/**
 * Node shows the address in no other way than by `util.inspect`: `[External: 5581d0c3]`.
 * @throws {Error} if this version of Node shows none
 */
export function addressOfContext(context: SecureContext): number {
  const { _external } = context.context as { readonly _external?: unknown }; // of Node's, without a type
  const shown = inspect(_external);
  const [, digits] = /^\[External: (?:0x)?([0-9a-f]+)\]$/.exec(shown) ?? [];
  if (digits === undefined)
    throw new Error(`this version of Node does not show the address of a TLS context: ${shown.slice(0, 80)}`);
  return Number.parseInt(digits, 16);
}
