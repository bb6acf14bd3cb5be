// Tables as text: the same for the terminal and for the page.

import type { PeerRecord, Sample } from '../results.js';
import { type Figure, figureOf, ratioOf } from '../statistics.js';
import type { Column, Table } from '../table.js';

export const defaultBaseline = 'floor';

/** The rows of a table: the peers, those that cannot be measured too, unless the table has rows of its own. */
export function rowsOf(table: Table, peers: readonly PeerRecord[]): PeerRecord[] {
  return table.rows?.map((row) => ({ ...row, version: '' })) ?? [...peers];
}

/**
 * A table of the samples that belong to it; a column that has none is left out.
 * @param compact lets a remark run over the edges of its column, for a terminal
 * @param failed samples of the whole scenario that have problems: what was dropped for one of them has no samples here
 */
export function renderTable(
  table: Table,
  peers: readonly PeerRecord[],
  samples: readonly Sample[],
  compact = false,
  failed: readonly Sample[] = [],
): string {
  const rows = rowsOf(table, peers);
  const others = [table.baseline ?? defaultBaseline, ...(table.beside === undefined ? [] : [table.beside])].flatMap(
    (name) => rows.find((row) => row.name === name) ?? [],
  );
  const columns = table.columns.filter(({ key }) => samples.some(({ figures }) => figures[key] !== undefined));
  const header = ['', ...columns.flatMap((column) => headers(column, others))];
  const lines = rows.map((row) => {
    const cells = columns.flatMap((column) => cellsOf(column, row, others, samples));
    const remark = remarkOf(row, samples, failed);
    if (remark !== undefined) cells[0] = remark;
    return [row.title, ...cells];
  });
  return layOut([header, ...lines], compact);
}

/** @param others the rows that ratios are taken to */
function headers(column: Column, others: readonly PeerRecord[]): string[] {
  const title = column.unit === undefined ? column.title : `${column.title}, ${column.unit}`;
  return column.ratio ? [title, ...others.map((other) => `× ${other.title.replace(/ \(.*/, '')}`)] : [title];
}

function cellsOf(column: Column, row: PeerRecord, others: readonly PeerRecord[], samples: readonly Sample[]): string[] {
  const own = formatFigure(figureOf(samples, row.name, column.key), column.digits);
  if (!column.ratio) return [own];
  return [own, ...others.map(({ name }) => formatRatio(ratioOf(samples, row.name, name, column.key)))];
}

/** Why a row has no figures, or that it must not be trusted. */
function remarkOf(row: PeerRecord, samples: readonly Sample[], failed: readonly Sample[]): string | undefined {
  if (row.missing !== undefined) return `not to be had: ${row.missing}`;
  const hasFigures = samples.some(({ peer, figures }) => peer === row.name && Object.keys(figures).length > 0);
  const problem = [...samples, ...(hasFigures ? [] : failed)].find(
    ({ peer, problems }) => peer === row.name && problems.length > 0,
  )?.problems[0];
  return problem === undefined ? undefined : `INVALID: ${problem}`;
}

function formatRatio(ratio: number | undefined): string {
  return ratio === undefined ? '' : formatNumber(ratio, 2);
}

/** The median, and half the distance between the extremes in per cent of it. */
export function formatFigure(figure: Figure | undefined, digits: number): string {
  if (figure === undefined) return '';
  const text = formatNumber(figure.median, digits);
  if (figure.count < 2 || figure.median === 0) return text;
  const per = ((figure.highest - figure.lowest) / 2 / Math.abs(figure.median)) * 100;
  return `${text} ±${per.toFixed(0)} %`;
}

export function formatNumber(value: number, digits: number): string {
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Rows, of which the first is the header, as Markdown with its columns in line; the first is text, the others are figures. */
export function layOut(rows: readonly string[][], compact = false, figures = true): string {
  const lengthOf = (row: string[], column: number) => (compact ? shown(row, column) : (row[column] ?? '')).length;
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => lengthOf(row, column)), 3));
  const line = (row: string[]) =>
    `| ${widths.map((width, column) => pad(row[column] ?? '', width, column > 0 && figures)).join(' | ')} |`;
  const rule = `| ${widths.map((width, column) => (column > 0 && figures ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width))).join(' | ')} |`;
  const [header = [], ...body] = rows;
  return [line(header), rule, ...body.map(line)].join('\n');
}

/** Remarks may run over the edge of their column. */
function shown(row: string[], column: number): string {
  const text = row[column] ?? '';
  return column === 1 && /^(not to be had|INVALID)/.test(text) ? '' : text;
}

function pad(text: string, width: number, right: boolean): string {
  return right ? text.padStart(width) : text.padEnd(width);
}
