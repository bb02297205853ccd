import { diffArrays } from 'diff';

/** Texts beside each other, line by line: where the others differ from the first. */

/** Texts that have nothing in common would be compared forever. */
const MOST_EDITS = 4_000;

type Mark = 'same' | 'changed' | 'added' | 'missing';

export interface Line {
  readonly number: number;
  readonly text: string;
  readonly mark: Mark;
}

const NOTHING: Line = { number: 0, text: '', mark: 'missing' };

/** What the others have before and at each line of the first. */
interface Aligned {
  readonly before: readonly (readonly Line[])[];
  readonly at: readonly Line[];
}

export function sideBySide(texts: readonly (readonly string[])[]): Line[][] {
  const [first = [], ...others] = texts;
  const aligned = others.map(other => align(first, other));
  const rows: Line[][] = [];
  for (let index = 0; index <= first.length; index++) {
    const inserted = aligned.map(({ before }) => before[index]!);
    const most = Math.max(0, ...inserted.map(lines => lines.length));
    for (let extra = 0; extra < most; extra++) rows.push([NOTHING, ...inserted.map(lines => lines[extra] ?? NOTHING)]);
    if (index === first.length) break;
    const matches = aligned.map(({ at }) => at[index]!);
    const mark = matches.every(line => line.mark === 'same') ? 'same' : 'changed';
    rows.push([{ number: index + 1, text: first[index]!, mark }, ...matches]);
  }
  return rows;
}

function align(first: readonly string[], other: readonly string[]): Aligned {
  const before: Line[][] = Array.from({ length: first.length + 1 }, () => []);
  const at: Line[] = first.map(() => NOTHING);
  let [here, there] = [0, 0];
  let removed = 0;
  const changes = diffArrays([...first], [...other], { maxEditLength: MOST_EDITS }) ?? [
    { value: [...first], removed: true, added: false, count: first.length },
    { value: [...other], added: true, removed: false, count: other.length },
  ];
  for (const change of changes) {
    for (const text of change.value) {
      if (change.removed) {
        here++;
        removed++;
        continue;
      }
      there++;
      // A line that replaces another stands beside it.
      if (!change.added) at[here++] = { number: there, text, mark: 'same' };
      else if (removed > 0) at[here - removed--] = { number: there, text, mark: 'changed' };
      else before[here]!.push({ number: there, text, mark: 'added' });
    }
    if (!change.removed) removed = 0;
  }
  return { before, at };
}
