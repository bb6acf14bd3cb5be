// Tables as text: the same for the terminal and for the page.

import type { PeerRecord, Sample } from '../results.js';
import { type Figure, figureOf, ratioOf } from '../statistics.js';
import type { Column, Table } from '../table.js';

export const defaultBaseline = 'floor';

/** The rows of a table: the peers, those that cannot be measured too, unless the table has rows of its own. */
export function rowsOf(table: Table, peers: readonly PeerRecord[]): PeerRecord[] {
  return table.rows?.map((row) => ({ ...row, version: '' })) ?? [...peers];
}

/** A table of the samples that belong to it. */
export function renderTable(table: Table, peers: readonly PeerRecord[], samples: readonly Sample[]): string {
  const baseline = table.baseline ?? defaultBaseline;
  const rows = rowsOf(table, peers);
  const baselineTitle = rows.find(({ name }) => name === baseline)?.title.replace(/ \(.*/, '') ?? baseline;
  const header = ['', ...table.columns.flatMap((column) => headers(column, baselineTitle))];
  const lines = rows.map((row) => {
    const cells = table.columns.flatMap((column) => cellsOf(column, row, baseline, samples));
    const remark = remarkOf(row, samples);
    if (remark !== undefined) cells[0] = remark;
    return [row.title, ...cells];
  });
  return layOut([header, ...lines]);
}

function headers(column: Column, baseline: string): string[] {
  const title = column.unit === undefined ? column.title : `${column.title}, ${column.unit}`;
  return column.ratio ? [title, `× ${baseline}`] : [title];
}

function cellsOf(column: Column, row: PeerRecord, baseline: string, samples: readonly Sample[]): string[] {
  const own = formatFigure(figureOf(samples, row.name, column.key), column.digits);
  if (!column.ratio) return [own];
  return [own, formatFigure(ratioOf(samples, row.name, baseline, column.key), 2, false)];
}

/** Why a row has no figures, or that it must not be trusted. */
function remarkOf(row: PeerRecord, samples: readonly Sample[]): string | undefined {
  if (row.missing !== undefined) return `not to be had: ${row.missing}`;
  const problem = samples.find((sample) => sample.peer === row.name && sample.problems.length > 0)?.problems[0];
  return problem === undefined ? undefined : `INVALID: ${problem}`;
}

/** The median, and half the distance between the extremes in per cent of it. */
export function formatFigure(figure: Figure | undefined, digits: number, spread = true): string {
  if (figure === undefined) return '';
  const text = formatNumber(figure.median, digits);
  if (!spread || figure.count < 2 || figure.median === 0) return text;
  const per = ((figure.highest - figure.lowest) / 2 / Math.abs(figure.median)) * 100;
  return `${text} ±${per.toFixed(0)} %`;
}

export function formatNumber(value: number, digits: number): string {
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function layOut(rows: string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => shown(row, column).length), 3));
  const line = (row: string[]) =>
    `| ${widths.map((width, column) => pad(row[column] ?? '', width, column)).join(' | ')} |`;
  const rule = `| ${widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  const [header = [], ...body] = rows;
  return [line(header), rule, ...body.map(line)].join('\n');
}

/** Remarks may run over the edge of their column. */
function shown(row: string[], column: number): string {
  const text = row[column] ?? '';
  return column === 1 && /^(not to be had|INVALID)/.test(text) ? '' : text;
}

function pad(text: string, width: number, column: number): string {
  return column === 0 ? text.padEnd(width) : text.padStart(width);
}
