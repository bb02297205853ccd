import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type Docker from 'dockerode';
import { EngineClient } from '../../src/client/engineClient.ts';
import type { VerbInput, VerbResult } from '../../src/protocol/verbs.ts';
import { buildFolder } from '../harness/buildFolder.ts';
import { makeBusyboxRootfs } from '../harness/busyboxRootfs.ts';
import { engineScript, repository } from '../harness/coppiceHome.ts';
import { daemonApi } from '../harness/daemonApi.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { eventually } from '../harness/eventually.ts';
import { OciLayout, tarOf } from '../harness/ociLayout.ts';
import { TestRegistry } from '../harness/registry.ts';
import { testRuntime } from '../harness/testRuntime.ts';

/** The verb `build`. What was made is confirmed by the daemon itself, not by our own records. */

let engine: TestEngine;
let base: string;

const context = (files: Readonly<Record<string, string>>): string => buildFolder(engine, files);

const build = (folder: string, more: Partial<VerbInput<'build'>> = {}): Promise<VerbResult<'build'>> =>
  engine.client.call('build', { context: folder, ...more });

async function built(
  folder: string,
  more: Partial<VerbInput<'build'>> = {},
): Promise<VerbResult<'build'> & { image: string }> {
  const result = await build(folder, more);
  assert.equal(result.status, 'SUCCESS', result.error?.message);
  return { ...result, image: result.image! };
}

async function output(id: string): Promise<string> {
  return (await engine.client.call('read_output', { operation_id: id })).text;
}

function command(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const program = path.join(repository, 'dist', 'coppice.js');
  const options = { env: { ...process.env, COPPICE_HOME: engine.home, ...env } };
  return new Promise<{ code: number; stdout: string; stderr: string }>(resolve =>
    execFile(process.execPath, [program, ...words], options, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    ),
  );
}

