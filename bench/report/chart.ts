// A scenario's chart: for each charted column a panel of bars, one a row, with the spread as a whisker. Plain SVG, readable on
// light and dark pages.

import { type Results, samplesOf } from '../results.js';
import type { Scenario } from '../scenario.js';
import { type Figure, figureOf } from '../statistics.js';
import type { Column, Table } from '../table.js';
import { formatNumber, rowsOf } from './markdown.js';

interface Bar {
  title: string;
  own: boolean;
  figure: Figure;
}

interface Panel {
  title: string;
  digits: number;
  bars: Bar[];
}

const width = 860;
const labels = 230;
const barHeight = 18;
const gap = 6;
const titleHeight = 34;
const margin = 20;
/** Room behind the longest bar for its figure. */
const valueWidth = 80;

/** @returns the SVG, or undefined if there is nothing to draw */
export function renderChart(scenario: Scenario, results: Results): string | undefined {
  const panels = scenario.tables.flatMap((table) =>
    table.columns.filter((column) => column.chart).map((column) => panelOf(scenario, table, column, results)),
  );
  const drawn = panels.filter((panel) => panel.bars.length > 0);
  if (drawn.length === 0) return undefined;
  let y = margin + 24;
  const parts: string[] = [];
  for (const panel of drawn) {
    parts.push(renderPanel(panel, y));
    y += titleHeight + panel.bars.length * (barHeight + gap) + gap;
  }
  const height = y + margin / 2;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12">
<title>${escaped(scenario.title)}</title>
<rect width="${width}" height="${height}" rx="8" fill="#ffffff" stroke="#d8dce2"/>
<text x="${margin}" y="${margin + 12}" font-size="16" font-weight="600" fill="#1b2330">${escaped(scenario.title)}</text>
${parts.join('\n')}
</svg>
`;
}

function panelOf(scenario: Scenario, table: Table, column: Column, results: Results): Panel {
  const samples = samplesOf(results, scenario, table);
  const bars = rowsOf(table, results.peers).flatMap(({ name, title }): Bar[] => {
    const figure = figureOf(samples, name, column.key);
    return figure === undefined ? [] : [{ title, own: /sluice|thread/.test(name), figure }];
  });
  const unit = column.unit === undefined ? '' : `, ${column.unit}`;
  const where = scenario.tables.length > 1 ? `${table.title}: ` : '';
  const title = typeof column.chart === 'string' ? column.chart : `${where}${column.title}`;
  return { title: `${title}${unit}`, digits: column.digits, bars };
}

function renderPanel(panel: Panel, top: number): string {
  const room = width - margin * 2 - labels - valueWidth;
  const longest = Math.max(...panel.bars.map(({ figure }) => figure.highest), Number.MIN_VALUE);
  const x = (value: number) => margin + labels + (Math.max(0, value) / longest) * room;
  const lines = [`<text x="${margin}" y="${top + 22}" font-weight="600" fill="#3a4556">${escaped(panel.title)}</text>`];
  for (const [i, { title, own, figure }] of panel.bars.entries()) {
    const y = top + titleHeight + i * (barHeight + gap);
    const middle = y + barHeight / 2;
    const end = x(figure.median);
    lines.push(
      `<text x="${margin + labels - 8}" y="${middle + 4}" text-anchor="end" fill="#1b2330"${own ? ' font-weight="600"' : ''}>${escaped(title)}</text>`,
      `<rect x="${margin + labels}" y="${y}" width="${round(end - margin - labels)}" height="${barHeight}" rx="2" fill="${own ? '#0b7a75' : '#9aa7b8'}"/>`,
      `<line x1="${round(x(figure.lowest))}" x2="${round(x(figure.highest))}" y1="${middle}" y2="${middle}" stroke="#1b2330"/>`,
      `<text x="${round(x(figure.highest) + 6)}" y="${middle + 4}" fill="#3a4556">${formatNumber(figure.median, panel.digits)}</text>`,
    );
  }
  return lines.join('\n');
}

function round(value: number): string {
  return value.toFixed(1);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
