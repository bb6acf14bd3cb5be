// Turns: each callback of node:net is one. node:net sometimes calls back from within a call to it. An event that arrives during a turn or a
// command is deferred to the start of the next turn. So turns do not nest, and no event is reported from within a command. In turns of
// node:net's callbacks the event loop is still on its way through the connections; it has looked at all of them when an immediate runs.

import { WakeTimer } from '../../util/wake-timer.js';
import { Departures } from '../departures.js';

/** The part of the layer that this file uses. */
export interface TurnsLayer {
  /** There is something to report, whether or not anything else happens. */
  readonly needsNotify: boolean;
  /** @param looked see `EventSink.beginTurn` */
  beginTurn(looked: boolean): void;
  /** Reports what is due besides deferred events; called right after these. */
  settle(): void;
  /** Ends the turn, and passes its output on. @param due see `EventSink.endTurn` */
  endTurn(due: number): void;
  /** The event loop has been through all connections. */
  roundOver(): void;
}

export class Turns {
  readonly #layer: TurnsLayer;
  /** A turn, or a call to node:net on behalf of a command, is in progress: callbacks are deferred now. */
  #isBusy = false;
  #late: (() => void)[] = [];
  /** Bounded for each round of the event loop, since each callback of node:net is a turn. */
  readonly #departures = new Departures<() => void>();
  #nextRound: NodeJS.Immediate | undefined;
  #immediate: NodeJS.Immediate | undefined;
  /** Pending while the event loop is on its way through the connections. */
  #round: NodeJS.Immediate | undefined;
  #hasLooked = true;
  readonly #timer = new WakeTimer((due) => {
    this.#begin(true, due);
    this.#end();
  });
  /** Deadlines up to this time may be enforced in the current turn. */
  #due = 0;

  constructor(layer: TurnsLayer) {
    this.#layer = layer;
  }

  /** A turn, or a command, is in progress. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  wakeAt(time: number): void {
    this.#timer.wakeAt(time);
  }

  request(): void {
    this.#immediate ??= setImmediate(this.#onImmediate);
  }

  /** Defers an event to the start of the next turn. */
  defer(event: () => void): void {
    this.#late.push(event);
    this.request();
  }

  /** Handles a callback of node:net: in a separate turn, or at the start of the next one if a turn is in progress. */
  dispatch(event: () => void): void {
    if (this.#isBusy) {
      this.defer(event);
      return;
    }
    this.#round ??= setImmediate(this.#onRound);
    const hasLooked = this.#hasLooked;
    this.#begin(hasLooked);
    event();
    this.#end();
  }

  /** Handles what a peer that has left brings: now, or in a later round of the event loop if very many leave at once. */
  handleDeparture(handle: () => void): void {
    this.#nextRound ??= setImmediate(this.#onNextRound);
    if (this.#departures.mayReport()) handle();
    else this.#departures.add(handle);
  }

  readonly #onNextRound = (): void => {
    this.#nextRound = undefined;
    this.#departures.beginTurn();
    if (!this.#departures.isPending) return;
    this.#nextRound = setImmediate(this.#onNextRound);
    this.#departures.report((handle) => handle());
  };

  /** Calls node:net on behalf of a command: its callbacks meanwhile are deferred. */
  deferringEvents<T>(act: () => T): T {
    const wasBusy = this.#isBusy;
    this.#isBusy = true;
    try {
      return act();
    } finally {
      this.#isBusy = wasBusy;
    }
  }

  #begin(looked: boolean, due = this.#timer.passed): void {
    this.#isBusy = true;
    this.#due = due;
    if (looked) this.#hasLooked = false;
    if (looked && this.#immediate !== undefined) {
      clearImmediate(this.#immediate);
      this.#immediate = undefined;
    }
    this.#layer.beginTurn(looked);
    // Grows while it is walked if a command makes node:net call back.
    for (let i = 0; i < this.#late.length; i++) this.#late[i]();
    if (this.#late.length > 0) this.#late = [];
    if (this.#layer.needsNotify) this.#layer.settle();
  }

  #end(): void {
    this.#layer.endTurn(this.#due);
    this.#isBusy = false;
    if (this.#late.length > 0 || this.#layer.needsNotify) this.request();
  }

  readonly #onRound = (): void => {
    this.#round = undefined;
    this.#hasLooked = true;
    this.#layer.roundOver();
  };

  readonly #onImmediate = (): void => {
    this.#immediate = undefined;
    this.#begin(true);
    this.#end();
  };
}
