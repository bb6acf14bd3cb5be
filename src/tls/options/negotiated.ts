// The names of groups and signature algorithms. OpenSSL and BoringSSL check them. Deno's rustls takes whatever it is given, and uses its own.

import { getCurves } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { show } from '../../util/inspect.js';
import { TlsConfigError } from './errors.js';

/** Beside those of `crypto.getCurves()`: RFC 8446 §4.2.7, and the names that NIST and OpenSSL have for some. In lower case. */
const groups = ['auto', 'x25519', 'x448', 'p-256', 'p-384', 'p-521', 'secp256r1', 'x25519mlkem768', 'mlkem768'];
/** RFC 8446 §4.2.3, and OpenSSL's `RSA+SHA256`. In lower case. */
const algorithm =
  /^(?:(?:rsa|rsa-pss|pss|ecdsa|dsa)\+sha(?:1|224|256|384|512)|ecdsa_secp(?:256r1_sha256|384r1_sha384|521r1_sha512)|rsa_pss_(?:rsae|pss)_sha(?:256|384|512)|(?:rsa_pkcs1|ecdsa)_sha(?:1|256|384|512)|ed25519|ed448)$/;

let isChecked: boolean | undefined;

/** Whether this runtime refuses names that it does not know. */
function runtimeChecks(): boolean {
  if (isChecked !== undefined) return isChecked;
  try {
    createSecureContext({ ecdhCurve: 'none-such' });
    isChecked = false;
  } catch {
    isChecked = true; // it is meant to be refused
  }
  return isChecked;
}

/** @throws {TlsConfigError} `ERR_TLS_OPTION` for a name that does not exist, where the runtime would not say so */
export function checkNegotiated(
  where: string,
  { ecdhCurve, sigalgs }: { ecdhCurve?: string | undefined; sigalgs?: string | undefined },
): void {
  if ((ecdhCurve === undefined && sigalgs === undefined) || runtimeChecks()) return;
  const curves = new Set([...groups, ...getCurves().map((name) => name.toLowerCase())]);
  check(`${where}.ecdhCurve`, ecdhCurve, (name) => curves.has(name));
  check(`${where}.sigalgs`, sigalgs, (name) => algorithm.test(name));
}

function check(option: string, list: string | undefined, isKnown: (name: string) => boolean): void {
  const unknown = list?.split(':').find((name) => !isKnown(name.toLowerCase()));
  if (unknown === undefined) return;
  throw new TlsConfigError('ERR_TLS_OPTION', `${option} is ${show(list)}; ${show(unknown)} is no name that is known`);
}
