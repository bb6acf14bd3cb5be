// Certificates for the servers and the clients, made with openssl: an authority and what it signs, and one that is signed by itself.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ellipticKey = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];

/** @param folder where `NAME.pem` and `NAME-key.pem` are written */
export function makeCertificates(folder) {
  const openssl = (args) => {
    const { status, error, stderr } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' });
    if (status !== 0) throw new Error(`openssl ${args[0]} fails: ${error?.message ?? stderr}`);
  };
  const alone = (name, subject, extensions) =>
    openssl([
      ...['req', '-x509', '-days', '365', '-nodes', '-newkey', ...ellipticKey, '-subj', `/CN=${subject}`],
      ...extensions.flatMap((extension) => ['-addext', extension]),
      ...['-keyout', `${name}-key.pem`, '-out', `${name}.pem`],
    ]);
  const signed = (name, subject, names, key = ellipticKey) => {
    writeFileSync(join(folder, `${name}.ext`), `subjectAltName=${names}\nbasicConstraints=CA:FALSE\n`);
    const files = ['-keyout', `${name}-key.pem`, '-out', `${name}.csr`];
    openssl(['req', '-new', '-nodes', '-newkey', ...key, '-subj', `/CN=${subject}`, ...files]);
    openssl([
      ...['x509', '-req', '-days', '60', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca-key.pem'],
      ...['-CAcreateserial', '-extfile', `${name}.ext`, '-out', `${name}.pem`],
    ]);
  };
  const local = 'DNS:localhost,IP:127.0.0.1';
  alone('ca', 'Authority of the script', ['keyUsage=critical,keyCertSign,cRLSign']);
  alone('alone', 'localhost', [`subjectAltName=${local}`]);
  alone('stranger', 'stranger', []);
  signed('local', 'localhost', local);
  signed('rsa', 'localhost', local, ['rsa:2048']);
  signed('one', 'one.example', 'DNS:one.example');
  signed('two', 'two.example', 'DNS:two.example,DNS:*.two.example');
  signed('client', 'client', 'DNS:client.example');
}
