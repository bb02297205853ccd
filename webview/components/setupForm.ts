import addIcon from '@vscode/codicons/src/icons/add.svg';
import loadIcon from '@vscode/codicons/src/icons/folder-opened.svg';
import playIcon from '@vscode/codicons/src/icons/play.svg';
import saveIcon from '@vscode/codicons/src/icons/save.svg';
import trashIcon from '@vscode/codicons/src/icons/trash.svg';
import { element, setText } from '../dom.ts';
import { counted } from '../format.ts';
import type { MetricChoice, Parameter, Preview, Setup } from '../protocol.ts';
import { Button, Checkbox, Dropdown, TextField } from './controls.ts';
import { MetricBar } from './metricBar.ts';
import { PlannedRuns } from './plannedRuns.ts';

export interface SetupActions {
  changed(setup: Setup): void;
  start(setup: Setup): void;
  save(setup: Setup): void;
  load(): void;
  pickImage(): void;
}

/** The matrix editor, and beside it the exact runs that it makes. */
export class SetupForm {
  readonly element: HTMLElement;
  readonly #actions: SetupActions;
  readonly #commands: TextField;
  readonly #parameters = element('div', { class: 'parameters', role: 'list', 'aria-label': 'Parameters' });
  readonly #parametersProblem = element('div', { class: 'problem', role: 'alert' });
  readonly #image: Button;
  readonly #state: Dropdown;
  readonly #keep: Checkbox;
  readonly #network: Dropdown;
  readonly #numbers: Readonly<Record<'concurrency' | 'timeout' | 'cpus' | 'pids', TextField>>;
  readonly #memory: TextField;
  readonly #start: Button;
  readonly #problem = element('div', { class: 'problem', role: 'alert' });
  readonly #planned = new PlannedRuns();
  #rows: ParameterRow[] = [];
  #imageReference = '';
  readonly #metricBar: MetricBar;
  #trusted = true;
  #starting = false;
  #preview: Preview | undefined;

