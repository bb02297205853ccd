import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { expandMatrix } from '../../../../src/extension/panel/expandMatrix.ts';
import { parameterValues, ValuesError } from '../../../../src/extension/panel/parameterValues.ts';
import type { Parameter } from '../../../../webview/protocol.ts';

describe('the values of a parameter', () => {
  const cases: Readonly<Record<string, readonly string[]>> = {
    '0.1, 0.01,1e-3': ['0.1', '0.01', '1e-3'],
    'a\nb\n\nc': ['a', 'b', 'c'],
    '"a, b", \'c "d"\', e f': ['a, b', 'c "d"', 'e f'],
    '"1..3"': ['1..3'],
    '""': [''],
    '1..4': ['1', '2', '3', '4'],
    '3..1': ['3', '2', '1'],
    '5..5': ['5'],
    '0..1..0.25': ['0', '0.25', '0.5', '0.75', '1'],
    '0.1..0.3..0.1': ['0.1', '0.2', '0.3'],
    '0..1..0.4': ['0', '0.4', '0.8'],
    '-1..1': ['-1', '0', '1'],
    '1e-4..1e-1..x10': ['0.0001', '0.001', '0.01', '0.1'],
    '64..8..x0.5': ['64', '32', '16', '8'],
    '1..100..*3': ['1', '3', '9', '27', '81'],
    '1..3, 7, 1..2': ['1', '2', '3', '7'],
    'v1.2..v1.4': ['v1.2..v1.4'],
    '': [],
    ' , ,': [],
  };
  for (const [text, values] of Object.entries(cases)) {
    test(JSON.stringify(text), () => assert.deepEqual(parameterValues(text), values));
  }

  for (const text of [
    '0..1..-0.1',
    '1..5..0',
    '0..1..x10',
    '1..10..x1',
    '1..10..x0.5',
    '1..10..x-2',
    '0..1e9',
    '1..2..1e-9',
  ]) {
    test(`${text} is refused`, () => assert.throws(() => parameterValues(text), ValuesError));
  }
});

describe('expanding a matrix', () => {
  const parameter = (name: string, values: string, as: Parameter['as'] = 'text'): Parameter => ({ name, values, as });
  const expand = (commands: string, ...parameters: Parameter[]) => expandMatrix({ commands, parameters });
  const commands = (...input: Parameters<typeof expand>) => expand(...input).runs.map(run => run.command);

  test('every combination, the first parameter slowest', () => {
    assert.deepEqual(commands('train {lr} {n}', parameter('lr', '0.1, 0.2'), parameter('n', '1..3')), [
      'train 0.1 1',
      'train 0.1 2',
      'train 0.1 3',
      'train 0.2 1',
      'train 0.2 2',
      'train 0.2 3',
    ]);
  });

  test('a parameter of the environment leaves the command alone', () => {
    const { runs } = expand('train --lr $LR', parameter('LR', '0.1, a b', 'env'));
    assert.deepEqual(runs, [
      { command: 'train --lr $LR', env: { LR: '0.1' }, labels: { LR: '0.1' } },
      { command: 'train --lr $LR', env: { LR: 'a b' }, labels: { LR: 'a b' } },
    ]);
  });

  test('several commands are told apart by a label', () => {
    const { runs } = expand('a {n}\n\n  b {n} \\\n   --more', parameter('n', '1,2'));
    assert.deepEqual(
      runs.map(run => [run.command, run.labels.command]),
      [
        ['a 1', 'a {n}'],
        ['a 2', 'a {n}'],
        ['b 1 --more', 'b {n} --more'],
        ['b 2 --more', 'b {n} --more'],
      ],
    );
  });

  test('no parameters: the command once', () => assert.deepEqual(commands('make'), ['make']));

  test("the shell's own braces stay", () => {
    assert.deepEqual(commands(`x=1; awk '{print}' \${n} {n}`, parameter('n', '7')), [`x=1; awk '{print}' \${n} 7`]);
  });

  test('a value that looks like a placeholder is not replaced again', () => {
    assert.deepEqual(commands('echo {a} {b}', parameter('a', '{b}'), parameter('b', '1')), ['echo {b} 1']);
    assert.deepEqual(commands('echo {a}', parameter('a', '$&')), ['echo $&']);
  });

  test('runs that are the same are run once, and it is said', () => {
    const { runs, notes } = expand('a\na');
    assert.equal(runs.length, 1);
    assert.match(notes.join(), /1 run is the same/);
  });

  test('a name that no parameter has is told', () => {
    assert.match(expand('a {lrr} {lr}', parameter('lr', '1')).notes.join(), /\{lrr\} is no parameter/);
  });

  const wrong: readonly [string, string, readonly Parameter[]][] = [
    ['commands', ' \n ', []],
    ['parameters.0.name', 'a {1x}', [parameter('1x', '1')]],
    ['parameters.1.name', 'a {n}', [parameter('n', '1'), parameter('n', '2')]],
    ['parameters.0.name', 'a', [parameter('n', '1')]],
    ['parameters.0.values', 'a {n}', [parameter('n', ' ')]],
    ['parameters.0.values', 'a {n}', [parameter('n', '0..1..-1')]],
    ['parameters.0.name', 'a {command}\nb', [parameter('command', '1')]],
    ['parameters', 'a {n} {m}', [parameter('n', '1..100'), parameter('m', '1..11')]],
  ];
  for (const [field, text, parameters] of wrong) {
    test(`what is wrong with ${JSON.stringify(text)} is said at ${field}`, () => {
      const { runs, problems } = expand(text, ...parameters);
      assert.deepEqual([runs.length, problems.map(problem => problem.field)], [0, [field]]);
    });
  }
});
