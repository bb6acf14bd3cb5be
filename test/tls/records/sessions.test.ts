// Sessions and their keys: memory, wiping, and what may be called when.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AeadCipher } from '#sluice/tls/detached/aead-cipher.js';
import { type CipherSuite, cipherSuites } from '#sluice/tls/detached/cipher-suites.js';
import type { DetachedSession } from '#sluice/tls/detached/detached-session.js';
import { NodeCipher } from '#sluice/tls/detached/node-cipher.js';
import { connectionsPerBlock } from '#sluice/tls/detached/record-keys.js';
import { RecordLayer } from '#sluice/tls/detached/record-layer.js';
import { maxContent, maxOverhead, Received } from '#sluice/tls/session.js';
import { keyUpdateMessage } from './build.js';
import { contentType, Direction } from './wire.js';

/** A cipher that remembers the memory which it was given keys in. */
class WatchedCipher extends NodeCipher {
  readonly memory = new Set<Uint8Array>();

  override seal(...given: Parameters<AeadCipher['seal']>): void {
    this.memory.add(given[0]);
    super.seal(...given);
  }

  override open(...given: Parameters<AeadCipher['open']>): boolean {
    this.memory.add(given[0]);
    return super.open(...given);
  }

  /** How many bytes of the keys' memory are not 0. */
  get used(): number {
    return [...this.memory].reduce((sum, bytes) => sum + bytes.reduce((count, byte) => count + Math.sign(byte), 0), 0);
  }
}

class Setup {
  readonly suite: CipherSuite;
  readonly cipher: WatchedCipher;
  readonly layer: RecordLayer;
  readonly #plain = new Uint8Array(maxContent + 1);
  /** Records that sessions have sent by themselves. */
  readonly sent: Uint8Array[] = [];
  /** Milliseconds. */
  now = 0;

  constructor(suite = cipherSuites[0]) {
    this.suite = suite;
    this.cipher = new WatchedCipher(suite);
    this.layer = new RecordLayer(
      () => this.cipher,
      undefined,
      () => this.now,
    );
  }

  session(isClient: boolean, seed = 1): DetachedSession {
    const secret = (add: number) =>
      Uint8Array.from({ length: this.suite.secretBytes }, (_, i) => 1 + ((i + seed + add) % 255));
    const secrets = { clientSecret: secret(0), serverSecret: secret(100) };
    return this.layer.open({ suite: this.suite, isClient, ...secrets, received: 0, sent: 0, info: undefined });
  }

  seal(session: DetachedSession, text = 'content'): Uint8Array {
    const output = new Uint8Array(text.length + maxOverhead);
    return output.slice(0, session.seal(Buffer.from(text), 0, text.length, output, 0));
  }

  sealEnd(session: DetachedSession): Uint8Array {
    const output = new Uint8Array(maxOverhead);
    return output.slice(0, session.sealEnd(output, 0));
  }

