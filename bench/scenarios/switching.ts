// Scenario 7: what it costs to wait for the next piece, in four ways of writing.

import { range, type Scenario, type Step } from '../scenario.js';
import { Subject } from '../subject.js';
import type { Order, Parked, Took } from '../switching/protocol.js';
import { ways } from '../switching/ways.js';

const readers = 10_000;
const size = (quick: boolean) => (quick ? { rounds: 4, heads: 3 } : { rounds: 10, heads: 20 });

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

  blocks({ quick, record }) {
    const { rounds, heads } = size(quick);
    const subjects = new Map<string, Subject<Order, Took>>();
    const getReady = async (name: string): Promise<void> => {
      const subject = new Subject<Order, Took>('switching/main.js', [name, String(readers)]);
      subjects.set(name, subject);
      record({ table: 'readers', round: 1, peer: name, figures: { ...(await subject.ready<Parked>()) }, problems: [] });
    };
    const ready = ways.map(
      ({ name, title }): Step => ({
        label: `getting ready: ${title}`,
        seconds: 0.6,
        ...{ table: 'readers', round: 1, peer: name },
        run: () => getReady(name),
      }),
    );
    const measured = range(rounds).map((round) =>
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
    );
    const over: Step = {
      label: 'letting go',
      seconds: 0.1,
      ...{ table: 'readers', round: rounds, peer: '' },
      async run() {
        await Promise.all([...subjects.values()].map((subject) => subject.leave()));
      },
    };
    return [{ ready, rounds: measured, over: [over] }];
  },
};
