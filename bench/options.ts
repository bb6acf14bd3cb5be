// The command line.

import { parseArgs } from 'node:util';

export const usage = `npm run bench -- [scenario …] [options]

  scenario            mixed, post-json, hello, frameworks, upload, download, echo, publish, tls, handshakes, memory, fan-out, slow-senders, slow-readers;
                      default: all
  --quick             a shorter form of each
  --peers a,b,…       only these: sluice, bun, deno, go, node, sluicenode, ws, fastify, hono, honobun, honosluice, express, expresssluice; and
                      broken, which is broken on purpose. The floor always takes part
  --layer a,b,…       only these event layers of sluice: uring, epoll, portable
  --against FOLDER    measure the library of another checkout as well, interleaved, and show the ratios
  --help              this
`;

export interface Options {
  scenarios: string[];
  quick: boolean;
  help: boolean;
  peers: string[] | undefined;
  layers: string[] | undefined;
  against: string | undefined;
}

export interface Known {
  scenarios: readonly string[];
  peers: readonly string[];
  layers: readonly string[];
}

/** @throws {Error} for a word or an option that is not known */
export function parseOptions(args: string[], known: Known): Options {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      peers: { type: 'string' },
      layer: { type: 'string' },
      against: { type: 'string' },
    },
  });
  check('scenario', positionals, known.scenarios);
  const peers = list('peers', values.peers);
  const layers = list('layer', values.layer);
  check('peer', peers ?? [], known.peers);
  check('event layer', layers ?? [], known.layers);
  // Several peers run on a layer, such as sluicenode; only sluice itself runs from another checkout.
  const leftOut = {
    layer: peers?.some((name) => name.includes('sluice')) === false,
    against: peers?.includes('sluice') === false,
  };
  for (const option of ['layer', 'against'] as const)
    if (values[option] !== undefined && leftOut[option])
      throw new Error(`--${option} ${values[option]} is about sluice, which --peers ${values.peers} leaves out`);
  const { quick, help, against } = values;
  return { scenarios: positionals, quick, help, peers, layers, against };
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
