import { element, freshId, setAttributes, setText, svg } from '../dom.ts';
import { metricText, tickText } from '../format.ts';
import type { Row, Series } from '../protocol.ts';
import { bandScale, linearScale, logScale } from '../scale.ts';

/** Colours of the theme, and a shape of its own for each: nobody needs to see colours. */
const COLORS = ['blue', 'purple', 'green', 'yellow', 'red', 'orange'] as const;
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
/** More marks than these are drawn as one path a kind, and not with every snapshot. */
const MANY = 300;
const MANY_PAUSE_MS = 500;
/** How near the mouse must be to a mark. */
const NEAR = 12;
const MARGIN = { left: 72, right: 16, top: 12, bottom: 40 } as const;

export const PRINTED = '(printed)';

/** As the plot is drawn: nothing left to choose. */
export interface PlotLook {
  readonly x: string;
  readonly color: string;
  readonly logX: boolean;
  readonly logY: boolean;
}

export interface PlotData {
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  readonly series: readonly Series[];
  readonly metricName: string;
  readonly choice: PlotLook;
  readonly best: string | null;
  readonly selected: ReadonlySet<string>;
}

interface Mark {
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

/** The metric over a parameter, or every printed value of some runs, as a picture that scales with the theme. */
export class Plot {
  readonly element: HTMLElement;
  readonly #picture = svg('svg', { class: 'plot', tabindex: 0, role: 'group' });
  readonly legend = element('div', { class: 'legend', 'aria-hidden': 'true' });
  readonly #said = element('div', { class: 'plot-said', role: 'status' });
  readonly #prefix = freshId('mark');
  readonly #choose: (id: string) => void;
  #data: PlotData | undefined;
  #marks: readonly Mark[] = [];
  #at = -1;
  #hovered: string | null = null;
  /** Around the mark that is pointed at. */
  readonly #ring = svg('circle', { class: 'hover-ring', r: 8, visibility: 'hidden' });
  #drawnAt = 0;
  #timer = 0;

