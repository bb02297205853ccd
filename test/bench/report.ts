import { isDeepStrictEqual } from 'node:util';
import type { Miss } from './check.ts';
import { FLOOR_THEN_MS, verdicts } from './check.ts';
import type { Machine } from './machine.ts';
import { type Absent, isMeasured, type Line, type Row, timesBetter } from './row.ts';

/** What one run of the benchmark came to. */
export interface Report {
  readonly machine: Machine;
  /** The floor program's p50 at the quietest moment. */
  readonly floorMs: number;
  /** How many times longer than on the goals' machine that is; goals in milliseconds are as many times larger here. */
  readonly slowness: number;
  readonly rows: readonly Row[];
  /** Goals that were missed each time they were measured. */
  readonly misses: readonly Miss[];
  /** Groups that could not be measured, and why. */
  readonly failures: readonly string[];
}

/** For people at a terminal, after the rows: where that was, and what was missed. */
export function toText(report: Report): string {
  return [...describe(report), ratioText, '', ...verdictText(report)].join('\n');
}

const ratioText = 'Ratio: how many times better our first line is. All lines of a row ran in turn, in this run.';

function describe({ machine, floorMs, slowness }: Report): string[] {
  const { cpu, cores, memoryGb, system, kernel, node, tools, load, at } = machine;
  const ratio = `${figure(floorMs)} ms here, ${FLOOR_THEN_MS} ms where the goals were set`;
  return [
    `${cpu}, ${cores} cores, ${memoryGb} GB · ${system}, Linux ${kernel} · Node ${node} · ${tools.join(' · ')}`,
    `load before ${load.before}, after ${load.after}${busy(machine) ? ': others were at work, the figures say little' : ''} · ${at}`,
    `The floor in C takes ${ratio}: goals in ms are judged × ${slowness.toFixed(2)}, ratios as they are.`,
  ];
}

/** Others were at work before we were. */
const busy = ({ cores, load }: Machine) => Number.parseFloat(load.before) > cores / 2;

function verdictText({ rows, misses, failures }: Report): string[] {
  const missed = misses.map(({ goal, title, reason }) => `  ${goal}. ${title}: ${reason}`);
  return [
    ...failures.map(failure => `Not measured: ${failure}`),
    ...(misses.length > 0 ? ['Goals missed:', ...missed] : []),
    ...(misses.length === 0 && rows.length > 0 ? ['Every goal of these rows is reached.'] : []),
  ];
}

/** One row, its lines under each other. */
export function rowText(row: Row): string {
  const reference = ours(row)[0];
  const table = [
    ['ratio', `p50 ${row.unit}`, 'p95', 'n', 'what', 'isolation'],
    ...row.lines.map(line => [...figures(row, reference, line), line.name, line.isolation]),
  ];
  const widths = table[0]!.map((_, column) => Math.max(...table.map(cells => cells[column]!.length)));
  const lines = table.map(cells =>
    cells
      .map((cell, column) => (column < 4 ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
  const absent = row.lines.flatMap(line => (isMeasured(line) ? [] : [`${line.name}: not measured, ${line.absent}`]));
  const notes = [...absent, ...row.notes].map(note => `  * ${note}`);
  return [`${row.goal}. ${row.title}`, ...lines.map(line => `  ${line}`), ...notes].join('\n');
}

function figures(row: Row, reference: Line | undefined, line: Line | Absent): string[] {
  if (!isMeasured(line)) return ['', '–', '–', '0'];
  return [ratio(row, reference, line), figure(line.p50), figure(line.p95), String(line.samples)];
}

/** For the README: a table with one line a row. */
export function toMarkdown(report: Report): string {
  const letters = isolationLetters(report.rows);
  return [
    ...describe(report).map(line => `${line}\n`),
    'p50 (p95), all of a row in turn in one run. How many times better the first figure of Coppice is stands behind',
    'each of the others; the letters say what holds the code in, and what is not alike is not the same work.',
    '',
    '| | what | Coppice | goal now | floor and peers |',
    '|---:|---|---|---|---|',
    ...report.rows.map(row => markdownRow(row, report, letters)),
    '',
    ...[...letters].map(([isolation, letter]) => `- ${letter}: ${isolation}`),
    ...report.rows.flatMap(row => row.notes.map(note => `- ${row.goal}: ${note}`)),
    ...report.failures.map(failure => `- not measured: ${failure}`),
    '',
  ].join('\n');
}

function markdownRow(row: Row, report: Report, letters: ReadonlyMap<string, string>): string {
  const [reference] = ours(row);
  const cell = (line: Line | Absent): string => {
    const name = `${line.name} [${letters.get(line.isolation)}]`;
    if (!isMeasured(line)) return `${name} not measured: ${line.absent}`;
    const values = `${figure(line.p50)} (${figure(line.p95)}) ${row.unit}`;
    if (line.kind === 'ours') return `**${values}** ${name}`;
    return `${name} ${values}${reference ? `, ${ratio(row, reference, line)}` : ''}`;
  };
  const cells = (own: boolean) => row.lines.filter(line => (line.kind === 'ours') === own).map(cell);
  const columns = [String(row.goal), row.title, ...[cells(true), goals(row, report), cells(false)].map(lines)];
  return `| ${columns.map(column => column.replaceAll('|', '\\|')).join(' | ')} |`;
}

const lines = (texts: readonly string[]): string => texts.join('<br>');

/** What is missed in the figures shown, but was reached when it was measured again, says so. */
function goals(row: Row, { slowness, misses }: Report): string[] {
  return verdicts(row, slowness).map(({ goal, asked, objection }) => {
    if (objection === undefined) return `${asked} ✓`;
    const stays = misses.some(({ title, missed }) => title === row.title && isDeepStrictEqual(missed, goal));
    return `${asked} ${stays ? '✗' : '✓ when measured again'}`;
  });
}

function isolationLetters(rows: readonly Row[]): ReadonlyMap<string, string> {
  const all = [...new Set(rows.flatMap(row => row.lines.map(line => line.isolation)))];
  return new Map(all.map((isolation, index) => [isolation, String.fromCharCode(65 + index)]));
}

const ours = (row: Row): readonly Line[] => row.lines.filter(isMeasured).filter(({ kind }) => kind === 'ours');

function ratio(row: Row, reference: Line | undefined, line: Line): string {
  if (!reference) return '';
  if (line === reference) return '1';
  // The difference of two runs may be less than nothing, of which there is no multiple.
  return line.p50 > 0 ? `${figure(timesBetter(row.unit, reference, line))} ×` : '–';
}

function figure(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

const begin = '<!-- npm run bench -- all --readme: from here -->';
const end = '<!-- to here -->';

/** The text with another table between its two marks. */
export function withTable(text: string, table: string): string {
  const from = text.indexOf(begin);
  const to = text.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`the README lacks the marks ${begin} and ${end}`);
  return `${text.slice(0, from + begin.length)}\n\n${table.trim()}\n\n${text.slice(to)}`;
}
