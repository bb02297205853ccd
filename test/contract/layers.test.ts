import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { makeBusyboxRootfs } from '../harness/busyboxRootfs.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { OciLayout, tarOf } from '../harness/ociLayout.ts';
import { umociTar } from '../harness/otherUnpackers.ts';
import { tarOfEntries } from '../harness/tarOfEntries.ts';
import { pictureDifference, type TarPicture, tarPicture } from '../harness/tarPicture.ts';
import { TemporaryFolder } from '../harness/temporaryFolder.ts';
import { without } from '../harness/testRuntime.ts';

/** What is in an image from outside is what others find in it, and it leaves as it came. */

let folder: TemporaryFolder;
let layout: OciLayout;
let engine: TestEngine;

before(async () => {
  if (without('own layers')) return;
  folder = new TemporaryFolder();
  layout = new OciLayout(folder.join('layout'));
  mkdirSync(folder.join('rootfs'));
  const base = tarOf(makeBusyboxRootfs(folder.join('rootfs')));
  const config = {
    Env: ['PATH=/bin', 'GREETING=hello'],
    WorkingDir: '/srv/app',
    User: 'worker',
    Entrypoint: ['/bin/false'],
    Cmd: ['never'],
    Labels: { 'org.example.kind': 'test' },
    Volumes: { '/data': {} },
  };
  const layers = [{ tar: base }, ...(await adversarialLayers())];
  layout.add('adversarial', { layers, config });
  // umoci does not know zstd.
  layout.add('gzip', { layers: layers.map(({ tar }) => ({ tar })), config });
  engine = await startEngine();
});
after(async () => {
  await engine?.[Symbol.asyncDispose]();
  folder?.[Symbol.dispose]();
});

/** Everything that layers do to each other, each packed another way. */
async function adversarialLayers() {
  const folders = (...names: string[]) => names.map(name => ({ name, type: 'directory' as const }));
  const first = await tarOfEntries([
    ...folders('srv', 'srv/app', 'data', 'kept', 'emptied', 'emptied/sub', 'gone', 'gone/deep', 'turned', 'link-to-be'),
    { name: 'etc', type: 'directory' },
    {
      name: 'etc/passwd',
      content: 'root:x:0:0::/root:/bin/sh\nworker:x:1234:100:::/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n',
    },
    { name: 'etc/group', content: 'root:x:0:\nusers:x:100:\ndisk:x:6:worker\nnogroup:x:65534:\n' },
    { name: 'private', type: 'directory', mode: 0o700, uid: 5, gid: 7 },
    { name: 'private/secret', mode: 0o400, uid: 5, gid: 7 },
    { name: 'kept/a', mode: 0o4755 },
    { name: 'kept/b', mode: 0o2755, uid: 1234, gid: 100 },
    { name: 'kept/hard', type: 'link', linkname: 'kept/b' },
    { name: 'emptied/old' },
    { name: 'emptied/sub/old' },
    { name: 'gone/deep/file' },
    { name: 'turned/in' },
    { name: 'was-file' },
    { name: 'was-link', type: 'symlink', linkname: 'kept' },
    { name: 'link-to-be/x' },
    { name: `kept/${'long-name-'.repeat(12)}`, type: 'directory' },
    { name: `kept/${'long-name-'.repeat(12)}/${'more-'.repeat(20)}`, pax: { mtime: '1500000000.123456789' } },
    { name: 'kept/Grüße', pax: { mtime: '1400000000.5' } },
    { name: 'sticky', type: 'directory', mode: 0o1777 },
    { name: 'replaced', content: 'first' },
    { name: 'target', content: 'of a link from another layer' },
    { name: 'dangling', type: 'symlink', linkname: '/nowhere/at/all', uid: 1234, gid: 100 },
  ]);
  const second = await tarOfEntries([
    { name: 'kept/.wh.a' },
    { name: 'emptied/new' },
    // After what is new beside it: it hides only what lies below.
    { name: 'emptied/.wh..wh..opq' },
    { name: '.wh.gone' },
    { name: '.wh.turned' },
    { name: 'turned', content: 'a file now' },
    { name: 'was-file', type: 'directory', mode: 0o750 },
    { name: 'was-file/inside' },
    { name: '.wh.was-link' },
    { name: 'was-link', type: 'directory' },
    { name: 'was-link/inside' },
    { name: '.wh.link-to-be' },
    { name: 'link-to-be', type: 'symlink', linkname: 'kept' },
    // No entry for the folder itself: it stays as it is.
    { name: 'private/added', mode: 0o600, uid: 5, gid: 7 },
    { name: 'replaced', content: 'second' },
    { name: 'borrowed', type: 'link', linkname: 'target' },
  ]);
  const third = await tarOfEntries([
    { name: 'gone', type: 'directory' },
    { name: 'gone/again' },
    { name: 'emptied/.wh.new' },
    { name: '.wh.was-file' },
    { name: 'kept/hard', content: 'no link any more' },
    { name: 'private', type: 'directory', mode: 0o711, uid: 5, gid: 7 },
  ]);
  return [
    { tar: first, packing: 'zstd' as const },
    { tar: second, packing: 'plain' as const },
    { tar: third, packing: 'gzip' as const },
  ];
}

