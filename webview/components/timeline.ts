import { element, freshId, setAttributes, setText, svg } from '../dom.ts';
import { duration } from '../format.ts';
import type { Row } from '../protocol.ts';
import { linearScale } from '../scale.ts';
import { statusWords } from './runTable.ts';

const LANE = 14;
const GAP = 3;
const AXIS = 20;
const LEFT = 8;
/** More bars than these are drawn as one path a state, and not with every snapshot. */
const MANY = 300;
const MANY_PAUSE_MS = 500;
/** The end of one run is recorded a moment after the next has started. */
const LATE_MS = 150;

export interface TimelineData {
  readonly rows: readonly Row[];
  readonly selected: ReadonlySet<string>;
  readonly best: string | null;
  readonly now: number;
}

interface Bar {
  readonly row: Row;
  readonly from: number;
  readonly to: number;
  readonly lane: number;
}

/** When each run ran: as many lanes as ran at once, time from left to right. */
export class Timeline {
  readonly element: HTMLElement;
  readonly #picture = svg('svg', { class: 'timeline', tabindex: 0, role: 'group' });
  readonly #said = element('div', { class: 'plot-said', role: 'status' });
  readonly #bars = new Map<string, SVGRectElement>();
  readonly #axis = svg('g', { class: 'axes', 'aria-hidden': 'true' });
  readonly #prefix = freshId('bar');
  readonly #choose: (id: string) => void;
  #data: TimelineData | undefined;
  #shown: readonly Bar[] = [];
  #at = -1;
  #place: (bar: Bar) => readonly [number, number] = () => [0, 0];
  /** Bars of one state in one path, where there are many. */
  readonly #many = svg('g', { 'aria-hidden': 'true' });
  #drawnAt = 0;
  #timer = 0;

