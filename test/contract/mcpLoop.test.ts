import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { TestAgent } from '../harness/agent.ts';
import { makeBusyboxRootfs } from '../harness/busyboxRootfs.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';

interface Run {
  readonly operation_id: string;
  readonly status: string;
  readonly stdout: string;
  readonly result_image: string;
}

interface Waited {
  readonly results: Readonly<Record<string, Run>>;
  readonly completed: readonly string[];
  readonly pending: readonly string[];
}

/** What an agent does with a task from beginning to end, each call from what the one before answered. No model is asked. */
describe('an agent’s whole loop', () => {
  let engine: TestEngine;
  let agent: TestAgent;
  let project: string;

  before(async () => {
    engine = await startEngine();
    project = engine.folder.join('project');
    mkdirSync(path.join(project, '.git'), { recursive: true });
    writeFileSync(path.join(project, '.git', 'HEAD'), 'x');
    writeFileSync(path.join(project, 'value'), '20\n');
    writeFileSync(path.join(project, 'try.sh'), 'sleep $2; echo score $(($(cat value) + $1))\n');
    makeBusyboxRootfs(path.join(project, 'base'));
    writeFileSync(path.join(project, '.coppiceignore'), 'base\n');
    agent = await TestAgent.start(engine, { cwd: '/', roots: () => [project] });
  });
  after(async () => {
    await agent?.[Symbol.asyncDispose]();
    await engine?.[Symbol.asyncDispose]();
  });

  test('check, import, sync, install, try in parallel, break, go back, bring home', async () => {
    const found = await agent.succeed<{ total: number }>('list_images', { tag_prefix: 'base' });
    assert.equal(found.value.total, 0);
    const imported = await agent.succeed<{ image: string }>('import_image', {
      registry_url: 'rootfs:base',
      tag: 'base',
    });
    const base = imported.value.image;
    const { value: state } = await agent.succeed<{ directory_state_id: string; files: number }>('rsync', {
      destination: '/app',
    });
    assert.equal(state.files, 3, 'value, try.sh, .coppiceignore');

    const installed = await agent.succeed<Run>('run', {
      command: 'mkdir -p /opt/tool && echo 22 > /opt/tool/bonus',
      image: base,
      disposable: false,
      timeout: 300,
    });
    const deps = installed.value.result_image;
    assert.notEqual(deps, base);

    const started = await Promise.all(
      ['0', '1', '60'].map(pause =>
        agent.succeed<Run>('run', {
          command: `sh try.sh $(cat /opt/tool/bonus) ${pause}`,
          image: deps,
          directory_state_id: state.directory_state_id,
          cwd: '/app',
          wait: false,
          timeout: 0,
        }),
      ),
    );
    const ids = started.map(({ value }) => value.operation_id);
    const any = await agent.succeed<Waited>('wait_operations', { operation_ids: ids, mode: 'any' });
    assert.ok(any.value.completed.includes(ids[0]!) && any.value.pending.includes(ids[2]!));
    assert.equal(any.value.results[ids[0]!]!.stdout, 'score 42\n');
    await agent.succeed('cancel_operation', { operation_id: ids[2] });
    const all = await agent.succeed<Waited>('wait_operations', { operation_ids: ids });
    assert.deepEqual(
      ids.map(id => all.value.results[id]!.status),
      ['SUCCESS', 'SUCCESS', 'CANCELLED'],
    );

    const good = await agent.succeed<Run>('run', {
      command: 'echo 42 > value; mkdir out; cat value > out/result',
      image: deps,
      directory_state_id: state.directory_state_id,
      cwd: '/app',
      disposable: false,
    });
    const broken = await agent.succeed<Run>('run', {
      command: 'rm -r out value; exit 9',
      image: good.value.result_image,
      cwd: '/app',
      disposable: false,
    });
    assert.equal(broken.value.status, 'FAILED');
    const lineage = await agent.succeed<{ parent: { image: string; exit_code: number } }>('lineage', {
      image: broken.value.result_image,
    });
    const parent = lineage.value.parent.image;
    assert.equal(parent, good.value.result_image);
    const resumed = await agent.succeed<Run>('run', {
      command: 'sh -c "cat value; echo more >> out/result"',
      image: parent,
      cwd: '/app',
      disposable: false,
    });
    assert.equal(resumed.value.stdout, '42\n');

    const downloaded = await agent.succeed<{ destination: string }>('download', {
      image: resumed.value.result_image,
      path: '/app/out/result',
      destination: 'artifacts/',
    });
    assert.equal(readFileSync(downloaded.value.destination, 'utf8'), '42\nmore\n');
    const preview = await agent.succeed('apply', { image: resumed.value.result_image, dry_run: true });
    assert.match(preview.text, /M value/);
    assert.equal(readFileSync(path.join(project, 'value'), 'utf8'), '20\n');
    await agent.succeed('apply', { image: resumed.value.result_image });
    assert.equal(readFileSync(path.join(project, 'value'), 'utf8'), '42\n');
    assert.equal(readFileSync(path.join(project, 'out', 'result'), 'utf8'), '42\nmore\n');
    assert.equal(readFileSync(path.join(project, '.git', 'HEAD'), 'utf8'), 'x');
  });
});
