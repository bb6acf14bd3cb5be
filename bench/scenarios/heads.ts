// Scenario 8: whether a head costs more for each byte the longer it is, when it comes byte by byte.

import type { Order, Took } from '../heads/protocol.js';
import { range, type Scenario, type Step } from '../scenario.js';
import { Subject } from '../subject.js';

const lengths = [256, 1024, 4096, 16_384];
/** Bytes that a window takes in, whatever the length of a head. */
const size = (quick: boolean) => (quick ? { rounds: 5, bytes: 2 ** 18 } : { rounds: 12, bytes: 2 ** 20 });

const shortest = String(lengths[0]);

export const heads: Scenario = {
  name: 'heads',
  title: 'Heads, byte by byte',
  text:
    'A request head that comes at one byte a turn, on a server without any sockets: all that a byte costs above the event layer. ' +
    'What is refused for its size is not longer than the longest here. A head costs time linear in its length if a byte costs the same in all.',
  wrk: false,
  settings(quick) {
    const { rounds, bytes } = size(quick);
    return `${rounds} rounds of ${bytes} bytes for each length`;
  },
  tables: [
    {
      name: 'bytes',
      title: 'A byte of a head',
      rows: lengths.map((length) => ({ name: String(length), title: `head of ${length} bytes` })),
      baseline: shortest,
      columns: [{ key: 'time', title: 'a byte', unit: 'ns', digits: 0, ratio: true, chart: true }],
    },
  ],

  blocks({ quick, record }) {
    const { rounds, bytes } = size(quick);
    let subject: Subject<Order, Took> | undefined;
    const order = (length: number): Order => ({ bytes: length, heads: Math.max(1, Math.round(bytes / length)) });
    const ready: Step = {
      label: 'getting ready',
      seconds: 1,
      ...{ table: 'bytes', round: 1, peer: shortest },
      async run() {
        subject = new Subject('heads/main.js', []);
        await subject.ready();
        for (const length of lengths) await subject.measure(order(length)); // so that everything is compiled
      },
    };
    const over: Step = {
      label: 'letting go',
      seconds: 0.1,
      ...{ table: 'bytes', round: rounds, peer: shortest },
      run: async () => subject?.leave(),
    };
    const measured = range(rounds).map((round) =>
      lengths.map(
        (length): Step => ({
          label: `round ${round} of ${rounds}: ${length} bytes`,
          seconds: bytes / 2 ** 23,
          ...{ table: 'bytes', round, peer: String(length) },
          async run() {
            if (subject === undefined) return;
            const figures = { ...(await subject.measure(order(length))) };
            record({ table: 'bytes', round, peer: String(length), figures, problems: [] });
          },
        }),
      ),
    );
    return [{ ready: [ready], rounds: measured, over: [over] }];
  },
};
