import { stripVTControlCharacters } from 'node:util';

/** Finds a metric in output that comes in pieces. Pure; it runs in the worker, since a pattern may take forever. */

/** What is longer is no log line. */
const LONGEST_LINE = 10_000;

export interface MetricPattern {
  readonly expression: RegExp;
  /** Groups that can be the number: names where there are any, else numbers; `0` when the pattern has none. */
  readonly groups: readonly string[];
}

/** Throws a SyntaxError that says what is wrong. */
export function metricPattern(pattern: string): MetricPattern {
  const expression = new RegExp(pattern);
  const empty = new RegExp(`${pattern}|`).exec('')!;
  const names = Object.keys(empty.groups ?? {});
  const numbers = Array.from({ length: empty.length - 1 }, (_, index) => String(index + 1));
  return { expression, groups: names.length > 0 ? names : numbers.length > 0 ? numbers : ['0'] };
}

export class MetricScan {
  readonly #expression: RegExp;
  readonly #group: string;
  #rest = '';

  constructor(pattern: string, group: string) {
    const { expression, groups } = metricPattern(pattern);
    this.#expression = expression;
    this.#group = groups.includes(group) ? group : groups[0]!;
  }

  /** The numbers on the lines that this piece completes. */
  feed(text: string): number[] {
    const lines = (this.#rest + text).split(/\r\n|[\r\n]/);
    this.#rest = lines.pop()!.slice(0, LONGEST_LINE);
    return this.#numbers(lines);
  }

  /** What stands after the last line break. */
  end(): number[] {
    const rest = this.#rest;
    this.#rest = '';
    return rest === '' ? [] : this.#numbers([rest]);
  }

  #numbers(lines: readonly string[]): number[] {
    return lines.map(line => this.#number(line)).filter(value => value !== undefined);
  }

  #number(line: string): number | undefined {
    const match = this.#expression.exec(stripVTControlCharacters(line.slice(0, LONGEST_LINE)));
    const text = match?.groups?.[this.#group] ?? match?.[Number(this.#group)];
    return text === undefined ? undefined : numberOf(text);
  }
}

/** `0.5`, `1e-4`, `93.1%`, `1,234.5`; undefined for what is no finite number. */
export function numberOf(text: string): number | undefined {
  const plain = text
    .trim()
    .replace(/%$/, '')
    .replaceAll(/(?<=\d),(?=\d{3}\b)/g, '');
  if (plain === '' || !/^[-+.\d]/.test(plain)) return undefined;
  const value = Number(plain);
  return Number.isFinite(value) ? value : undefined;
}
