import type { MetricChoice, Parameter, Setup } from '../../../webview/protocol.ts';
import { boolean, integer, list, number, oneOf, only, orNull, record, text } from './fields.ts';

/** A set-up from outside: the page, or the workspace's file. Throws `Unreadable`. */
export function readSetup(value: unknown, field = 'setup'): Setup {
  const given = only(record(value, field), field, Object.keys(emptySetup));
  const at = (name: string) => `${field}.${name}`;
  return {
    commands: text(given.commands, at('commands'), 100_000),
    parameters: list(given.parameters, at('parameters'), 20, readParameter),
    image: text(given.image, at('image'), 500),
    directoryState: oneOf(given.directoryState, at('directoryState'), ['current', 'last', 'none']),
    keep: boolean(given.keep, at('keep')),
    concurrency: integer(given.concurrency, at('concurrency'), 1, 1024),
    timeout: number(given.timeout, at('timeout'), 0, 604_800),
    cpus: orNull(given.cpus, cpus => number(cpus, at('cpus'), 0.01, 1024)),
    memory: text(given.memory, at('memory'), 20),
    pids: orNull(given.pids, pids => integer(pids, at('pids'), 1, 4_194_304)),
    network: oneOf(given.network, at('network'), ['nat', 'none', 'host']),
    metric: readMetric(given.metric, at('metric')),
  };
}

export function readMetric(value: unknown, field: string): MetricChoice {
  const given = only(record(value, field), field, ['pattern', 'group', 'take', 'best']);
  return {
    pattern: text(given.pattern, `${field}.pattern`, 1000),
    group: text(given.group, `${field}.group`, 100),
    take: oneOf(given.take, `${field}.take`, ['last', 'min', 'max']),
    best: oneOf(given.best, `${field}.best`, ['min', 'max']),
  };
}

function readParameter(value: unknown, field: string): Parameter {
  const given = only(record(value, field), field, ['name', 'values', 'as']);
  return {
    name: text(given.name, `${field}.name`, 100),
    values: text(given.values, `${field}.values`, 20_000),
    as: oneOf(given.as, `${field}.as`, ['text', 'env']),
  };
}

export const emptySetup: Setup = {
  commands: '',
  parameters: [],
  image: '',
  directoryState: 'current',
  keep: true,
  concurrency: 4,
  timeout: 0,
  cpus: null,
  memory: '',
  pids: null,
  network: 'nat',
  metric: { pattern: '', group: '', take: 'last', best: 'min' },
};
