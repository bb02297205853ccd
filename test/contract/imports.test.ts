import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import type { CoppiceError, ErrorCode } from '../../src/protocol/errors.ts';
import type { VerbInput, VerbResult } from '../../src/protocol/verbs.ts';
import { makeBusyboxRootfs } from '../harness/busyboxRootfs.ts';
import { repository } from '../harness/coppiceHome.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { OciLayout, tarOf } from '../harness/ociLayout.ts';
import { basicUser, TestRegistry } from '../harness/registry.ts';
import { TemporaryFolder } from '../harness/temporaryFolder.ts';

/** `import_image` and `registry_auth` as people and agents meet them, on a real engine and a real registry. */

let folder: TemporaryFolder;
let layout: OciLayout;
let registry: TestRegistry;
let engine: TestEngine;
let base: Buffer;

before(async () => {
  folder = new TemporaryFolder();
  mkdirSync(folder.join('rootfs'));
  base = tarOf(makeBusyboxRootfs(folder.join('rootfs')));
  layout = new OciLayout(folder.join('layout'));
  layout.add('one', { layers: [{ tar: base }], config: { Env: ['WHO=one', 'PATH=/bin'] } });
  layout.add('two', { layers: [{ tar: base }, layerWith('second')], config: { Env: ['WHO=two', 'PATH=/bin'] } });
  registry = await TestRegistry.start();
  // What the user of this machine keeps for Docker is no part of a test.
  process.env.DOCKER_CONFIG = folder.join('docker');
  engine = await startEngine();
});
after(async () => {
  await engine[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});
/** An image that no other test has, under its name at the registry. */
async function pushOwn(repository: string, to = registry): Promise<string> {
  const name = repository.replaceAll(/\W/g, '-') + ++made;
  layout.add(name, { layers: [{ tar: base }, layerWith(name)], config: { Env: [`WHO=${name}`, 'PATH=/bin'] } });
  await to.push(layout.folder, name, repository);
  return `${to.host}/${repository}`;
}
let made = 0;

function layerWith(name: string): { tar: Buffer; packing: 'zstd' } {
  mkdirSync(folder.join(name), { recursive: true });
  writeFileSync(folder.join(name, `${name}.txt`), name);
  return { tar: tarOf(folder.join(name)), packing: 'zstd' };
}

const imported = (source: string, more: Partial<VerbInput<'import_image'>> = {}): Promise<VerbResult<'import_image'>> =>
  engine.client.call('import_image', { registry_url: source, ...more });

async function refused(what: Promise<unknown>, code: ErrorCode): Promise<CoppiceError> {
  const error = (await what.then(
    () => assert.fail('it was taken'),
    thrown => thrown,
  )) as CoppiceError;
  assert.equal(error.code, code, error.message);
  return error;
}

describe('importing by name', () => {
  it('makes an image that runs, called as it was asked for', async () => {
    await registry.push(layout.folder, 'two', 'team/app:1');
    const name = `${registry.host}/team/app:1`;
    const progress: { message: string; done?: number; total?: number }[] = [];
    const result = await engine.client.call(
      'import_image',
      { registry_url: `docker://${name}` },
      { onProgress: update => progress.push(update) },
    );
    assert.deepEqual([result.status, result.already_present, result.tag], ['SUCCESS', false, name]);
    const run = await engine.run('echo $WHO; cat /second.txt', { image: `tag:${name}` });
    assert.equal(run.stdout, 'two\nsecond');
    // A megabyte from this machine may have come before anybody was told that it is coming.
    assert.match(progress.map(({ message }) => message).join(), /^(downloading .* of .* MB)?.*unpacking .* of .* MB/);
    const done = progress.flatMap(update => update.done ?? []);
    assert.deepEqual(
      done,
      done.toSorted((a, b) => a - b),
    );
    assert.equal(progress.at(-1)!.done, progress.at(-1)!.total);
    const lineage = await engine.client.call('lineage', { image: result.image! });
    assert.equal(lineage.root.registry_url, `docker://${name}`);
    assert.deepEqual(readdirSync(path.join(engine.home, 'registry', 'blobs')), []);
  });

  it('is answered at once when it is here, by any of its names; each name is an image of its own', async () => {
    await registry.push(layout.folder, 'one', 'team/app:here');
    const [a, b] = [`${registry.host}/team/app:here`, `${registry.host}/team/other:here`];
    await registry.push(layout.folder, 'one', 'team/other:here');
    const first = await imported(a);
    for (const again of [a, `docker://${a}`, `${a.replace(':here', '')}@${first.digest}`]) {
      const result = await imported(again);
      assert.deepEqual(
        [result.already_present, result.checked, result.operation_id, result.digest],
        [true, true, null, first.digest],
      );
    }
    assert.equal((await imported(a)).image, first.image);
    const other = await imported(b);
    assert.deepEqual([other.already_present, other.tag], [true, b]);
    assert.notEqual(other.image, first.image);
    assert.equal((await imported(a)).image, first.image);
    assert.equal((await imported(b)).image, other.image);
    const named = await imported(a, { tag: 'mine' });
    assert.deepEqual([named.already_present, named.tag], [true, 'mine']);
    assert.equal((await engine.client.call('get_image', { image: `tag:${a}` })).uuid, first.image);
    const forced = await imported(a, { force: true });
    assert.deepEqual([forced.already_present, forced.status], [false, 'SUCCESS']);
  });

  it('notices that a tag has moved, and that it moved back', async () => {
    const name = await pushOwn('team/app:moves');
    const one = await imported(name);
    await pushOwn('team/app:moves');
    const two = await imported(name);
    assert.deepEqual([two.already_present, two.tag], [false, name]);
    assert.match(two.hints.join(), new RegExp(`has moved: until now it was image ${one.image}`));
    assert.equal((await engine.client.call('get_image', { image: one.image! })).tag, null);
    await registry.push(layout.folder, `team-app-moves${made - 1}`, 'team/app:moves');
    const back = await imported(name);
    assert.deepEqual([back.image, back.already_present, back.tag], [one.image, true, name]);
    assert.match(back.hints.join(), new RegExp(`until now it was image ${two.image}`));
    // To what is here already under another name.
    const other = await imported(await pushOwn('team/other:1'));
    await registry.push(layout.folder, `team-other-1${made}`, 'team/app:moves');
    const shared = await imported(name);
    assert.deepEqual([shared.already_present, shared.tag, shared.digest], [true, name, other.digest]);
    assert.match(shared.hints.join(), new RegExp(`until now it was image ${one.image}`));
    // A tag that a person gave to something else is left where it is.
    await engine.client.call('set_tag', { image: two.image!, tag: `${registry.host}/team/app:taken` });
    await imported(await pushOwn('team/app:taken'));
    assert.equal((await engine.client.call('get_image', { image: two.image! })).tag, `${registry.host}/team/app:taken`);
  });

  it('does without the registry where it was asked before, and says so', async () => {
    await using gone = await TestRegistry.start();
    // Here already under the name of another registry, and yet known by its own.
    await gone.push(layout.folder, 'one', 'team/app:1');
    const source = `docker://${gone.host}/team/app:1`;
    const before = await imported(source);
    await gone.stop();
    const result = await imported(source);
    assert.deepEqual([result.image, result.already_present, result.checked], [before.image, true, false]);
    assert.match(result.hints.join(), /cannot be reached/);
    await refused(imported(source, { force: true }), 'no_network');
    await refused(imported(source, { platform: 'linux/arm/v7' }), 'no_network');
    await refused(imported(`docker://${gone.host}/team/app:2`), 'no_network');
  });

  it('refuses what cannot be meant, and begins nothing', async () => {
    await registry.push(layout.folder, 'one', 'team/app:1');
    const { total } = await engine.client.call('list_operations', {});
    for (const source of [
      'docker://',
      'Not A Name',
      'dir:/tmp',
      '/tmp',
      'docker://me:hunter2@host.example/app',
      'oci:relative',
    ]) {
      const code = ['dir:/tmp', '/tmp'].includes(source) ? 'unsupported' : 'invalid_input';
      const error = await refused(imported(source), code);
      assert.doesNotMatch(JSON.stringify(error.message + error.fix), /hunter2/);
    }
    await refused(imported(`${registry.host}/team/app:none`), 'registry_tag_not_found');
    await refused(imported(`${registry.host}/nobody/app`), 'registry_image_not_found');
    await refused(imported('host:', { platform: 'linux/arm64' }), 'invalid_input');
    assert.equal((await engine.client.call('list_operations', {})).total, total);
    const other = await imported(`${registry.host}/team/app:1`, { platform: 'linux/arm64' });
    assert.deepEqual([other.status, other.image, other.error?.code], ['FAILED', null, 'wrong_platform']);
  });

  it('leaves nothing but what it can go on from when it is cancelled', async () => {
    layout.add('big', { layers: [layerWith('big')] });
    await registry.push(layout.folder, 'big', 'team/app:big');
    const { operation_id } = await imported(`${registry.host}/team/app:big`, { wait: false });
    await engine.client.call('cancel_operation', { operation_id: operation_id! });
    const { images } = await engine.client.call('list_images', {});
    assert.ok(images.every(image => image.operation_id !== operation_id));
    assert.equal((await imported(`${registry.host}/team/app:big`)).status, 'SUCCESS');
    assert.deepEqual(readdirSync(path.join(engine.home, 'registry', 'blobs')), []);
  });

  it('is one import when several ask at once', async () => {
    const name = await pushOwn('team/app:many');
    const { total } = await engine.client.call('list_operations', {});
    const results = await Promise.all(Array.from({ length: 5 }, () => imported(name)));
    assert.equal(new Set(results.map(result => result.image)).size, 1);
    assert.equal((await engine.client.call('list_operations', {})).total, total + 1);
  });
});

describe('credentials', () => {
  it('are kept when the registry takes them, used, forgotten, and found nowhere else', async () => {
    await using closed = await TestRegistry.start({ access: { kind: 'basic' } });
    await closed.push(layout.folder, 'one', 'team/app:1');
    const source = `docker://${closed.host}/team/app:1`;
    const { username, password } = basicUser;
    await refused(imported(source), 'registry_unauthorized');
    const auth = (input: Partial<VerbInput<'registry_auth'>>) =>
      engine.client.call('registry_auth', { registry_url: closed.host, ...input });
    const wrong = await refused(auth({ username, token: 'wrong-wrong-wrong' }), 'registry_unauthorized');
    assert.doesNotMatch(JSON.stringify([wrong.message, wrong.fix]), /wrong-wrong/);
    await refused(imported(source), 'registry_unauthorized');
    await refused(auth({ username }), 'invalid_input');
    await refused(auth({ username: 'a:b', token: 'x' }), 'invalid_input');
    await refused(auth({ registry_url: `me:${password}@${closed.host}`, username, token: 'x' }), 'invalid_input');
    assert.deepEqual(await auth({ username, token: password }), {
      registry: closed.host,
      username,
      status: 'kept',
      hints: [],
    });
    assert.equal((await imported(source)).status, 'SUCCESS');
    assert.equal((await auth({ registry_url: registry.host, username, token: password })).status, 'not_needed');
    assert.deepEqual(holding(engine.home, password), ['registry/auth.json']);
    assert.deepEqual(holding(engine.home, 'wrong-wrong-wrong'), []);
    assert.equal(statSync(path.join(engine.home, 'registry', 'auth.json')).mode & 0o777, 0o600);
    assert.equal((await auth({ forget: true })).status, 'forgotten');
    assert.equal((await auth({ forget: true })).status, 'not_known');
    await refused(imported(source, { force: true }), 'registry_unauthorized');
    assert.deepEqual(holding(engine.home, password), []);
  });

  it('are given at the terminal by standard input, and taken back', async () => {
    await using closed = await TestRegistry.start({ access: { kind: 'basic' } });
    await closed.push(layout.folder, 'one', 'team/app:1');
    const { username, password } = basicUser;
    const wrong = await coppice(['login', closed.host, '-u', username], 'not the password');
    assert.deepEqual([wrong.code, wrong.out], [1, '']);
    assert.match(wrong.err, /does not take this user name and token/);
    assert.equal((await coppice(['login', closed.host], password)).code, 2);
    assert.equal((await coppice(['login', closed.host, '-u', username], '')).code, 2);
    const right = await coppice(['login', closed.host, '-u', username], `${password}\n`);
    assert.deepEqual([right.code, right.err], [0, '']);
    assert.equal((await coppice(['import', `${closed.host}/team/app:1`, '-t', 'from-terminal'], '')).code, 0);
    assert.equal((await coppice(['logout', closed.host], '')).code, 0);
    assert.equal((await coppice(['logout', closed.host], '')).code, 1);
    for (const { out, err } of [wrong, right])
      assert.doesNotMatch(out + err, new RegExp(`not the password|${password}`));
  });

  it('are those of docker login, where it was', async () => {
    await using closed = await TestRegistry.start({ access: { kind: 'basic' } });
    await closed.push(layout.folder, 'one', 'team/app:1');
    const auth = Buffer.from(`${basicUser.username}:${basicUser.password}`).toString('base64');
    mkdirSync(folder.join('docker'), { recursive: true });
    writeFileSync(folder.join('docker', 'config.json'), JSON.stringify({ auths: { [closed.host]: { auth } } }));
    assert.equal((await imported(`docker://${closed.host}/team/app:1`)).status, 'SUCCESS');
    for (const text of [basicUser.password, auth]) assert.deepEqual(holding(engine.home, text), []);
  });
});

/** The command as a program of its own, with `input` on its standard input. */
async function coppice(
  args: readonly string[],
  input: string,
): Promise<{ code: number | null; out: string; err: string }> {
  const env = { ...process.env, COPPICE_HOME: engine.home, NO_COLOR: '1' };
  const child = spawn(process.execPath, [path.join(repository, 'dist', 'cli.js'), ...args], { env });
  const [out, err] = [text(child.stdout), text(child.stderr)];
  child.stdin.on('error', () => undefined); // It may not want it.
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out: await out, err: await err };
}

/** Files of a home that hold a text, whatever they are; but for the images' own files, which only their namespace reads. */
function holding(home: string, wanted: string): string[] {
  return readdirSync(home)
    .filter(name => name !== 'native')
    .flatMap(name => readdirSync(path.join(home, name), { recursive: true, withFileTypes: true }))
    .filter(entry => entry.isFile())
    .map(entry => path.join(entry.parentPath, entry.name))
    .filter(file => readFileSync(file).includes(wanted))
    .map(file => path.relative(home, file));
}
