// The URLs of a server, for printing. A server that listens on all addresses of the machine has one for each.

import { networkInterfaces } from 'node:os';

const everywhere: Readonly<Record<string, string>> = {
  '0.0.0.0': 'all IPv4 addresses of this machine',
  '::': 'all IPv4 and IPv6 addresses of this machine',
};

/** @returns what a wildcard hostname means; undefined for any other hostname */
export function wildcardMeaning(hostname: string): string | undefined {
  return Object.hasOwn(everywhere, hostname) ? everywhere[hostname] : undefined;
}

/**
 * @param hostname `0.0.0.0` or `::`
 * @param scheme `http` or `https`
 * @param interfaces Default: those of the machine
 * @returns the URLs that a server there can be reached by: from this machine first, then from others. Without link-local IPv6 addresses,
 *   which are of no use without the name of an interface of the client's
 */
export function urlsOf(
  hostname: string,
  port: number,
  scheme: string,
  interfaces: ReturnType<typeof networkInterfaces> = networkInterfaces(),
): string[] {
  const urls = [`${scheme}://localhost:${port}/`];
  for (const { address, family, internal } of Object.values(interfaces).flatMap((each) => each ?? [])) {
    if (internal || (family === 'IPv6' && (hostname !== '::' || /^fe[89ab]/i.test(address)))) continue;
    urls.push(family === 'IPv6' ? `${scheme}://[${address}]:${port}/` : `${scheme}://${address}:${port}/`);
  }
  return urls;
}
