import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runsCsv, seriesCsv } from '../../../../src/extension/panel/metricCsv.ts';
import { MetricScan, metricPattern, numberOf } from '../../../../src/extension/panel/metricScan.ts';
import { MetricSeries } from '../../../../src/extension/panel/metricSeries.ts';
import type { Row } from '../../../../webview/protocol.ts';

describe('finding a metric in output', () => {
  const scan = (pattern: string, pieces: readonly string[], group = '') => {
    const metric = new MetricScan(pattern, group);
    return [...pieces.flatMap(piece => metric.feed(piece)), ...metric.end()];
  };

  test('one number a line, whichever way the output is cut', () => {
    const text = 'epoch 1 loss 0.5\nepoch 2 loss 0.25\r\nno\nepoch 3 loss 1e-3';
    for (let cut = 0; cut <= text.length; cut++) {
      assert.deepEqual(scan('loss (\\S+)', [text.slice(0, cut), text.slice(cut)]), [0.5, 0.25, 0.001], `cut at ${cut}`);
    }
  });

  test('progress that writes over itself, and colours', () => {
    assert.deepEqual(
      scan('loss=(\\S+)', ['10% loss=3\r20% loss=2\r', '\u001b[32mloss=\u001b[1m1\u001b[0m\n']),
      [3, 2, 1],
    );
  });

  test('the chosen group, by number or name; the whole match where there is none', () => {
    assert.deepEqual(scan('(\\d+) of (\\d+)', ['3 of 9'], '2'), [9]);
    assert.deepEqual(scan('loss (?<loss>\\S+) acc (?<acc>\\S+)', ['loss 1 acc 2'], 'acc'), [2]);
    assert.deepEqual(scan('loss (?<loss>\\S+) acc (?<acc>\\S+)', ['loss 1 acc 2'], 'gone'), [1]);
    assert.deepEqual(scan('\\d+', ['a 7 b 8']), [7]);
    assert.deepEqual(metricPattern('(a)(b)').groups, ['1', '2']);
    assert.deepEqual(metricPattern('(?<x>a)(b)').groups, ['x']);
    assert.throws(() => metricPattern('('), SyntaxError);
  });

  test('what is a number', () => {
    const cases = {
      '1': 1,
      '-0.5': -0.5,
      '.5': 0.5,
      '1e-4': 1e-4,
      '93.1%': 93.1,
      '1,234.5': 1234.5,
      '0x': undefined,
      nan: undefined,
      inf: undefined,
      '': undefined,
      Infinity: undefined,
    };
    for (const [text, value] of Object.entries(cases)) assert.equal(numberOf(text), value, text);
  });

  test('a line without an end takes no memory for ever', () => {
    const metric = new MetricScan('x(\\d)', '');
    for (let piece = 0; piece < 100; piece++) metric.feed('a'.repeat(100_000));
    assert.deepEqual(metric.feed('\nx7\n'), [7]);
  });
});

describe('the numbers of a run', () => {
  test('last, smallest, largest', () => {
    const series = new MetricSeries();
    assert.equal(series.value('last'), null);
    series.add([3, 1, 2]);
    assert.deepEqual([series.value('last'), series.value('min'), series.value('max')], [2, 1, 3]);
    assert.deepEqual(series.points(), [
      [1, 3],
      [2, 1],
      [3, 2],
    ]);
  });

  test('a million are thinned, evenly, and the last is there', () => {
    const series = new MetricSeries();
    for (let from = 0; from < 1_000_000; from += 1000)
      series.add(Array.from({ length: 1000 }, (_, index) => from + index + 1));
    const points = series.points();
    assert.ok(points.length <= 4097 && points.length > 1000, String(points.length));
    assert.ok(
      points.every(([at, value]) => at === value),
      'a point is what was printed there',
    );
    assert.deepEqual(points.at(-1), [1_000_000, 1_000_000]);
    assert.ok(series.points(400).length <= 401);
    assert.deepEqual([series.count, series.value('max')], [1_000_000, 1_000_000]);
  });
});

describe('CSV', () => {
  const row: Row = {
    id: 'op-123456',
    number: 1,
    status: 'SUCCESS',
    title: 'echo "a, b"',
    labels: ['0.1', '=cmd()'],
    metric: 0.25,
    printed: 2,
    started: 0,
    finished: 1500,
    outcome: 'exit 0',
    lastLine: '',
    attempts: 1,
    kept: true,
  };
  test('a run a line, quoted as it must be, and no formula', () => {
    assert.equal(
      runsCsv(['lr', 'name'], [row]),
      'run,operation,lr,name,status,outcome,attempts,started,finished,duration_ms,metric,printed,command\r\n' +
        `1,op-123456,0.1,'=cmd(),SUCCESS,exit 0,1,1970-01-01T00:00:00.000Z,1970-01-01T00:00:01.500Z,1500,0.25,2,"echo ""a, b"""\r\n`,
    );
  });
  test('every printed value', () => {
    const series = new MetricSeries();
    series.add([-0.5, 0.25]);
    assert.equal(
      seriesCsv(['lr', 'name'], [row], () => series),
      `run,operation,lr,name,printed,metric\r\n1,op-123456,0.1,'=cmd(),1,-0.5\r\n1,op-123456,0.1,'=cmd(),2,0.25\r\n`,
    );
  });
});
