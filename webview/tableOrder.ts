import type { PageState, Row } from './protocol.ts';

/** Which rows the table shows, and in which order. */
export function tableOrder(
  rows: readonly Row[],
  { sort, filter, state }: Pick<PageState, 'sort' | 'filter' | 'state'>,
): Row[] {
  const words = filter
    .toLowerCase()
    .split(/\s+/)
    .filter(word => word !== '');
  const shown = rows.filter(row => (state === '' || row.status === state) && words.every(word => holds(row, word)));
  const direction = sort.down ? -1 : 1;
  return shown.toSorted((a, b) => compare(a, b, sort.by, direction) || a.number - b.number);
}

function holds(row: Row, word: string): boolean {
  return [row.title, row.lastLine, row.outcome, ...row.labels].some(text => text.toLowerCase().includes(word));
}

const STATES = ['EXECUTING', 'PENDING', 'FAILED', 'CANCELLED', 'SUCCESS'];

/** What has no value comes last, whichever way it is sorted. */
function compare(a: Row, b: Row, by: string, direction: number): number {
  const [x, y] = [sortValue(a, by), sortValue(b, by)];
  if (x === null || y === null) return Number(x === null) - Number(y === null);
  return (
    direction *
    (typeof x === 'number' && typeof y === 'number'
      ? x - y
      : String(x).localeCompare(String(y), undefined, { numeric: true }))
  );
}

function sortValue(row: Row, by: string): string | number | null {
  switch (by) {
    case 'status':
      return STATES.indexOf(row.status);
    case 'metric':
      return row.metric;
    case 'time':
      return row.started === null ? null : (row.finished ?? Number.MAX_SAFE_INTEGER) - row.started;
    case 'outcome':
      return row.outcome;
    case 'title':
      return row.title;
    case 'last':
      return row.lastLine;
    case 'number':
      return row.number;
    default: {
      const text = row.labels[Number(by.split('.')[1])] ?? '';
      return text !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
    }
  }
}
