// A session whose handshake, and with TLS 1.2 also whose records, OpenSSL does. Records come one by one, as the transport finds their borders. A server's
// session first waits for the whole ClientHello, because the name in it decides which certificate the SSL is made with.

import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { ConnectionError } from '../../event-layer/event-layer.js';
import type { TlsInfo } from '../../event-layer/tls-info.js';
import { Alert, alertSent } from '../alerts.js';
import { ClientHelloRecords, hasWholeClientHello, maxClientHello, serverNameOf } from '../client-hello.js';
import type { TlsClientConfig, TlsIdentity, TlsServerConfig } from '../config.js';
import { cipherSuiteNamed } from '../detached/cipher-suites.js';
import { type CheckedServer, certificateRefused } from '../handshake-errors.js';
import { maxContent, Received, type SendRecords, type TlsSession } from '../session.js';
import type { TrafficSecrets } from './callbacks.js';
import { sessionError } from './errors.js';
import * as o from './library.js';
import type { SharedOpenSsl } from './shared.js';

/** What the session is doing. */
const State = {
  /** The ClientHello has not come whole. */
  hello: 0,
  /** The application is choosing an identity. */
  choosing: 1,
  handshake: 2,
  open: 3,
  broken: 4,
} as const;
type State = (typeof State)[keyof typeof State];

/** What SSL_get0_alpn_selected(3) writes: an address in two halves, and a length. Over an `ArrayBuffer` of its own, whose address stays the same. */
const selectedBytes = new Uint8Array(new ArrayBuffer(12));
const selectedProtocol = new Uint32Array(selectedBytes.buffer);

abstract class OpenSslSession implements TlsSession {
  failure: ConnectionError | undefined;
  contentEnd = 0;
  secrets: TrafficSecrets | undefined;
  protected readonly engine: SharedOpenSsl;
  protected state: State = State.hello;
  /** The SSL; 0 if there is none yet, or no longer. */
  protected ssl = 0;
  #info: TlsInfo | undefined;
  /** Records that the last step of the handshake has sent; NaN if they were not counted. */
  #lastFlight = 0;

  constructor(engine: SharedOpenSsl) {
    this.engine = engine;
  }

  abstract readonly identity: TlsIdentity;
  protected abstract readonly serverName: string | undefined;
  abstract readonly wantsSecrets: boolean;
  protected abstract readonly isClient: boolean;
  /** Of a client, for the message of an error. */
  protected readonly checkedServer?: () => CheckedServer;

  get isOpen(): boolean {
    return this.state === State.open;
  }

  get info(): TlsInfo | undefined {
    return this.isOpen ? (this.#info ??= this.#describe()) : undefined;
  }

  get memory(): number {
    return 0;
  }

  abstract start(send: SendRecords): void;

  receive(bytes: Uint8Array, start: number, end: number, plain: Uint8Array, at: number, send: SendRecords): Received {
    if (this.ssl === 0) return Received.failure; // nothing comes after it
    const { bios, openssl } = this.engine;
    bios.setInput(bios.addressOf(bytes) + start, end - start);
    openssl.ERR_clear_error(); // SSL_get_error(3) looks at the queue, and other code in the process uses it
    try {
      return this.isOpen ? this.#read(plain, at, send) : this.shake(send);
    } finally {
      bios.setInput(0, 0);
    }
  }

  /** Continues the handshake with what the input BIO has. */
  protected shake(send: SendRecords): Received {
    const { bios, callbacks, openssl } = this.engine;
    const { ssl } = this;
    callbacks.target = this;
    const result = openssl.SSL_do_handshake(ssl);
    callbacks.target = undefined;
    const error = result === 1 ? 0 : openssl.SSL_get_error(ssl, result);
    this.#lastFlight = bios.drain(send);
    if (result === 1) this.state = State.open;
    else if (error !== o.SSL_ERROR_WANT_READ) return this.#end(error);
    return Received.nothing;
  }

  #read(plain: Uint8Array, at: number, send: SendRecords): Received {
    const { bios, openssl } = this.engine;
    const { ssl } = this;
    const count = openssl.SSL_read(ssl, bios.addressOf(plain) + at, maxContent);
    if (count > 0) {
      this.contentEnd = at + count;
      return Received.content;
    }
    const error = openssl.SSL_get_error(ssl, count);
    bios.drain(send);
    return error === o.SSL_ERROR_WANT_READ ? Received.nothing : this.#end(error);
  }

