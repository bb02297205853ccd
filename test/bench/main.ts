import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
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
/** The floor is run so often, and that so often again. */
const FLOORS = 20;
const BURSTS = 10;

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
  /** Why there are no more rows. */
  readonly failure: string | undefined;
}

async function measureAll(): Promise<Report> {
  const loadBefore = load();
  const rows: Row[] = [];
  const misses: Miss[] = [];
  const failures: string[] = [];
  await using arena = await Arena.open();
  const floorMs = await quietestFloor(arena);
  const slower = slowness(floorMs);
  for (const name of wanted) {
    const measured = await measureGroup(arena, name, slower);
    rows.push(...measured.rows);
    misses.push(...measured.misses);
    if (measured.failure !== undefined) failures.push(measured.failure);
  }
  return { machine: machine(loadBefore), floorMs, slowness: slower, rows, misses, failures };
}

/** Once; with --check again as long as something is missed that was missed before. */
async function measureGroup(arena: Arena, name: string, slower: number): Promise<Measured> {
  const attempts: Measured[] = [];
  do {
    console.error(`bench: ${name}${attempts.length > 0 ? `, again (${attempts.length + 1} of ${ATTEMPTS})` : ''}`);
    const { rows, failure } = await measureOnce(arena, name);
    attempts.push({ rows, misses: missedGoals(rows, slower), failure });
  } while (values.check && still(attempts).length > 0 && attempts.length < ATTEMPTS);
  return { ...attempts.at(-1)!, misses: still(attempts) };
}

/** What fails is told, and the other groups are worth their time all the same. */
async function measureOnce(arena: Arena, name: string): Promise<Pick<Measured, 'rows' | 'failure'>> {
  const rows: Row[] = [];
  try {
    for await (const row of groups[name]!.rows(arena, turns)) {
      console.log(`\n${rowText(row)}`);
      rows.push(row);
    }
  } catch (error) {
    console.error(`bench: ${name}:`, error);
    return { rows, failure: `${name}, ${reasonOf(error)}` };
  }
  const silent = groups[name]!.goals.filter(goal => !rows.some(row => row.goal === goal));
  return { rows, failure: silent.length > 0 ? `${name}, the goals ${silent.join(', ')}` : undefined };
}

function still(attempts: readonly Measured[]): readonly Miss[] {
  return missedAlways(attempts.map(({ misses }) => misses));
}

/** The machine's speed: what others do on it meanwhile slows the floor down too, and must not soften the goals. */
async function quietestFloor(arena: Arena): Promise<number> {
  const medians: number[] = [];
  for (let burst = 0; burst < BURSTS; burst++) {
    const samples: number[] = [];
    for (let n = 0; n < FLOORS; n++) samples.push(await arena.floor());
    medians.push(percentile(samples, 0.5));
    await sleep(200);
  }
  return Math.min(...medians);
}

function writeReadme(report: Report): void {
  const file = path.join(repository, 'README.md');
  writeFileSync(file, withTable(readFileSync(file, 'utf8'), toMarkdown(report)));
}
