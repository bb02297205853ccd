import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { EngineClient } from '../../src/client/engineClient.ts';
import type { EngineEvent } from '../../src/protocol/events.ts';
import type { OperationResult } from '../../src/protocol/schemas/operations.ts';
import type { VerbInput } from '../../src/protocol/verbs.ts';
import { engineScript } from '../harness/coppiceHome.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { eventually } from '../harness/eventually.ts';

let engine: TestEngine;
let image: string;
let count = 0;

before(async () => {
  engine = await startEngine();
  image = await engine.busybox();
});
after(async () => engine[Symbol.asyncDispose]());

interface Work {
  readonly branch: string;
  readonly workspace: string;
}

/** A branch at the base image, checked out for a folder of its own. */
async function checkedOut(): Promise<Work> {
  const work = { branch: `branch-${++count}`, workspace: `/work/${count}` };
  await engine.client.call('checkout', { name: work.branch, workspace: work.workspace, create_from: image });
  return work;
}

const head = async (name: string) =>
  (await engine.client.call('branches', {})).branches.find(branch => branch.name === name)!.head;

/** A run without an image: from the workspace's head. */
async function run(work: Work, command: string, more: Partial<VerbInput<'run'>> = {}): Promise<OperationResult> {
  return (await engine.client.call('run', {
    command,
    workspace: work.workspace,
    network: 'none',
    timeout: 60,
    ...more,
    wait: true,
  })) as OperationResult;
}

const keep = (work: Work, command: string, more: Partial<VerbInput<'run'>> = {}) =>
  run(work, command, { disposable: false, ...more });
const rollBack = (work: Work, more: Partial<VerbInput<'rollback'>> = {}) =>
  engine.client.call('rollback', { workspace: work.workspace, ...more });

describe('the head of a workspace', () => {
  test('is what runs there start from, and a kept run moves it', async () => {
    const work = await checkedOut();
    const one = await keep(work, 'echo 1 > /n');
    assert.equal(one.image, image);
    assert.equal(await head(work.branch), one.result_image);
    const two = await keep(work, 'cat /n; echo 2 > /n');
    assert.equal(two.image, one.result_image);
    assert.equal(two.stdout, '1\n');
    assert.equal(await head(work.branch), two.result_image);
    const lineage = await engine.client.call('lineage', { image: two.result_image! });
    assert.deepEqual(
      lineage.ancestors.map(ancestor => ancestor.image),
      [one.result_image, image],
    );
  });

  test('is not moved by what is thrown away, fails, is cancelled, or changes nothing', async () => {
    const work = await checkedOut();
    await run(work, 'echo x > /x');
    await keep(work, 'echo x > /x; exit 1');
    await keep(work, 'echo x > /x; sleep 60', { timeout: 0.3 });
    await keep(work, 'true');
    const started = await engine.client.call('run', {
      command: 'echo x > /x; sleep 60',
      workspace: work.workspace,
      network: 'none',
      disposable: false,
      wait: false,
    });
    await engine.client.call('cancel_operation', { operation_id: started.operation_id });
    assert.equal(await head(work.branch), image);
  });

  test('is not moved by a run that names another image', async () => {
    const work = await checkedOut();
    await keep(work, 'echo x > /x', { image });
    assert.equal(await head(work.branch), image);
  });

  test('moves by a run that names its branch, from anywhere', async () => {
    const work = await checkedOut();
    const kept = (await engine.client.call('run', {
      image: `branch:${work.branch}`,
      command: 'echo y > /y',
      network: 'none',
      disposable: false,
    })) as OperationResult;
    assert.equal(await head(work.branch), kept.result_image);
  });

  test('moves by steps to the last, and not at all when one fails', async () => {
    const work = await checkedOut();
    const steps = (lines: string[]) =>
      engine.client.call('run', {
        steps: lines,
        workspace: work.workspace,
        network: 'none',
      }) as Promise<OperationResult>;
    const good = await steps(['echo 1 > /1', 'echo 2 > /2']);
    assert.equal(await head(work.branch), good.result_image);
    await steps(['echo 3 > /3', 'exit 1']);
    assert.equal(await head(work.branch), good.result_image);
  });

  test('is each workspace’s own', async () => {
    const [one, two] = [await checkedOut(), await checkedOut()];
    await keep(one, 'echo one > /file');
    assert.equal((await run(two, 'cat /file 2>/dev/null || echo none')).stdout, 'none\n');
    const { checked_out } = await engine.client.call('branches', { workspace: one.workspace });
    assert.equal(checked_out, one.branch);
    assert.equal((await engine.client.call('branches', { workspace: '/elsewhere' })).checked_out, null);
  });

  test('of a branch checked out nowhere any more is the default again', async () => {
    const work = await checkedOut();
    await keep(work, 'echo x > /x');
    const { branch } = await engine.client.call('checkout', { name: null, workspace: work.workspace });
    assert.equal(branch, null);
    assert.equal((await engine.client.call('branches', { workspace: work.workspace })).checked_out, null);
  });

  test('is what a sandbox without an image starts from', async () => {
    const work = await checkedOut();
    await keep(work, 'echo kept > /file');
    const { sandbox_id } = await engine.client.call('create_sandbox', {
      workspace: work.workspace,
      network: 'none',
    });
    const { process_id } = await engine.client.call('exec', { sandbox_id, command: ['cat', '/file'], wait: true });
    assert.equal((await engine.client.call('read_output', { operation_id: process_id })).text, 'kept\n');
    await engine.client.call('stop_sandbox', { sandbox_id });
  });
});