  constructor(choose: (id: string) => void) {
    this.#choose = choose;
    this.element = element('div', { class: 'plot-frame' }, this.#picture, this.#said);
    new ResizeObserver(() => this.#draw()).observe(this.element);
    this.#picture.addEventListener('keydown', event => this.#key(event));
    this.#picture.addEventListener('click', event => {
      const mark = this.#nearest(event);
      if (mark) this.#choose(mark.id);
    });
    this.#picture.addEventListener('mousemove', event => {
      const mark = this.#nearest(event);
      if (mark) this.#say(mark);
      this.hover(mark?.id ?? null);
    });
  }

  get picture(): SVGSVGElement {
    return this.#picture;
  }

  show(data: PlotData): void {
    this.#data = data;
    const pause = this.#marks.length > MANY ? this.#drawnAt + MANY_PAUSE_MS - performance.now() : 0;
    if (pause <= 0) this.#draw();
    else this.#timer ||= window.setTimeout(() => this.#draw(), pause);
  }

  hover(id: string | null): void {
    if (id === this.#hovered) return;
    this.#hovered = id;
    const mark = this.#marks.find(other => other.id === id);
    setAttributes(this.#ring, mark ? { cx: mark.x, cy: mark.y, visibility: null } : { visibility: 'hidden' });
  }

  #nearest({ clientX, clientY }: MouseEvent): Mark | undefined {
    const { left, top } = this.#picture.getBoundingClientRect();
    let nearest: Mark | undefined;
    let least = NEAR;
    for (const mark of this.#marks) {
      const distance = Math.hypot(mark.x - (clientX - left), mark.y - (clientY - top));
      if (distance < least) [nearest, least] = [mark, distance];
    }
    return nearest;
  }

  #draw(): void {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#drawnAt = performance.now();
    const data = this.#data;
    const width = this.#picture.clientWidth;
    const height = this.#picture.clientHeight;
    if (!data || width === 0 || height === 0) return;
    const drawn = data.choice.x === PRINTED ? drawPrinted(data, width, height) : drawRuns(data, width, height);
    this.#marks = drawn.marks;
    this.#hovered = null;
    this.#ring.setAttribute('visibility', 'hidden');
    const empty = data.metricName === '' ? 'Choose a metric to plot it.' : 'No run has printed the metric yet.';
    setAttributes(this.#picture, {
      viewBox: `0 0 ${width} ${height}`,
      'data-marks': drawn.count,
      'aria-label': `${data.metricName} of ${drawn.count} runs over ${data.choice.x === PRINTED ? 'what each printed' : data.choice.x}. Arrow keys go from run to run.`,
    });
    this.#picture.replaceChildren(
      ...(drawn.count === 0
        ? [svg('text', { class: 'empty', x: width / 2, y: height / 2, 'text-anchor': 'middle' }, empty)]
        : [drawn.axes, drawn.lines, ...this.#drawMarks(drawn.marks, data), this.#ring]),
    );
    this.#drawLegend(drawn.names);
  }

  #drawMarks(marks: readonly Mark[], data: PlotData): SVGElement[] {
    const one = (mark: Mark) => this.#mark(mark, marks.indexOf(mark), data);
    if (marks.length <= MANY) return marks.map(one);
    const alone = marks.filter(({ id }) => id === data.best || data.selected.has(id)).slice(0, MANY);
    return [...manyMarks(marks), ...alone.map(one)];
  }

  #mark(
    { id, x, y, xText, look, row }: Mark,
    index: number,
    { best, selected, columns, metricName }: PlotData,
  ): SVGElement {
    const isBest = id === best;
    const mark = svg('path', {
      id: `${this.#prefix}-${index}`,
      class: `mark color-${COLORS[look % COLORS.length]}`,
      d: `M0,0${shapeOf(look)}`,
      transform: `translate(${x.toFixed(2)},${y.toFixed(2)})`,
      role: 'img',
      'data-run': id,
      'data-x': xText,
      'data-y': row.metric,
      'data-selected': selected.has(id),
      'data-best': isBest,
      'data-failed': isFailed(row),
      'aria-label': describe(row, columns, metricName, isBest),
    });
    if (!isBest) return mark;
    return svg('g', {}, svg('circle', { class: 'best-ring', cx: x, cy: y, r: 9 }), mark);
  }

  #drawLegend(names: readonly string[]): void {
    const told = names.join('\n');
    if (this.legend.getAttribute('data-told') === told) return;
    this.legend.setAttribute('data-told', told);
    this.legend.replaceChildren(
      ...names.map((name, look) =>
        element(
          'span',
          { class: 'legend-item' },
          svg(
            'svg',
            { viewBox: '-7 -7 14 14', width: 14, height: 14 },
            svg('path', { class: `mark color-${COLORS[look % COLORS.length]}`, d: `M0,0${shapeOf(look)}` }),
          ),
          name,
        ),
      ),
    );
  }

  #say(mark: Mark): void {
    const { columns, metricName, best } = this.#data!;
    setText(this.#said, describe(mark.row, columns, metricName, mark.id === best));
  }

  #key(event: KeyboardEvent): void {
    const inOrder = this.#marks.toSorted((a, b) => a.x - b.x || a.y - b.y);
    if (inOrder.length === 0) return;
    const last = inOrder.length - 1;
    const next = {
      ArrowRight: this.#at + 1,
      ArrowDown: this.#at + 1,
      ArrowLeft: this.#at - 1,
      ArrowUp: this.#at - 1,
      Home: 0,
      End: last,
    }[event.key];
    if (next !== undefined) {
      this.#at = Math.max(0, Math.min(last, next));
      const mark = inOrder[this.#at]!;
      this.hover(mark.id);
      this.#say(mark);
      setAttributes(this.#picture, { 'aria-activedescendant': `${this.#prefix}-${this.#marks.indexOf(mark)}` });
    } else if (event.key === 'Enter' && inOrder[this.#at]) this.#choose(inOrder[this.#at]!.id);
    else return;
    event.preventDefault();
  }
}

const shapeOf = (look: number): string => SHAPES[look % SHAPES.length]!(4);
const isFailed = ({ status }: Row): boolean => status === 'FAILED' || status === 'CANCELLED';

function manyMarks(marks: readonly Mark[]): SVGElement[] {
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

function describe(row: Row, columns: readonly string[], metricName: string, best: boolean): string {
  const labels = columns.map((name, index) => `${name} ${row.labels[index]}`).join(', ');
  const value = row.metric === null ? 'none' : metricText(row.metric);
  return `Run ${row.number}${labels ? `, ${labels}` : ''}: ${metricName} ${value}${best ? ' (best)' : ''}`;
}

interface Drawn {
  readonly count: number;
  readonly axes: SVGElement;
  readonly lines: SVGElement;
  readonly marks: readonly Mark[];
  readonly names: readonly string[];
}

/** One mark a run. Runs that differ only in what is on the axis are joined by a line. */
function drawRuns({ columns, rows, choice, metricName }: PlotData, width: number, height: number): Drawn {
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
function drawPrinted(
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