/** Nobody's: where no layer names the root, its time is that of unpacking. */
const timeless = new Set(['']);

/** A second name for a file of a lower layer: in an archive it is a file of its own. */
const unlinked = (picture: TarPicture): TarPicture =>
  new Map([...picture].map(([name, line]) => [name, line.replace(/ = borrowed$/, '')]));

async function pictureOf(image: string, by = engine): Promise<TarPicture> {
  const destination = folder.join(`${image}-${++made}.tar`);
  await by.client.call('export_image', { image, destination, format: 'rootfs' });
  return tarPicture(destination, { timeless });
}
let made = 0;

async function importOf(source: string, by = engine): Promise<string> {
  const result = await by.client.call('import_image', { registry_url: source });
  assert.equal(result.status, 'SUCCESS', result.error?.message);
  if (!result.already_present) assert.deepEqual(result.hints, []);
  return result.image!;
}

describe('an image whose layers do everything to each other', { skip: without('own layers') }, () => {
  it('holds what umoci finds in it', async () => {
    const ours = await pictureOf(await importOf(`oci:${layout.folder}:adversarial`));
    umociTar(`${layout.folder}:gzip`, folder.join('bundle'), folder.join('umoci.tar'));
    const theirs = await tarPicture(folder.join('umoci.tar'), { timeless });
    assert.deepEqual(pictureDifference(ours, theirs), []);
    assert.ok(ours.size > 300, `only ${ours.size} names`);
  });

  it('shares its layers with an image that stands on the same', async () => {
    const [lowest] = JSON.parse(readFileSync(`${layout.folder}/index.json`, 'utf8')).manifests;
    assert.ok(lowest);
    const before = engineSize(engine);
    layout.add('more', {
      layers: [
        { tar: tarOf(folder.join('rootfs')), packing: 'zstd' },
        { tar: await tarOfEntries([{ name: 'bin/extra' }]) },
      ],
    });
    const image = await importOf(`oci:${layout.folder}:more`);
    assert.ok(engineSize(engine) - before < 500_000, 'busybox was unpacked again');
    assert.match((await engine.run('ls -ld /bin', { image })).stdout, /^drwxr-xr-x/);
  });
});

it('images that come at the same time and have layers in common unpack each of those once', {
  skip: without('own layers'),
}, async () => {
  const common = await tarOfEntries(Array.from({ length: 2000 }, (_, file) => ({ name: `many/${file}` })));
  const own = await Promise.all(
    ['a', 'b'].map(name => tarOfEntries([{ name: 'many', type: 'directory' }, { name: `many/${name}` }])),
  );
  for (const [index, name] of ['a', 'b'].entries())
    layout.add(name, { layers: [{ tar: tarOf(folder.join('rootfs')) }, { tar: common }, { tar: own[index]! }] });
  await using other = await startEngine();
  const images = await Promise.all(['a', 'b'].map(name => importOf(`oci:${layout.folder}:${name}`, other)));
  assert.equal(readdirSync(`${other.home}/native/layers`).filter(name => name.startsWith('l')).length, 4);
  const [ours] = await Promise.all(images.map(image => other.run('ls /many | wc -l', { image })));
  assert.equal(ours!.stdout, '2001\n');
  // What one of them needs no more, the other still has.
  await other.client.call('remove_image', { image: images[0]!, force: true });
  assert.equal((await other.run('ls /many | wc -l; cat /many/1999', { image: images[1]! })).stdout, '2001\nmany/1999');
});

function engineSize({ home }: TestEngine): number {
  const script = 'du -sk -- "$1/native/layers" | cut -f1';
  const inside = ['sh', '-c', script, 'sh', home];
  const [command, ...args] =
    process.getuid!() === 0 ? inside : ['unshare', '-U', '--map-root-user', '--map-auto', '--', ...inside];
  return Number(execFileSync(command!, args, { encoding: 'utf8' })) * 1024;
}

describe('what an image says of its runs', { skip: without('own layers') }, () => {
  it('is heeded: environment, working directory, user; its entrypoint and command are not run', async () => {
    const image = await importOf(`oci:${layout.folder}:adversarial`);
    const { stdout } = await engine.run('echo $GREETING; pwd; id; mkdir /tmp/x && stat -c %u:%g /tmp/x', { image });
    const lines = stdout.split('\n');
    assert.deepEqual(lines.slice(0, 2), ['hello', '/srv/app']);
    assert.match(
      lines[2]!,
      /^uid=1234\(worker\) gid=100\(users\) groups=6\(disk\),100\(users\)|groups=100\(users\),6\(disk\)/,
    );
    assert.equal(lines[3], '1234:100');
  });

  for (const [user, expected] of [
    ['worker', '1234:100:6 100'],
    ['1234', '1234:100:6 100'],
    ['worker:disk', '1234:6:6'],
    ['0', '0:0:0'],
    ['4321', '4321:0:0'],
    ['4321:99', '4321:99:99'],
    ['nobody:100', '65534:100:100'],
  ] as const)
    it(`runs as ${user}`, async () => {
      const image = await importOf(`oci:${layout.folder}:adversarial`);
      const { stdout } = await engine.run('echo $(id -u):$(id -g):$(id -G | tr " " "\\n" | sort -n | xargs)', {
        image,
        user,
      });
      assert.equal(stdout.trim(), expected);
    });

  it('a declared volume is a folder like any other: what is written there is kept', async () => {
    const image = await importOf(`oci:${layout.folder}:adversarial`);
    const kept = await engine.keep('echo x > /data/file', { image, user: '0' });
    assert.equal((await engine.run('cat /data/file', { image: kept.result_image })).stdout, 'x\n');
  });
});

