import assert from 'node:assert/strict';
import { mkdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { z } from 'zod';
import { Fence } from '../../../src/fence/fence.ts';
import { fencedInput } from '../../../src/fence/fencedInput.ts';
import { withHostPaths } from '../../../src/fence/hostPaths.ts';
import { CoppiceError } from '../../../src/protocol/errors.ts';
import { type VerbName, verbSchemas } from '../../../src/protocol/verbs.ts';
import { TemporaryFolder } from '../../harness/temporaryFolder.ts';

describe('the fence around an agent', () => {
  let folder: TemporaryFolder;
  let root: string;
  let fence: Fence;

  before(() => {
    folder = new TemporaryFolder();
    const top = realpathSync(folder.path);
    root = path.join(top, 'root');
    mkdirSync(path.join(root, 'sub'), { recursive: true });
    mkdirSync(path.join(top, 'root-beside'));
    mkdirSync(path.join(top, 'outside'));
    writeFileSync(path.join(top, 'outside', 'secret'), 'x');
    symlinkSync('../outside', path.join(root, 'link'));
    symlinkSync('/nowhere/at/all', path.join(root, 'dangling'));
    symlinkSync('loop', path.join(root, 'loop'));
    symlinkSync(root, path.join(top, 'door'));
    fence = new Fence([root], 'Ask.');
  });
  after(() => folder[Symbol.dispose]());

  const refused = (place: string) =>
    assert.throws(
      () => fence.inside('source', place),
      error => error instanceof CoppiceError && error.code === 'fenced' && error.field === 'source',
      place,
    );

  it('lets what is inside through, as the place it really is', () => {
    assert.equal(fence.inside('source', '.'), root);
    assert.equal(fence.inside('source', 'sub/../new/file'), path.join(root, 'new', 'file'));
    assert.equal(fence.inside('source', path.join(path.dirname(root), 'door', 'sub')), path.join(root, 'sub'));
  });

  it('refuses what leads outside: absolute, by .., by a link, by a neighbour’s name', () => {
    for (const place of [
      '/etc/passwd',
      '..',
      '../outside/secret',
      'link',
      'link/secret',
      'link/new',
      '../root-beside',
      '/',
    ])
      refused(place);
  });

  it('refuses links that lead nowhere yet', () => {
    refused('dangling');
    refused('dangling/x');
    refused('loop');
  });

  it('without folders nothing is inside', () => {
    const closed = new Fence([], 'Ask.');
    assert.throws(() => closed.inside('source', root), /outside what this agent may reach/);
    assert.equal(closed.home, undefined);
  });

  it('stands around every path of a verb’s input', () => {
    assert.deepEqual(withHostPaths('upload', { path: 'sub/x' }, fence), { path: path.join(root, 'sub', 'x') });
    assert.throws(() => withHostPaths('upload', { path: '../outside/secret' }, fence), /outside/);
    assert.throws(
      () => withHostPaths('download', { image: 'x', path: '/y', destination: 'link/z' }, fence),
      /destination: /,
    );
    assert.throws(() => withHostPaths('rsync', { source: '/' }, fence), /source: /);
    assert.throws(() => withHostPaths('apply', { image: 'x', to: '/etc' }, fence), /to: /);
    for (const source of ['rootfs:/etc', 'rootfs://etc', 'oci:../outside', 'docker-archive:link/x'])
      assert.throws(() => withHostPaths('import_image', { registry_url: source }, fence), /registry_url: /, source);
    // However path and name are told apart, none of the readings leads outside.
    for (const source of ['oci:link:latest', 'oci:../outside:latest', 'oci-archive:sub/../link/x:a/b:1', 'oci:/etc:x'])
      assert.throws(() => withHostPaths('import_image', { registry_url: source }, fence), /registry_url: /, source);
    assert.deepEqual(withHostPaths('import_image', { registry_url: 'docker-archive:sub:team/app:1' }, fence), {
      registry_url: `docker-archive:${path.join(root, 'sub')}:team/app:1`,
    });
    for (const source of ['docker://ghcr.io/a/b:1', 'python:3.11-slim', 'http://127.0.0.1:5000/a'])
      assert.deepEqual(withHostPaths('import_image', { registry_url: source }, fence), { registry_url: source });
    assert.deepEqual(withHostPaths('import_image', { registry_url: 'rootfs:sub' }, fence), {
      registry_url: `rootfs:${path.join(root, 'sub')}`,
    });
    assert.deepEqual(withHostPaths('import_image', { registry_url: 'host:' }, fence), { registry_url: 'host:' });
    assert.deepEqual(withHostPaths('run', { command: 'x' }, fence), { command: 'x', workspace: root });
  });

  it('stands around a Dockerfile too: absolute, relative to its folder, and the one that is meant when none is named', () => {
    const context = path.join(root, 'sub');
    const built = (input: Record<string, unknown>) => withHostPaths('build', { context: 'sub', ...input }, fence);
    assert.deepEqual(built({}), { context, dockerfile: path.join(context, 'Dockerfile') });
    assert.deepEqual(built({ dockerfile: 'x/y' }), { context, dockerfile: path.join(context, 'x', 'y') });
    for (const dockerfile of ['/etc/passwd', '../../outside/secret', '../link/secret', '../dangling'])
      assert.throws(() => built({ dockerfile }), /dockerfile: .* outside/, dockerfile);
    assert.throws(() => built({ context: 'link' }), /context: /);
    symlinkSync('../../outside/secret', path.join(context, 'Dockerfile'));
    assert.throws(() => built({}), /dockerfile: .* outside/);
    rmSync(path.join(context, 'Dockerfile'));
  });

  it('confines a build to its own network, whatever the agent says, unless a person allowed more', async () => {
    const given = { context: root, confined: 'never mind' };
    for (const [allowHostNetwork, confined] of [
      [false, 'Ask.'],
      [true, undefined],
    ] as const) {
      const limits = { fence, allowHostNetwork, howToAllowNetwork: 'Ask.' };
      const input = await fencedInput('build', given, limits, () => assert.fail('nothing is applied'));
      assert.equal(input.confined, confined);
    }
  });

  it('knows every field of every verb that names a place of this machine', () => {
    for (const [verb, { input }] of Object.entries(verbSchemas)) {
      const fields = Object.entries(input.shape as Record<string, z.ZodType>).filter(([, field]) =>
        /on this machine/.test(field.safeParse('relative').error?.message ?? ''),
      );
      for (const [field] of fields) {
        // A workspace is a name, and an agent may give another one than its own only inside the fence too.
        const given = { [field]: '/etc/nowhere' };
        assert.throws(() => withHostPaths(verb as VerbName, given, fence), /outside/, `${verb}.${field}`);
      }
    }
  });

  it('keeps the slash that says a download goes into a folder', () => {
    const input = { image: 'x', path: '/y', destination: 'new/' };
    assert.equal(withHostPaths('download', input, fence).destination, path.join(root, 'new') + path.sep);
    assert.equal(
      withHostPaths('download', { ...input, destination: 'new' }, fence).destination,
      path.join(root, 'new'),
    );
  });
});
