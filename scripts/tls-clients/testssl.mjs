// testssl.sh: no finding of medium or worse that is about TLS.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './program.mjs';

/** Findings about the certificate of this script, or about the application. */
const setAside = /^(?:cert_chain_of_trust|cert_revocation|DNS_CAArecord|HSTS|security_headers)/;
const bad = new Set(['MEDIUM', 'HIGH', 'CRITICAL', 'WARN', 'FATAL']);

/** @returns the check */
export function testsslCheck(command, world) {
  const test = async () => {
    const file = join(world.folder, `testssl-${world.layer}.json`);
    const args = ['--quiet', '--warnings', 'off', '--color', '0', '--ip', '127.0.0.1', '--jsonfile', file];
    const url = `https://localhost:${world.ports.alone}`;
    await run(command, [...args, url], { mayFail: true, timeout: 600_000 });
    const found = JSON.parse(readFileSync(file, 'utf8'));
    if (!found.some(({ id }) => id === 'LUCKY13')) throw new Error('it has not looked at everything');
    const named = ({ severity, id, finding }) => `${severity} ${id}: ${finding}`;
    const findings = found.filter(({ severity, id }) => bad.has(severity) && !setAside.test(id));
    if (findings.length > 0) throw new Error(findings.map(named).join('; '));
    const aside = found.filter(({ severity, id }) => bad.has(severity) && setAside.test(id)).map(({ id }) => id);
    const low = found.filter(({ severity }) => severity === 'LOW').map(({ id }) => id);
    return `${found.length} findings, none of medium or worse; low: ${low.join(', ')}; set aside: ${aside.join(', ')}`;
  };
  return { client: 'testssl.sh', what: 'default options', test };
}
