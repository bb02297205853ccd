import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileTree, visibleNodes } from '../../../webview/fileTree.ts';
import type { ChangedFile, Row } from '../../../webview/protocol.ts';
import { linearScale, logScale } from '../../../webview/scale.ts';
import { sideBySide } from '../../../webview/sideBySide.ts';
import { tableOrder } from '../../../webview/tableOrder.ts';

describe('outputs side by side', () => {
  const shown = (...texts: string[][]) =>
    sideBySide(texts).map(row =>
      row.map(({ text, mark }) => `${{ same: ' ', changed: '~', added: '+', missing: '-' }[mark]}${text}`).join('|'),
    );

  test('equal lines stand beside each other, replaced ones too, and what one has more has a row', () => {
    assert.deepEqual(shown(['a', 'b', 'c', 'd'], ['a', 'B', 'c', 'x', 'd'], ['a', 'b', 'd']), [
      ' a| a| a',
      '~b|~B| b',
      '~c| c|-',
      '-|+x|-',
      ' d| d| d',
    ]);
  });
  test('nothing, one, and nothing in common', () => {
    assert.deepEqual(sideBySide([]), []);
    assert.deepEqual(shown(['a']), [' a']);
    assert.deepEqual(shown([], ['x']), ['-|+x']);
    assert.deepEqual(shown(['a'], ['x', 'y']), ['~a|~x', '-|+y']);
  });
  test('no line is lost, however the texts differ', () => {
    for (let seed = 1; seed < 200; seed++) {
      const text = (salt: number) =>
        Array.from({ length: (seed * salt) % 13 }, (_, index) => String((index * seed * salt) % 4));
      const texts = [text(3), text(5), text(7)];
      const rows = sideBySide(texts);
      for (const [column, lines] of texts.entries()) {
        const numbered = rows.map(row => row[column]!).filter(line => line.number > 0);
        assert.deepEqual(
          numbered.map(line => line.text),
          lines,
          `seed ${seed}`,
        );
        assert.deepEqual(
          numbered.map(line => line.number),
          lines.map((_, index) => index + 1),
        );
      }
    }
  });
});

describe('changed files as a tree', () => {
  const file = (path: string, change: ChangedFile['change'] = 'A', size = 1): ChangedFile => ({
    path,
    change,
    kind: 'file',
    size,
  });
  test('folders first, chains in one row, sizes summed', () => {
    const nodes = fileTree([
      file('/workspace/p/model.json', 'A', 5),
      file('/workspace/p/logs/a', 'A', 2),
      file('/workspace/p/logs/b', 'D', 9),
      file('/etc/x', 'M', 3),
    ]);
    const lines = visibleNodes(nodes, new Set()).map(
      ({ node, depth }) => `${'  '.repeat(depth)}${node.name} ${node.size}`,
    );
    assert.deepEqual(lines, ['etc 3', '  x 3', 'workspace/p 7', '  logs 2', '    a 2', '    b 0', '  model.json 5']);
    assert.equal(visibleNodes(nodes, new Set(['/workspace/p'])).length, 3);
  });
});

describe('the order of the table', () => {
  const row = (number: number, more: Partial<Row>): Row => ({
    id: `op-${number}`,
    number,
    status: 'SUCCESS',
    title: 'train',
    labels: ['a'],
    metric: null,
    printed: 0,
    started: null,
    finished: null,
    outcome: '',
    lastLine: '',
    attempts: 1,
    kept: false,
    ...more,
  });
  const rows = [
    row(1, { metric: 2, labels: ['10'] }),
    row(2, { labels: ['9'], status: 'FAILED' }),
    row(3, { metric: -1, labels: ['100'], lastLine: 'Out of Memory' }),
  ];
  const order = (by: string, down = false, filter = '', state = '') =>
    tableOrder(rows, { sort: { by, down }, filter, state }).map(({ number }) => number);

  test('numbers as numbers, what has none last, either way', () => {
    assert.deepEqual(order('metric'), [3, 1, 2]);
    assert.deepEqual(order('metric', true), [1, 3, 2]);
    assert.deepEqual(order('label.0'), [2, 1, 3]);
    assert.deepEqual(order('number', true), [3, 2, 1]);
  });
  test('filters by words and by state', () => {
    assert.deepEqual(order('number', false, 'memory out'), [3]);
    assert.deepEqual(order('number', false, '', 'FAILED'), [2]);
    assert.deepEqual(order('number', false, 'nowhere'), []);
  });
});

describe('scales', () => {
  test('hold every value and put ticks inside', () => {
    for (const scale of [
      linearScale([0.007, 0.009], 0, 100, 5),
      linearScale([5, 5], 0, 100, 5),
      linearScale([], 0, 100, 5),
      logScale([1e-4, 1e-1], 0, 100, 5),
      logScale([3, 3], 0, 100, 5),
    ]) {
      assert.ok(scale.ticks.length >= 1 && scale.ticks.length <= 24, String(scale.ticks));
      for (const tick of scale.ticks) assert.ok(scale.at(tick) >= 0 && scale.at(tick) <= 100, String(tick));
    }
    assert.ok(Math.abs(logScale([1, 100], 0, 100, 5).at(10) - 50) < 1e-9);
  });
});