  #end(error: number): Received {
    if (error === o.SSL_ERROR_ZERO_RETURN) return Received.end;
    const { openssl } = this.engine;
    const verified = openssl.SSL_get_verify_result(this.ssl);
    this.failure = sessionError(openssl, verified, this.checkedServer);
    this.state = State.broken;
    return Received.failure;
  }

  seal(bytes: Uint8Array, start: number, end: number, output: Uint8Array, at: number): number {
    const { bios, openssl } = this.engine;
    openssl.ERR_clear_error();
    const count = openssl.SSL_write(this.ssl, bios.addressOf(bytes) + start, end - start);
    if (count === end - start) return bios.take(output, at);
    // OpenSSL has read a part of a handshake message, and writes nothing until it has the rest.
    if (openssl.SSL_get_error(this.ssl, count) === o.SSL_ERROR_WANT_READ)
      this.failure = alertSent(Alert.unexpectedMessage, 'a handshake message in part, when output was due');
    else this.failure = sessionError(openssl, o.X509_V_OK);
    this.state = State.broken;
    return at;
  }

  sealEnd(output: Uint8Array, at: number): number {
    const { bios, openssl } = this.engine;
    openssl.ERR_clear_error();
    openssl.SSL_shutdown(this.ssl);
    return bios.take(output, at);
  }

  free(): void {
    if (this.ssl === 0) return;
    this.engine.openssl.SSL_free(this.ssl);
    this.ssl = 0;
    this.secrets?.wipe();
    this.secrets = undefined;
    this.state = State.broken;
  }

  /** TLS 1.3 needs no more than the traffic secrets from now on. What a server has sent with them are the tickets of its last flight. */
  detach(): TlsSession | undefined {
    const { secrets, info } = this;
    if (secrets?.count !== 2 || info?.protocol !== 'TLSv1.3' || Number.isNaN(this.#lastFlight)) return undefined;
    const suite = cipherSuiteNamed(info.cipher);
    if (suite === undefined) return undefined;
    const { isClient } = this;
    const detached = this.engine.records.open({
      suite,
      isClient,
      clientSecret: secrets.client.subarray(0, suite.secretBytes),
      serverSecret: secrets.server.subarray(0, suite.secretBytes),
      received: 0,
      sent: isClient ? 0 : this.#lastFlight,
      info,
    });
    this.free();
    return detached;
  }

  /** Creates the SSL. @returns false if there is no memory for it: see `failure` */
  protected create(context: number): boolean {
    const { bios, openssl } = this.engine;
    this.ssl = openssl.SSL_new(context);
    if (this.ssl === 0) {
      openssl.ERR_clear_error();
      this.failure = new ConnectionError('ENOMEM', 'there is no memory for a TLS session (SSL_new)');
      this.state = State.broken;
      return false;
    }
    bios.attach(this.ssl);
    this.state = State.handshake;
    return true;
  }

  /** Refuses the handshake before there is an SSL. */
  protected refuse(alert: Alert, send: SendRecords): Received {
    this.failure = alertSent(alert);
    this.state = State.broken;
    send(Uint8Array.of(21, 3, 3, 0, 2, 2, alert));
    return Received.failure;
  }

  #describe(): TlsInfo {
    const { openssl } = this.engine;
    const { ssl } = this;
    const certificate = this.isClient || this.identity.requestCert ? this.#peerCertificate() : undefined;
    return this.engine.infos.intern({
      protocol: openssl.SSL_get_version(ssl),
      cipher: openssl.SSL_CIPHER_get_name(openssl.SSL_get_current_cipher(ssl)),
      serverName: this.serverName,
      alpnProtocol: this.#alpnProtocol(),
      isResumed: openssl.SSL_session_reused(ssl) === 1,
      peerCertificate: certificate,
      isAuthorized: certificate !== undefined && openssl.SSL_get_verify_result(ssl) === o.X509_V_OK,
    });
  }

  #alpnProtocol(): string | undefined {
    if (this.identity.alpnProtocols.length === 0) return undefined; // none was offered, or accepted
    const { openssl, bios } = this.engine;
    const at = bios.addressOf(selectedBytes);
    openssl.SSL_get0_alpn_selected(this.ssl, at, at + 8);
    const [low, high, length] = selectedProtocol;
    return length === 0 ? undefined : bios.copyOf(high * 2 ** 32 + low, length).toString('latin1');
  }

  /** i2d_X509(3): the first call says how many bytes, the second writes them and moves the pointer. */
  protected derOf(certificate: number): Uint8Array {
    const { openssl, bios } = this.engine;
    const der = new Uint8Array(new ArrayBuffer(openssl.i2d_X509(certificate, null)));
    const pointer = BigUint64Array.of(BigInt(bios.addressOf(der)));
    openssl.i2d_X509(certificate, pointer);
    return der;
  }

  #peerCertificate(): X509Certificate | undefined {
    const { openssl } = this.engine;
    const certificate = openssl.SSL_get1_peer_certificate(this.ssl);
    if (certificate === 0) return undefined;
    try {
      return new X509Certificate(this.derOf(certificate));
    } finally {
      openssl.X509_free(certificate);
    }
  }
}

