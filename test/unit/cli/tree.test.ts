import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { growTrees } from '../../../src/cli/tree.ts';

const draw = (pairs: readonly (readonly [string, string | null])[]): readonly string[] =>
  growTrees(
    pairs,
    ([id]) => id,
    ([, parent]) => parent,
  ).map(({ isRoot, stem, item: [id] }) => `${stem}${isRoot ? '●' : '○'} ${id}`);

describe('a tree', () => {
  it('keeps a line of descent a line and indents only at forks', () => {
    assert.deepEqual(
      draw([
        ['base', null],
        ['deps', 'base'],
        ['a', 'deps'],
        ['a1', 'a'],
        ['b', 'deps'],
        ['b1', 'b'],
        ['b2', 'b'],
      ]),
      ['● base', '○ deps', '├─○ a', '│ ○ a1', '└─○ b', '  ├─○ b1', '  └─○ b2'],
    );
  });

  it('shows what has no parent here as a root', () => {
    assert.deepEqual(
      draw([
        ['x', 'gone'],
        ['y', null],
      ]),
      ['● x', '● y'],
    );
    assert.deepEqual(draw([]), []);
  });

  it('is not limited by depth', () => {
    const pairs = Array.from(
      { length: 20_000 },
      (_, index) => [String(index), index === 0 ? null : String(index - 1)] as const,
    );
    assert.equal(draw(pairs).length, 20_000);
  });
});
