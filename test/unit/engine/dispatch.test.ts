import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Handlers } from '../../../src/engine/call.ts';
import { dispatch } from '../../../src/engine/dispatch.ts';
import { CoppiceError } from '../../../src/protocol/errors.ts';
import { call } from './parts.ts';

/** Input that does not get past the door must start nothing, so every handler here is an alarm. */
const handlers = new Proxy({} as Handlers, {
  get: (_target, verb) => async () => {
    throw new Error(`${String(verb)} was started`);
  },
});

async function refusal(verb: string, input: unknown): Promise<CoppiceError> {
  try {
    await dispatch(handlers, verb, input, call());
  } catch (error) {
    if (error instanceof CoppiceError) return error;
    throw error;
  }
  throw new Error('not refused');
}

const image = '00000000-0000-4000-8000-000000000001';

/** verb, input, the field at fault, and what the sentence must say. */
const cases: readonly (readonly [string, unknown, string, RegExp])[] = [
  ['run', { command: 'true', comand: 'x' }, 'comand', /run knows no such field/],
  ['run', { command: 'true', limits: { cpu: 1 } }, 'limits.cpu', /no such field/],
  ['run', { command: 7 }, 'command', /expected string/],
  ['run', { command: '' }, 'command', /must not be empty/],
  ['run', { command: '  \n' }, 'command', /must not be blank/],
  ['run', { command: 'a\0b' }, 'command', /NUL/],
  ['run', { command: 'x', args: ['a\0b'] }, 'args.0', /NUL/],
  ['run', { steps: ['true', 'a\0b'] }, 'steps.1', /NUL/],
  ['run', {}, 'command', /is missing/],
  ['run', { command: 'true', steps: ['true'] }, 'steps', /together with command/],
  ['run', { steps: [] }, 'steps', /./],
  ['run', { steps: ['true', ''] }, 'steps.1', /must not be empty/],
  ['run', { command: 'true', timeout: -1 }, 'timeout', />=0|at least|Too small/i],
  ['run', { command: 'true', timeout: Number.NaN }, 'timeout', /./],
  ['run', { command: 'true', timeout: '30' }, 'timeout', /expected number/],
  ['run', { command: 'true', image: '' }, 'image', /must not be empty/],
  ['run', { command: 'true', image: 'not an image' }, 'image', /not an image reference/],
  ['run', { command: 'true', cwd: 'relative' }, 'cwd', /must be absolute/],
  ['run', { command: 'true', env: { 'A=B': 'x' } }, 'env.A=B', /not a variable name/],
  ['run', { command: 'true', env: { A: 1 } }, 'env.A', /expected string/],
  ['run', { command: 'true', secrets: { A: 'x\0' } }, 'secrets.A', /NUL/],
  ['run', { command: 'true', files: { 'relative/path': image } }, 'files.relative/path', /must be absolute/],
  ['run', { command: 'true', files: { '/a': 'no-uuid' } }, 'files./a', /UUID/],
  ['run', { command: 'true', limits: { memory: 'lots' } }, 'limits.memory', /not a size/],
  ['run', { command: 'true', limits: { pids: 0 } }, 'limits.pids', /./],
  ['run', { command: 'true', network: 'bridge' }, 'network', /./],
  ['run', { command: 'true', directory_state_id: 'ds-x' }, 'directory_state_id', /not a directory state id/],
  ['run', { command: 'true', tag: 'x' }, 'tag', /disposable:false/],
  ['run', { command: 'true', tag: 'op-1', disposable: false }, 'tag', /not a tag name/],
  ['run', { command: 'true', workspace: 'here' }, 'workspace', /absolute path on this machine/],
  ['run', 'true', 'run', /expected object/],
  ['run', [], 'run', /expected object/],
  ['get_operation', { operation_id: 'nonsense' }, 'operation_id', /not an operation id/],
  ['get_operation', {}, 'operation_id', /./],
  ['wait_operations', { operation_ids: [] }, 'operation_ids', /at least one/],
  ['wait_operations', { operation_ids: 'op-123456' }, 'operation_ids', /expected array/],
  ['wait_operations', { operation_ids: ['op-123456'], mode: 'some' }, 'mode', /./],
  ['list_operations', { status: 'DONE' }, 'status', /./],
  ['list_operations', { since: 'yesterday-ish' }, 'since', /not a time/],
  ['read_output', { operation_id: 'op-123456', offset: 1, tail: 1 }, 'tail', /together with offset/],
  ['read_output', { operation_id: 'op-123456', offset: -1 }, 'offset', /./],
  ['list_files', { image, path: 'relative' }, 'path', /must be absolute/],
  ['read_file', { image, path: '/a\0b' }, 'path', /NUL/],
  ['create_sandbox', { sandbox_id: 'sb-UPPER' }, 'sandbox_id', /not a sandbox id/],
  ['create_sandbox', { command: [] }, 'command', /must name a program/],
  ['create_sandbox', { command: [''] }, 'command.0', /must not be empty/],
  ['exec', { sandbox_id: 'sb-123456', command: ['ls', 'a\0b'] }, 'command.1', /NUL/],
  ['exec', { sandbox_id: 'sb-123456', command: ['ls'], process_id: '../x' }, 'process_id', /not a process id/],
  ['exec', { sandbox_id: 'sb-123456', command: ['ls'], timeout: -0.5 }, 'timeout', /./],
  ['exec', { sandbox_id: 'sb-123456', command: ['ls'], tty: { cols: 0, rows: 1 } }, 'tty.cols', /./],
  ['kill_process', { process_id: 'pr-1', signal: 'kill' }, 'signal', /not a signal/],
  ['write_stdin', { process_id: 'pr-1', data: '*' }, 'data', /./],
  ['rollback', { name: 'main', steps: 0 }, 'steps', /must not be 0/],
  ['rollback', { name: 'main', steps: 1, image }, 'image', /together with steps/],
  ['branch', { name: '../x' }, 'name', /not a branch name/],
  ['set_tag', { image, tag: 'has space' }, 'tag', /not a tag name/],
];

describe('bad input is refused, names its field and starts nothing', () => {
  for (const [verb, input, field, says] of cases) {
    test(`${verb} ${JSON.stringify(input)}`, async () => {
      const error = await refusal(verb, input);
      assert.equal(error.code, 'invalid_input');
      assert.equal(error.field, field, error.message);
      assert.match(error.message, says);
      assert.ok(error.message.startsWith(`${field}: `), error.message);
    });
  }

  for (const verb of ['nonsense', '__proto__', 'constructor', 'toString', ''])
    test(`the verb ${JSON.stringify(verb)} is not known`, async () => {
      assert.equal((await refusal(verb, {})).code, 'unknown_verb');
    });
});

test('what is right reaches the handler with its defaults', async () => {
  let seen: unknown;
  const run: Handlers['run'] = async request => {
    seen = request;
    return { operation_id: 'op-123456', status: 'PENDING', hints: [] };
  };
  await dispatch({ ...handlers, run } as Handlers, 'run', { command: 'true' }, call());
  assert.deepEqual(seen, {
    command: 'true',
    args: [],
    shell: true,
    env: {},
    network: 'nat',
    secrets: {},
    files: {},
    labels: {},
    timeout: 30,
    disposable: true,
    wait: true,
    truncate_output_at: 8000,
  });
});
