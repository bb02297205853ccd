/** Reads the values of a matrix's dimension as people type them. */

export const MOST_VALUES = 1000;

export class ValuesError extends Error {}

/**
 * Items between commas or on lines of their own: a word, `"quoted, with a comma"`, or a range.
 * `1..5` counts by one, `0..1..0.25` by the step, `0.001..1..x10` multiplies; ends are included.
 */
export function parameterValues(text: string): string[] {
  const values: string[] = [];
  for (const { word, quoted } of items(text)) {
    values.push(...((quoted ? undefined : range(word)) ?? [word]));
    if (values.length > MOST_VALUES) throw new ValuesError(`are more than ${MOST_VALUES} values`);
  }
  return [...new Set(values)];
}

interface Item {
  readonly word: string;
  readonly quoted: boolean;
}

const ITEM = /\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^,\n]*))\s*(,|\n|$)/y;

function items(text: string): Item[] {
  const found: Item[] = [];
  for (let at = 0; at < text.length; ) {
    ITEM.lastIndex = at;
    const match = ITEM.exec(text);
    if (!match) throw new ValuesError(`cannot be read at ${text.slice(at, at + 20)}`);
    at = ITEM.lastIndex;
    const [, double, single, plain] = match;
    if (double !== undefined) found.push({ word: double.replaceAll(/\\(.)/g, '$1'), quoted: true });
    else if (single !== undefined) found.push({ word: single, quoted: true });
    else if (plain!.trim() !== '') found.push({ word: plain!.trim(), quoted: false });
  }
  return found;
}

const NUMBER = '[-+]?(?:\\d+\\.?\\d*|\\.\\d+)(?:[eE][-+]?\\d+)?';
const RANGE = new RegExp(`^(${NUMBER})\\.\\.(${NUMBER})(?:\\.\\.(?:([x×*])\\s*)?(${NUMBER}))?$`);

function range(word: string): string[] | undefined {
  const match = RANGE.exec(word);
  if (!match) return undefined;
  const [start, end] = [Number(match[1]), Number(match[2])];
  return match[3] === undefined
    ? stepped(word, start, end, match[4] === undefined ? Math.sign(end - start) || 1 : Number(match[4]))
    : multiplied(word, start, end, Number(match[4]));
}

function stepped(word: string, start: number, end: number, step: number): string[] {
  if (step === 0 || (end - start) * step < 0) throw new ValuesError(`${word} never gets to ${end}`);
  return listed(Math.floor((end - start) / step + 1e-9) + 1, index => start + index * step);
}

function multiplied(word: string, start: number, end: number, factor: number): string[] {
  if (start * end <= 0) throw new ValuesError(`${word} multiplies, so both ends must be above or both below 0`);
  const steps = Math.log(end / start) / Math.log(factor);
  if (factor <= 0 || factor === 1 || steps < 0) throw new ValuesError(`${word} never gets to ${end}`);
  return listed(Math.floor(steps + 1e-9) + 1, index => start * factor ** index);
}

function listed(count: number, value: (index: number) => number): string[] {
  if (!(count <= MOST_VALUES)) throw new ValuesError(`are more than ${MOST_VALUES} values`);
  // Twelve digits: 0.1 + 0.2 is 0.3 to people.
  return Array.from({ length: count }, (_, index) => String(Number(value(index).toPrecision(12))));
}