describe('export_image', { skip: without('own layers') }, () => {
  const format = (text: string) => text as 'oci-archive' | 'docker-archive';
  for (const archive of ['oci-archive', 'docker-archive'])
    it(`${archive}: what was kept comes back the same, in another home too`, async () => {
      const image = await importOf(`oci:${layout.folder}:adversarial`);
      const first = await engine.keep('rm /kept/b && rm -r /gone && mkdir /gone && ln /replaced /twice', {
        image,
        user: '0',
      });
      const second = await engine.keep(
        'truncate -s 5M /sparse; echo end >> /sparse; mkfifo /fifo; chown 7:8 /emptied',
        {
          image: first.result_image,
          user: '0',
        },
      );
      const file = folder.join(`${archive}.tar`);
      const messages: string[] = [];
      const exported = await engine.client.call(
        'export_image',
        { image: second.result_image, destination: file, format: format(archive) },
        { onProgress: ({ message }) => messages.push(message ?? '') },
      );
      assert.equal(exported.layers, 6);
      assert.equal(exported.size, readFileSync(file).length);
      assert.match(messages.join(), /exporting/);
      const inspected = JSON.parse(skopeo('inspect', '--config', `${archive}:${file}`));
      assert.deepEqual(inspected.config.Labels['org.example.kind'], 'test');
      assert.equal(inspected.history.length, 6);
      assert.match(inspected.history[5].created_by, /mkfifo/);
      assert.equal(inspected.history[5].comment, `coppice ${second.result_image}`);

      const ours = await pictureOf(second.result_image);
      await using other = await startEngine();
      const again = await importOf(`${archive}:${file}`, other);
      assert.deepEqual(pictureDifference(unlinked(ours), unlinked(await pictureOf(again, other))), []);
      const { config } = await other.client.call('get_image', { image: again });
      assert.deepEqual([config.cwd, config.user, config.env.GREETING], ['/srv/app', 'worker', 'hello']);
      assert.deepEqual([config.entrypoint, config.cmd], [['/bin/false'], ['never']]);
      assert.equal(config.labels['coppice.image'], second.result_image);
      const lineage = JSON.parse(config.labels['coppice.lineage']!) as { image: string }[];
      assert.deepEqual(
        lineage.map(step => step.image),
        [image, first.result_image, second.result_image],
      );
    });

  it('rootfs: all files in one tar', async () => {
    const image = await importOf(`oci:${layout.folder}:adversarial`);
    const ours = await pictureOf(image);
    const file = folder.join('rootfs.tar');
    const { digest } = await engine.client.call('export_image', { image, destination: file, format: 'rootfs' });
    const again = await engine.client.call('import_image', { registry_url: `rootfs:${file}`, force: true });
    assert.equal(again.digest, digest);
    assert.deepEqual(pictureDifference(ours, await pictureOf(again.image!)), []);
  });

  it('refuses what it should, and leaves nothing', async () => {
    const image = await importOf(`oci:${layout.folder}:adversarial`);
    const file = folder.join('there.tar');
    writeFileSync(file, 'mine');
    const call = (destination: string, more: object = {}) =>
      engine.client.call('export_image', { image, destination, ...more });
    await assert.rejects(call(file, { overwrite: false }), { code: 'already_exists' });
    assert.equal(readFileSync(file, 'utf8'), 'mine');
    await assert.rejects(call(`${engine.home}/out.tar`), { code: 'invalid_input' });
    await assert.rejects(call('out.tar'), { code: 'invalid_input' });
    const host = await engine.client.call('import_image', { registry_url: 'host:' });
    await assert.rejects(
      engine.client.call('export_image', { image: host.image!, destination: folder.join('no/such/host.tar') }),
      { code: 'unsupported' },
    );
    const stop = new AbortController();
    const stopped = engine.client.call(
      'export_image',
      { image, destination: folder.join('new/stopped.tar') },
      { signal: stop.signal, onProgress: () => stop.abort() },
    );
    await assert.rejects(stopped, { code: 'cancelled' });
    const left = execFileSync('ls', ['-A', folder.path], { encoding: 'utf8' }).split('\n');
    assert.deepEqual(
      left.filter(name => /^(new|no|\.coppice)/.test(name)),
      [],
    );
  });
});

function skopeo(...args: string[]): string {
  return execFileSync('skopeo', args, {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: folder.path, TMPDIR: folder.path },
  });
}
