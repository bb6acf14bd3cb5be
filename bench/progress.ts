// The line that says what is running and how long is left: rewritten in place on a terminal, else now and then a line.

const quiet = 10_000;

export class Progress {
  readonly #begun = Date.now();
  readonly #planned: number;
  #done = 0;
  #told = 0;

  /** @param planned about how many seconds all of it takes */
  constructor(planned: number) {
    this.#planned = planned;
  }

  /** A part of so many planned seconds begins. */
  begin(what: string): void {
    const line = `${what} · ${this.#left()} left`;
    if (process.stderr.isTTY) {
      process.stderr.write(`\r\x1b[2K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`);
    } else if (Date.now() - this.#told >= quiet) {
      this.#told = Date.now();
      process.stderr.write(`${line}\n`);
    }
  }

  end(seconds: number): void {
    this.#done += seconds;
  }

  /** Clears the line. */
  clear(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[2K');
  }

  /** The plan, corrected by how it has gone so far, once there is something to go by. */
  #left(): string {
    const elapsed = (Date.now() - this.#begun) / 1000;
    const pace = this.#done < 10 ? 1 : elapsed / this.#done;
    const left = Math.max(0, Math.ceil((this.#planned - this.#done) * pace));
    return left < 60 ? `${left} s` : `${Math.floor(left / 60)} min ${left % 60} s`;
  }
}
