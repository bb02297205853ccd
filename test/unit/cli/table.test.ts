import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { tableLines } from '../../../src/cli/table.ts';
import type { Channel } from '../../../src/cli/terminal.ts';

const channel = (width: number): Channel => ({
  isTerminal: false,
  width,
  height: 24,
  line: () => {},
  write: () => {},
  style: (_format, text) => text,
});
const columns = [{ title: 'ID' }, { title: 'SIZE', align: 'right' as const }, { title: 'WHAT', flexible: true }];

describe('a table', () => {
  it('lines up its columns and leaves no blanks at the end', () => {
    const lines = tableLines(
      columns,
      [
        ['a', '1', 'x'],
        ['bbb', '1,000', ''],
      ],
      channel(80),
    );
    assert.deepEqual(lines, ['ID    SIZE  WHAT', 'a        1  x', 'bbb  1,000']);
  });

  it('shortens the flexible column to the width of the terminal', () => {
    const lines = tableLines(columns, [['a', '1', 'x'.repeat(100)]], channel(40));
    assert.equal(lines[1]!.length, 40);
    assert(lines[1]!.endsWith('…'));
  });

  it('counts what is seen, and ends the colour of what it cuts', () => {
    const lines = tableLines(
      columns,
      [
        ['\x1b[36ma\x1b[39m', '1', `\x1b[31m${'x'.repeat(100)}\x1b[39m`],
        ['b', '1', 'y'],
      ],
      channel(30),
    );
    assert.match(lines[1]!, /^\x1b\[36ma\x1b\[39m {6}1 {2}\x1b\[31mx+…\x1b\[39m$/);
    assert.equal(lines[2], 'b      1  y');
  });
});
