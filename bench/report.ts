// From results to Markdown tables, docs/performance.md and the charts in docs/figures.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { folder } from './peers.js';
import type { Results, Row, ScenarioResult, TableResult } from './results.js';
import type { Column } from './scenarios/scenario.js';

const docs = join(folder, '..', 'docs');
const resultsFile = join(folder, 'results.json');

/** Writes results.json, from which the page can be made again: to eight digits, and a line for each row of a table, so that it stays small. */
export function writeResults(results: Results): void {
  const rounded = (_key: string, value: unknown): unknown =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(8)) : value;
  writeFileSync(resultsFile, `${JSON.stringify(results, rounded).replaceAll('{"title":', '\n{"title":')}\n`);
}

/** Writes docs/performance.md and the charts. */
export function writePage(results: Results): void {
  const figures = join(docs, 'figures');
  mkdirSync(figures, { recursive: true });
  const charts = new Set<string>();
  for (const scenario of results.scenarios) {
    const chart = renderChart(scenario);
    if (chart === undefined) continue;
    charts.add(scenario.name);
    writeFileSync(join(figures, `${scenario.name}.svg`), chart);
  }
  writeFileSync(join(docs, 'performance.md'), renderPage(results, charts));
}

export function renderPage(results: Results, charts: ReadonlySet<string>): string {
  const { date, command, quick, seconds, facts, peers, missing, scenarios, problems } = results;
  const measuredAt = `${date.slice(0, 16).replace('T', ' ')} UTC, in ${(seconds / 60).toFixed(0)} min`;
  const repeat = `\`npm run bench${command.length > 0 ? ` -- ${command.join(' ')}` : ''}\``;
  return `${[
    '# Performance',
    '',
    'What a request and a connection cost, compared with what people use today. `npm run bench` writes this page.',
    '',
    ...(problems.length > 0 ? ['**This run is invalid:** see the end.', ''] : []),
    ...(quick
      ? [
          'This was a quick run, with few windows and small crowds. Its figures vary more than those of a whole run.',
          '',
        ]
      : []),
    ...layOut([['', ''], ['measured', measuredAt], ...Object.entries(facts), ['to repeat it', repeat]]),
    '',
    'All servers of a table run at the same time. Rounds of short windows go from one to the next, and a ratio (×) is the median of the ' +
      'ratios within each round, because the speed of the machine changes from second to second. A figure is the median of the rounds; ± is half ' +
      'the distance between the extremes. CPU is that of the server process, user and system. Every server is loaded until its requests get no ' +
      'cheaper before it is measured. A wrong status, a wrong length or a lost connection makes the run invalid. The floor is a C program that ' +
      'calls epoll_wait, recv and send, and finds the end of the head. Idle timeouts are set to 240 s; nothing else is tuned.',
    '',
    ...layOut([
      ['peer', 'version'],
      ...peers.map(({ title, version }) => [title, version]),
      ...missing.map(({ title, reason }) => [title, `not measured: ${reason}`]),
    ]),
    '',
    ...scenarios.flatMap((scenario) => [
      `## ${scenario.title}`,
      '',
      `${scenario.text} (\`${scenario.name}\`: ${scenario.size}.)`,
      '',
      ...(charts.has(scenario.name) ? [`![${scenario.title}](figures/${scenario.name}.svg)`, ''] : []),
      ...renderScenario(scenario),
    ]),
    ...(problems.length > 0 ? ['## What went wrong', '', ...problems.map((line) => `- ${line}`), ''] : []),
  ]
    .join('\n')
    .trimEnd()}\n`;
}

/** The tables of a scenario, as lines of Markdown. */
export function renderScenario({ tables }: ScenarioResult): string[] {
  return tables.flatMap((table) => [`**${table.title}**`, '', ...renderTable(table), '']);
}

function renderTable({ columns, baselines, rows }: TableResult): string[] {
  const header = columns.flatMap(({ title, unit, ratio = false }) => [
    unit === undefined ? title : `${title}, ${unit}`,
    ...(ratio ? baselines.map((baseline) => `× ${baseline}`) : []),
  ]);
  const cells = ({ title, figures, ratios }: Row): string[] => [
    title,
    ...columns.flatMap(({ key, digits, ratio = false }) => [
      formatFigure(figures[key], digits),
      ...(ratio ? baselines.map((baseline) => ratios[key]?.[baseline]?.toFixed(2) ?? '') : []),
    ]),
  ];
  return layOut([['', ...header], ...rows.map(cells)], true);
}

function formatFigure(figure: Row['figures'][string] | undefined, digits: number): string {
  if (figure === undefined) return '';
  const { median, lowest, highest, count } = figure;
  const text = formatNumber(median, digits);
  if (count < 3 || median === 0) return text;
  return `${text} ±${(((highest - lowest) / 2 / Math.abs(median)) * 100).toFixed(0)} %`;
}

export function formatNumber(value: number, digits: number): string {
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A Markdown table with its columns in line. @param figures all columns but the first are aligned to the right */
function layOut(rows: readonly string[][], figures = false): string[] {
  const [header = []] = rows;
  const widths = header.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length), 3));
  const isRight = (column: number) => figures && column > 0;
  const cell = (text: string, column: number) =>
    isRight(column) ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0);
  const line = (row: string[]) => `| ${widths.map((_, column) => cell(row[column] ?? '', column)).join(' | ')} |`;
  const rule = widths.map((width, column) => (isRight(column) ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width)));
  return [line(header), `| ${rule.join(' | ')} |`, ...rows.slice(1).map(line)];
}

const width = 860;
const labelWidth = 230;
const valueWidth = 80;
const barHeight = 18;
const gap = 6;
const margin = 20;

/** Bars for each charted column of each table, with the spread as a line. @returns undefined if nothing is charted */
function renderChart({ title, tables }: ScenarioResult): string | undefined {
  const parts: string[] = [];
  let y = margin + 30;
  for (const table of tables) {
    for (const column of table.columns.filter(({ chart = false }) => chart)) {
      const where = tables.length > 1 ? `${table.title}: ` : '';
      const unit = column.unit === undefined ? '' : `, ${column.unit}`;
      parts.push(
        `<text x="${margin}" y="${y + 14}" font-weight="600" fill="#3a4556">${escapeXml(where + column.title + unit)}</text>`,
      );
      y += 26;
      for (const bar of bars(table.rows, column, y)) parts.push(bar);
      y += table.rows.length * (barHeight + gap) + gap;
    }
  }
  if (parts.length === 0) return undefined;
  const height = y + margin / 2;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12">
<title>${escapeXml(title)}</title>
<rect width="${width}" height="${height}" rx="8" fill="#ffffff" stroke="#d8dce2"/>
<text x="${margin}" y="${margin + 12}" font-size="16" font-weight="600" fill="#1b2330">${escapeXml(title)}</text>
${parts.join('\n')}
</svg>
`;
}

