// openssl s_client: versions, cipher suites, KeyUpdate, resumption, client certificates, names, ALPN, and what is to be refused.
import { constants } from 'node:crypto';
import { join } from 'node:path';
import { expect, Program, run } from './program.mjs';

const close = 'GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n';
const keep = 'GET / HTTP/1.1\r\nhost: localhost\r\n\r\n';
const alert = /(?:tlsv1[23]?|sslv3) alert ([a-z ]+)/;
const suites13 = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'];

/** One request on a connection of its own. @returns all that was printed */
function ask({ folder }, port, args = [], options = {}) {
  const fixed = ['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', join(folder, 'ca.pem'), '-ign_eof'];
  const name = args.includes('-servername') || args.includes('-noservername') ? [] : ['-servername', 'localhost'];
  return run('openssl', [...fixed, ...name, ...args], { input: close, mayFail: true, ...options });
}

/** A connection that stays open, on which the commands of s_client work. */
async function open({ folder }, port, args = []) {
  const fixed = ['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', join(folder, 'ca.pem')];
  const program = new Program('openssl', [...fixed, '-servername', 'localhost', ...args]);
  await program.sees(/Verify return code: 0/);
  return program;
}

/** One more request on it. */
async function askAgain(program) {
  const from = program.output.length;
  program.write(keep);
  await program.sees(/HTTP\/1\.1 200 OK[\s\S]*"method":"GET".*\}/, from);
}

/** The suites of TLS 1.2 in Node's default list that a certificate with ECDSA or RSA can have and s_client knows. */
async function suites12() {
  const list = await run('openssl', ['ciphers', '-v', constants.defaultCoreCipherList]);
  const lines = list.split('\n').map((line) => line.split(/\s+/));
  return lines.filter(([, version, , auth]) => version !== 'TLSv1.3' && /Au=(?:RSA|ECDSA)/.test(auth ?? ''));
}

async function everySuite(world) {
  const known = await suites12();
  const answered = [];
  const refused = [];
  const one = async ([suite]) => {
    const text = await ask(world, world.ports.both, ['-tls1_2', '-cipher', suite]);
    if (/HTTP\/1\.1 200 OK/.test(text)) {
      expect(text, new RegExp(`"protocol":"TLSv1.2","cipher":"${suite}"`));
      answered.push(suite);
    } else {
      expect(text, /alert handshake failure/);
      refused.push(suite);
    }
  };
  for (let at = 0; at < known.length; at += 4) await Promise.all(known.slice(at, at + 4).map(one));
  if (refused.length > 0) throw new Error(`refused: ${refused.join(' ')}`);
  return `${answered.length} suites`;
}

async function keyUpdate(world, port, command) {
  const program = await open(world, port, ['-tls1_3', '-msg']);
  await askAgain(program);
  for (let i = 0; i < 3; i++) {
    const from = program.output.length;
    program.write(`${command}\n`);
    await program.sees(/KEYUPDATE/, from);
    await askAgain(program);
  }
  const received = program.output.match(/<<< TLS 1\.3, Handshake \[length 0005\], KeyUpdate/g)?.length ?? 0;
  if ((command === 'K') !== received > 0) throw new Error(`${received} KeyUpdates of the server`);
  program.write('Q\n');
  await program.ended;
  return `3 sent, ${received} received`;
}

async function resumption(world, port, version) {
  const file = join(world.folder, `session-${world.layer}-${port}-${version}`);
  const first = await open(world, port, [version, '-sess_out', file]);
  await askAgain(first); // so the server has detached, and the tickets have come
  first.write('Q\n');
  await first.ended;
  for (let i = 0; i < 2; i++) {
    const text = await ask(world, port, [version, '-sess_in', file]);
    expect(text, /^Reused, TLSv1/m);
    expect(text, /"isResumed":true/);
  }
  return 'resumed twice';
}

async function renegotiation(world) {
  const program = await open(world, world.ports.plain, ['-tls1_2']);
  await askAgain(program);
  program.write('R\n');
  await program.ended;
  return expect(program.output, /no renegotiation/)[0];
}

async function earlyData(world) {
  const file = join(world.folder, `session-early-${world.layer}`);
  const first = await open(world, world.ports.plain, ['-tls1_3', '-sess_out', file]);
  await askAgain(first);
  first.write('Q\n');
  await first.ended;
  expect(first.output, /Max Early Data: 0/);
  const data = join(world.folder, 'ca.pem'); // any file
  const text = await ask(world, world.ports.plain, ['-tls1_3', '-sess_in', file, '-early_data', data]);
  if (/Early data was accepted/.test(text)) throw new Error('early data was accepted');
  return expect(text, /(?:Early data was (?:not sent|rejected)|max_early_data.*0|Cannot.* early data|early data)/i)[0];
}

