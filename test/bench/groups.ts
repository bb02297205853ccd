import type { Arena } from './arena.ts';
import { docker } from './groups/docker.ts';
import { download } from './groups/download.ts';
import { editor } from './groups/editor.ts';
import { importing } from './groups/import.ts';
import { parallel } from './groups/parallel.ts';
import { sdk } from './groups/sdk.ts';
import { snapshot } from './groups/snapshot.ts';
import { start } from './groups/start.ts';
import { sync } from './groups/sync.ts';
import type { Row } from './row.ts';

export interface Group {
  /** The goals of PERFORMANCE.md that are this group's to measure. */
  readonly goals: readonly number[];
  readonly rows: (arena: Arena, turns: number) => AsyncIterable<Row>;
}

/** `docker` measures some goals of other groups again, on the docker runtime; `sdk` has its own. */
export const groups: Readonly<Record<string, Group>> = {
  start: { goals: [1, 2], rows: start },
  parallel: { goals: [4, 6], rows: parallel },
  snapshot: { goals: [5, 7, 8, 17], rows: snapshot },
  sync: { goals: [9, 10, 11, 12], rows: sync },
  download: { goals: [14], rows: download },
  import: { goals: [15], rows: importing },
  docker: { goals: [3], rows: docker },
  editor: { goals: [13, 16], rows: editor },
  sdk: { goals: [], rows: sdk },
};

export function groupNames(words: readonly string[]): readonly string[] {
  const all = Object.keys(groups);
  const unknown = words.find(word => word !== 'all' && !all.includes(word));
  if (unknown !== undefined) throw new Error(`no group ${unknown}: choose from ${all.join(', ')}, all`);
  return words.length === 0 || words.includes('all') ? all : [...new Set(words)];
}