function bars(rows: readonly Row[], { key, digits }: Column, top: number): string[] {
  const longest = Math.max(...rows.map(({ figures }) => figures[key]?.highest ?? 0), Number.MIN_VALUE);
  const left = margin + labelWidth;
  const x = (value: number) =>
    (left + (Math.max(0, value) / longest) * (width - left - margin - valueWidth)).toFixed(1);
  return rows.flatMap(({ title, figures }, i) => {
    const figure = figures[key];
    if (figure === undefined) return [];
    const isOwn = title.startsWith('sluice');
    const y = top + i * (barHeight + gap);
    const middle = y + barHeight / 2;
    const end = x(figure.median);
    return [
      `<text x="${left - 8}" y="${middle + 4}" text-anchor="end" fill="#1b2330"${isOwn ? ' font-weight="600"' : ''}>${escapeXml(title)}</text>`,
      `<rect x="${left}" y="${y}" width="${(Number(end) - left).toFixed(1)}" height="${barHeight}" rx="2" fill="${isOwn ? '#0b7a75' : '#9aa7b8'}"/>`,
      `<line x1="${x(figure.lowest)}" x2="${x(figure.highest)}" y1="${middle}" y2="${middle}" stroke="#1b2330"/>`,
      `<text x="${Number(x(figure.highest)) + 6}" y="${middle + 4}" fill="#3a4556">${formatNumber(figure.median, digits)}</text>`,
    ];
  });
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

// Started by itself, it makes the page from the results of the last whole run, after a change of how the page looks.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writePage(JSON.parse(readFileSync(resultsFile, 'utf8')) as Results);
}