  constructor(actions: SetupActions) {
    this.#actions = actions;
    const changed = () => this.#changed();
    this.#commands = new TextField(
      {
        label: 'Commands',
        placeholder: 'python3 train.py --lr {lr}',
        hint: 'One a line. {name} stands for a parameter.',
      },
      changed,
      3,
    );
    this.#image = new Button('Default image', () => actions.pickImage(), { title: 'Choose an image or a branch' });
    this.#state = new Dropdown(
      'Workspace files',
      [
        { value: 'current', label: 'as they are now' },
        { value: 'last', label: 'as last synced' },
        { value: 'none', label: 'none' },
      ],
      changed,
    );
    this.#keep = new Checkbox('Keep results as images', changed);
    this.#network = new Dropdown(
      'Network',
      [
        { value: 'nat', label: 'reaches out' },
        { value: 'none', label: 'none' },
        { value: 'host', label: 'the machine’s own' },
      ],
      changed,
    );
    this.#numbers = {
      concurrency: new TextField({ label: 'At once', size: 6 }, changed),
      timeout: new TextField({ label: 'Timeout, s', placeholder: 'none', size: 6 }, changed),
      cpus: new TextField({ label: 'CPUs each', placeholder: 'no limit', size: 8 }, changed),
      pids: new TextField({ label: 'Processes', placeholder: 'no limit', size: 8 }, changed),
    };
    this.#memory = new TextField({ label: 'Memory', placeholder: 'no limit', size: 8 }, changed);
    this.#metricBar = new MetricBar(changed);
    this.#start = new Button('Start', () => this.#startRuns(), { icon: playIcon, look: 'primary' });
    const add = new Button('Add Parameter', () => this.#addParameter(), { icon: addIcon });
    const save = new Button('Save…', () => this.#withSetup(actions.save), {
      icon: saveIcon,
      title: 'Save this set-up in the workspace',
    });
    const load = new Button('Load…', () => actions.load(), { icon: loadIcon, title: 'Load a set-up of the workspace' });
    this.element = element(
      'div',
      { class: 'setup' },
      element(
        'form',
        { class: 'setup-form', 'aria-label': 'Set-up' },
        this.#commands.element,
        element(
          'fieldset',
          {},
          element('legend', {}, 'Parameters'),
          this.#parameters,
          this.#parametersProblem,
          add.element,
        ),
        element(
          'fieldset',
          {},
          element('legend', {}, 'Where'),
          element(
            'div',
            { class: 'line' },
            element('div', { class: 'field' }, element('span', { class: 'label' }, 'Image'), this.#image.element),
            this.#state.element,
            this.#network.element,
          ),
          this.#keep.element,
        ),
        element(
          'fieldset',
          {},
          element('legend', {}, 'Limits'),
          element(
            'div',
            { class: 'line' },
            this.#numbers.concurrency.element,
            this.#numbers.timeout.element,
            this.#numbers.cpus.element,
            this.#memory.element,
            this.#numbers.pids.element,
          ),
        ),
        element('fieldset', {}, element('legend', {}, 'Metric'), this.#metricBar.element),
        element('div', { class: 'line setup-actions' }, this.#start.element, save.element, load.element),
        this.#problem,
      ),
      this.#planned.element,
    );
    this.element.addEventListener('submit', event => event.preventDefault());
  }

  set setup(setup: Setup) {
    this.#commands.value = setup.commands;
    this.#rows = [];
    this.#parameters.replaceChildren();
    for (const parameter of setup.parameters) this.#addRow(parameter);
    this.image = setup.image;
    this.#state.value = setup.directoryState;
    this.#keep.checked = setup.keep;
    this.#network.value = setup.network;
    this.#numbers.concurrency.value = String(setup.concurrency);
    this.#numbers.timeout.value = setup.timeout === 0 ? '' : String(setup.timeout);
    this.#numbers.cpus.value = setup.cpus === null ? '' : String(setup.cpus);
    this.#numbers.pids.value = setup.pids === null ? '' : String(setup.pids);
    this.#memory.value = setup.memory;
    this.#metricBar.choice = setup.metric;
    this.#changed();
  }

  set image(reference: string) {
    this.#imageReference = reference;
    this.#image.label =
      reference === '' ? 'Default' : /^[0-9a-f]{8}-/.test(reference) ? reference.slice(0, 8) : reference;
    this.#changed();
  }

  set metric(metric: MetricChoice) {
    this.#metricBar.choice = metric;
    this.#changed();
  }

  set trusted(trusted: boolean) {
    this.#trusted = trusted;
    this.#offer();
  }

  show(preview: Preview): void {
    this.#preview = preview;
    const of = (field: string) => preview.problems.find(problem => problem.field === field)?.message;
    this.#commands.problem = this.#commands.value.trim() === '' ? undefined : of('commands');
    setText(this.#parametersProblem, of('parameters') ?? '');
    for (const [index, row] of this.#rows.entries())
      row.problems(of(`parameters.${index}.name`), of(`parameters.${index}.values`));
    this.#metricBar.show({ choice: this.#metricBar.choice, reading: 0, ...preview.metric });
    this.#planned.show(preview);
    this.#offer();
  }

  started(problem: string | null): void {
    this.#starting = false;
    setText(this.#problem, problem ?? '');
    this.#offer();
  }

  focus(): void {
    this.#commands.focus();
  }

  /** Undefined where a number is none; what is wrong is then said at its field. */
  #read(): Setup | undefined {
    const { concurrency, timeout, cpus, pids } = this.#numbers;
    const numbers = {
      concurrency: numberIn(concurrency, 4, { least: 1, most: 1024, whole: true }),
      timeout: numberIn(timeout, 0, { least: 0, most: 604_800 }),
      cpus: numberIn(cpus, null, { least: 0.01, most: 1024 }),
      pids: numberIn(pids, null, { least: 1, most: 4_194_304, whole: true }),
    };
    const memory = this.#memory.value.trim();
    const memoryIsGood = memory === '' || /^\d+(\.\d+)?\s*[kKmMgGtT]?i?[bB]?$/.test(memory);
    this.#memory.problem = memoryIsGood ? undefined : 'A size, as 512m or 2g';
    if (!memoryIsGood || Object.values(numbers).includes(undefined)) return undefined;
    return {
      commands: this.#commands.value,
      parameters: this.#rows.map(row => row.parameter),
      image: this.#imageReference,
      directoryState: this.#state.value as Setup['directoryState'],
      keep: this.#keep.checked,
      ...(numbers as Pick<Setup, 'concurrency' | 'timeout' | 'cpus' | 'pids'>),
      memory,
      network: this.#network.value as Setup['network'],
      metric: this.#metricBar.choice,
    };
  }

  #changed(): void {
    this.#withSetup(this.#actions.changed);
    this.#offer();
  }

  #withSetup(work: (setup: Setup) => void): void {
    const setup = this.#read();
    if (setup) work(setup);
  }

  #startRuns(): void {
    this.#withSetup(setup => {
      this.#starting = true;
      setText(this.#problem, '');
      this.#offer();
      this.#actions.start(setup);
    });
  }

  #offer(): void {
    const count = this.#preview?.runs.length ?? 0;
    this.#start.disabled = !this.#trusted || this.#starting || count === 0 || this.#read() === undefined;
    this.#start.label = this.#starting ? 'Starting…' : count > 0 ? `Start ${counted(count, 'Run')}` : 'Start';
    if (!this.#trusted) setText(this.#problem, 'This workspace is not trusted: nothing of it is run.');
  }

  #addParameter(): void {
    this.#addRow({ name: '', values: '', as: 'text' }).focus();
    this.#changed();
  }

  #addRow(parameter: Parameter): ParameterRow {
    const row = new ParameterRow(
      parameter,
      () => this.#changed(),
      () => {
        this.#rows = this.#rows.filter(other => other !== row);
        row.element.remove();
        this.#changed();
        this.#commands.focus();
      },
    );
    this.#rows.push(row);
    this.#parameters.append(row.element);
    return row;
  }
}

