// Scenario 7: what it costs to wait for the next piece, in four ways of writing.

import { join } from 'node:path';
import { folder } from '../paths.js';
import { node } from '../peers.js';
import { output, serverCore } from '../processes.js';
import { range, type Scenario } from '../scenario.js';
import { ways } from '../switching/ways.js';

const size = (quick: boolean) =>
  quick ? { rounds: 2, readers: 10_000, heads: 10 } : { rounds: 5, readers: 10_000, heads: 50 };

export const switching: Scenario = {
  name: 'switching',
  title: 'Switching',
  text:
    'The same reader, of a request head that arrives in 8 pieces, written in several ways. 10,000 readers are fed a piece each in ' +
    'turn, without any sockets. The time is that of a switch: from feeding a piece to the reader having looked at its few bytes and ' +
    'waiting for the next. The memory is what a reader holds in the middle of a head.',
  wrk: false,
  settings(quick) {
    const { rounds, readers, heads } = size(quick);
    return `${rounds} rounds, ${readers} readers, ${heads} heads each`;
  },
  tables: [
    {
      name: 'readers',
      title: 'A reader of a request head in pieces',
      rows: ways.map(({ name, title }) => ({ name, title })),
      baseline: 'state-machine',
      columns: [
        { key: 'time', title: 'a switch', unit: 'ns', digits: 0, ratio: true, chart: true, cost: true },
        { key: 'bytes', title: 'a parked reader', unit: 'bytes', digits: 0, chart: true },
      ],
    },
  ],

  steps({ quick, record }) {
    const { rounds, readers, heads } = size(quick);
    return range(rounds).flatMap((round) =>
      ways.map(({ name, title }) => ({
        label: `round ${round} of ${rounds}: ${title}`,
        seconds: 0.5 + heads / 20,
        ...{ table: 'readers', round, peer: name },
        async run() {
          const program = join(folder, 'build', 'switching', 'main.js');
          const command = [node, '--expose-gc', program, name, String(readers), String(heads)];
          const figures = JSON.parse(await output(command, { core: serverCore })) as Record<string, number>;
          record({ table: 'readers', round, peer: name, figures, problems: [] });
        },
      })),
    );
  },
};