describe('rolling back', () => {
  async function three(): Promise<{ work: Work; images: string[] }> {
    const work = await checkedOut();
    const images = [image];
    for (const n of [1, 2]) images.push((await keep(work, `echo ${n} > /n`)).result_image!);
    return { work, images };
  }

  test('goes back, and forward again; nothing is deleted', async () => {
    const { work, images } = await three();
    const back = await rollBack(work);
    assert.deepEqual([back.previous_head, back.head], [images[2], images[1]]);
    assert.equal((await run(work, 'cat /n')).stdout, '1\n');
    await rollBack(work);
    assert.equal((await run(work, 'cat /n 2>/dev/null || echo none')).stdout, 'none\n');
    const forward = await rollBack(work, { steps: -2 });
    assert.equal(forward.head, images[2]);
    assert.equal((await run(work, 'cat /n')).stdout, '2\n');
    assert.deepEqual(
      forward.history.map(step => step.image),
      images,
    );
  });

  test('and going on makes a new way; the old is still there', async () => {
    const { work, images } = await three();
    await rollBack(work, { steps: 2 });
    const other = await keep(work, 'echo other > /n');
    const lineage = await engine.client.call('lineage', { image: other.result_image! });
    assert.equal(lineage.parent?.image, images[0]);
    const back = await rollBack(work);
    assert.equal(back.head, images[0]);
    const to = await rollBack(work, { image: images[2]! });
    assert.equal(to.head, images[2]);
    assert.equal((await run(work, 'cat /n')).stdout, '2\n');
  });

  test('after a failed kept run: the broken image is there for a look, the head never moved', async () => {
    const { work, images } = await three();
    const broken = await keep(work, 'rm /n; exit 1');
    assert.equal(await head(work.branch), images[2]);
    assert.notEqual(broken.result_image, images[2]);
    assert.equal((await run(work, 'cat /n')).stdout, '2\n');
  });

  test('beyond the ends, or to what never was there, says so and moves nothing', async () => {
    const { work, images } = await three();
    await assert.rejects(rollBack(work, { steps: 3 }), { code: 'invalid_input', field: 'steps' });
    await assert.rejects(rollBack(work, { steps: -1 }), { code: 'invalid_input', field: 'steps' });
    const stranger = await engine.keep('echo stranger > /s', { image });
    await assert.rejects(rollBack(work, { image: stranger.result_image }), { code: 'invalid_input', field: 'image' });
    assert.equal(await head(work.branch), images[2]);
  });

  test('where nothing is checked out asks for a name', async () => {
    await assert.rejects(engine.client.call('rollback', { workspace: '/nothing/here' }), {
      code: 'invalid_input',
      field: 'name',
    });
    await assert.rejects(engine.client.call('rollback', { name: 'nobody' }), { code: 'branch_not_found' });
  });
});

describe('a branch', () => {
  test('is made where asked, moved, and removed without its images', async () => {
    const kept = await engine.keep('echo b > /b', { image });
    const made = await engine.client.call('branch', { name: 'made', image });
    assert.equal(made.head, image);
    const moved = await engine.client.call('branch', { name: 'made', image: kept.result_image });
    assert.deepEqual([moved.head, moved.length], [kept.result_image, 2]);
    assert.deepEqual((await engine.client.call('get_image', { image: kept.result_image })).branches, ['made']);
    await engine.client.call('branch', { name: 'made', remove: true });
    await assert.rejects(engine.client.call('branch', { name: 'made', remove: true }), { code: 'branch_not_found' });
    assert.equal((await engine.run('cat /b', { image: kept.result_image })).stdout, 'b\n');
  });

  test('nobody made is an error, also as an image', async () => {
    await assert.rejects(engine.client.call('checkout', { name: 'none', workspace: '/w' }), {
      code: 'branch_not_found',
      field: 'name',
    });
    await assert.rejects(engine.run('true', { image: 'branch:none' }), { code: 'branch_not_found', field: 'image' });
  });

  test('tells its subscribers where it is', async () => {
    const events: EngineEvent[] = [];
    const unsubscribe = await engine.client.subscribe(['branch'], event => events.push(event));
    const work = await checkedOut();
    const kept = await keep(work, 'echo x > /x');
    await eventually('its move is told', () =>
      events.some(
        event =>
          event.topic === 'branch' && event.branch.name === work.branch && event.branch.head === kept.result_image,
      ),
    );
    await unsubscribe();
  });

  test('of many kept runs at once has them all in its history', async () => {
    const work = await checkedOut();
    const kept = await Promise.all([1, 2, 3, 4, 5].map(n => keep(work, `echo ${n} > /n`)));
    const { branches } = await engine.client.call('branches', {});
    assert.equal(branches.find(branch => branch.name === work.branch)!.length, 6);
    const back = await rollBack(work, { image });
    assert.deepEqual(
      back.history.map(step => step.image).toSorted(),
      [image, ...kept.map(each => each.result_image!)].toSorted(),
    );
  });

  test('and what is checked out outlive a killed engine', async () => {
    await using second = await startEngine();
    const base = await second.busybox();
    await second.client.call('checkout', { name: 'main', workspace: '/w', create_from: base });
    const kept = (await second.client.call('run', {
      command: 'echo kept > /k',
      workspace: '/w',
      network: 'none',
      disposable: false,
    })) as OperationResult;
    process.kill(second.client.engine.pid, 'SIGKILL');
    await second.client.closed;
    const client = await EngineClient.connect({ home: second.home, script: engineScript, start: true }, 'test');
    const { branches, checked_out } = await client.call('branches', { workspace: '/w' });
    assert.deepEqual([branches[0]!.head, checked_out], [kept.result_image, 'main']);
    const again = (await client.call('run', {
      command: 'cat /k',
      workspace: '/w',
      network: 'none',
    })) as OperationResult;
    assert.equal(again.stdout, 'kept\n');
    client.close();
  });
});
