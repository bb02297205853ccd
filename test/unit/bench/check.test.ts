import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missedAlways, missedGoals, slowness } from '../../bench/check.ts';
import { injectedDelay } from '../../bench/delay.ts';
import { type Contender, measure, timed } from '../../bench/measure.ts';
import { lineOf, type Row } from '../../bench/row.ts';

const line = (name: string, ...samples: number[]) => lineOf(name, 'ours', 'none', samples);
const row = (lines: Row['lines'], goals: Row['goals'], unit: Row['unit'] = 'ms'): Row => ({
  goal: 1,
  title: 'a row',
  unit,
  lines,
  goals,
  notes: [],
});

test('a goal that is reached is no miss', () => {
  const lines = [line('ours', 8, 9, 10), line('docker', 150, 160, 170)];
  const goals = [
    { line: 'ours', atMost: 15 },
    { line: 'ours', times: 10, betterThan: 'docker' },
  ];
  assert.deepEqual(missedGoals([row(lines, goals)]), []);
});

test('each kind of goal can be missed, and says by how much', () => {
  const lines = [line('ours', 20), line('docker', 150)];
  const goals = [
    { line: 'ours', atMost: 15 },
    { line: 'ours', times: 10, betterThan: 'docker' },
  ];
  assert.deepEqual(
    missedGoals([row(lines, goals)]).map(({ reason }) => reason),
    ['ours: 20 ms, goal ≤ 15', 'ours: 7.5 × better than docker, goal ≥ 10 ×'],
  );
  assert.equal(missedGoals([row([line('ours', 124)], [{ line: 'ours', atLeast: 200 }], 'levels')]).length, 1);
});

test('of rates more is better', () => {
  const lines = [line('ours', 90), line('docker', 10)];
  const goal = { line: 'ours', times: 10, betterThan: 'docker' };
  assert.equal(missedGoals([row(lines, [goal], 'runs/s')]).length, 1);
  assert.equal(missedGoals([row(lines, [{ ...goal, times: 9 }], 'runs/s')]).length, 0);
});

test('what was not measured is missed', () => {
  const goals = [
    { line: 'ours', atMost: 15 },
    { line: 'ours', times: 10, betterThan: 'docker' },
  ];
  assert.equal(missedGoals([row([], goals)]).length, 2);
  assert.equal(missedGoals([row([line('ours', 1)], goals)]).length, 1);
});

test('a machine with a slower floor gets more time, never more disk', () => {
  const goals = [{ line: 'ours', atMost: 15 }];
  assert.equal(missedGoals([row([line('ours', 20)], goals)], slowness(5.4)).length, 0);
  assert.equal(missedGoals([row([line('ours', 20)], goals, 'KB')], slowness(5.4)).length, 1);
  assert.equal(slowness(1), 1);
});

test('noise passes, a loss stays', () => {
  const attempt = (ours: number, docker: number) =>
    missedGoals([
      row(
        [line('ours', ours), line('docker', docker)],
        [
          { line: 'ours', atMost: 15 },
          { line: 'ours', times: 10, betterThan: 'docker' },
        ],
      ),
    ]);
  const reasons = (...attempts: [number, number][]) =>
    missedAlways(attempts.map(([ours, docker]) => attempt(ours, docker))).map(({ reason }) => reason);
  assert.deepEqual(reasons([20, 300], [21, 300], [22, 300]), ['ours: 20 ms, goal ≤ 15']);
  assert.deepEqual(reasons([20, 300], [10, 300], [22, 300]), []);
  assert.deepEqual(reasons([20, 300], [10, 50]), [], 'another goal of the same line');
});

test('COPPICE_BENCH_DELAY_MS makes the check fail', async () => {
  const contender = (name: string, work: () => Promise<unknown>): Contender => ({
    name,
    kind: 'ours',
    isolation: 'none',
    once: () => timed(work),
  });
  const check = async () =>
    missedGoals([row(await measure([contender('ours', injectedDelay)], 3, 1), [{ line: 'ours', atMost: 10 }])]);
  const before = process.env.COPPICE_BENCH_DELAY_MS;
  try {
    delete process.env.COPPICE_BENCH_DELAY_MS;
    assert.deepEqual(await check(), []);
    process.env.COPPICE_BENCH_DELAY_MS = '20';
    assert.equal((await check()).length, 1);
  } finally {
    if (before === undefined) delete process.env.COPPICE_BENCH_DELAY_MS;
    else process.env.COPPICE_BENCH_DELAY_MS = before;
  }
});

test('contenders take turns', async () => {
  const order: string[] = [];
  const contender = (name: string): Contender => ({
    name,
    kind: 'ours',
    isolation: 'none',
    once: async () => order.push(name),
  });
  await measure([contender('a'), contender('b')], 2, 1);
  assert.equal(order.join(''), 'ababab');
});
