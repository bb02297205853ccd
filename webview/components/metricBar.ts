import { element, setText } from '../dom.ts';
import { counted } from '../format.ts';
import type { MetricChoice, MetricView } from '../protocol.ts';
import { Dropdown, TextField } from './controls.ts';

/** Which number of the output is the metric. */
export class MetricBar {
  readonly element: HTMLElement;
  readonly #pattern: TextField;
  readonly #group: Dropdown;
  readonly #take: Dropdown;
  readonly #best: Dropdown;
  readonly #reading = element('span', { class: 'hint', role: 'status' });
  readonly #changed: (metric: MetricChoice) => void;
  #choice: MetricChoice = { pattern: '', group: '', take: 'last', best: 'min' };
  #timer = 0;

  constructor(changed: (metric: MetricChoice) => void) {
    this.#changed = changed;
    this.#pattern = new TextField(
      { label: 'Metric, a regular expression', placeholder: 'Metric: loss ([\\d.e+-]+)', labelHidden: true },
      () => this.#soon(),
    );
    this.#group = new Dropdown('Group of the pattern', [], () => this.#tell(), true);
    this.#take = new Dropdown(
      'Which of the printed values',
      [
        { value: 'last', label: 'last' },
        { value: 'min', label: 'smallest' },
        { value: 'max', label: 'largest' },
      ],
      () => this.#tell(),
      true,
    );
    this.#best = new Dropdown(
      'What is best',
      [
        { value: 'min', label: 'low is best' },
        { value: 'max', label: 'high is best' },
      ],
      () => this.#tell(),
      true,
    );
    this.element = element(
      'div',
      { class: 'metric-bar', role: 'group', 'aria-label': 'Metric' },
      this.#pattern.element,
      this.#group.element,
      this.#take.element,
      this.#best.element,
      this.#reading,
    );
  }

  show({ choice, problem, groups, reading }: MetricView): void {
    // What is being typed is not taken back by an answer to what was typed before.
    if (this.#timer === 0 && !this.#pattern.element.matches(':focus-within')) this.#pattern.value = choice.pattern;
    this.#pattern.problem = problem ?? undefined;
    this.#group.hidden = groups.length < 2;
    this.#group.choices = groups.map(name => ({ value: name, label: /^\d+$/.test(name) ? `group ${name}` : name }));
    this.#group.value = groups.includes(choice.group) ? choice.group : (groups[0] ?? '');
    this.#take.value = choice.take;
    this.#best.value = choice.best;
    setText(this.#reading, reading > 1 ? `reading ${counted(reading, 'output')}` : '');
    this.#choice = choice;
  }

  #soon(): void {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => {
      this.#timer = 0;
      this.#tell();
    }, 300);
  }

  /** As it stands there, told or not. */
  get choice(): MetricChoice {
    return {
      pattern: this.#pattern.value,
      group: this.#group.value ?? '',
      take: this.#take.value as MetricChoice['take'],
      best: this.#best.value as MetricChoice['best'],
    };
  }

  set choice(choice: MetricChoice) {
    this.#pattern.value = choice.pattern;
    this.#take.value = choice.take;
    this.#best.value = choice.best;
    this.#choice = choice;
  }

  #tell(): void {
    const metric = this.choice;
    if (JSON.stringify(metric) !== JSON.stringify(this.#choice)) this.#changed(metric);
  }
}

/** A short name for the metric: the words of its pattern. */
export function metricName({ pattern, group }: MetricChoice): string {
  if (pattern === '') return '';
  if (group !== '' && !/^\d+$/.test(group)) return group;
  const words = pattern.replaceAll(/\\.|\[[^\]]*\]|\([^)]*\)?|[^\w ]/g, ' ').match(/[A-Za-z_]\w*/g);
  return words?.at(-1) ?? 'metric';
}
