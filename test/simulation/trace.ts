// What happened in a simulated world, in short: a digest of everything, to compare runs by, and the last events in words.

/** How many events are kept in words. */
const kept = 80;

export class Trace {
  /** Events so far. */
  count = 0;
  #first = 0x811c9dc5;
  #second = 0x9e3779b9;
  readonly #times = new Float64Array(kept);
  readonly #events = new Array<string>(kept).fill('');
  readonly #who = new Float64Array(kept);
  readonly #amounts = new Float64Array(kept);

  /** @param who the number of a client or of a slot @param amount whatever number says more */
  note(time: number, event: string, who: number, amount = 0): void {
    const at = this.count++ % kept;
    this.#times[at] = time;
    this.#events[at] = event;
    this.#who[at] = who;
    this.#amounts[at] = amount;
    this.#mix(Math.floor(time * 1000));
    for (let i = 0; i < event.length; i++) this.#mix(event.charCodeAt(i));
    this.#mix(who);
    this.#mix(amount);
  }

  /** FNV-1a twice, with different beginnings: enough to distinguish two runs. */
  #mix(value: number): void {
    this.#first = Math.imul(this.#first ^ value, 0x01000193);
    this.#second = Math.imul(this.#second ^ value, 0x01000197);
  }

  get digest(): string {
    return `${this.count} ${(this.#first >>> 0).toString(16)} ${(this.#second >>> 0).toString(16)}`;
  }

  /** The last events, one a line. */
  last(): string {
    const lines: string[] = [];
    for (let n = Math.max(0, this.count - kept); n < this.count; n++) {
      const at = n % kept;
      lines.push(`  ${this.#times[at].toFixed(3)}  ${this.#events[at]} ${this.#who[at]} (${this.#amounts[at]})`);
    }
    return lines.join('\n');
  }
}
