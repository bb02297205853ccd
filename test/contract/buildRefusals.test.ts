import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { CoppiceError } from '../../src/protocol/errors.ts';
import type { VerbInput, VerbResult } from '../../src/protocol/verbs.ts';
import { buildFolder } from '../harness/buildFolder.ts';
import { repository } from '../harness/coppiceHome.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { testRuntime } from '../harness/testRuntime.ts';

/** Builds that cannot be: each is refused with its reason and the next step, as early as that is known. */

let engine: TestEngine;
before(async () => {
  engine = await startEngine();
  await engine.busybox('busy:1');
});
after(async () => engine[Symbol.asyncDispose]());

const context = (files: Readonly<Record<string, string>>): string => buildFolder(engine, files);
const build = (folder: string, more: Partial<VerbInput<'build'>> = {}): Promise<VerbResult<'build'>> =>
  engine.client.call('build', { context: folder, ...more });

async function refused(what: Promise<unknown>, expected: { code: string; message: RegExp }): Promise<CoppiceError> {
  const error = (await what.then(
    () => assert.fail('it was taken'),
    thrown => thrown,
  )) as CoppiceError;
  assert.equal(error.code, expected.code, error.message);
  assert.match(error.message, expected.message);
  return error;
}

describe('on the native runtime', { skip: testRuntime !== 'native' && 'this runtime builds' }, () => {
  it('a build is refused with where it can be done and how, and nothing is begun', async () => {
    const folder = context({ Dockerfile: 'FROM busy:1\n' });
    for (const more of [{}, { runtime: 'native' as const }]) {
      const { fix, field } = await refused(build(folder, more), {
        code: 'unsupported',
        message: /native runtime cannot build Dockerfiles yet; the docker runtime can/,
      });
      assert.match(fix!, /--runtime docker/);
      assert.equal(field, 'runtime');
    }
    assert.equal((await engine.client.call('list_operations', { kind: 'build' })).total, 0);
  });

  it('and the command says the same, and fails', async () => {
    const folder = context({ Dockerfile: 'FROM busy:1\n' });
    const program = path.join(repository, 'dist', 'coppice.js');
    const env = { ...process.env, COPPICE_HOME: engine.home };
    const { status, stderr } = spawnSync(process.execPath, [program, 'build', folder], { env, encoding: 'utf8' });
    assert.equal(status, 1);
    assert.match(stderr, /^coppice: the native runtime cannot build Dockerfiles yet.*--runtime docker/);
  });

  it('doctor says so too', async () => {
    const { runtimes } = await engine.client.call('doctor', {});
    const native = runtimes.find(runtime => runtime.name === 'native')!;
    assert.equal(native.capabilities!.build, false);
    assert.ok(native.capabilities!.notes.some(note => /--runtime docker/.test(note)));
  });
});

describe('a build', { skip: testRuntime === 'native' && 'the native runtime builds no Dockerfiles yet' }, () => {
  it('that cannot be is refused before it begins, with the field and the line', async () => {
    const total = async () => (await engine.client.call('list_operations', { kind: 'build' })).total;
    const before = await total();
    const withFile = (Dockerfile: string) => build(context({ Dockerfile }));
    await refused(build('/nowhere/at/all'), { code: 'invalid_input', message: /^context: there is no folder/ });
    await refused(build(context({ x: '' })), {
      code: 'invalid_input',
      message: /^dockerfile: there is no .*Dockerfile$/,
    });
    await refused(build(context({ 'Dockerfile/x': '' })), { code: 'invalid_input', message: /is no file/ });
    await refused(withFile('# nothing\n'), { code: 'invalid_input', message: /it has no FROM/ });
    await refused(withFile('RUN x\nFROM busy:1\n'), {
      code: 'invalid_input',
      message: /line 1: RUN stands before any FROM/,
    });
    await refused(withFile('FROM $NOTHING\n'), { code: 'invalid_input', message: /line 1: .*no image/ });
    await refused(build(context({ Dockerfile: 'FROM busy:1 AS one\n' }), { target: 'two' }), {
      code: 'invalid_input',
      message: /^target: the Dockerfile has no stage two/,
    });
    await refused(withFile('FROM tag:never-there\n'), { code: 'image_not_found', message: /never-there/ });
    for (const name of ['rootfs:/etc', 'oci:/tmp/x', '../containers/x', 'a b'])
      await refused(withFile(`FROM ${name}\n`), { code: 'invalid_input', message: /line 1: / });
    await refused(withFile('FROM 127.0.0.1:1/nothing/here:1\n'), {
      code: 'no_network',
      message: /line 1: 127\.0\.0\.1:1\/nothing\/here:1 is not here and cannot be imported/,
    });
    await refused(build(context({ Dockerfile: 'FROM busy:1', '.dockerignore': '[\n' })), {
      code: 'invalid_input',
      message: /\.dockerignore has no pattern in line 1/,
    });
    await refused(engine.client.callByName('build', { context: '/', squash: true }), {
      code: 'invalid_input',
      message: /squash: build knows no such field/,
    });
    await refused(build('relative'), { code: 'invalid_input', message: /absolute/ });
    assert.equal(await total(), before);
  });

  it('with what its builder does not know says so, naming the line', async () => {
    const heredoc = await build(context({ Dockerfile: 'FROM busy:1\n\nRUN <<EOF\necho here\nEOF\n' }));
    assert.match(heredoc.error!.message, /line 3: a here-document is of BuildKit/);
    const mount = await build(context({ Dockerfile: 'FROM busy:1\nRUN --mount=type=cache,target=/x true\n' }));
    if (testRuntime === 'podman') assert.equal(mount.status, 'SUCCESS', mount.error?.message);
    else assert.match(mount.error!.message, /line 2: RUN --mount is of BuildKit/);
    const unknown = await build(context({ Dockerfile: 'FROM busy:1\n\nRUNX true\n' }));
    assert.equal(unknown.status, 'FAILED');
    assert.match(unknown.error!.message, testRuntime === 'docker' ? /line 3: unknown instruction: RUNX/ : /RUNX/);
    const missing = await build(context({ Dockerfile: 'FROM busy:1\nCOPY nothing-there /x\n' }));
    assert.match(missing.error!.message, /^step 2\/2, COPY nothing-there \/x, failed: .*nothing-there/);
    assert.doesNotMatch(missing.error!.message, /libpod_builder/);
  });
});
