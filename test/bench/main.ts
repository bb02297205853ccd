import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Arena } from './arena.ts';
import { type Miss, missedAlways, missedGoals, slowness } from './check.ts';
import { download } from './groups/download.ts';
import { importing } from './groups/import.ts';
import { parallel } from './groups/parallel.ts';
import { sdk } from './groups/sdk.ts';
import { snapshot } from './groups/snapshot.ts';
import { start } from './groups/start.ts';
import { sync } from './groups/sync.ts';
import { load, machine, rowText, toMarkdown, toText } from './report.ts';
import type { Row } from './row.ts';

const groups: Readonly<Record<string, (arena: Arena, turns: number) => AsyncIterable<Row>>> = {
  start,
  parallel,
  snapshot,
  sync,
  download,
  import: importing,
  sdk,
};

/** A miss is believed when it comes three times. */
const ATTEMPTS = 3;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    check: { type: 'boolean', default: false },
    json: { type: 'string' },
    markdown: { type: 'string' },
    runs: { type: 'string', default: '30' },
  },
});
const wanted = groupNames(positionals);
const turns = Number(values.runs);
if (!Number.isInteger(turns) || turns < 3)
  throw new Error(`--runs must be a whole number of at least 3, not ${values.runs}`);

const loadBefore = load();
const rows: Row[] = [];
const misses: Miss[] = [];
await using arena = await Arena.open();
for (const name of wanted) {
  const result = await runGroup(name);
  rows.push(...result.rows);
  misses.push(...result.misses);
}
const here = machine(loadBefore);
console.log(`\n${toText(here, misses)}`);
if (values.json) writeFileSync(values.json, `${JSON.stringify({ machine: here, rows, misses }, null, 2)}\n`);
if (values.markdown) writeFileSync(values.markdown, toMarkdown(rows, here, misses));
if (values.check && misses.length > 0) process.exitCode = 1;

/** Once; with --check again as long as something is missed that was missed before. */
async function runGroup(name: string): Promise<{ readonly rows: readonly Row[]; readonly misses: readonly Miss[] }> {
  const attempts: { readonly rows: readonly Row[]; readonly misses: readonly Miss[] }[] = [];
  do {
    console.error(`bench: ${name}${attempts.length > 0 ? `, again (${attempts.length + 1} of ${ATTEMPTS})` : ''}`);
    const measured: Row[] = [];
    for await (const row of groups[name]!(arena, turns)) {
      console.log(`\n${rowText(row)}`);
      measured.push(row);
    }
    attempts.push({ rows: measured, misses: missedGoals(measured, slowness(await floorMs())) });
  } while (values.check && still(attempts).length > 0 && attempts.length < ATTEMPTS);
  return { rows: attempts.at(-1)!.rows, misses: still(attempts) };
}

function still(attempts: readonly { readonly misses: readonly Miss[] }[]): readonly Miss[] {
  return missedAlways(attempts.map(({ misses }) => misses));
}

async function floorMs(): Promise<number> {
  const samples: number[] = [];
  for (let n = 0; n < 20; n++) samples.push(await arena.floor());
  return samples.sort((a, b) => a - b)[10]!;
}

function groupNames(words: readonly string[]): readonly string[] {
  const all = Object.keys(groups);
  if (words.length === 0 || words.includes('all')) return all;
  for (const word of words)
    if (!(word in groups)) throw new Error(`no group ${word}: choose from ${all.join(', ')}, all`);
  return words;
}