/** The side of a server. */
export class ServerSession extends OpenSslSession {
  protected readonly isClient = false;
  protected serverName: string | undefined;
  readonly #config: TlsServerConfig;
  #identity: TlsIdentity | undefined;
  /** A ClientHello of which the rest has not come. */
  #hello: ClientHelloRecords | undefined;
  /** The records of a ClientHello for which the identity is being chosen. */
  #waiting: Uint8Array | undefined;
  #whenChosen: (() => void) | undefined;

  constructor(engine: SharedOpenSsl, config: TlsServerConfig) {
    super(engine);
    this.#config = config;
  }

  get identity(): TlsIdentity {
    if (this.#identity === undefined) throw new Error('the identity is not chosen yet; this is a bug in sluice');
    return this.#identity;
  }

  get wantsSecrets(): boolean {
    return this.#config.detached;
  }

  start(): void {}

  override receive(
    bytes: Uint8Array,
    start: number,
    end: number,
    plain: Uint8Array,
    at: number,
    send: SendRecords,
  ): Received {
    if (this.state !== State.hello) return super.receive(bytes, start, end, plain, at, send);
    const record = bytes.subarray(start, end);
    if (this.#hello === undefined && hasWholeClientHello(record)) {
      this.serverName = serverNameOf(record);
      return this.#choose(record, send);
    }
    this.#hello ??= new ClientHelloRecords();
    if (!this.#hello.add(record))
      return this.#hello.length > maxClientHello ? this.refuse(Alert.decodeError, send) : Received.nothing;
    const { records, serverName } = this.#hello.finish();
    this.#hello = undefined;
    this.serverName = serverName;
    return this.#choose(records, send);
  }

  /** @param records those of the ClientHello, borrowed */
  #choose(records: Uint8Array, send: SendRecords): Received {
    const identity = this.#config.identityFor(this.serverName);
    if (!(identity instanceof Promise)) return this.#begin(identity, records, send);
    this.state = State.choosing;
    this.#waiting = Uint8Array.from(records);
    const chosen = (choice: TlsIdentity | undefined): void => {
      this.#identity = choice;
      this.#whenChosen?.();
    };
    identity.then(chosen, () => chosen(undefined));
    return Received.wait;
  }

  /** Of a ClientHello. */
  override get memory(): number {
    return (this.#hello?.memory ?? 0) + (this.#waiting?.length ?? 0);
  }

  whenReady(ready: () => void): void {
    this.#whenChosen = ready;
  }

  resume(send: SendRecords): Received {
    const records = this.#waiting;
    this.#waiting = undefined;
    this.#whenChosen = undefined;
    if (records === undefined) return Received.failure; // it was freed meanwhile
    return this.#begin(this.#identity, records, send);
  }

  #begin(identity: TlsIdentity | undefined, records: Uint8Array, send: SendRecords): Received {
    if (identity === undefined) return this.refuse(Alert.unrecognizedName, send);
    this.#identity = identity;
    const { bios, callbacks, openssl } = this.engine;
    if (!this.create(this.engine.contextOf(identity))) return Received.failure;
    openssl.SSL_set_accept_state(this.ssl);
    if (identity.requestCert) {
      const { rejectUnauthorized } = identity;
      const mode = o.SSL_VERIFY_PEER | (rejectUnauthorized ? o.SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
      openssl.SSL_set_verify(this.ssl, mode, rejectUnauthorized ? 0 : callbacks.acceptAny);
    }
    bios.setInput(bios.addressOf(records), records.length);
    openssl.ERR_clear_error();
    try {
      return this.shake(send);
    } finally {
      bios.setInput(0, 0);
    }
  }

  override free(): void {
    super.free();
    this.#hello = undefined;
    this.#waiting = undefined;
    this.#whenChosen = undefined;
  }
}

/** The side of a client. */
export class ClientSession extends OpenSslSession {
  protected readonly isClient = true;
  readonly identity: TlsIdentity;
  readonly #config: TlsClientConfig;

  constructor(engine: SharedOpenSsl, config: TlsClientConfig) {
    super(engine);
    this.#config = config;
    this.identity = config.identity;
  }

  protected get serverName(): string | undefined {
    return this.#config.serverName;
  }

  get wantsSecrets(): boolean {
    return this.#config.detached;
  }

  start(send: SendRecords): void {
    const { callbacks, openssl } = this.engine;
    const { identity, serverName, host } = this.#config;
    if (!this.create(this.engine.contextOf(identity))) return;
    const { ssl } = this;
    openssl.SSL_set_connect_state(ssl);
    if (serverName !== undefined)
      openssl.SSL_set_tlsext_host_name(ssl, o.SSL_CTRL_SET_TLSEXT_HOSTNAME, o.TLSEXT_NAMETYPE_host_name, serverName);
    if (identity.alpnProtocols.length > 0) {
      const list = Buffer.concat(
        identity.alpnProtocols.map((name) => Buffer.from([name.length, ...Buffer.from(name, 'latin1')])),
      );
      openssl.SSL_set_alpn_protos(ssl, list, list.length);
    }
    openssl.SSL_set_verify(ssl, o.SSL_VERIFY_PEER, identity.rejectUnauthorized ? 0 : callbacks.acceptAny);
    if (identity.rejectUnauthorized && !this.#expect(host)) {
      this.failure = certificateRefused(`none can be for the host ${JSON.stringify(host)}`);
      this.state = State.broken;
      return;
    }
    openssl.ERR_clear_error();
    this.shake(send);
  }

  /** The certificate is not that of the session, since it has not been accepted: it is the first of the chain that has come. */
  protected override readonly checkedServer = (): CheckedServer => {
    const { openssl } = this.engine;
    const chain = openssl.SSL_get_peer_cert_chain(this.ssl);
    const first = chain === 0 ? 0 : openssl.OPENSSL_sk_value(chain, 0);
    const certificate = first === 0 ? undefined : new X509Certificate(this.derOf(first));
    return { host: this.#config.host, certificate };
  };

  /** Has OpenSSL compare the certificate with the host, by the rules of RFC 6125. @returns false if it takes no such host */
  #expect(host: string): boolean {
    const { openssl } = this.engine;
    const { ssl } = this;
    if (isIP(host) !== 0) return openssl.X509_VERIFY_PARAM_set1_ip_asc(openssl.SSL_get0_param(ssl), host) === 1;
    openssl.SSL_set_hostflags(ssl, o.X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return openssl.SSL_set1_host(ssl, host) === 1;
  }
}
