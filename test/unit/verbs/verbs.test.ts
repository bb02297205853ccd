import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { listTools } from '../../../src/mcp/tools.ts';
import type { OperationResult } from '../../../src/protocol/schemas/operations.ts';
import { verbNames, verbs } from '../../../src/verbs/verbs.ts';

const operation: OperationResult = {
  operation_id: 'op-0123456789abcdef',
  kind: 'run',
  status: 'SUCCESS',
  title: 'seq 1 1000',
  image: '11111111-1111-4111-8111-111111111111',
  result_image: '11111111-1111-4111-8111-111111111111',
  exit_code: 0,
  signal: null,
  timed_out: false,
  filesystem_changed: false,
  disposable: true,
  directory_state_id: null,
  group: null,
  labels: {},
  runtime: 'native',
  client: 'mcp',
  created_at: '2026-01-31T12:00:00Z',
  started_at: '2026-01-31T12:00:00Z',
  finished_at: '2026-01-31T12:00:00Z',
  duration_ms: 12,
  output_bytes: { stdout: 3893, stderr: 0 },
  last_line: '1000',
  error: null,
  stdout: '1\n2\n',
  stderr: '',
  truncated: { stdout: true, stderr: false },
  resources: { cpu_ms: null, max_rss: null },
  hints: [],
};

describe('the verb table', () => {
  it('teaches: every verb has a title and sentences', () => {
    for (const name of verbNames) {
      assert.match(verbs[name].title, /^[A-Z]/, name);
      assert.match(verbs[name].description, /^[A-Z].{20,}\.$/s, name);
      assert(!(verbs[name].annotations.readOnly && verbs[name].annotations.destructive), name);
    }
  });

  it('has the seeds’ set as its core', () => {
    const core = new Set(listTools('core').map(tool => tool.name));
    for (const name of [
      'run',
      'upload',
      'download',
      'list_images',
      'import_image',
      'set_tag',
      'lineage',
      'wait_operations',
      'get_operation',
      'cancel_operation',
      'list_operations',
    ])
      assert(core.has(name), name);
  });

  it('becomes tools with schemas of objects; wipe is for people', () => {
    const tools = listTools('all');
    assert(!tools.some(tool => tool.name === 'wipe'));
    for (const tool of tools) {
      assert.equal(tool.inputSchema.type, 'object', tool.name);
      assert.equal(tool.outputSchema?.type, 'object', tool.name);
      assert.notEqual(tool.annotations?.readOnlyHint, undefined, tool.name);
    }
  });
});

describe('a run, told to an agent', () => {
  it('begins with its id and says how to read on where it was cut', () => {
    assert.deepEqual(verbs.run.render(operation).split('\n'), [
      'op-0123456789abcdef SUCCESS exit 0 in 12 ms · run seq 1 1000',
      'result_image 11111111-1111-4111-8111-111111111111 (unchanged: the same image it started from)',
      'stdout:',
      '1',
      '2',
      '[stdout cut at 4 B of 3.9 KB; read on: read_output {"operation_id":"op-0123456789abcdef","stream":"stdout","offset":4}]',
    ]);
  });

  it('names the new image, or says that the changes are gone', () => {
    const changed = { ...operation, filesystem_changed: true };
    assert.match(verbs.run.render(changed), /thrown away/);
    const kept = { ...changed, disposable: false, result_image: '22222222-2222-4222-8222-222222222222' };
    assert.match(verbs.run.render(kept), /result_image 2222\S+ \(new, made from 1111/);
  });

  it('that only began says how to collect it', () => {
    const text = verbs.run.render({ operation_id: 'op-0123456789abcdef', status: 'PENDING', hints: ['Lone.'] });
    assert.equal(
      text,
      'op-0123456789abcdef PENDING\nCollect it: wait_operations {"operation_ids":["op-0123456789abcdef"]}\nhint: Lone.',
    );
  });
});
