import { svg } from '../dom.ts';
import { tickText } from '../format.ts';
import type { PlotLook } from '../plotLook.ts';
import type { Row, Series } from '../protocol.ts';
import { bandScale, linearScale, logScale } from '../scale.ts';

/** From runs and their numbers to places, lines and axes of the plot. */

/** Colours of the theme, and a shape of its own for each: nobody needs to see colours. */
export const COLORS = ['blue', 'purple', 'green', 'yellow', 'red', 'orange'] as const;
/** From the middle on, in relative commands: many marks of a kind can be one path. */
const SHAPES: readonly ((size: number) => string)[] = [
  r => `m${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0z`,
  r => `m${-r},${-r}h${2 * r}v${2 * r}h${-2 * r}z`,
  r => `m0,${-r * 1.3}l${r * 1.2},${r * 2.3}h${-r * 2.4}z`,
  r => `m0,${-r * 1.3}l${r * 1.3},${r * 1.3}l${-r * 1.3},${r * 1.3}l${-r * 1.3},${-r * 1.3}z`,
  r => `m0,${r * 1.3}l${r * 1.2},${-r * 2.3}h${-r * 2.4}z`,
  r =>
    `m${-r},${-r / 3}h${r * 0.67}v${-r * 0.67}h${r * 0.67}v${r * 0.67}h${r * 0.67}v${r * 0.67}h${-r * 0.67}v${r * 0.67}h${-r * 0.67}v${-r * 0.67}h${-r * 0.67}z`,
];
const MARGIN = { left: 72, right: 16, top: 12, bottom: 40 } as const;

export interface PlotData {
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  readonly series: readonly Series[];
  readonly metricName: string;
  readonly choice: PlotLook;
  readonly best: string | null;
  readonly selected: ReadonlySet<string>;
}

export interface Mark {
  readonly id: string;
  readonly x: number;
  readonly y: number;
  readonly xText: string;
  readonly look: number;
  readonly row: Row;
}

interface Line {
  readonly look: number;
  readonly id: string | null;
  readonly selected: boolean;
  readonly marks: readonly (readonly [number, number])[];
}

export const shapeOf = (look: number): string => SHAPES[look % SHAPES.length]!(4);
export const isFailed = ({ status }: Row): boolean => status === 'FAILED' || status === 'CANCELLED';

export function manyMarks(marks: readonly Mark[]): SVGElement[] {
  const kinds = Object.groupBy(marks, ({ look, row }) => `${look} ${isFailed(row)}`);
  return Object.values(kinds).map(kind => {
    const [{ look, row }] = kind as [Mark, ...Mark[]];
    return svg('path', {
      class: `mark color-${COLORS[look % COLORS.length]}`,
      'data-failed': isFailed(row),
      d: kind!.map(({ x, y }) => `M${x.toFixed(1)},${y.toFixed(1)}${shapeOf(look)}`).join(''),
    });
  });
}

export interface Drawn {
  readonly count: number;
  readonly axes: SVGElement;
  readonly lines: SVGElement;
  readonly marks: readonly Mark[];
  readonly names: readonly string[];
}

/** One mark a run. Runs that differ only in what is on the axis are joined by a line. */
export function drawRuns({ columns, rows, choice, metricName }: PlotData, width: number, height: number): Drawn {
  const numbers = 'Run';
  const xAt = columns.indexOf(choice.x);
  const xText = (row: Row) => (xAt < 0 ? String(row.number) : (row.labels[xAt] ?? ''));
  const shown = rows.filter(row => row.metric !== null && (!choice.logY || row.metric > 0));
  const names = distinct(shown.map(row => labelOf(row, columns, choice.color)));
  const texts = distinct(shown.map(xText));
  const numeric = texts.every(text => text !== '' && Number.isFinite(Number(text)));
  const y = axisY(
    shown.map(row => row.metric!),
    choice.logY,
    height,
  );
  const [left, right] = [MARGIN.left, width - MARGIN.right];
  const logX = numeric && choice.logX && texts.every(text => Number(text) > 0);
  const x = (logX ? logScale : linearScale)(numeric ? texts.map(Number) : [0], left, right, width / 90);
  const band = bandScale(texts.length, left, right);
  const place = (text: string) => (numeric ? x.at(Number(text)) : band(texts.indexOf(text)));
  const marks = shown.map((row): Mark => {
    const text = xText(row);
    return {
      id: row.id,
      x: place(text),
      y: y.at(row.metric!),
      xText: text,
      look: names.indexOf(labelOf(row, columns, choice.color)),
      row,
    };
  });
  const ticks = numeric
    ? x.ticks.map(tick => [x.at(tick), tickText(tick)] as const)
    : every(texts, Math.ceil(texts.length / (width / 70))).map(text => [place(text), text] as const);
  return {
    count: shown.length,
    axes: axes(
      ticks,
      y.ticks.map(tick => [y.at(tick), tickText(tick)] as const),
      xAt < 0 ? numbers : choice.x,
      metricName,
      width,
      height,
    ),
    lines: drawLines(numeric && xAt >= 0 ? joined(marks, columns, xAt) : []),
    marks,
    names: choice.color === '' ? [] : names.map(name => `${choice.color} ${name}`),
  };
}

