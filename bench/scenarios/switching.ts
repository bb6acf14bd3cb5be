// Scenario 7: what it costs to wait for the next piece, in four ways of writing.

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { folder } from '../paths.js';
import { node } from '../peers.js';
import { end, serverCore, start } from '../processes.js';
import { range, type Scenario, type Step } from '../scenario.js';
import type { Order, Parked, Took } from '../switching/protocol.js';
import { ways } from '../switching/ways.js';

const readers = 10_000;
const size = (quick: boolean) => (quick ? { rounds: 8, heads: 4 } : { rounds: 20, heads: 20 });

/** A process that stands ready, its readers parked. */
class Subject {
  readonly #child: ChildProcess;

  constructor(way: string) {
    const program = join(folder, 'build', 'switching', 'main.js');
    this.#child = start([node, '--expose-gc', program, way, String(readers)], {
      core: serverCore,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
  }

  parked(): Promise<Parked> {
    return this.#message<Parked>();
  }

  measure(order: Order): Promise<Took> {
    this.#child.send(order);
    return this.#message<Took>();
  }

  leave(): Promise<void> {
    return end(this.#child);
  }

  async #message<T>(): Promise<T> {
    const over = new AbortController();
    const { signal } = over;
    try {
      const gone = once(this.#child, 'exit', { signal }).then(([code]) => {
        throw new Error(`it ended with ${code}`);
      });
      const [message] = await Promise.race([once(this.#child, 'message', { signal }), gone]);
      return message as T;
    } finally {
      over.abort();
    }
  }
}

export const switching: Scenario = {
  name: 'switching',
  title: 'Switching',
  text:
    'The same reader, of a request head that arrives in 8 pieces, written in several ways. 10,000 readers are fed a piece each in ' +
    'turn, without any sockets. The time is that of a switch: from feeding a piece to the reader having looked at its few bytes and ' +
    'waiting for the next. The memory is what a reader holds in the middle of a head.',
  wrk: false,
  settings(quick) {
    const { rounds, heads } = size(quick);
    return `${rounds} rounds, ${readers} readers, ${heads} heads each`;
  },
  tables: [
    {
      name: 'readers',
      title: 'A reader of a request head in pieces',
      rows: ways.map(({ name, title }) => ({ name, title })),
      baseline: 'state-machine',
      columns: [
        { key: 'time', title: 'a switch', unit: 'ns', digits: 0, ratio: true, chart: true, cost: 'time for a switch' },
        { key: 'bytes', title: 'a parked reader', unit: 'bytes', digits: 0, chart: true },
      ],
    },
  ],

  steps({ quick, record }) {
    const { rounds, heads } = size(quick);
    const subjects = new Map<string, Subject>();
    const getReady = async (name: string): Promise<void> => {
      const subject = new Subject(name);
      subjects.set(name, subject);
      record({ table: 'readers', round: 1, peer: name, figures: { ...(await subject.parked()) }, problems: [] });
    };
    return [
      ...ways.map(
        ({ name, title }): Step => ({
          label: `getting ready: ${title}`,
          seconds: 0.6,
          ...{ table: 'readers', round: 1, peer: name },
          run: () => getReady(name),
        }),
      ),
      ...range(rounds).flatMap((round) =>
        ways.map(
          ({ name, title }): Step => ({
            label: `round ${round} of ${rounds}: ${title}`,
            seconds: heads / 50,
            ...{ table: 'readers', round, peer: name },
            async run() {
              const subject = subjects.get(name);
              if (subject === undefined) return;
              const figures = { ...(await subject.measure({ heads })) };
              record({ table: 'readers', round, peer: name, figures, problems: [] });
            },
          }),
        ),
      ),
      {
        label: 'letting go',
        seconds: 0.1,
        ...{ table: 'readers', round: rounds, peer: '' },
        async run() {
          await Promise.all([...subjects.values()].map((subject) => subject.leave()));
        },
      },
    ];
  },
};