class ParameterRow {
  readonly element: HTMLElement;
  readonly #name: TextField;
  readonly #values: TextField;
  readonly #as: Dropdown;

  constructor({ name, values, as }: Parameter, changed: () => void, remove: () => void) {
    this.#name = new TextField({ label: 'Name', placeholder: 'lr', size: 10, labelHidden: true }, changed);
    this.#values = new TextField(
      { label: 'Values', placeholder: '0.1, 0.01   1..10   0..1..0.25   0.001..1..x10', labelHidden: true },
      changed,
    );
    this.#as = new Dropdown(
      'Put in',
      [
        { value: 'text', label: 'in the command' },
        { value: 'env', label: 'in the environment' },
      ],
      changed,
      true,
    );
    const take = new Button('Remove parameter', remove, { icon: trashIcon, look: 'icon' });
    this.element = element(
      'div',
      { class: 'parameter', role: 'listitem' },
      this.#name.element,
      this.#values.element,
      this.#as.element,
      take.element,
    );
    this.#name.value = name;
    this.#values.value = values;
    this.#as.value = as;
  }

  get parameter(): Parameter {
    return { name: this.#name.value.trim(), values: this.#values.value, as: this.#as.value as Parameter['as'] };
  }

  problems(name: string | undefined, values: string | undefined): void {
    this.#name.problem = name;
    this.#values.problem = values;
  }

  focus(): void {
    this.#name.focus();
  }
}

interface Bounds {
  readonly least: number;
  readonly most: number;
  readonly whole?: boolean;
}

function numberIn<T>(field: TextField, empty: T, { least, most, whole }: Bounds): number | T | undefined {
  const text = field.value.trim();
  field.problem = undefined;
  if (text === '') return empty;
  const value = Number(text);
  if (value >= least && value <= most && (!whole || Number.isInteger(value))) return value;
  field.problem = `${whole ? 'A whole number' : 'A number'} from ${least} to ${most}`;
  return undefined;
}
