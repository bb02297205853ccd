import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { TestAgent } from '../harness/agent.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { eventually } from '../harness/eventually.ts';

describe('coppice mcp, through the official client', () => {
  let engine: TestEngine;
  let agent: TestAgent;

  before(async () => {
    engine = await startEngine();
    await engine.busybox();
    agent = await TestAgent.start(engine);
  });
  after(async () => {
    await agent?.[Symbol.asyncDispose]();
    await engine?.[Symbol.asyncDispose]();
  });

  const call: TestAgent['call'] = (name, input, options) => agent.call(name, input, options);

  const run = { image: 'tag:busybox', network: 'none' };

  test('lists the core tools, with schemas, annotations and instructions', async () => {
    const { tools } = await agent.client.listTools();
    const names = tools.map(tool => tool.name);
    for (const name of ['run', 'list_images', 'import_image', 'lineage', 'wait_operations', 'upload', 'download'])
      assert(names.includes(name), name);
    assert(!names.includes('create_sandbox'));
    const tool = tools.find(candidate => candidate.name === 'list_images')!;
    assert.deepEqual([tool.annotations?.readOnlyHint, tool.inputSchema.type], [true, 'object']);
    assert.match(agent.client.getInstructions() ?? '', /list_images/);
  });

  test('lists every verb when asked for all, but wipe', async () => {
    await using everything = await TestAgent.start(engine, { tools: 'all' });
    const names = (await everything.client.listTools()).tools.map(tool => tool.name);
    assert(names.includes('create_sandbox') && names.includes('grep') && names.includes('rollback'));
    assert(!names.includes('wipe'));
    await assert.rejects(everything.call('wipe', { confirm: true }), /no tool wipe/);
  });

  test('runs a command: structure that its schema accepts, and text', async () => {
    const { text, value, isError } = await call('run', { ...run, command: 'echo hi; echo err >&2; exit 3' });
    assert.equal(isError, false, 'a failed command is an answer');
    assert.deepEqual([value.status, value.exit_code, value.stdout, value.stderr], ['FAILED', 3, 'hi\n', 'err\n']);
    assert.match(text, /^op-[0-9a-f]+ FAILED exit 3 in [\d.]+ m?s · run echo hi/);
    assert.match(text, /\nstdout:\nhi\nstderr:\nerr/);
  });

  test('says how to read on, and that works', async () => {
    const { text } = await call('run', { ...run, command: 'seq 1 1000', truncate_output_at: 10 });
    const next = /read on: read_output (\{.*\})\]/.exec(text)?.[1];
    const rest = await call<{ text: string }>('read_output', JSON.parse(next!));
    assert.match(rest.value.text, /^6\n7\n/);
  });

  test('output of any size: the answer fits, the rest is readable', async () => {
    const { value } = await call<{ operation_id: string; stdout: string; truncated: object }>('run', {
      ...run,
      command: 'seq 1 1400000',
      truncate_output_at: 10_000_000,
    });
    assert.deepEqual(value.truncated, { stdout: true, stderr: false });
    const offset = value.stdout.length;
    const rest = await call<{ text: string; size: number }>('read_output', {
      operation_id: value.operation_id,
      offset,
      length: 100,
    });
    assert.equal(rest.value.size, seq(1_400_000).length);
    assert.equal((value.stdout + rest.value.text).slice(-100, -90), seq(1_400_000).slice(offset, offset + 10));
  });

  test('fifty calls at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) => call('run', { ...run, command: `echo ${n}` })),
    );
    assert.deepEqual(
      answers.map(({ value }) => value.stdout),
      Array.from({ length: 50 }, (_, n) => `${n}\n`),
    );
  });

  test('keeps an image and goes on from it; the lineage tells', async () => {
    const { value, text } = await call<{ result_image: string }>('run', {
      ...run,
      command: 'echo 1 > /one',
      disposable: false,
    });
    assert.match(text, new RegExp(`result_image ${value.result_image} \\(new, made from `));
    const next = await call('run', { ...run, image: value.result_image, command: 'cat /one' });
    assert.equal(next.value.stdout, '1\n');
    assert.match(
      (await call('lineage', { image: value.result_image })).text,
      /parent \S+ tag:busybox · echo 1 > \/one \(exit 0\)/,
    );
  });

  test('several at once, then waits for all', async () => {
    const started = await Promise.all(
      [1, 2, 3].map(n =>
        call<{ operation_id: string }>('run', { ...run, command: `sleep 0.1; echo ${n}`, wait: false }),
      ),
    );
    assert.match(started[0]!.text, /^op-\S+ \w+\nCollect it: wait_operations /);
    const ids = started.map(({ value }) => value.operation_id);
    const waited = await call<{ results: Record<string, { stdout: string }>; pending: string[] }>('wait_operations', {
      operation_ids: ids,
    });
    assert.deepEqual(
      ids.map(id => waited.value.results[id]!.stdout),
      ['1\n', '2\n', '3\n'],
    );
  });

  test('errors are results that say what to do', async () => {
    const unknown = await call('run', { image: 'nothing', command: 'true' });
    assert.equal(unknown.isError, true);
    assert.match(unknown.text, /^image_not_found: no image nothing\nfix: /);
    const wrong = await call('run', { command: 'true', colour: 'red' });
    assert.match(wrong.text, /^invalid_input: colour: /);
    await assert.rejects(call('nothing', {}), /no tool nothing/);
  });

  test('cancelling the call cancels the operation', async () => {
    const cancel = new AbortController();
    const pending = call('run', { ...run, command: 'echo waiting; sleep 60', timeout: 0 }, { signal: cancel.signal });
    pending.catch(() => undefined);
    const going = await eventually('it runs', async () => {
      const { operations } = await engine.client.call('list_operations', { status: 'EXECUTING' });
      return operations.find(operation => operation.title.startsWith('echo waiting'));
    });
    cancel.abort();
    await assert.rejects(pending);
    await eventually('it is cancelled', async () => {
      const { status } = await engine.client.call('get_operation', { operation_id: going.operation_id });
      return status === 'CANCELLED';
    });
  });

  test('relative paths of this machine are those of its folder', async () => {
    const { value } = await call<{ result_image: string }>('run', {
      ...run,
      command: 'echo art > /art',
      disposable: false,
    });
    const { value: copied } = await call<{ destination: string }>('download', {
      image: value.result_image,
      path: '/art',
      destination: 'out/art',
    });
    assert.equal(copied.destination, engine.folder.join('out', 'art'));
  });

  test('reads and writes nothing outside its folder, and shares no network', async () => {
    for (const [name, input] of [
      ['upload', { path: '/etc/hostname' }],
      ['upload', { path: '../../etc/hostname' }],
      ['download', { image: 'tag:busybox', path: '/etc/passwd', destination: '/tmp/stolen' }],
      ['import_image', { registry_url: 'rootfs:/etc' }],
      ['rsync', { source: '/etc', destination: '/x' }],
    ] as const) {
      const { text, isError } = await call(name, input);
      assert.equal(isError, true, name);
      assert.match(text, /^fenced: .* is outside what this agent may reach\nfix: .*coppice mcp --allow/, name);
    }
    assert.match((await call('run', { ...run, network: 'host', command: 'true' })).text, /^fenced: network: /);
  });

  test('an agent that goes away takes its waiting run with it', async () => {
    await using leaving = await TestAgent.start(engine);
    const pending = leaving
      .call('run', { ...run, command: 'echo leaving; sleep 60', timeout: 0 })
      .catch(() => undefined);
    const find = async (status: 'EXECUTING' | 'CANCELLED') => {
      const { operations } = await engine.client.call('list_operations', { status });
      return operations.find(operation => operation.title.startsWith('echo leaving'));
    };
    await eventually('it runs', () => find('EXECUTING'));
    await leaving.client.close();
    await pending;
    await eventually('it is cancelled', () => find('CANCELLED'));
  });
});

const seq = (last: number): string => Array.from({ length: last }, (_, index) => `${index + 1}\n`).join('');
