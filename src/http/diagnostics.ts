// The channels of node:diagnostics_channel for requests. `RequestMessage` exists only while a channel has subscribers: without them a request costs
// a few checks of `hasSubscribers`.

import { channel } from 'node:diagnostics_channel';
import type { Request } from './fetch/request.js';
import type { IncomingRequest } from './incoming-request.js';
import type { HttpSettings } from './settings.js';

/** Before the handler of a request is called. */
const requestStart = channel('sluice.request.start');
/** The head of a response has been written. */
const responseStart = channel('sluice.response.start');
/** A response is complete, or has been broken off. */
const requestEnd = channel('sluice.request.end');
/** @internal The handler or its response has failed: what `onError` gets with a request. */
export const requestError = channel('sluice.request.error');
/** @internal A request, or a connection, has been refused: what `onRefused` gets. */
export const requestRefused = channel('sluice.request.refused');

/**
 * What is published on `sluice.request.start`, `sluice.response.start` and `sluice.request.end`: one object for each request, which is completed from
 * one to the next.
 */
export interface RequestMessage {
  /** The request as its handler gets it. Method, URL and fields are computed when they are asked for. */
  readonly request: Request;
  /** The client's address; see {@link RequestInfo}. */
  readonly peer: string;
  /** The status of the response. Undefined before `sluice.response.start`, and at the end of a request without a response. */
  readonly status: number | undefined;
  /** Milliseconds from the call of the handler to the end of the response. Undefined before `sluice.request.end`. */
  readonly duration: number | undefined;
  /** The whole response has been written. False at the end of a request whose client has left, or whose body has failed. */
  readonly isComplete: boolean;
}

/** What is published on `sluice.request.error`. */
export interface RequestErrorMessage {
  /** What was thrown. */
  readonly error: unknown;
  /** The request, the same object as in {@link RequestMessage}. */
  readonly request: Request;
}

/** What the channels need of a request that is being handled. */
export interface Traced {
  readonly source: IncomingRequest;
  /** The same as its handler gets it. */
  readonly request: Request;
  /** Undefined while nothing is subscribed, and once the response has ended. */
  trace: RequestTrace | undefined;
}

export class RequestTrace implements RequestMessage {
  readonly #source: IncomingRequest;
  readonly #since: number;
  readonly request: Request;
  status: number | undefined;
  duration: number | undefined;
  isComplete = false;

  constructor(active: Traced, now: number) {
    this.#source = active.source;
    this.#since = now;
    this.request = active.request;
  }

  get peer(): string {
    return this.#source.peer;
  }

  end(now: number, isComplete: boolean): void {
    this.duration = now - this.#since;
    this.isComplete = isComplete;
  }
}

/** The handler is about to be called. To be called in the request's async context, so that the handler gets what subscribers enter there. */
export function publishStart(active: Traced, settings: HttpSettings): void {
  if (requestStart.hasSubscribers || responseStart.hasSubscribers || requestEnd.hasSubscribers) {
    active.trace = new RequestTrace(active, settings.network.layer.now());
    requestStart.publish(active.trace);
  }
}

/** The head of the response has been written. */
export function publishResponse(active: Traced | undefined, status: number): void {
  const trace = active?.trace;
  if (trace === undefined) return;
  trace.status = status;
  responseStart.publish(trace);
}

/** The response is complete, or has been broken off. Calling it again does nothing. */
export function publishEnd(active: Traced | undefined, settings: HttpSettings, isComplete: boolean): void {
  const trace = active?.trace;
  if (active === undefined || trace === undefined) return;
  active.trace = undefined;
  trace.end(settings.network.layer.now(), isComplete);
  requestEnd.publish(trace);
}
