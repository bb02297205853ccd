import { element, freshId, setAttributes, setText, svg } from '../dom.ts';
import { metricText } from '../format.ts';
import { PRINTED } from '../plotLook.ts';
import type { Row } from '../protocol.ts';
import {
  COLORS,
  drawPrinted,
  drawRuns,
  isFailed,
  type Mark,
  manyMarks,
  type PlotData,
  shapeOf,
} from './plotDrawing.ts';

/** More marks than these are drawn as one path a kind, and not with every snapshot. */
const MANY = 300;
const MANY_PAUSE_MS = 500;
/** How near the mouse must be to a mark. */
const NEAR = 12;

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

function describe(row: Row, columns: readonly string[], metricName: string, best: boolean): string {
  const labels = columns.map((name, index) => `${name} ${row.labels[index]}`).join(', ');
  const value = row.metric === null ? 'none' : metricText(row.metric);
  return `Run ${row.number}${labels ? `, ${labels}` : ''}: ${metricName} ${value}${best ? ' (best)' : ''}`;
}
