import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missedGoals } from '../../bench/check.ts';
import { groupNames, groups } from '../../bench/groups.ts';
import { type Able, measure } from '../../bench/measure.ts';
import { type Report, rowText, toMarkdown, toText, withTable } from '../../bench/report.ts';
import { type Absent, lineOf, type Row } from '../../bench/row.ts';

const absent: Absent = { name: 'docker', kind: 'peer', isolation: 'all of it', absent: 'dockerd needs root' };
const row: Row = {
  goal: 1,
  title: 'a row',
  unit: 'ms',
  lines: [lineOf('ours', 'ours', 'some', [8, 9, 10]), lineOf('floor', 'floor', 'none', [3]), absent],
  goals: [
    { line: 'ours', atMost: 15 },
    { line: 'ours', times: 10, betterThan: 'docker' },
  ],
  notes: ['a note'],
};

function reportOf(rows: readonly Row[], misses = missedGoals(rows)): Report {
  const machine = {
    ...{ cpu: 'a processor', cores: 2, memoryGb: 4, kernel: '6.1', system: 'Debian', node: '24', tools: ['crun 1.8'] },
    ...{ load: { before: '0', after: '1' }, at: 'now' },
  };
  return { machine, floorMs: 5.4, slowness: 2, rows, misses, failures: [] };
}

test('what could not be measured is told with its reason, in text and in Markdown', () => {
  assert.match(rowText(row), /\* docker: not measured, dockerd needs root/);
  assert.match(toMarkdown(reportOf([row])), /docker \[C\] not measured: dockerd needs root/);
  assert.match(toText(reportOf([row])), /docker: not measured, dockerd needs root, so nothing to compare ours with/);
});

test('the table has a line for each row, with scaled goals, ratios and what holds the code in', () => {
  const table = toMarkdown(reportOf([row]));
  const [line] = table.split('\n').filter(each => each.startsWith('| 1 |'));
  assert.equal(
    line,
    '| 1 | a row | **9.00 (10.0) ms** ours [A] | ≤ 30 ms ✓<br>≥ 10 × docker ✗ | floor [B] 3.00 (3.00) ms, 0.33 ×<br>docker [C] not measured: dockerd needs root |',
  );
  assert.match(table, /5\.40 ms here, 2\.7 ms where the goals were set: goals in ms are judged × 2\.00/);
  assert.match(table, /^- B: none$/m);
  assert.match(toMarkdown(reportOf([row], [])), /≥ 10 × docker ✓ when measured again/);
});

test('of less than nothing there is no ratio', () => {
  const lines = [lineOf('ours', 'ours', 'some', [3]), lineOf('other', 'ours', 'some', [-2])];
  assert.match(rowText({ ...row, lines, goals: [] }), /– +-2\.00/);
});

test('a group that failed is no success', () => {
  const text = toText({ ...reportOf([]), failures: ['editor, it failed'] });
  assert.match(text, /Not measured: editor, it failed/);
  assert.doesNotMatch(text, /reached/);
});

test('the table between the marks is replaced, and nothing else', () => {
  const readme = 'before\n<!-- npm run bench -- all --readme: from here -->\n\nold\n\n<!-- to here -->\nafter\n';
  const once = withTable(readme, 'new\n');
  assert.equal(once, readme.replace('old', 'new'));
  assert.equal(withTable(once, 'new\n'), once);
  assert.throws(() => withTable('no marks', 'new'), /lacks the marks/);
});

test('each goal is measured by one group', () => {
  const all = Object.values(groups).flatMap(({ goals }) => goals);
  assert.deepEqual(
    all.sort((a, b) => a - b),
    Array.from({ length: 17 }, (_, index) => index + 1),
  );
});

test('groups are known by name', () => {
  assert.deepEqual(groupNames(['start', 'docker', 'start']), ['start', 'docker']);
  assert.deepEqual(groupNames([]), Object.keys(groups));
  assert.deepEqual(groupNames(['all']), Object.keys(groups));
  assert.throws(() => groupNames(['all', 'satrt']), /no group satrt: choose from start, /);
});

test('a tool that fails is not measured, ours has to work', async () => {
  const failing = (kind: Able['kind']): Able => ({
    name: kind,
    kind,
    isolation: 'none',
    once: () => Promise.reject(new Error('no such thing: /tmp/of/this/machine/x.sock\nat a place')),
  });
  const [line] = await measure([failing('peer')], 3);
  assert.deepEqual(line, { name: 'peer', kind: 'peer', isolation: 'none', absent: 'it failed: no such thing: x.sock' });
  await assert.rejects(measure([failing('ours')], 3), /no such thing/);
});

test('slow tools sit out turns, evenly and never the first', async () => {
  const turns: number[] = [];
  let turn = -1;
  const slow: Able = {
    name: 'slow',
    kind: 'peer',
    isolation: 'none',
    skips: 7,
    once: async () => turns.push(turn),
  };
  const clock: Able = { name: 'clock', kind: 'ours', isolation: 'none', once: async () => ++turn };
  await measure([clock, slow], 20, 0);
  assert.deepEqual(turns, [0, 4, 7, 10, 14, 17]);
});
