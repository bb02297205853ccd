import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { EngineClient } from '../../src/client/engineClient.ts';
import type { DoctorResult } from '../../src/protocol/schemas/engine.ts';
import { VERSION } from '../../src/protocol/version.ts';
import { engineScript } from '../harness/coppiceHome.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { eventually } from '../harness/eventually.ts';

const MEGABYTE = 1_048_576;
const write = (name: string): string => `head -c ${MEGABYTE} /dev/urandom > /${name}`;

describe('removing images', () => {
  let engine: TestEngine;
  let base: string;

  before(async () => {
    engine = await startEngine();
    base = await engine.busybox();
  });
  after(async () => engine?.[Symbol.asyncDispose]());

  const remove = (image: string, force = false) => engine.client.call('remove_image', { image, force });
  const keep = async (command: string, image = base) => (await engine.keep(command, { image })).result_image;

  test('an image without anything that needs it goes, and frees its bytes', async () => {
    const image = await keep(write('a'));
    const { removed, freed_bytes: freed } = await remove(image);
    assert.deepEqual([removed[0]!.image, removed[0]!.reason], [image, 'asked for']);
    assert.ok(freed >= MEGABYTE && freed < 2 * MEGABYTE, String(freed));
    await assert.rejects(engine.run('true', { image }), { code: 'image_not_found' });
    await assert.rejects(remove(image), { code: 'image_not_found' });
    await engine.keep('true', { image: base });
  });

  test('tagged, on a branch, parent, in use: refused with the holder and the cure', async () => {
    const tagged = await keep('echo tagged > /t');
    await engine.client.call('set_tag', { image: tagged, tag: 'precious' });
    await assert.rejects(remove(tagged), { code: 'in_use', message: /has the tag precious/ });
    const held = await keep('echo branch > /b');
    await engine.client.call('branch', { name: 'main', image: held });
    await assert.rejects(remove(held), { code: 'in_use', message: /history of branch main/ });
    const parent = await keep('echo parent > /p');
    const child = await keep('echo child > /c', parent);
    await assert.rejects(remove(parent), { code: 'in_use', message: new RegExp(child) });
    const used = await keep('echo used > /u');
    const going = await engine.client.call('run', { command: 'sleep 60', image: used, network: 'none', wait: false });
    await assert.rejects(remove(used), (error: { code: string; message: string; fix: string }) => {
      assert.equal(error.code, 'in_use');
      assert.match(error.message, new RegExp(going.operation_id));
      assert.match(error.fix, /coppice cancel op-/);
      return true;
    });
    await engine.client.call('cancel_operation', { operation_id: going.operation_id });
    await remove(used);
  });

  test('a forced parent leaves its child whole, and the lineage true', async () => {
    const parent = await keep(`${write('p')} && echo parent > /who`);
    const child = await keep('echo child >> /who', parent);
    const { removed } = await remove(parent, true);
    assert.match(removed[0]!.reason, /^forced: it is the parent/);
    const { stdout } = await engine.run('cat /who; wc -c < /p', { image: child });
    assert.equal(stdout, `parent\nchild\n${MEGABYTE}\n`);
    const lineage = await engine.client.call('lineage', { image: child });
    assert.deepEqual(
      [lineage.ancestors.map(edge => edge.image), lineage.is_known, lineage.root.image],
      [[parent, base], false, base],
    );
    await assert.rejects(engine.client.call('diff', { image: child }), { code: 'image_not_found', field: 'against' });
    assert.ok(
      (await remove(child)).freed_bytes >= MEGABYTE,
      'the files of the forced one go with the last that needs them',
    );
  });

  test('an image forced to go under a running operation: the run ends well, and what it keeps is whole', async () => {
    const image = await keep(`${write('f')} && echo under > /who`);
    const going = await engine.client.call('run', {
      command: 'sleep 0.5; cat /who; wc -c < /f; echo kept > /k',
      image,
      network: 'none',
      disposable: false,
      wait: false,
    });
    await eventually('it runs', async () => {
      const { status } = await engine.client.call('get_operation', { operation_id: going.operation_id });
      return status === 'EXECUTING';
    });
    assert.equal((await remove(image, true)).freed_bytes, 0);
    const { results } = await engine.client.call('wait_operations', { operation_ids: [going.operation_id] });
    const result = results[going.operation_id]!;
    assert.deepEqual([result.status, result.stdout], ['SUCCESS', `under\n${MEGABYTE}\n`]);
    const after = await engine.run('cat /who /k', { image: result.result_image! });
    assert.equal(after.stdout, 'under\nkept\n');
  });

  test('prune: the preview is what happens; held images stay', async () => {
    const parent = await keep(`${write('x')} && echo 1 > /1`);
    const leaves = [await keep('echo 2 > /2', parent), await keep('echo 3 > /3', parent)];
    const kept = new Set(
      (await engine.images()).filter(image => image.tag !== null || image.branches.length > 0).map(image => image.uuid),
    );
    const preview = await engine.client.call('prune', { unused_for: 0, dry_run: true });
    const done = await engine.client.call('prune', { unused_for: 0 });
    assert.deepEqual(
      done.removed.map(image => image.image),
      preview.removed.map(image => image.image),
    );
    for (const image of [parent, ...leaves]) assert.ok(done.removed.some(removed => removed.image === image));
    assert.ok(done.freed_bytes >= MEGABYTE);
    const left = new Set((await engine.images()).map(image => image.uuid));
    assert.deepEqual(left, kept);
    assert.equal(done.kept, kept.size);
    assert.equal((await engine.run('cat /t', { image: 'tag:precious' })).stdout, 'tagged\n');
    assert.deepEqual((await engine.client.call('prune', { unused_for: 0 })).removed, []);
  });
});

