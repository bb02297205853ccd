import { stripVTControlCharacters } from 'node:util';
import type { Channel } from './terminal.ts';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** May be shortened to fit the terminal; the others keep their width. */
  readonly flexible?: boolean;
}

const GAP = '  ';
const SMALLEST = 12;

/** Columns under dim titles, as wide as their content; flexible ones give way so that a row stays one line. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  channel: Channel,
): readonly string[] {
  const widths = fitWidths(columns, rows, channel.width);
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, index) => pad(cut(cell, widths[index]!), widths[index]!, columns[index]!.align ?? 'left'))
      .join(GAP)
      .trimEnd();
  const titles = line(columns.map(column => column.title));
  return [channel.style('dim', titles), ...rows.map(line)];
}

function fitWidths(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  available: number,
): readonly number[] {
  const widths = columns.map((column, index) =>
    Math.max(column.title.length, ...rows.map(row => visibleWidth(row[index]!))),
  );
  let excess = widths.reduce((sum, width) => sum + width, GAP.length * (widths.length - 1)) - available;
  for (let index = columns.length - 1; index >= 0 && excess > 0; index--) {
    if (!columns[index]!.flexible) continue;
    const less = Math.min(excess, Math.max(0, widths[index]! - SMALLEST));
    widths[index]! -= less;
    excess -= less;
  }
  return widths;
}

const visibleWidth = (text: string): number => [...stripVTControlCharacters(text)].length;

export function pad(cell: string, width: number, align: 'left' | 'right' = 'left'): string {
  const space = ' '.repeat(Math.max(0, width - visibleWidth(cell)));
  return align === 'right' ? space + cell : cell + space;
}

/** Keeps escape sequences whole, so that a shortened coloured cell ends its colour. */
export function cut(cell: string, width: number): string {
  if (visibleWidth(cell) <= width) return cell;
  let seen = 0;
  let text = '';
  for (const piece of cell.matchAll(/\x1b\[[0-9;]*m|./gsu)) {
    if (piece[0].startsWith('\x1b')) text += piece[0];
    else if (seen < width - 1) {
      text += piece[0];
      seen++;
    } else if (seen === width - 1) {
      text += '…';
      seen++;
    }
  }
  return text;
}
