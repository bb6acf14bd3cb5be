// Turns: one callback of node:net is one. node:net calls back at moments of its own, now and then from within a call to it; what
// comes while a turn or a command is under way is put off to the beginning of the next turn. So turns do not nest, and no event is
// told from within a command.

/** The longest that `setTimeout` waits; more would fire at once. */
const longestTimeout = 2 ** 31 - 1;

/** What of a layer is needed here. */
export interface TurnsLayer {
  /** There is something to tell that nothing has to happen for. */
  readonly isSettling: boolean;
  beginTurn(): void;
  /** Tells what is due besides events that were put off; called right after these. */
  settle(): void;
  /** Has the turn ended, and hands over its output. */
  endTurn(): void;
}

export class Turns {
  readonly #layer: TurnsLayer;
  /** A turn, or a call to node:net on behalf of a command, is under way: what is called back now is put off. */
  #isBusy = false;
  #late: (() => void)[] = [];
  #immediate: NodeJS.Immediate | undefined;
  #wake = Infinity;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer fires; never after `#wake`. */
  #timerTime = Infinity;

  constructor(layer: TurnsLayer) {
    this.#layer = layer;
  }

  /** A turn, or a command, is under way. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  wakeAt(time: number): void {
    this.#wake = time;
    if (time === Infinity) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#timerTime = Infinity;
    } else if (time < this.#timerTime) {
      this.#arm();
    }
    // A timer that fires too soon is left alone; it is armed again when it does.
  }

  request(): void {
    this.#immediate ??= setImmediate(this.#onImmediate);
  }

  /** Puts an event off to the beginning of the next turn. */
  putOff(event: () => void): void {
    this.#late.push(event);
    this.request();
  }

  /** Tells what node:net has called back for: in a turn of its own, or at the beginning of the next if one is under way. */
  tell(event: () => void): void {
    if (this.#isBusy) {
      this.putOff(event);
      return;
    }
    this.#begin();
    event();
    this.#end();
  }

  /** Calls node:net on behalf of a command: what it calls back meanwhile is put off. */
  quietly<T>(act: () => T): T {
    const wasBusy = this.#isBusy;
    this.#isBusy = true;
    try {
      return act();
    } finally {
      this.#isBusy = wasBusy;
    }
  }

  #begin(): void {
    this.#isBusy = true;
    if (this.#immediate !== undefined) {
      clearImmediate(this.#immediate);
      this.#immediate = undefined;
    }
    if (this.#wake !== Infinity && this.#wake <= performance.now()) this.#wake = Infinity;
    this.#layer.beginTurn();
    // Grows while it is walked if a command makes node:net call back.
    for (let i = 0; i < this.#late.length; i++) this.#late[i]();
    if (this.#late.length > 0) this.#late = [];
    if (this.#layer.isSettling) this.#layer.settle();
  }

  #end(): void {
    this.#layer.endTurn();
    this.#isBusy = false;
    if (this.#late.length > 0 || this.#layer.isSettling) this.request();
  }

  readonly #onImmediate = (): void => {
    this.#immediate = undefined;
    this.#begin();
    this.#end();
  };

  readonly #onTimeout = (): void => {
    this.#timer = undefined;
    this.#timerTime = Infinity;
    if (this.#wake === Infinity) return;
    if (performance.now() < this.#wake) {
      this.#arm();
      return;
    }
    this.#begin();
    this.#end();
  };

  #arm(): void {
    clearTimeout(this.#timer);
    const now = performance.now();
    // Rounded up, and looked at again when it fires: setTimeout may be a little early by this clock.
    const delay = Math.min(Math.max(Math.ceil(this.#wake - now), 1), longestTimeout);
    this.#timerTime = Math.min(this.#wake, now + delay);
    this.#timer = setTimeout(this.#onTimeout, delay);
  }
}