describe('a build', { skip: testRuntime === 'native' && 'the native runtime builds no Dockerfiles yet' }, () => {
  let api: Docker;
  before(async () => {
    api = daemonApi();
    engine = await startEngine();
    base = await engine.busybox('busy:1');
  });
  after(async () => engine[Symbol.asyncDispose]());

  /** Containers, and images that carry no name of ours nor lie below one. */
  const strangers = async () => ({
    containers: (await api.listContainers({ all: true, filters: { label: ['coppice.kind=build'] } })).map(
      ({ Id }) => Id,
    ),
    nameless: (await api.listImages({ filters: { dangling: ['true'] } })).map(({ Id }) => Id),
    others: (await api.listImages())
      .flatMap(({ RepoTags }) => RepoTags ?? [])
      .filter(name => !name.startsWith('localhost/coppice/'))
      .sort(),
  });

  it('of several stages is an image whose parent is what it was built on', async () => {
    const folder = context({
      Dockerfile: [
        '# what it stands on',
        'ARG BASE=nothing',
        `FROM ${'$'}{BASE:-busy:1} AS maker`,
        'ARG WHO=nobody',
        'RUN echo "hello $WHO" > /made.txt && \\',
        '    # in the middle',
        '    echo aloud; echo complaint >&2',
        'FROM busy:1 AS final',
        'COPY --from=maker /made.txt /made.txt',
        'COPY . /context/',
        'ENV GREETING="good day"',
        'WORKDIR /context',
        'USER 7',
        'LABEL own.label=kept',
        'CMD ["cat", "/made.txt"]',
        'FROM final AS never',
        'RUN exit 9',
      ].join('\n'),
      'a/b.txt': 'inside',
    });
    symlinkSync('/etc/passwd', path.join(folder, 'outward'));
    symlinkSync('/etc', path.join(folder, 'folder-outward'));
    chmodSync(path.join(folder, 'a/b.txt'), 0o754);
    const steps: string[] = [];
    const result = (await engine.client.call(
      'build',
      { context: folder, tag: 'built:1', target: 'FINAL', build_args: { BASE: 'busy:1', WHO: 'me' } },
      { onProgress: ({ message, total }) => total !== undefined && steps.push(message) },
    )) as VerbResult<'build'> & { image: string };
    assert.equal(result.status, 'SUCCESS', result.error?.message);
    assert.deepEqual([result.tag, result.parent], ['built:1', base]);
    assert.equal(result.steps.length, 11);
    assert.equal(result.steps[0]!.command, `FROM ${'$'}{BASE:-busy:1} AS maker`);
    assert.equal(result.steps.at(-1)!.image, result.image);
    assert.ok(
      steps.some(step => step === 'step 5 of 11: COPY --from=maker /made.txt /made.txt'),
      steps.join('\n'),
    );

    const text = await output(result.operation_id);
    assert.match(text, /^Step 1\/11: FROM \$\{BASE:-busy:1\} AS maker\n/);
    assert.match(text, /^aloud\n/m);
    assert.match(text, /^complaint\n/m);
    assert.doesNotMatch(text, /coppice\.|\u001b|Removing intermediate/);

    const operation = await engine.client.call('get_operation', { operation_id: result.operation_id });
    assert.deepEqual([operation.kind, operation.image, operation.result_image], ['build', base, result.image]);
    const lineage = await engine.client.call('lineage', { image: 'tag:built:1' });
    assert.deepEqual([lineage.parent?.image, lineage.depth, lineage.is_known], [base, 1, true]);
    assert.match(lineage.parent!.command!, /^build \S*context-\S+ --target FINAL$/);
    const { config, size } = await engine.client.call('get_image', { image: result.image });
    assert.deepEqual([config.cwd, config.user, config.env.GREETING], ['/context', '7', 'good day']);
    assert.equal(config.labels['own.label'], 'kept');
    assert.ok(size > 0 && size < 100_000, String(size));

    const run = await engine.run(
      'cat /made.txt; id -u; pwd; echo $GREETING; ls -l a/b.txt; readlink outward; readlink folder-outward',
      {
        image: result.image,
      },
    );
    assert.match(run.stdout, /^hello me\n7\n\/context\ngood day\n-rwxr-xr--.*\n\/etc\/passwd\n\/etc\n$/);
    const { entries } = await engine.client.call('diff', { image: result.image });
    const paths = entries.map(({ path: at }) => at);
    assert.ok(paths.includes('/made.txt') && paths.includes('/context/a/b.txt'), paths.join('\n'));
    assert.ok(!paths.some(at => at.startsWith('/context/folder-outward/')));

    const inDaemon = (await api.listImages({ filters: { label: [`coppice.id=${result.image}`] } }))[0]!;
    assert.equal(inDaemon.Labels['coppice.parent'], base);
    assert.equal(inDaemon.Labels['coppice.operation'], result.operation_id);
  });

  it('takes images of ours by tag, branch and UUID, and names that only the daemon has', async () => {
    const kept = await engine.keep('echo first > /first', { image: base });
    await engine.client.call('branch', { name: 'trunk', image: kept.result_image });
    for (const reference of ['branch:trunk', kept.result_image]) {
      const result = await built(context({ Dockerfile: `FROM ${reference}\nRUN cat /first > /second\n` }));
      assert.equal(result.parent, kept.result_image);
      const { ancestors } = await engine.client.call('lineage', { image: result.image });
      assert.deepEqual(
        ancestors.map(({ image }) => image),
        [kept.result_image, base],
      );
    }
    const theirs = `localhost/theirs/${testRuntime}`;
    await api.getImage((await api.listImages({ filters: { label: [`coppice.id=${kept.result_image}`] } }))[0]!.Id).tag({
      repo: theirs,
      tag: 'own',
    });
    const result = await built(
      context({
        Dockerfile: `FROM ${theirs}:own\nCOPY --from=tag:busy:1 /bin/busybox /again\nRUN test -s /again && cat /first\n`,
      }),
    );
    assert.equal(result.parent, null);
    assert.match((await engine.client.call('lineage', { image: result.image })).root.registry_url!, /^build:/);
    assert.ok((await strangers()).others.includes(`${theirs}:own`));
    await api.getImage(`${theirs}:own`).remove();
  });

  it('imports what nobody here has, by our own client, and what it stands on is its parent', async () => {
    await using registry = await TestRegistry.start();
    const layout = new OciLayout(engine.folder.join('layout'));
    mkdirSync(engine.folder.join('rootfs'));
    const tar = tarOf(makeBusyboxRootfs(engine.folder.join('rootfs')));
    layout.add('one', { layers: [{ tar }], config: { Env: ['WHO=registry', 'PATH=/bin'] } });
    await registry.push(layout.folder, 'one', 'team/app:1');
    const name = `${registry.host}/team/app:1`;
    const folder = context({ Dockerfile: `FROM ${name}\nRUN echo $WHO > /who\n` });
    const first = await built(folder);
    const { root } = await engine.client.call('lineage', { image: first.image });
    assert.deepEqual(root, { image: first.parent, registry_url: `docker://${name}` });
    assert.equal((await engine.client.call('get_image', { image: `tag:${name}` })).uuid, first.parent);
    assert.equal((await engine.run('cat /who', { image: first.image })).stdout, 'registry\n');
    const imports = async () => (await engine.client.call('list_operations', { kind: 'import_image' })).total;
    const before = await imports();
    assert.equal((await built(folder)).parent, first.parent);
    assert.equal(await imports(), before);
  });

  it('that fails says the step, the command, its exit code and the last lines, and leaves nothing', async () => {
    const before = await strangers();
    const folder = context({
      Dockerfile:
        'FROM busy:1\nRUN echo fine\nRUN for n in 1 2 3; do echo line $n; done; echo why >&2; exit 3\nRUN echo never\n',
    });
    const result = await build(folder, { tag: 'failed:1' });
    assert.deepEqual([result.status, result.image, result.tag], ['FAILED', null, null]);
    assert.equal(result.error!.code, 'build_failed');
    assert.match(result.error!.message, /^step 3\/4, RUN for n in 1 2 3; do .*, ended with exit code 3: (why|line 3)$/);
    const { command, exit_code: code, output: last } = result.error!.data!;
    assert.deepEqual([code, String(command).startsWith('RUN for')], [3, true]);
    for (const line of ['line 1', 'line 3', 'why']) assert.ok(String(last).includes(line), String(last));
    assert.deepEqual(
      result.steps.map(step => step.exit_code),
      [0, 0, 3],
    );
    const operation = await engine.client.call('get_operation', { operation_id: result.operation_id });
    assert.deepEqual([operation.status, operation.exit_code], ['FAILED', 3]);
    assert.match(await output(result.operation_id), /fine[\s\S]*line 2[\s\S]*why|why[\s\S]*line 2/);
    assert.deepEqual(await strangers(), before);
    // What went well need not be done again.
    const again = await build(folder);
    assert.deepEqual(
      again.steps.map(step => step.cached),
      [false, true, false],
    );
  });

  it('does what was done before again only when so asked, and is an image of its own each time', async () => {
    const folder = context({ Dockerfile: 'FROM busy:1\nCOPY a /a\nRUN date > /when\n', a: 'a' });
    const when = async ({ image }: { image: string }) => (await engine.run('cat /when', { image })).stdout;
    const first = await built(folder, { tag: 'when' });
    const second = await built(folder, { tag: 'when' });
    assert.notEqual(first.image, second.image);
    assert.deepEqual(
      second.steps.map(step => step.cached),
      [false, true, true],
    );
    assert.match(second.hints.join(), /has moved/);
    assert.equal(await when(first), await when(second));
    const third = await built(folder, { no_cache: true });
    assert.ok(third.steps.every(step => !step.cached));
    writeFileSync(path.join(folder, 'a'), 'b');
    assert.deepEqual(
      (await built(folder)).steps.map(step => step.cached),
      [false, false, false],
    );
  });

  /** Podman 4 finishes the command that it is at. */
  const seconds = testRuntime === 'podman' ? 6 : 600 + process.pid;

  it('that is cancelled ends, and leaves nothing', async () => {
    const before = await strangers();
    const folder = context({ Dockerfile: `FROM busy:1\nRUN echo begun; sleep ${seconds}\n` });
    const { operation_id: id } = await build(folder, { wait: false });
    await eventually('its command runs', async () => /begun/.test(await output(id)));
    const { cancelled, status } = await engine.client.call('cancel_operation', { operation_id: id });
    assert.deepEqual([cancelled, status], [true, 'CANCELLED']);
    await eventually('nothing is left', async () => isDeepStrictEqual(await strangers(), before));
    await eventually('its command is gone', () => !runs(`sleep\x00${seconds}\x00`));
  });

  it('whose connection closes is cancelled', async () => {
    const folder = context({ Dockerfile: `FROM busy:1\nRUN echo begun; sleep ${seconds}\n` });
    const given = new AbortController();
    const call = engine.client.call('build', { context: folder }, { signal: given.signal });
    const executing = () => engine.client.call('list_operations', { kind: 'build', status: 'EXECUTING' });
    const id = await eventually('it runs', async () => (await executing()).operations[0]?.operation_id);
    await eventually('its command runs', async () => /begun/.test(await output(id)));
    given.abort();
    const ended = async () => (await engine.client.call('get_operation', { operation_id: id })).status === 'CANCELLED';
    await eventually('it is cancelled', ended);
    assert.equal((await call).status, 'CANCELLED');
  });

  it('under which the engine is killed ends as interrupted, and the next engine leaves nothing of it', async () => {
    await using own = await startEngine();
    await own.busybox('busy:1');
    const before = await strangers();
    const folder = context({ Dockerfile: `FROM busy:1\nRUN echo done > /x\nRUN echo begun; sleep ${seconds}\n` });
    const { operation_id: id } = await own.client.call('build', { context: folder, wait: false });
    const said = async () => (await own.client.call('read_output', { operation_id: id })).text;
    await eventually('its command runs', async () => /begun/.test(await said()));
    process.kill(own.client.engine.pid, 'SIGKILL');
    await own.client.closed;
    const next = await EngineClient.connect({ home: own.home, script: engineScript, start: true }, 'test');
    try {
      const { status, error } = await next.call('get_operation', { operation_id: id });
      assert.deepEqual([status, error?.code], ['FAILED', 'interrupted']);
      await eventually('nothing is left', async () => isDeepStrictEqual(await strangers(), before));
    } finally {
      next.close();
    }
  });

  it('keeps build arguments out of every record', async () => {
    const folder = context({ Dockerfile: 'FROM busy:1\nARG TOKEN\nRUN test -n "$TOKEN"\nRUN exit 4\n' });
    await build(folder, { build_args: { TOKEN: 'hush-hush-4711' } });
    const found = execFileSync('grep', ['-rl', '--', 'TOKEN', engine.home], { encoding: 'utf8' });
    assert.notEqual(found, '');
    assert.throws(() => execFileSync('grep', ['-r', '-l', '--', 'hush-hush-4711', engine.home]));
  });

  it('heeds a Dockerfile elsewhere and the ignore file beside it', async () => {
    const folder = context({
      '.dockerignore': '*\n',
      a: 'a',
      b: 'b',
      'sub/x.dockerfile.dockerignore': 'b\n',
      'sub/x.dockerfile': 'FROM busy:1\nCOPY . /c\nRUN ls /c\n',
    });
    assert.match(await output((await built(folder, { dockerfile: 'sub/x.dockerfile' })).operation_id), /^a\nsub\n/m);
    const outside = path.join(
      context({ 'other.dockerfile': 'FROM busy:1\nCOPY . /c\nRUN ls -a /c\n' }),
      'other.dockerfile',
    );
    const text = await output((await built(folder, { dockerfile: outside })).operation_id);
    assert.doesNotMatch(text, /^(a|b|other.dockerfile|\.coppice.*)$/m);
  });

  it('says that volumes are left out', async () => {
    const result = await built(
      context({ Dockerfile: 'FROM busy:1\nRUN mkdir /data && echo kept > /data/x\nVOLUME /data\n' }),
    );
    assert.match(result.hints.join(), /volumes \(\/data\)/);
    assert.equal((await engine.run('cat /data/x', { image: result.image })).stdout, 'kept\n');
    const kept = await engine.keep('echo more > /data/y', { image: result.image });
    assert.equal((await engine.run('cat /data/x /data/y', { image: kept.result_image })).stdout, 'kept\nmore\n');
  });

  it('by the command: steps on standard error, the image on standard output, exit code 1 when it failed', async () => {
    const folder = context({
      Dockerfile: 'FROM busy:1\nARG WHO\nRUN test "$WHO" = me && echo for $WHO\nFROM busy:1 AS bad\nRUN exit 9\n',
    });
    const ok = await command(['build', '-t', 'by-command', '--target', '0', '--build-arg', 'WHO', folder], {
      WHO: 'me',
    });
    assert.deepEqual([ok.code, /^[0-9a-f]{8} {2}by-command\n$/.test(ok.stdout)], [0, true], ok.stdout + ok.stderr);
    assert.match(ok.stderr, /^Step 1\/3: FROM busy:1\n[\s\S]*\nfor me\n[\s\S]*success/);
    const quiet = await command(['build', '-q', '--target', '0', '--build-arg=WHO=me', folder]);
    assert.deepEqual([quiet.code, quiet.stderr], [0, '']);
    assert.equal((await engine.client.call('get_image', { image: quiet.stdout.trim() })).parent, base);
    const bad = await command(['build', '--json', '--build-arg=WHO=me', folder]);
    assert.equal(bad.code, 1);
    assert.equal(JSON.parse(bad.stdout).error.data.exit_code, 9);
    const unset = await command(['build', '--build-arg', 'NOWHERE_SET', folder]);
    assert.deepEqual(
      [unset.code, /--build-arg NOWHERE_SET: your environment has no such/.test(unset.stderr)],
      [2, true],
    );
  });

  it('goes with its image, and all of them with the home', async () => {
    const { image } = await built(context({ Dockerfile: 'FROM busy:1\nRUN head -c 3000000 /dev/urandom > /big\n' }));
    const { freed_bytes: freed } = await engine.client.call('remove_image', { image });
    assert.ok(freed >= 3_000_000, String(freed));
    assert.deepEqual(await api.listImages({ filters: { label: [`coppice.id=${image}`] } }), []);
    assert.equal((await engine.run('true', { image: base })).status, 'SUCCESS');
  });
});

const runs = (command: string): boolean =>
  readdirSync('/proc').some(pid => /^\d+$/.test(pid) && commandLine(pid).endsWith(command));

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // It ended meanwhile.
  }
}
