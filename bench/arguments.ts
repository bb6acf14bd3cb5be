// The command line.

import { parseArgs } from 'node:util';

export const usage = `npm run bench -- [scenario …] [options]

  scenario            hello, idle, slow, flood, growth, fan-out, switching, heads; all of them if none is named
  --quick             each in a shorter form
  --peers a,b,…       only these peers: sluice, bun, deno, go, node, fastify, hono (the floor always takes part); and, only if they are
                      named: broken, a server that is broken on purpose, and no-direct, no-registered, no-silent, no-merged, sluice's
                      io_uring layer without one of its means
  --layer a,b,…       only these event layers of sluice: uring, epoll, portable
  --results FOLDER    where to write latest.json; default bench/results, where a run of a part is partial.json
  --help              this
`;

export interface Arguments {
  scenarios: string[];
  quick: boolean;
  help: boolean;
  peers: string[] | undefined;
  layers: string[] | undefined;
  results: string | undefined;
}

/** @throws {Error} for a word or an option that is not known */
export function parseArguments(
  args: string[],
  known: { scenarios: readonly string[]; peers: readonly string[]; layers: readonly string[] },
): Arguments {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      peers: { type: 'string' },
      layer: { type: 'string' },
      results: { type: 'string' },
    },
  });
  check('scenario', positionals, known.scenarios);
  const peers = list('peers', values.peers);
  const layers = list('layer', values.layer);
  check('peer', peers ?? [], known.peers);
  check('event layer', layers ?? [], known.layers);
  if (layers !== undefined && peers?.includes('sluice') === false)
    throw new Error(
      `--layer ${values.layer} chooses among the layers of sluice, which --peers ${values.peers} does not name`,
    );
  const { quick, help, results } = values;
  return { scenarios: positionals, quick, help, peers, layers, results };
}

function list(option: string, text: string | undefined): string[] | undefined {
  const words = text?.split(',').filter((word) => word !== '');
  if (words?.length === 0) throw new Error(`--${option} is empty; expected names, separated by commas`);
  return words;
}

function check(what: string, words: readonly string[], known: readonly string[]): void {
  for (const word of words) {
    if (!known.includes(word)) throw new Error(`unknown ${what} ${word}; expected some of ${known.join(', ')}`);
  }
}
