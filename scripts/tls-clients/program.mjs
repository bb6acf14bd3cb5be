// Other programs: to the end, or step by step.
import { spawn, spawnSync } from 'node:child_process';

const timeout = 15_000;

/** A program that runs. It is written to and its output is looked at as it comes. */
export class Program {
  /** All that it has printed on both outputs. */
  output = '';
  /** Resolves to its exit code when it has ended. */
  ended;
  #child;
  #looking = new Set();
  #hasEnded = false;

  constructor(command, args, options = {}) {
    const child = spawn(command, args, { stdio: 'pipe', ...options });
    this.#child = child;
    const add = (text) => {
      this.output += text;
      for (const look of this.#looking) look();
    };
    child.stdout.setEncoding('latin1').on('data', add);
    child.stderr.setEncoding('latin1').on('data', add);
    child.stdin.on('error', () => {}); // it may end before it has read everything
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeout ?? timeout);
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => add(`${command}: ${error.message}`));
      child.once('close', (code, signal) => {
        clearTimeout(timer);
        this.#hasEnded = true;
        for (const look of this.#looking) look();
        resolve(code ?? signal);
      });
    });
  }

  write(text) {
    this.#child.stdin.write(text, 'latin1');
  }

  endInput() {
    this.#child.stdin.end();
  }

  kill() {
    this.#child.kill('SIGKILL');
  }

  /** Waits until it has printed something that matches, after `from`. @returns the match @throws if it ends before, or after 5 s */
  async sees(pattern, from = 0) {
    const match = await new Promise((resolve) => {
      const look = () => {
        const found = pattern.exec(this.output.slice(from));
        if (found === null && !this.#hasEnded) return;
        this.#looking.delete(look);
        clearTimeout(timer);
        resolve(found);
      };
      const timer = setTimeout(() => {
        this.#looking.delete(look);
        resolve(null);
      }, 5000);
      this.#looking.add(look);
      look();
    });
    if (match === null) throw new Error(`no ${pattern} in what it has printed: ${this.output.slice(from).slice(-600)}`);
    return match;
  }
}

/** Runs a program to its end. @returns its output @throws if it fails, unless `mayFail` is set */
export async function run(command, args, { input = '', mayFail = false, ...options } = {}) {
  const program = new Program(command, args, options);
  program.write(input);
  program.endInput();
  const code = await program.ended;
  if (code !== 0 && !mayFail) throw new Error(`${command} ends with ${code}: ${program.output.slice(-600)}`);
  return program.output;
}

/** The first line that a program prints about its version; undefined if there is no such program. */
export function versionOf(command, args = ['--version']) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout });
  if (status !== 0) return undefined;
  return `${stdout}${stderr}`.trim().split('\n')[0];
}

/** @returns the match @throws unless the text matches */
export function expect(text, pattern) {
  const match = pattern.exec(text);
  if (match === null) throw new Error(`no ${pattern} in ${JSON.stringify(text.slice(-800))}`);
  return match;
}
