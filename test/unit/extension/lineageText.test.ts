import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lineageText } from '../../../src/extension/documents/lineageText.ts';

const at = '2026-01-02T11:00:00Z';
const now = Date.parse('2026-01-02T12:00:00Z');

test('a lineage reads from the root down, each image with the command that made it', () => {
  const parent = {
    image: 'bbbbbbbb-2',
    tag: 'deps',
    command: 'python3 train.py',
    exit_code: 1,
    operation_id: 'op-2',
    created_at: at,
  };
  const root = {
    image: 'aaaaaaaa-1',
    tag: 'host',
    command: 'pip install x',
    exit_code: 0,
    operation_id: 'op-1',
    created_at: at,
  };
  const text = lineageText(
    {
      image: 'cccccccc-3',
      tag: null,
      parent,
      ancestors: [parent, root],
      children: [{ image: 'dddddddd-4', tag: null, command: 'ls', exit_code: 0, operation_id: 'op-3', created_at: at }],
      root: { image: 'aaaaaaaa-1', registry_url: 'host:' },
      depth: 2,
      is_known: true,
    },
    now,
  );
  assert.equal(
    text,
    [
      'aaaaaaaa  [host]  import host:  (1 h ago)',
      '└─ bbbbbbbb  [deps]  pip install x  (1 h ago)',
      '   └─ cccccccc  python3 train.py  exit 1  (← this image)',
      '      └─ dddddddd  ls  (1 h ago)',
      '',
    ].join('\n'),
  );
});