/** Every printed value, one line a run; a mark stands at its last. */
export function drawPrinted(
  { columns, rows, series, choice, metricName, selected }: PlotData,
  width: number,
  height: number,
): Drawn {
  const byId = new Map(rows.map(row => [row.id, row]));
  const lines = series
    .map(({ id, points }) => ({ row: byId.get(id), points: points.filter(([, value]) => !choice.logY || value > 0) }))
    .filter(({ row, points }) => row !== undefined && points.length > 0) as { row: Row; points: Series['points'] }[];
  const nameOf = (row: Row) => (choice.color === '' ? `run ${row.number}` : labelOf(row, columns, choice.color));
  const names = distinct(lines.map(({ row }) => nameOf(row)));
  const y = axisY(
    lines.flatMap(({ points }) => points.map(([, value]) => value)),
    choice.logY,
    height,
  );
  const positions = lines.flatMap(({ points }) => points.map(([at]) => at));
  const x = (choice.logX ? logScale : linearScale)(positions, MARGIN.left, width - MARGIN.right, width / 90);
  const marks = lines.map(({ row, points }): Mark => {
    const [at, value] = points.at(-1)!;
    return {
      id: row.id,
      x: x.at(at),
      y: y.at(value),
      xText: String(at),
      look: names.indexOf(nameOf(row)),
      row: { ...row, metric: value },
    };
  });
  return {
    count: lines.length,
    axes: axes(
      x.ticks.filter(Number.isInteger).map(tick => [x.at(tick), tickText(tick)] as const),
      y.ticks.map(tick => [y.at(tick), tickText(tick)] as const),
      'printed',
      metricName,
      width,
      height,
    ),
    lines: drawLines(
      lines.map(({ row, points }) => ({
        id: row.id,
        selected: selected.has(row.id),
        look: names.indexOf(nameOf(row)),
        marks: points.map(([at, value]) => [x.at(at), y.at(value)] as const),
      })),
    ),
    marks,
    names: choice.color === '' ? names : names.map(name => `${choice.color} ${name}`),
  };
}

const labelOf = (row: Row, columns: readonly string[], name: string): string => row.labels[columns.indexOf(name)] ?? '';
const inOrder = new Intl.Collator(undefined, { numeric: true }).compare;
const distinct = (texts: readonly string[]): string[] =>
  [...new Set(texts)].toSorted((a, b) => Number(a) - Number(b) || inOrder(a, b));
const every = <T>(items: readonly T[], step: number): T[] =>
  items.filter((_, index) => index % Math.max(1, step) === 0);

function axisY(values: readonly number[], log: boolean, height: number) {
  return (log ? logScale : linearScale)(values, height - MARGIN.bottom, MARGIN.top, height / 45);
}

function joined(marks: readonly Mark[], columns: readonly string[], xAt: number): Line[] {
  const rest = (row: Row) => columns.map((_, index) => (index === xAt ? '' : row.labels[index])).join('\0');
  return Object.values(Object.groupBy(marks, mark => rest(mark.row))).map(group => ({
    id: null,
    selected: false,
    look: group![0]!.look,
    marks: group!.toSorted((a, b) => a.x - b.x).map(({ x, y }) => [x, y] as const),
  }));
}

function drawLines(lines: readonly Line[]): SVGElement {
  return svg(
    'g',
    { 'aria-hidden': 'true' },
    ...lines
      .filter(({ marks }) => marks.length > 1)
      .map(({ look, id, selected, marks }) =>
        svg('path', {
          class: `line color-${COLORS[look % COLORS.length]}`,
          'data-line': id,
          'data-selected': selected,
          d: marks.map(([x, y], index) => `${index === 0 ? 'M' : 'L'}${x.toFixed(1)},${y.toFixed(1)}`).join(''),
        }),
      ),
  );
}

type Tick = readonly [number, string];

function axes(
  xTicks: readonly Tick[],
  yTicks: readonly Tick[],
  xName: string,
  yName: string,
  width: number,
  height: number,
): SVGElement {
  const bottom = height - MARGIN.bottom;
  return svg(
    'g',
    { class: 'axes', 'aria-hidden': 'true' },
    ...yTicks.map(([y, text]) =>
      svg(
        'g',
        {},
        svg('line', { class: 'grid', x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y }),
        svg('text', { x: MARGIN.left - 8, y: y + 4, 'text-anchor': 'end' }, text),
      ),
    ),
    svg('line', { class: 'axis', x1: MARGIN.left, x2: width - MARGIN.right, y1: bottom, y2: bottom }),
    ...xTicks.map(([x, text]) =>
      svg(
        'g',
        {},
        svg('line', { class: 'axis', x1: x, x2: x, y1: bottom, y2: bottom + 4 }),
        svg('text', { x, y: bottom + 17, 'text-anchor': 'middle' }, text),
      ),
    ),
    svg(
      'text',
      { class: 'axis-name', x: (MARGIN.left + width - MARGIN.right) / 2, y: height - 6, 'text-anchor': 'middle' },
      xName,
    ),
    svg(
      'text',
      {
        class: 'axis-name',
        x: 12,
        y: (MARGIN.top + bottom) / 2,
        'text-anchor': 'middle',
        transform: `rotate(-90 12 ${(MARGIN.top + bottom) / 2})`,
      },
      yName,
    ),
  );
}