describe('doctor and wipe', () => {
  test('doctor tells what runs here, and where everything is', async () => {
    await using engine = await startEngine();
    const before: DoctorResult = await engine.client.call('doctor', {});
    assert.deepEqual(
      [before.home, before.engine.version, before.engine.pid],
      [engine.home, VERSION, engine.client.engine.pid],
    );
    const native = before.runtimes.find(runtime => runtime.name === 'native')!;
    assert.deepEqual([native.available, native.reason], [true, null]);
    assert.equal(native.capabilities!.network.none, true);
    assert.ok(before.disk_free_bytes > 0 && before.settings.concurrency > 0);
    await engine.keep(write('d'), { image: await engine.busybox() });
    const { store } = await engine.client.call('doctor', {});
    assert.deepEqual([store.images, store.operations], [2, 2]);
    assert.ok(store.bytes > before.store.bytes + MEGABYTE);
  });

  test('wipe needs to be confirmed; then nothing is left, whatever runs', async () => {
    await using engine = await startEngine();
    await assert.rejects(engine.client.callByName('wipe', {}), { code: 'invalid_input', field: 'confirm' });
    await assert.rejects(engine.client.callByName('wipe', { confirm: false }), { code: 'invalid_input' });
    const agent = await EngineClient.connect({ home: engine.home, script: engineScript, start: false }, 'mcp');
    await assert.rejects(agent.call('wipe', { confirm: true }), { code: 'fenced' });
    agent.close();
    const image = await engine.busybox();
    await engine.keep('mkdir /d && echo x > /d/x && chown 1000:1000 /d /d/x && chmod 0 /d', { image });
    await engine.client.call('run', { command: 'sleep 600', image, network: 'none', wait: false, timeout: 0 });
    await engine.client.call('create_sandbox', { image, network: 'none', detached: true });
    const gone = await engine.client.call('wipe', { confirm: true });
    assert.deepEqual(gone, { home: engine.home, images: 2, operations: 3 });
    await engine.client.closed;
    await eventually('the engine has gone', () => !existsSync(`/proc/${engine.client.engine.pid}`));
    assert.deepEqual(readdirSync(engine.home), []);
  });
});