  receive(session: DetachedSession, record: Uint8Array): Received {
    return session.receive(record, 0, record.length, this.#plain, 0, (records) => this.sent.push(records.slice()));
  }
}

/** Bytes of a row that are not 0 when it is in use: these secrets have none, and few bytes of keys are 0 by chance. */
const rowBytes = ({ secretBytes, keyBytes }: CipherSuite): number => secretBytes + keyBytes + 12;
const isInUse = (used: number, suite: CipherSuite, rows: number): boolean =>
  used > rows * (rowBytes(suite) - 4) && used <= rows * rowBytes(suite);

for (const suite of cipherSuites) {
  test(`two rows of keys take at most 200 bytes, ${suite.name}`, () => {
    const setup = new Setup(suite);
    setup.seal(setup.session(true));
    const [memory] = setup.cipher.memory;
    const sequenceNumbers = 2 * 8;
    assert.ok(memory.length / connectionsPerBlock + sequenceNumbers <= 200, `${memory.length / connectionsPerBlock}`);
  });

  test(`keys are wiped as soon as they are not needed, ${suite.name}`, () => {
    const setup = new Setup(suite);
    const client = setup.session(true);
    const server = setup.session(false);
    const record = setup.seal(client);
    assert.ok(isInUse(setup.cipher.used, suite, 4));
    const end = setup.sealEnd(client);
    assert.ok(isInUse(setup.cipher.used, suite, 3), 'the keys that a side has ended its output with');
    assert.equal(setup.receive(server, record), Received.content);
    assert.equal(setup.receive(server, end), Received.end);
    assert.ok(isInUse(setup.cipher.used, suite, 2), 'the keys that a side has ended its input with');
    server.free();
    assert.ok(isInUse(setup.cipher.used, suite, 1));
    client.free();
    assert.equal(setup.cipher.used, 0);
  });
}

test('keys are wiped when a session fails, on both sides', () => {
  const setup = new Setup();
  const client = setup.session(true);
  const server = setup.session(false);
  setup.seal(client);
  assert.equal(setup.receive(server, setup.seal(client)), Received.failure);
  assert.ok(isInUse(setup.cipher.used, setup.suite, 2));
  const [alert] = setup.sent;
  assert.equal(setup.receive(client, alert), Received.failure);
  assert.equal(setup.cipher.used, 0);
  assert.equal(client.failure?.code, 'ERR_TLS_ALERT');
  assert.equal(setup.sent.length, 1, 'an alert is not answered');
});

test('a session that has ended its output, failed or been freed does not seal: its keys are zeros', () => {
  const setup = new Setup();
  const ended = setup.session(true);
  setup.sealEnd(ended);
  const failed = setup.session(true);
  assert.equal(setup.receive(failed, Uint8Array.of(20, 3, 3, 0, 1, 1)), Received.failure);
  const freed = setup.session(true);
  freed.free();
  for (const session of [ended, failed, freed]) {
    assert.throws(() => setup.seal(session), /cannot seal/);
    assert.throws(() => setup.sealEnd(session), /cannot seal/);
  }
});

test('a session that was freed takes nothing, and does not disturb the one that has its rows', () => {
  const setup = new Setup();
  const first = setup.session(false);
  first.free();
  first.free();
  const client = setup.session(true, 7);
  const next = setup.session(false, 7);
  assert.equal(setup.receive(first, setup.seal(client, 'lost')), Received.nothing);
  assert.equal(first.failure, undefined);
  first.free();
  const third = setup.session(false, 9);
  client.free();
  third.free();
  assert.equal(setup.receive(next, setup.seal(setup.session(true, 7))), Received.content);
});

test('a side that has ended its output still gets its input; a violation is not answered then', () => {
  const setup = new Setup();
  const client = setup.session(true);
  const server = setup.session(false);
  setup.sealEnd(server);
  assert.equal(setup.receive(server, setup.seal(client)), Received.content);
  assert.equal(setup.receive(server, Uint8Array.of(99, 3, 3, 0, 0)), Received.failure);
  assert.equal(server.failure?.code, 'ERR_TLS_PROTOCOL');
  assert.deepEqual(setup.sent, []);
});

test('a side that has ended its output sends no KeyUpdate, and takes what comes with new keys', () => {
  for (const suite of cipherSuites) {
    const setup = new Setup(suite);
    const clientSecret = new Uint8Array(suite.secretBytes).fill(1);
    const serverSecret = new Uint8Array(suite.secretBytes).fill(2);
    // The next record but one is the last that the client's keys are good for.
    const received = suite.recordsPerKey - 2;
    const info = undefined;
    const server = setup.layer.open({ suite, isClient: false, clientSecret, serverSecret, received, sent: 0, info });
    const client = new Direction(suite.aead, clientSecret, BigInt(received));
    setup.sealEnd(server);
    const take = (record: Uint8Array) => setup.receive(server, record);
    for (let i = 0; i < 3; i++) assert.equal(take(client.seal(contentType.content, 'x')), Received.content);
    assert.equal(take(client.seal(contentType.handshake, keyUpdateMessage(1))), Received.nothing);
    client.update();
    assert.equal(take(client.seal(contentType.content, 'x')), Received.content);
    assert.deepEqual(setup.sent, []);
  }
});

test('a client that sends no content may replace its keys for as long as it likes, but not more than 32 times at once', () => {
  const suite = cipherSuites[0];
  const secret = new Uint8Array(suite.secretBytes).fill(1);
  const open = (setup: Setup) => {
    const established = { suite, isClient: false, clientSecret: secret, serverSecret: secret, received: 0, sent: 0 };
    const session = setup.layer.open({ ...established, info: undefined });
    const client = new Direction(suite.aead, secret);
    return () => {
      const received = setup.receive(session, client.seal(contentType.handshake, keyUpdateMessage(0)));
      client.update();
      return received;
    };
  };
  for (const apart of [60_000, 10_000, 9_000, 1_000]) {
    const setup = new Setup();
    const update = open(setup);
    let refused = false;
    for (let i = 0; i < 500 && !refused; i++) {
      refused = update() === Received.failure;
      setup.now += apart;
    }
    assert.equal(refused, apart < 10_000, `a KeyUpdate each ${apart} ms`);
  }
  for (const pause of [10_000, 24 * 3_600_000]) {
    const setup = new Setup();
    const update = open(setup);
    for (let i = 0; i < 32; i++) assert.equal(update(), Received.nothing);
    setup.now += pause;
    const more = Math.min(32, pause / 10_000);
    for (let i = 0; i < more; i++) assert.equal(update(), Received.nothing);
    assert.equal(update(), Received.failure);
  }
});

test('what comes behind a failure is a failure, and what comes behind close_notify is nothing', () => {
  const setup = new Setup();
  const client = setup.session(true);
  const server = setup.session(false);
  const end = setup.sealEnd(client);
  assert.equal(setup.receive(server, end), Received.end);
  assert.equal(setup.receive(server, end), Received.nothing);
  const other = setup.session(false);
  for (let i = 0; i < 3; i++) assert.equal(setup.receive(other, end.fill(1, 10)), Received.failure);
  assert.equal(setup.sent.length, 1);
});

test('a record that is shorter or longer than its header says is refused', () => {
  for (const change of [-1, 1, 5]) {
    const setup = new Setup();
    const record = setup.seal(setup.session(true));
    const bytes = new Uint8Array(record.length + 10);
    bytes.set(record);
    const server = setup.session(false);
    const received = server.receive(bytes, 0, record.length + change, new Uint8Array(maxContent + 1), 0, () => {});
    assert.equal(received, Received.failure);
    assert.match(server.failure?.message ?? '', /whose header says/);
  }
});

test('blocks of keys come with connections and go with them, in any order', () => {
  const setup = new Setup();
  const open = (count: number) => Array.from({ length: count }, (_, i) => setup.session(i % 2 === 0, i));
  const sessions = open(5 * connectionsPerBlock);
  assert.equal(setup.layer.blocks, 5);
  const talk = (client: DetachedSession, server: DetachedSession) =>
    assert.equal(setup.receive(server, setup.seal(client)), Received.content);
  // Every other pair leaves, and others come in their places.
  for (let i = 0; i < sessions.length; i += 4) for (const session of sessions.slice(i, i + 2)) session.free();
  const more = open(2 * connectionsPerBlock);
  assert.equal(setup.layer.blocks, 5);
  const [client, server] = [setup.session(true, 3), setup.session(false, 3)];
  talk(client, server);
  for (const session of [...sessions, ...more]) session.free();
  assert.ok(setup.layer.blocks <= 2, `${setup.layer.blocks} blocks for two sessions`);
  talk(client, server);
  client.free();
  server.free();
  assert.equal(setup.layer.blocks, 1);
  assert.equal(setup.cipher.used, 0);
});

test('a KeyUpdate and the content behind it are at most maxOverhead bytes longer than the content', () => {
  for (const suite of cipherSuites) {
    const setup = new Setup(suite);
    const client = setup.layer.open({
      ...{ suite, isClient: true, received: 0, sent: suite.recordsPerKey, info: undefined },
      clientSecret: new Uint8Array(suite.secretBytes).fill(1),
      serverSecret: new Uint8Array(suite.secretBytes).fill(2),
    });
    const sealed = setup.seal(client, 'x'.repeat(maxContent));
    assert.ok(sealed.length > maxContent + 2 * 22 && sealed.length <= maxContent + maxOverhead);
  }
});