/** @returns the checks: what, and a function that returns what was seen */
export function sClientChecks(world) {
  const { ports, folder } = world;
  const file = (name) => join(folder, name);
  const certificate = (name) => ['-cert', file(`${name}.pem`), '-key', file(`${name}-key.pem`)];
  const checks = [];
  const check = (what, test) => checks.push({ client: 'openssl s_client', what, test });

  for (const [version, flag] of [
    ['TLSv1.2', '-tls1_2'],
    ['TLSv1.3', '-tls1_3'],
  ]) {
    check(`GET, ${version}`, async () => {
      const text = await ask(world, ports.plain, [flag]);
      expect(text, /Verify return code: 0 \(ok\)/);
      expect(text, new RegExp(`"protocol":"${version}"`));
      return expect(text, /HTTP\/1\.1 200 OK/)[0];
    });
    check(`resumption, ${version}`, () => resumption(world, ports.plain, flag));
    check(`close_notify at the end, ${version}`, async () => {
      const text = await ask(world, ports.plain, [flag, '-msg']);
      return expect(text, /<<< TLS 1\.[23], Alert \[length 0002\], warning close_notify/)[0];
    });
    check(`client certificate required: a good one, none, a stranger's, ${version}`, async () => {
      expect(
        await ask(world, ports.required, [flag, ...certificate('client')]),
        /"isAuthorized":true,"client":"CN=client"/,
      );
      const none = await ask(world, ports.required, [flag]);
      const strange = await ask(world, ports.required, [flag, ...certificate('stranger')]);
      if (/200 OK/.test(none + strange)) throw new Error('answered');
      const [, missing] = expect(none, alert);
      // node:tls looks at a certificate after the handshake, and sends no alert then.
      const unknown = world.layer === 'portable' ? 'closed without an alert' : expect(strange, alert)[1];
      return `answered; ${missing}; ${unknown}`;
    });
    check(`client certificate requested: a good one, none, a stranger's, ${version}`, async () => {
      const seen = [];
      for (const args of [certificate('client'), [], certificate('stranger')])
        seen.push(expect(await ask(world, ports.requested, [flag, ...args]), /"isAuthorized":(true|false)/)[1]);
      if (seen.join() !== 'true,false,false') throw new Error(seen.join());
      return seen.join(', ');
    });
  }
  check('resumption, TLSv1.3, detached: false', () => resumption(world, ports.attached, '-tls1_3'));
  check('resumption with a client certificate, TLSv1.3', async () => {
    const out = file(`session-client-${world.layer}`);
    const args = ['-tls1_3', ...certificate('client')];
    const first = await open(world, ports.required, [...args, '-sess_out', out]);
    await askAgain(first);
    first.write('Q\n');
    await first.ended;
    return expect(
      await ask(world, ports.required, [...args, '-sess_in', out]),
      /"isResumed":true,"isAuthorized":true,"client":"CN=client"/,
    )[0];
  });
  for (const suite of suites13)
    check(suite, async () => {
      const text = await ask(world, ports.plain, ['-tls1_3', '-ciphersuites', suite]);
      return expect(text, new RegExp(`"cipher":"${suite}"`)) && 'answered';
    });
  check("TLS 1.2, every suite of Node's list", () => everySuite(world));
  for (const group of ['X25519', 'P-256', 'P-384', 'P-521', 'X448'])
    check(`key exchange ${group}`, async () => {
      const text = await ask(world, ports.plain, ['-groups', group]);
      return expect(text, /HTTP\/1\.1 200 OK/) && expect(text, /Server Temp Key: (.*)/)[1];
    });
  for (const command of ['k', 'K'])
    check(`KeyUpdate ${command === 'k' ? 'of the client' : 'both ways'} (${command})`, () =>
      keyUpdate(world, ports.plain, command),
    );
  check('several names, also with a star; the first for others', async () => {
    const seen = [];
    for (const [name, subject] of [
      ['localhost', 'localhost'],
      ['one.example', 'one.example'],
      ['ONE.example', 'one.example'],
      ['two.example', 'two.example'],
      ['a.two.example', 'two.example'],
      ['a.b.two.example', 'localhost'],
      ['none.example', 'localhost'],
    ]) {
      const text = await ask(world, ports.names, ['-servername', name]);
      const [, found] = expect(text, /^subject=CN ?= ?(.*)$/m);
      if (found !== subject) throw new Error(`${name} gets ${found}`);
      seen.push(name);
    }
    expect(await ask(world, ports.names, ['-noservername']), /^subject=CN ?= ?localhost$/m);
    return `${seen.length} names`;
  });
  check('ALPN: http/1.1 of several; none in common is refused', async () => {
    expect(await ask(world, ports.plain, ['-alpn', 'h2,http/1.1']), /ALPN protocol: http\/1\.1/);
    return expect(await ask(world, ports.plain, ['-alpn', 'h2']), /alert no application protocol/)[0];
  });
  check('leaves right after the handshake', async () => {
    const program = await open(world, ports.plain);
    program.write('Q\n');
    return `ends with ${await program.ended}`;
  });
  check('renegotiation (R) is refused', () => renegotiation(world));
  for (const old of ['-tls1', '-tls1_1'])
    check(`${old} is refused`, async () => {
      const text = await ask(world, ports.plain, [old, '-cipher', 'ALL:@SECLEVEL=0']);
      return expect(text, /alert protocol version/)[0];
    });
  check('0-RTT is not accepted', () => earlyData(world));
  return checks;
}
