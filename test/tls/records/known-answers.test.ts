// The record layer against RFC 8448 §3, the simple 1-RTT handshake: from its traffic secrets to its keys, and to every record behind the handshake.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nonceBytes } from '#sluice/tls/detached/aead-cipher.js';
import { cipherSuiteNamed, cipherSuites } from '#sluice/tls/detached/cipher-suites.js';
import type { DetachedSession } from '#sluice/tls/detached/detached-session.js';
import { expandLabel } from '#sluice/tls/detached/key-schedule.js';
import { NodeCipher } from '#sluice/tls/detached/node-cipher.js';
import { RecordLayer } from '#sluice/tls/detached/record-layer.js';
import { headerBytes, maxContent, Received } from '#sluice/tls/session.js';
import { expandLabel as expandIndependently, suites } from './wire.js';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));

const clientSecret = hex('9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5');
const serverSecret = hex('a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643');
const payload = Uint8Array.from({ length: 50 }, (_, i) => i);

const ticketOfServer = hex(`
  17030300de3a6b8f90414a97d6959c3487680de5134a2b240e6cffac116e95d41d6af8f6b580dcf3d11d63c758db289a
  015940252f55713e061dc13e078891a38efbcf5753ad8ef170ad3c7353d16d9da773b9ca7f2b9fa1b6c0d4a3d03f75e0
  9c30ba1e62972ac46f75f7b981be63439b2999ce13064615139891d5e4c5b406f16e3fc181a77ca475840025db2f0a77
  f81b5ab05b94c01346755f69232c86519d86cbeeac87aac347d143f9605d64f650db4d023e70e952ca49fe5137121c74
  bc2697687e248746d6df353005f3bce18696129c8153556b3b6c6779b37bf15985684f`);
const contentOfClient = hex(`
  1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b
  62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4`);
const contentOfServer = hex(`
  17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a59a8
  fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d`);
const endOfClient = hex('1703030013c9872760655666b74d7ff1153efd6db6d0b0e3');
const endOfServer = hex('1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9');

function session(isClient: boolean, sent = 0): DetachedSession {
  const suite = cipherSuiteNamed('TLS_AES_128_GCM_SHA256');
  assert.ok(suite !== undefined);
  const layer = new RecordLayer((each) => new NodeCipher(each));
  return layer.open({ suite, isClient, clientSecret, serverSecret, received: 0, sent, info: undefined });
}

const unexpected = (): never => assert.fail('nothing is to be sent');

function receive(to: DetachedSession, record: Uint8Array): { received: Received; content: Uint8Array } {
  const plain = new Uint8Array(maxContent + 1);
  const received = to.receive(record, 0, record.length, plain, 0, unexpected);
  return { received, content: plain.slice(0, received === Received.content ? to.contentEnd : 0) };
}

function seal(from: DetachedSession, content: Uint8Array): Uint8Array {
  const output = new Uint8Array(300);
  return output.slice(0, from.seal(content, 0, content.length, output, 0));
}

function sealEnd(from: DetachedSession): Uint8Array {
  const output = new Uint8Array(100);
  return output.slice(0, from.sealEnd(output, 0));
}

test('keys and IVs of the application data', () => {
  const derive = (secret: Uint8Array, label: string, length: number): string => {
    const output = new Uint8Array(50);
    expandLabel('sha256', secret, label, output, 3, length);
    assert.deepEqual(output.subarray(0, 3), new Uint8Array(3));
    assert.deepEqual(output.subarray(3 + length), new Uint8Array(47 - length));
    return Buffer.from(output.subarray(3, 3 + length)).toString('hex');
  };
  assert.equal(derive(clientSecret, 'key', 16), '17422dda596ed5d9acd890e3c63f5051');
  assert.equal(derive(clientSecret, 'iv', 12), '5b78923dee08579033e523d9');
  assert.equal(derive(serverSecret, 'key', 16), '9f02283b6c9c07efc26bb9f2ac92e356');
  assert.equal(derive(serverSecret, 'iv', 12), 'cf782b88dd83549aadf1e984');
  // Of the same section: a label with a length of its own.
  const handshakeSecret = hex('b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38');
  assert.equal(
    derive(handshakeSecret, 'finished', 32),
    '008d3b66f816ea559f96b537e885c31fc068bf492c652f01f288a1d8cdc19fc8',
  );
});

test('other secrets, for every suite: as by another implementation of HKDF-Expand-Label', () => {
  for (const { name, aead, hash, secretBytes, keyBytes } of cipherSuites) {
    assert.deepEqual({ ...suites[aead] }, { name, hash, secretBytes, keyBytes });
    const secret = Uint8Array.from({ length: secretBytes }, (_, i) => 255 - i);
    const lengths = { key: keyBytes, iv: nonceBytes, 'traffic upd': secretBytes };
    for (const [label, length] of Object.entries(lengths)) {
      const output = new Uint8Array(length);
      expandLabel(hash, secret, label, output, 0, length);
      assert.deepEqual(Buffer.from(output), Buffer.from(expandIndependently(hash, secret, label, length)));
    }
  }
});

test('the records of the server, opened by a client: ticket, content, close_notify', () => {
  const client = session(true);
  assert.equal(receive(client, ticketOfServer).received, Received.nothing);
  assert.deepEqual(receive(client, contentOfServer).content, payload);
  assert.equal(receive(client, endOfServer).received, Received.end);
});

test('the records of the client, opened by a server', () => {
  const server = session(false);
  assert.deepEqual(receive(server, contentOfClient).content, payload);
  assert.equal(receive(server, endOfClient).received, Received.end);
});

test('the same records, sealed', () => {
  const client = session(true);
  assert.deepEqual(seal(client, payload), contentOfClient);
  assert.deepEqual(sealEnd(client), endOfClient);
  const server = session(false, 1); // OpenSSL has sent the ticket
  assert.deepEqual(seal(server, payload), contentOfServer);
  assert.deepEqual(sealEnd(server), endOfServer);
});

test('each of these records with any bit changed is refused', () => {
  for (let at = headerBytes; at < contentOfClient.length; at++) {
    const changed = contentOfClient.slice();
    changed[at] ^= 1 << (at % 8);
    const alerts: Uint8Array[] = [];
    const plain = new Uint8Array(maxContent + 1);
    const server = session(false);
    const received = server.receive(changed, 0, changed.length, plain, 0, (records) => alerts.push(records.slice()));
    assert.equal(received, Received.failure);
    assert.equal(alerts.length, 1);
    assert.ok(
      plain.every((byte) => byte === 0),
      'what was not authentic has been wiped',
    );
  }
});
