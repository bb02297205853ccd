import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { repository } from '../harness/coppiceHome.ts';
import { Arena } from './arena.ts';
import { type Miss, missedAlways, missedGoals, slowness } from './check.ts';
import { groupNames, groups } from './groups.ts';
import { load, machine } from './machine.ts';
import { reasonOf } from './measure.ts';
import { type Report, rowText, toMarkdown, toText, withTable } from './report.ts';
import { percentile, type Row } from './row.ts';

/** A miss is believed when it comes three times. */
const ATTEMPTS = 3;
const FLOORS = 30;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    check: { type: 'boolean', default: false },
    json: { type: 'string' },
    markdown: { type: 'string' },
    readme: { type: 'boolean', default: false },
    runs: { type: 'string', default: '30' },
  },
});
const wanted = groupNames(positionals);
const turns = Number(values.runs);
if (!Number.isInteger(turns) || turns < 3)
  throw new Error(`--runs must be a whole number of at least 3, not ${values.runs}`);

const report = await measureAll();
console.log(`\n${toText(report)}`);
if (values.json) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
if (values.markdown) writeFileSync(values.markdown, toMarkdown(report));
if (values.readme) writeReadme(report);
if (report.failures.length > 0 || (values.check && report.misses.length > 0)) process.exitCode = 1;

interface Measured {
  readonly rows: readonly Row[];
  readonly misses: readonly Miss[];
}

async function measureAll(): Promise<Report> {
  const loadBefore = load();
  const rows: Row[] = [];
  const misses: Miss[] = [];
  const failures: string[] = [];
  await using arena = await Arena.open();
  const floors = [await medianFloor(arena)];
  for (const name of wanted) {
    try {
      const measured = await measureGroup(arena, name, floors);
      rows.push(...measured.rows);
      misses.push(...measured.misses);
    } catch (error) {
      // The other groups are worth their time all the same.
      console.error(`bench: ${name}:`, error);
      failures.push(`${name}, ${reasonOf(error)}`);
    }
  }
  const floorMs = Math.min(...floors);
  return { machine: machine(loadBefore), floorMs, slowness: slowness(floorMs), rows, misses, failures };
}

/** Once; with --check again as long as something is missed that was missed before. */
async function measureGroup(arena: Arena, name: string, floors: number[]): Promise<Measured> {
  const attempts: Measured[] = [];
  do {
    console.error(`bench: ${name}${attempts.length > 0 ? `, again (${attempts.length + 1} of ${ATTEMPTS})` : ''}`);
    const rows: Row[] = [];
    for await (const row of groups[name]!.rows(arena, turns)) {
      console.log(`\n${rowText(row)}`);
      rows.push(row);
    }
    const silent = groups[name]!.goals.filter(goal => !rows.some(row => row.goal === goal));
    if (silent.length > 0) throw new Error(`it said nothing about the goals ${silent.join(', ')}`);
    floors.push(await medianFloor(arena));
    attempts.push({ rows, misses: missedGoals(rows, slowness(Math.min(...floors))) });
  } while (values.check && still(attempts).length > 0 && attempts.length < ATTEMPTS);
  return { rows: attempts.at(-1)!.rows, misses: still(attempts) };
}

function still(attempts: readonly Measured[]): readonly Miss[] {
  return missedAlways(attempts.map(({ misses }) => misses));
}

/** The least of these is the machine's speed: what others do on it slows the floor down and must not soften the goals. */
async function medianFloor(arena: Arena): Promise<number> {
  const samples: number[] = [];
  for (let n = 0; n < FLOORS; n++) samples.push(await arena.floor());
  return percentile(samples, 0.5);
}

function writeReadme(report: Report): void {
  const file = path.join(repository, 'README.md');
  writeFileSync(file, withTable(readFileSync(file, 'utf8'), toMarkdown(report)));
}