  constructor(choose: (id: string) => void) {
    this.#choose = choose;
    this.#picture.append(this.#axis, this.#many);
    this.element = element('div', { class: 'timeline-frame' }, this.#picture, this.#said);
    new ResizeObserver(() => this.#draw()).observe(this.element);
    this.#picture.addEventListener('click', event => {
      const bar = this.#under(event);
      if (bar) this.#choose(bar.row.id);
    });
    this.#picture.addEventListener('mousemove', event => {
      const bar = this.#under(event);
      if (bar) setText(this.#said, describe(bar));
    });
    this.#picture.addEventListener('keydown', event => this.#key(event));
  }

  show(data: TimelineData): void {
    this.#data = data;
    const pause = this.#shown.length > MANY ? this.#drawnAt + MANY_PAUSE_MS - performance.now() : 0;
    if (pause <= 0) this.#draw();
    else this.#timer ||= window.setTimeout(() => this.#draw(), pause);
  }

  #under({ clientX, clientY }: MouseEvent): Bar | undefined {
    const { left, top } = this.#picture.getBoundingClientRect();
    const lane = Math.floor((clientY - top) / (LANE + GAP));
    const x = clientX - left;
    return this.#shown.find(bar => {
      const [from, to] = this.#place(bar);
      return bar.lane === lane && from <= x && x <= to;
    });
  }

  #draw(): void {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#drawnAt = performance.now();
    const data = this.#data;
    const width = this.#picture.clientWidth;
    if (!data || width === 0) return;
    this.#shown = lanesOf(data.rows, data.now);
    const lanes = Math.max(0, ...this.#shown.map(({ lane }) => lane)) + 1;
    const height = lanes * (LANE + GAP) + AXIS;
    const start = Math.min(...this.#shown.map(({ from }) => from));
    const end = Math.max(...this.#shown.map(({ to }) => to));
    setAttributes(this.#picture, {
      height,
      viewBox: `0 0 ${width} ${height}`,
      'aria-label': `Timeline: ${this.#shown.length} runs, at most ${lanes} at once. Arrow keys go from run to run.`,
    });
    if (this.#shown.length === 0) {
      this.#clear();
      return;
    }
    const scale = linearScale([0, Math.max(end - start, 1)], LEFT, width - LEFT, width / 100);
    this.#drawAxis(
      scale.ticks.filter(tick => tick >= 0 && tick <= end - start).map(tick => [scale.at(tick), duration(tick)]),
      lanes,
    );
    this.#place = ({ from, to }) => [scale.at(from - start), scale.at(to - start)];
    this.#drawBars(data);
  }

  #clear(): void {
    for (const bar of this.#bars.values()) bar.remove();
    this.#bars.clear();
    this.#axis.replaceChildren();
    this.#many.replaceChildren();
  }

  #drawAxis(ticks: readonly (readonly [number, string])[], lanes: number): void {
    const bottom = lanes * (LANE + GAP);
    this.#axis.replaceChildren(
      ...ticks.flatMap(([x, text]) => [
        svg('line', { class: 'grid', x1: x, x2: x, y1: 0, y2: bottom }),
        svg('text', { x, y: bottom + 14, 'text-anchor': 'middle' }, text),
      ]),
    );
  }

  #drawBars(data: TimelineData): void {
    if (this.#shown.length <= MANY) {
      this.#many.replaceChildren();
      this.#drawEach(this.#shown, data);
      return;
    }
    const kinds = Object.entries(Object.groupBy(this.#shown, ({ row }) => row.status));
    this.#many.replaceChildren(
      ...kinds.map(([status, bars]) =>
        svg('path', { class: `bar status-${status}`, d: bars.map(bar => this.#outline(bar)).join('') }),
      ),
    );
    const alone = this.#shown.filter(({ row: { id } }) => id === data.best || data.selected.has(id));
    this.#drawEach(alone.slice(0, MANY), data);
  }

  #outline(bar: Bar): string {
    const [from, to] = this.#place(bar);
    const width = Math.max(1, to - from - 1).toFixed(1);
    return `M${from.toFixed(1)},${bar.lane * (LANE + GAP)}h${width}v${LANE}h-${width}z`;
  }

  #drawEach(bars: readonly Bar[], { selected, best }: TimelineData): void {
    const gone = new Set(this.#bars.keys());
    for (const bar of bars) {
      const { id, status } = bar.row;
      gone.delete(id);
      const [from, to] = this.#place(bar);
      const rect = this.#bars.get(id) ?? svg('rect', { height: LANE, rx: 2, role: 'img' });
      if (!this.#bars.has(id)) this.#picture.append(rect);
      this.#bars.set(id, rect);
      setAttributes(rect, {
        id: `${this.#prefix}-${this.#shown.indexOf(bar)}`,
        class: `bar status-${status}`,
        x: from.toFixed(1),
        y: bar.lane * (LANE + GAP),
        width: Math.max(2, to - from - 1).toFixed(1),
        'data-run': id,
        'data-selected': selected.has(id),
        'data-best': id === best,
        'aria-label': describe(bar),
      });
    }
    for (const id of gone) {
      this.#bars.get(id)!.remove();
      this.#bars.delete(id);
    }
  }

  #key(event: KeyboardEvent): void {
    const last = this.#shown.length - 1;
    const next = {
      ArrowRight: this.#at + 1,
      ArrowDown: this.#at + 1,
      ArrowLeft: this.#at - 1,
      ArrowUp: this.#at - 1,
      Home: 0,
      End: last,
    }[event.key];
    const bar = this.#shown[Math.max(0, Math.min(last, next ?? this.#at))];
    if (!bar) return;
    if (next !== undefined) {
      this.#at = this.#shown.indexOf(bar);
      setText(this.#said, describe(bar));
      setAttributes(this.#picture, { 'aria-activedescendant': `${this.#prefix}-${this.#at}` });
    } else if (event.key === 'Enter') this.#choose(bar.row.id);
    else return;
    event.preventDefault();
  }
}

/** Each run goes to the first lane that is free when it starts. */
function lanesOf(rows: readonly Row[], now: number): Bar[] {
  const free: number[] = [];
  return rows
    .filter(row => row.started !== null)
    .toSorted((a, b) => a.started! - b.started!)
    .map(row => {
      const from = row.started!;
      const to = Math.max(from, row.finished ?? now);
      const open = free.findIndex(end => end <= from + LATE_MS);
      const lane = open < 0 ? free.length : open;
      const bar = { row, from: Math.min(to, Math.max(from, free[lane] ?? from)), to, lane };
      free[lane] = to;
      return bar;
    });
}

const describe = ({ row, from, to }: Bar): string =>
  `Run ${row.number}, ${row.labels.join(', ') || row.title}: ${row.outcome || statusWords[row.status]}, ${duration(to - from)}`;
