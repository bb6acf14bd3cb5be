// Requests that `fetch` passes on to an application for Node, on the same port: `serve({ fetch, node })`.
//
// Each such request gets a socket of its own. Node's parser is given the head again, and the bytes of the body as they come, up to the end of the message. When the
// response has been sent, the connection goes back to where its next request is read, and `fetch` is asked again. A connection that the application
// upgrades stays with it.

import { Server, type ServerResponse } from 'node:http';
import { Server as HttpsServer } from 'node:https';
import type { DuplexOptions } from 'node:stream';
import { Server as TlsServer } from 'node:tls';
import type { Slot } from '../event-layer/event-layer.js';
import type { PassedRequest, RequestFallback } from '../http/fallback.js';
import type { Phase } from '../http/settings.js';
import { serverOf } from './application.js';
import { type MessageEnd, messageEnd } from './message-end.js';
import { NodeSocket, type NodeSocketMaker, type NodeSocketOwner } from './node-socket.js';
import { guardServer, RequestErrors } from './request-errors.js';
import { internalsOf, ServerHandle, type ServerInternals } from './server-handle.js';
import { addTlsMembers } from './tls-node-socket.js';

/** The server that passes requests on. */
export interface PassingServer extends NodeSocketOwner {
  /** The number of connections with a request in each phase. */
  readonly phases: Record<Phase, number>;
  /** The server is closing: connections end after the current response. */
  readonly closing: boolean;
  /** A connection comes back. @param bytes what has been received of further requests @param hasEnded the client has sent FIN behind them */
  takeBack(slot: Slot, bytes: Uint8Array, hasEnded: boolean): void;
  /** Calls `onError`. Never throws. */
  report(error: unknown, request: undefined, from?: { readonly peer: string }): void;
}

/** Answers passed requests by the listeners of a server of Node's, which does not listen itself. */
export class NodeFallback implements RequestFallback, NodeSocketMaker {
  readonly passing: PassingServer;
  readonly server: ServerInternals;
  /** The event by which the server takes a connection: by the other one, a server with TLS of its own would decrypt. */
  readonly event: 'connection' | 'secureConnection';
  readonly #options: DuplexOptions;
  readonly #hasTls: boolean;
  readonly #end: () => void;

