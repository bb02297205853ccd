import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { TextResourceContents } from '@modelcontextprotocol/sdk/types.js';
import { TestAgent } from '../harness/agent.ts';
import { makeBusyboxRootfs } from '../harness/busyboxRootfs.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { OciLayout, tarOf } from '../harness/ociLayout.ts';
import { TestRegistry } from '../harness/registry.ts';

interface Run {
  readonly operation_id: string;
  readonly status: string;
  readonly exit_code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly result_image: string;
  readonly filesystem_changed: boolean;
  readonly hints: readonly string[];
}

/** Programs of the names that the examples call: what they do in there is Coppice's matter, not theirs. */
const PROGRAMS: Readonly<Record<string, string>> = {
  python: '#!/bin/sh\nexec sh "$@"\n',
  pip: '#!/bin/sh\nshift\nfor name in "$@"; do mkdir -p /lib/$name && echo installed $name; done\n',
  cargo: '#!/bin/sh\ncd /app && mkdir -p target/release && cp src/main target/release/myapp && echo Finished\n',
};

const EXCLUDED = ['__pycache__', '.git', '.venv', 'node_modules', 'target', 'dist'];

describe('the examples of the seeds, as they are written', { skip: TestRegistry.missing() ?? false }, () => {
  let engine: TestEngine;
  let registry: TestRegistry;
  let agent: TestAgent;
  let project: string;

  before(async () => {
    engine = await startEngine();
    registry = await TestRegistry.start();
    const rootfs = makeBusyboxRootfs(engine.folder.join('python'));
    for (const [name, text] of Object.entries(PROGRAMS)) {
      writeFileSync(path.join(rootfs, 'bin', name), text);
      chmodSync(path.join(rootfs, 'bin', name), 0o755);
    }
    const layout = new OciLayout(engine.folder.join('layout'));
    layout.add('latest', { layers: [{ tar: tarOf(rootfs) }] });
    await registry.push(layout.folder, 'latest', 'python:3.11-slim');
    project = engine.folder.join('project');
    for (const folder of [...EXCLUDED, 'src']) mkdirSync(path.join(project, folder), { recursive: true });
    for (const folder of EXCLUDED) writeFileSync(path.join(project, folder, 'excluded'), 'x');
    writeFileSync(path.join(project, 'main.py'), 'echo main runs in $PWD; ls -A /app\n');
    writeFileSync(path.join(project, 'train.py'), 'test -d /lib/numpy && echo trained\n');
    writeFileSync(path.join(project, 'src', 'main'), '#!/bin/sh\necho built\n');
    agent = await TestAgent.start(engine);
  });
  after(async () => {
    await agent?.[Symbol.asyncDispose]();
    await registry?.[Symbol.asyncDispose]();
    await engine?.[Symbol.asyncDispose]();
  });

  let image: string;
  let state: string;

  test('Run Python Script with Local Files: look, import if needed', async () => {
    const none = await agent.succeed<{ images: unknown[] }>('list_images', { tag_prefix: 'python' });
    assert.deepEqual([none.value.images, none.text.split('.')[0]], [[], 'No images']);
    const source = { registry_url: `docker://${registry.host}/python:3.11-slim` };
    const imported = await agent.succeed<{ image: string; already_present: boolean }>('import_image', {
      ...source,
      tag: 'python:3.11-slim',
    });
    image = imported.value.image;
    assert.equal(imported.value.already_present, false);
    const again = await agent.succeed<{ image: string; already_present: boolean; operation_id: null }>(
      'import_image',
      source,
    );
    assert.deepEqual(
      [again.value.already_present, again.value.operation_id],
      [true, null],
      'importing without checking is answered at once',
    );
    const found = await agent.succeed<{ images: { uuid: string }[] }>('list_images', { tag_prefix: 'python' });
    assert.ok(found.value.images.some(({ uuid }) => uuid === image));
  });

  test('… sync files, run', async () => {
    const synced = await agent.succeed<{ directory_state_id: string; unchanged: boolean }>('rsync', {
      source: project,
      destination: '/app',
      exclude: ['__pycache__', '.git', '.venv'],
    });
    state = synced.value.directory_state_id;
    const { value } = await agent.succeed<Run>('run', {
      command: 'python /app/main.py',
      image,
      directory_state_id: state,
    });
    assert.deepEqual(
      [value.status, value.exit_code, value.stdout],
      ['SUCCESS', 0, 'main runs in /\nmain.py\nsrc\ntrain.py\n'],
    );
  });

  test('re-syncing unchanged files: the same id, and it says so; excludes are on without being told', async () => {
    const asked = await agent.succeed<{ directory_state_id: string }>('rsync', {
      source: project,
      destination: '/app',
      exclude: ['__pycache__', '.git', '.venv', 'node_modules'],
    });
    const bare = await agent.succeed<{ directory_state_id: string }>('rsync', {
      source: project,
      destination: '/app',
    });
    assert.deepEqual([asked.value.directory_state_id, bare.value.directory_state_id], [state, state]);
    const again = await agent.succeed<{ unchanged: boolean }>('rsync', { source: project, destination: '/app' });
    assert.equal(again.value.unchanged, true);
    assert.match(again.text, /unchanged\nhint: .*can be used again/);
  });

  test('upload, and a run with `files`', async () => {
    const { value: file } = await agent.succeed<{ uuid: string }>('upload', { content: "print('hello')" });
    const { value } = await agent.succeed<Run>('run', {
      command: 'cat /app/script.py',
      image,
      files: { '/app/script.py': file.uuid },
    });
    assert.equal(value.stdout, "print('hello')");
  });

  test('Install Dependencies and Save', async () => {
    const installed = await agent.succeed<Run>('run', {
      command: 'pip install numpy pandas',
      image: 'tag:python:3.11-slim',
      disposable: false,
    });
    assert.notEqual(installed.value.result_image, image);
    const trained = await agent.succeed<Run>('run', {
      command: 'python /app/train.py',
      image: installed.value.result_image,
      directory_state_id: state,
    });
    assert.equal(trained.value.stdout, 'trained\n');
    const forgotten = await agent.succeed<Run>('run', { command: 'pip install scipy', image });
    assert.equal(forgotten.value.result_image, image, 'disposable: changes are discarded');
    assert.match(forgotten.text, /hint: .*thrown away.*disposable:false/);
  });

  test('Parallel Execution', async () => {
    const ids = await Promise.all(
      ['exp_a', 'exp_b', 'exp_c'].map(async name => {
        const { value, text } = await agent.succeed<Run>('run', { command: `echo ${name}`, image, wait: false });
        assert.match(text, new RegExp(`^${value.operation_id} `));
        return value.operation_id;
      }),
    );
    const { value } = await agent.succeed<{ results: Record<string, Run>; completed: string[]; hints: string[] }>(
      'wait_operations',
      { operation_ids: ids },
    );
    assert.deepEqual(
      ids.map(id => value.results[id]!.stdout),
      ['exp_a\n', 'exp_b\n', 'exp_c\n'],
    );
    assert.deepEqual([value.completed.length, value.hints], [3, []]);
  });

  test('wait_operations modes; a lone wait:false gets a hint', async () => {
    const start = async (command: string) =>
      (await agent.succeed<Run>('run', { command, image, wait: false, timeout: 0 })).value.operation_id;
    const [quick, slow] = [await start('true'), await start('sleep 60')];
    const any = await agent.succeed<{ completed: string[]; cancelled: string[] }>('wait_operations', {
      operation_ids: [quick, slow],
      mode: 'any',
      cancel_remaining: true,
    });
    assert.deepEqual([any.value.completed, any.value.cancelled], [[quick], [slow]]);
    const lone = await agent.succeed('wait_operations', { operation_ids: [await start('true')] });
    assert.match(lone.text, /hint: A single short run needs no wait:false/);
  });

  test('Build and Extract Artifact', async () => {
    const built = await agent.succeed<Run>('run', {
      command: 'cargo build --release',
      image: 'tag:python:3.11-slim',
      directory_state_id: state,
      disposable: false,
      timeout: 300,
    });
    const { value } = await agent.succeed<{ destination: string }>('download', {
      image: built.value.result_image,
      path: '/app/target/release/myapp',
      destination: './myapp',
      executable: true,
    });
    assert.equal(value.destination, engine.folder.join('myapp'));
    assert.equal(readFileSync(value.destination, 'utf8'), '#!/bin/sh\necho built\n');
    assert.equal(statSync(value.destination).mode & 0o111, 0o111);
  });

  test('Rollback After Failure', async () => {
    const kept = await agent.succeed<Run>('run', { command: 'echo works > /state', image, disposable: false });
    const broken = await agent.succeed<Run>('run', {
      command: 'echo broken > /state; exit 1',
      image: kept.value.result_image,
      disposable: false,
    });
    assert.deepEqual([broken.value.status, broken.value.exit_code], ['FAILED', 1]);
    for (const scheme of ['contree', 'coppice']) {
      const uri = `${scheme}://image/${broken.value.result_image}/lineage`;
      const { contents } = await agent.client.readResource({ uri });
      const [content] = contents as TextResourceContents[];
      const lineage = JSON.parse(content!.text) as { parent: { image: string } };
      assert.deepEqual([content!.uri, lineage.parent.image], [uri, kept.value.result_image]);
    }
    const fixed = await agent.succeed<Run>('run', { command: 'cat /state', image: kept.value.result_image });
    assert.equal(fixed.value.stdout, 'works\n');
  });

  test('chaining commands gets a hint to use steps, and steps can be undone one by one', async () => {
    const chain = 'mkdir /a && mkdir /b && mkdir /c';
    const chained = await agent.succeed('run', { command: chain, image, disposable: false });
    assert.match(chained.text, /hint: This chains several commands.*`steps: \[\.\.\.\]`/);
    const thrown = await agent.succeed('run', { command: chain, image });
    assert.match(thrown.text, /hint: .*thrown away.*`steps: \[\.\.\.\]`/);
    for (const command of ["python -c 'a; b; c' ; touch /x", 'for i in 1 2 3; do touch /$i; done; true']) {
      const { value } = await agent.succeed<Run>('run', { command, image, disposable: false });
      assert.deepEqual(
        value.hints.filter(hint => hint.includes('steps')),
        [],
        command,
      );
    }
    const stepped = await agent.succeed<{ steps: { image: string; exit_code: number }[] }>('run', {
      steps: ['mkdir /a', 'mkdir /b', 'false'],
      image,
    });
    assert.deepEqual(
      stepped.value.steps.map(step => step.exit_code),
      [0, 0, 1],
    );
    assert.match(
      (await agent.succeed<Run>('run', { command: 'ls -d /a /b', image: stepped.value.steps[1]!.image })).value.stdout,
      /\/b/,
    );
  });

  test('a tag on an image used once gets a hint', async () => {
    const kept = await agent.succeed<Run>('run', { command: 'touch /once', image, disposable: false });
    const tagged = await agent.succeed('set_tag', { image: kept.value.result_image, tag: 'once' });
    assert.match(tagged.text, /hint: .*its UUID is enough/);
  });

  test('filesystem_changed:false says that the image is the same', async () => {
    const { value, text } = await agent.succeed<Run>('run', { command: 'true', image, disposable: false });
    assert.deepEqual([value.filesystem_changed, value.result_image], [false, image]);
    assert.match(text, /unchanged: the same image it started from/);
    assert.equal(existsSync(engine.folder.join('stray')), false);
  });
});
