// What a run leaves behind: figures and ratios, from which the tables, the charts and the page are made. Samples are not kept.

import { againstSuffix, type Missing, type Peer } from './peers.js';
import type { Column, Scenario } from './scenarios/scenario.js';
import { type Figure, figureOf, ratioOf, type Sample } from './statistics.js';

export interface Row {
  title: string;
  /** By column. */
  figures: Record<string, Figure>;
  /** By column, then by the title of the baseline. */
  ratios: Record<string, Record<string, number>>;
}

export interface TableResult {
  title: string;
  columns: readonly Column[];
  /** Titles of the peers that ratios are taken to. */
  baselines: string[];
  rows: Row[];
}

export interface ScenarioResult {
  name: string;
  title: string;
  text: string;
  size: string;
  tables: TableResult[];
}

export interface Results {
  date: string;
  /** What was typed after `npm run bench --`. */
  command: string[];
  quick: boolean;
  seconds: number;
  /** Facts of the machine and versions of tools, by name. */
  facts: Record<string, string>;
  peers: { title: string; version: string }[];
  missing: Missing[];
  scenarios: ScenarioResult[];
  /** What went wrong. A run with problems is invalid. */
  problems: string[];
}

const againstTitle = 'against';

/** @param samples by table */
export function resultOf(
  scenario: Scenario,
  quick: boolean,
  peers: readonly Peer[],
  samples: ReadonlyMap<string, readonly Sample[]>,
): ScenarioResult {
  const { name, title, text, baselines: baselinePeers = ['node', 'ws', 'bun'] } = scenario;
  const tables = scenario.tables.map(({ name: table, title, columns }): TableResult => {
    const own = samples.get(table) ?? [];
    const measured = peers.filter((peer) => own.some((sample) => sample.peer === peer.name));
    const fixed = measured.filter((peer) => peer.isFloor || baselinePeers.includes(peer.name));
    const hasAgainst = measured.some((peer) => peer.name.endsWith(againstSuffix));
    const rows = measured.map((peer): Row => {
      const figures: Row['figures'] = {};
      const ratios: Row['ratios'] = {};
      for (const { key, ratio = false } of columns) {
        const figure = figureOf(own, peer.name, key);
        if (figure === undefined) continue;
        figures[key] = figure;
        if (!ratio) continue;
        const baselines = fixed.map((other): [string, string] => [short(other), other.name]);
        if (hasAgainst) baselines.push([againstTitle, peer.name + againstSuffix]);
        ratios[key] = {};
        for (const [baseline, other] of baselines) {
          const value = ratioOf(own, peer.name, other, key);
          if (value !== undefined) ratios[key][baseline] = value;
        }
      }
      return { title: peer.title, figures, ratios };
    });
    return { title, columns, baselines: [...fixed.map(short), ...(hasAgainst ? [againstTitle] : [])], rows };
  });
  return { name, title, text, size: scenario.size(quick), tables };
}

function short({ title }: Peer): string {
  return title.replace(/ \(.*/, '');
}
