import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import type { Miss } from './check.ts';
import { type Line, type Row, timesBetter } from './row.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly system: string;
  readonly node: string;
  readonly tools: readonly string[];
  readonly load: { readonly before: string; readonly after: string };
  readonly at: string;
}

export function machine(loadBefore: string): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    system: /PRETTY_NAME="(.*)"/.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? process.platform,
    node: process.versions.node,
    tools: [
      ['dockerd', '--version'],
      ['crun', '--version'],
      ['bwrap', '--version'],
    ].flatMap(firstLine),
    load: { before: loadBefore, after: load() },
    at: new Date().toISOString(),
  };
}

export const load = (): string =>
  loadavg()
    .map(value => value.toFixed(2))
    .join(' ');

function firstLine([command = '', ...args]: string[]): string[] {
  try {
    return [execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split('\n')[0]!];
  } catch {
    return []; // Not there: its lines are not there either.
  }
}

/** For people at a terminal, after the rows: where that was, and what was missed. */
export function toText(machine: Machine, misses: readonly Miss[]): string {
  return [describe(machine), verdict(misses)].join('\n\n');
}

function describe({ cpu, cores, memoryGb, system, kernel, node, tools, load, at }: Machine): string {
  return [
    `${cpu}, ${cores} cores, ${memoryGb} GB · ${system}, Linux ${kernel} · Node ${node} · ${tools.join(', ')}`,
    `load before ${load.before}, after ${load.after} · ${at}`,
    'Ratio: how many times better our first line is. All lines of a row ran in turn, in this run.',
  ].join('\n');
}

/** One row, its lines under each other. */
export function rowText(row: Row): string {
  const reference = ours(row)[0];
  const table = [
    ['ratio', `p50 ${row.unit}`, 'p95', 'n', 'what', 'isolation'],
    ...row.lines.map(line => [
      ratio(row, reference, line),
      figure(line.p50),
      figure(line.p95),
      String(line.samples),
      line.name,
      line.isolation,
    ]),
  ];
  const widths = table[0]!.map((_, column) => Math.max(...table.map(cells => cells[column]!.length)));
  const lines = table.map(cells =>
    cells
      .map((cell, column) => (column < 4 ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
  return [`${row.goal}. ${row.title}`, ...lines.map(line => `  ${line}`), ...row.notes.map(note => `  * ${note}`)].join(
    '\n',
  );
}

/** For the README: one line a row, the ratio before the figures. */
export function toMarkdown(rows: readonly Row[], machine: Machine, misses: readonly Miss[]): string {
  const body = rows.flatMap(row => {
    const reference = ours(row)[0];
    return row.lines.map((line, index) => {
      const head = index === 0 ? `${row.goal}. ${row.title}` : '';
      const name = line.kind === 'ours' ? `**${line.name}**` : line.name;
      return `| ${head} | ${name} | ${ratio(row, reference, line)} | ${figure(line.p50)} | ${figure(line.p95)} ${row.unit} | ${line.isolation} |`;
    });
  });
  return [
    describe(machine),
    '',
    '| row | what | ratio to ours | p50 | p95 | isolation |',
    '|---|---|---:|---:|---:|---|',
    ...body,
    '',
    ...rows.flatMap(row => row.notes.map(note => `- ${row.goal}. ${row.title}: ${note}`)),
    `- ${verdict(misses)}`,
    '',
  ].join('\n');
}

const ours = (row: Row) => row.lines.filter(({ kind }) => kind === 'ours');

function ratio(row: Row, reference: Line | undefined, line: Line): string {
  if (!reference) return '';
  if (line === reference) return '1';
  const factor = timesBetter(row.unit, reference, line);
  return `${figure(factor)} ×`;
}

function figure(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function verdict(misses: readonly Miss[]): string {
  if (misses.length === 0) return 'Every goal of these rows is reached.';
  return ['Goals missed:', ...misses.map(({ goal, title, reason }) => `  ${goal}. ${title}: ${reason}`)].join('\n');
}