  private constructor(passing: PassingServer, server: ServerInternals, errors: RequestErrors, hasTls: boolean) {
    this.passing = passing;
    this.server = server;
    this.event = server instanceof TlsServer ? 'secureConnection' : 'connection';
    this.#options = NodeSocket.options(server);
    this.#hasTls = hasTls;
    const unguard = guardServer(server, errors, passing.buffers);
    // A server that listens elsewhere as well goes on with that.
    const handle = server._handle === null ? new ServerHandle(() => {}) : undefined;
    if (handle !== undefined) {
      server._handle = handle;
      server.emit('listening'); // it starts to check the timeouts of requests
    }
    this.#end = () => {
      unguard();
      if (handle !== undefined && server._handle === handle) server.close();
    };
  }

  /** @throws {TypeError} (rejects) for what is no application */
  static async of(application: unknown, passing: PassingServer, hasTls: boolean): Promise<NodeFallback> {
    const errors = new RequestErrors((error, request) => {
      const socket = request?.socket;
      passing.report(error, undefined, socket instanceof NodeSocket ? socket : undefined);
    });
    const server = internalsOf('serve: node', await serverOf('serve: node', application, errors));
    return new NodeFallback(passing, server, errors, hasTls);
  }

  take(request: PassedRequest): void {
    const Socket = this.#hasTls ? PassedTlsSocket : PassedSocket;
    new Socket(this, request.connection.slot, this.#options).begin(request);
  }

  listenerFailed(error: unknown, socket: NodeSocket): void {
    this.passing.report(error, undefined, socket);
  }

  adopt(slot: Slot): void {
    const { network } = this.passing;
    const Socket = this.#hasTls ? AdoptedTlsSocket : AdoptedSocket;
    const socket = new Socket(this, slot, this.#options);
    network.setDeadline(slot, Infinity);
    network.attach(socket);
    socket.give(this.server, this.event);
  }

  socketDestroyed(): void {}

  socketClosing(): void {
    if (this.server instanceof Server || this.server instanceof HttpsServer) this.server.closeIdleConnections();
  }

  /** The server that passes requests on has closed. */
  close(): void {
    this.#end();
  }
}

const nothing = Buffer.alloc(0);

/** The socket of a connection that the server counts. */
abstract class CountedSocket extends NodeSocket {
  declare readonly owner: PassingServer;
  readonly #fallback: NodeFallback;
  #isCounted = false;

  constructor(fallback: NodeFallback, slot: Slot, options: DuplexOptions) {
    super(fallback, fallback.passing, slot, options);
    this.#fallback = fallback;
  }

  protected get fallback(): NodeFallback {
    return this.#fallback;
  }

  /** Counts the connection as one whose request is being handled, or no longer. */
  protected count(isHandling: boolean): void {
    if (isHandling === this.#isCounted) return;
    this.#isCounted = isHandling;
    this.owner.phases.handling += isHandling ? 1 : -1;
  }

  protected override detach(): void {
    super.detach();
    this.count(false);
  }
}

/** The socket of a whole connection. */
class AdoptedSocket extends CountedSocket {
  #response: ServerResponse | null | undefined;

  /** The response that Node is sending: Node sets it, and sets it to null when everything has been written. */
  get _httpMessage(): ServerResponse | null | undefined {
    return this.#response;
  }

  set _httpMessage(response: ServerResponse | null | undefined) {
    this.#response = response;
    if (!this.isDetached) this.count(response !== null && response !== undefined);
  }
}

class AdoptedTlsSocket extends AdoptedSocket {}
addTlsMembers(AdoptedTlsSocket);

/** The socket of one request. */
class PassedSocket extends CountedSocket {
  /** Where the request ends; undefined once the connection is upgraded. */
  #end: MessageEnd | undefined;
  /** Input behind the request. Reading is paused while there is some. */
  #rest = nothing;
  /** The client has sent FIN behind that. */
  #isEndHeld = false;
  /** The connection closes after the response. */
  #isLast = false;
  #response: ServerResponse | null | undefined;
  #isAnswered = false;

  begin({ connection, head, unread, isLast }: PassedRequest): void {
    const { reader } = connection;
    const { bytes, start, limit, finished } = reader;
    const early = Buffer.from(bytes.subarray(start, limit));
    reader.consume(early.length);
    this.owner.network.replace(this);
    connection.handedOver();
    this.count(true);
    this.#end = messageEnd(unread);
    this.#isLast = isLast;
    this.give(this.fallback.server, this.fallback.event);
    this.countInput(head.length);
    this.deliver(Buffer.from(head, 'latin1'));
    this.#parsed();
    if (early.length > 0 && !this.isDetached) this.received(early, 0, early.length);
    if (finished && !this.isDetached) this.ended();
  }

  /** The response that Node is sending: Node sets it, and sets it to null when everything has been written. */
  get _httpMessage(): ServerResponse | null | undefined {
    return this.#response;
  }

  set _httpMessage(response: ServerResponse | null | undefined) {
    this.#response = response;
    if (response) {
      if (this.#isLast || this.owner.closing) response.shouldKeepAlive = false;
    } else {
      // In a tick, because Node may be about to end the connection.
      process.nextTick(() => {
        this.#isAnswered = true;
        this.#giveBack();
      });
    }
  }

  override received(bytes: Uint8Array, start: number, end: number): void {
    const to = this.#end?.advance(bytes, start, end) ?? end;
    if (to < end) {
      this.#rest = Buffer.concat([this.#rest, bytes.subarray(to, end)]);
      this.pauseInput();
    }
    if (to > start) super.received(bytes, start, to);
    this.#parsed();
  }

  override ended(): void {
    if (this.#rest.length > 0) this.#isEndHeld = true;
    else super.ended();
  }

  protected override get wantsInput(): boolean {
    return this.#rest.length === 0;
  }

  /** Node's parser has seen what has been received. */
  #parsed(): void {
    if (this.#end === undefined || this.isDetached) return;
    if (this.parser === null) this.#upgraded();
    else this.#giveBack();
  }

  /** The connection belongs to the application from now on: with all that is received. */
  #upgraded(): void {
    this.#end = undefined;
    this.count(false);
    const rest = this.#rest;
    this.#rest = nothing;
    if (rest.length > 0) this.deliver(rest);
    if (this.#isEndHeld) super.ended();
  }

  /** Gives the connection back, if the request has been read and answered, and the connection stays open. */
  #giveBack(): void {
    if (!this.#isAnswered || !this.#end?.isComplete || this.isDetached || this.writableEnded) return;
    const { owner, slot } = this;
    const isPaused = this.isInputPaused;
    this.detach();
    if (isPaused) owner.transport.resumeReading(slot);
    owner.takeBack(slot, this.#rest, this.#isEndHeld);
    this.destroy();
  }

  override closing(): void {
    this.#isLast = true;
    const response = this.#response;
    if (response && !response.headersSent) response.shouldKeepAlive = false;
  }
}

class PassedTlsSocket extends PassedSocket {}
addTlsMembers(PassedTlsSocket);
