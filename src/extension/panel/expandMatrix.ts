import type { Parameter, PlannedRun, Problem, Setup } from '../../../webview/protocol.ts';
import { parameterValues, ValuesError } from './parameterValues.ts';

/** A set-up becomes its exact runs: every command with every combination of values, the first parameter slowest. */

export const MOST_RUNS = 1000;
/** The label that tells commands apart where there are several. */
export const COMMAND_LABEL = 'command';

export interface Expansion {
  readonly runs: readonly PlannedRun[];
  readonly problems: readonly Problem[];
  readonly notes: readonly string[];
}

interface Dimension {
  readonly name: string;
  readonly as: Parameter['as'];
  readonly values: readonly string[];
}

export function expandMatrix({ commands: text, parameters }: Pick<Setup, 'commands' | 'parameters'>): Expansion {
  const problems: Problem[] = [];
  const commands = commandLines(text);
  if (commands.length === 0) problems.push({ field: 'commands', message: 'Type at least one command.' });
  const dimensions = parameters.flatMap((parameter, index) =>
    dimension(parameter, index, parameters, commands, problems),
  );
  const count = dimensions.reduce((product, { values }) => product * values.length, commands.length);
  if (count > MOST_RUNS) {
    problems.push({ field: 'parameters', message: `${count} runs are more than ${MOST_RUNS}. Leave out some values.` });
  }
  if (problems.length > 0) return { runs: [], problems, notes: [] };
  const runs = commands.flatMap(command =>
    combinations(dimensions).map(values => plannedRun(command, values, dimensions, commands.length > 1)),
  );
  const different = new Map(runs.map(run => [JSON.stringify([run.command, run.env]), run]));
  return {
    runs: [...different.values()],
    problems,
    notes: [...repeated(runs.length - different.size), ...unknownNames(commands, parameters)],
  };
}

/** One a line; a line that ends with a backslash goes on in the next. */
export function commandLines(text: string): string[] {
  return text
    .replaceAll('\r\n', '\n')
    .replaceAll(/[ \t]*\\\n\s*/g, ' ')
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '');
}

function dimension(
  { name, values, as }: Parameter,
  index: number,
  all: readonly Parameter[],
  commands: readonly string[],
  problems: Problem[],
): Dimension[] {
  if (name.trim() === '' && values.trim() === '') return [];
  const wrong = (part: 'name' | 'values', message: string) => {
    problems.push({ field: `parameters.${index}.${part}`, message });
    return [];
  };
  if (!/^[A-Za-z_]\w*$/.test(name)) return wrong('name', 'A name is letters, digits and _, and starts with a letter.');
  if (name === COMMAND_LABEL && commands.length > 1)
    return wrong('name', `${COMMAND_LABEL} is what the commands are told apart by.`);
  if (all.findIndex(other => other.name === name) < index) return wrong('name', `There is another parameter ${name}.`);
  const read = readValues(values);
  if (typeof read === 'string') return wrong('values', read);
  if (as === 'text' && commands.length > 0 && !commands.some(command => placeholder(name).test(command)))
    return wrong('name', `No command has {${name}} in it. Put it there, or make it an environment variable.`);
  return [{ name, as, values: read }];
}

function readValues(text: string): string[] | string {
  try {
    const values = parameterValues(text);
    return values.length === 0 ? 'Type its values: 0.1, 0.01 or 1..10 or 0.001..1..x10' : values;
  } catch (error) {
    if (error instanceof ValuesError) return `These ${error.message}.`.replace(/^These (\S+\.\.)/, '$1');
    throw error;
  }
}

/** `${name}` is the shell's own. */
const placeholder = (name: string): RegExp => new RegExp(`(?<!\\$)\\{${name}\\}`, 'g');

function combinations(dimensions: readonly Dimension[]): string[][] {
  return dimensions.reduce<string[][]>(
    (rows, { values }) => rows.flatMap(row => values.map(value => [...row, value])),
    [[]],
  );
}

function plannedRun(
  template: string,
  values: readonly string[],
  dimensions: readonly Dimension[],
  several: boolean,
): PlannedRun {
  const replaced: Record<string, string> = {};
  const env: Record<string, string> = {};
  const labels: Record<string, string> = several ? { [COMMAND_LABEL]: template.slice(0, 1000) } : {};
  for (const [index, { name, as }] of dimensions.entries()) {
    const value = values[index]!;
    labels[name] = value.slice(0, 1000);
    (as === 'env' ? env : replaced)[name] = value;
  }
  // All at once: a value that looks like a placeholder stays as it is.
  const command = template.replaceAll(/(?<!\$)\{(\w+)\}/g, (found, name: string) => replaced[name] ?? found);
  return { command, env, labels };
}

function repeated(count: number): string[] {
  if (count === 0) return [];
  return [
    count === 1 ? '1 run is the same as another and left out.' : `${count} runs are the same as others and left out.`,
  ];
}

/** `{lrr}` where only `lr` is known: likely a slip, but shells have braces too. */
function unknownNames(commands: readonly string[], parameters: readonly Parameter[]): string[] {
  const known = new Set(parameters.filter(({ as }) => as === 'text').map(({ name }) => name));
  const found = new Set(
    commands.flatMap(command => [...command.matchAll(/(?<!\$)\{([A-Za-z_]\w*)\}/g)].map(match => match[1]!)),
  );
  return [...found].filter(name => !known.has(name)).map(name => `{${name}} is no parameter and stays as it is.`);
}
