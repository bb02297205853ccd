import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { makeBusyboxRootfs } from '../harness/busyboxRootfs.ts';
import { CoppiceHome } from '../harness/coppiceHome.ts';
import { CuttingProxy } from '../harness/cuttingProxy.ts';
import { debianTar, withoutDebian } from '../harness/debianTar.ts';
import { DockerDaemon } from '../harness/docker.ts';
import { eventually } from '../harness/eventually.ts';
import { OciLayout } from '../harness/ociLayout.ts';
import { Outside } from '../harness/outside.ts';
import { TestRegistry } from '../harness/registry.ts';
import { TemporaryFolder } from '../harness/temporaryFolder.ts';

test('a Debian with Python survives cut connections and a killed engine on its way here', {
  skip: withoutDebian(),
}, async () => {
  using folder = new TemporaryFolder();
  const tar = readFileSync(debianTar());
  const layout = new OciLayout(folder.join('layout'));
  layout.addIndex('debian', [
    { layers: [{ tar }], config: { Env: ['PATH=/usr/bin:/bin'], WorkingDir: '/tmp' } },
    { layers: [{ tar: zstdCompressSync(tar.subarray(0, 1024)), packing: 'plain' }], architecture: 'arm64' },
  ]);
  await using registry = await TestRegistry.start();
  await registry.push(layout.folder, 'debian', 'team/debian:1');
  await using proxy = await CuttingProxy.before(registry.host, () => 100_000 + Math.floor(Math.random() * 8_000_000));
  const source = `docker://${proxy.host}/team/debian:1`;
  await using home = new CoppiceHome();

  const first = await home.connect();
  const { pid } = first.engine;
  const { operation_id } = await first.call('import_image', { registry_url: source, wait: false });
  const blobs = path.join(home.path, 'registry', 'blobs');
  await eventually(
    'some of it is here',
    () => existsSync(blobs) && readdirSync(blobs).length > 0 && proxy.cuts > 3,
    60,
  );
  process.kill(pid, 'SIGKILL');
  first.close();
  await eventually('it is dead', () => !existsSync(`/proc/${pid}`));

  const client = await home.connect();
  const dead = await client.call('get_operation', { operation_id: operation_id! });
  assert.equal(dead.error?.code, 'interrupted');
  assert.equal((await client.call('list_images', {})).total, 0);
  const result = await client.call('import_image', { registry_url: source });
  assert.deepEqual([result.status, result.error], ['SUCCESS', null]);
  assert.ok(proxy.cuts > 10, `${proxy.cuts} cuts`);
  const run = await client.call('run', {
    image: result.image!,
    command: 'python3 -c "import ssl, json, sqlite3; print(json.dumps([1, 2]))"; pwd; ls /usr/bin | wc -l',
    network: 'none',
    timeout: 120,
  });
  assert.ok('stdout' in run);
  const programs = execFileSync('tar', ['-tf', debianTar()], { encoding: 'utf8' })
    .split('\n')
    .filter(name => /^\.\/usr\/bin\/[^/]+$/.test(name));
  assert.equal(run.stdout, `[1, 2]\n/tmp\n${programs.length}\n`, run.stderr);
  assert.deepEqual(readdirSync(blobs), []);
  client.close();
});

test('what docker save, podman save and buildah push write is read', { skip: DockerDaemon.missing() }, async () => {
  using outside = new Outside();
  const { folder } = outside;
  const at = (name: string) => folder.join(name);
  mkdirSync(at('rootfs'));
  makeBusyboxRootfs(at('rootfs'));
  await dockerSaves(folder);
  podmanSaves(folder);
  const docker = ['one.tar', 'one.tar.gz', 'unpacked', 'podman.tar', 'buildah.tar'].map(
    name => `docker-archive:${at(name)}`,
  );
  const oci = [`oci-archive:${at('podman.oci')}`, `oci:${at('podman-oci')}`, `oci:${at('buildah-oci')}:app:1`];
  const images = [];
  for (const source of [...docker, `docker-archive:${at('both.tar')}:app:1`, ...oci]) {
    const image = await outside.bring(source);
    assert.deepEqual(
      image.read,
      image.layers.map(layer => layer.digest),
      source,
    );
    assert.match(image.name ?? '', /^(?:localhost\/)?app:1$/);
    images.push(image);
  }
  const [first] = images;
  assert.equal(first!.layers.length, 3);
  for (const image of images) {
    assert.deepEqual(
      image.layers.map(layer => layer.diffId),
      first!.layers.map(layer => layer.diffId),
    );
    assert.deepEqual(image.config, first!.config);
  }
  assert.deepEqual([first!.config.env.A, first!.config.user], ['1', 'nobody']);
});

/** Made by `docker build`, so that there are layers with something in them and some with nothing. */
async function dockerSaves(folder: TemporaryFolder): Promise<void> {
  const daemon = await DockerDaemon.start();
  const docker = (...args: string[]) =>
    execFileSync('docker', [...daemon.cli, ...args], {
      env: { PATH: process.env.PATH, HOME: folder.path, DOCKER_BUILDKIT: '0' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  try {
    await daemon.importFolder(folder.join('rootfs'), 'base');
    mkdirSync(folder.join('context'));
    const lines = ['FROM base:latest', 'ENV A=1', 'RUN echo x > /x', 'RUN rm /x && echo y > /y', 'USER nobody'];
    writeFileSync(folder.join('context', 'Dockerfile'), lines.join('\n'));
    docker('build', '--network', 'none', '--tag', 'app:1', folder.join('context'));
    docker('save', '--output', folder.join('both.tar'), 'app:1', 'base');
    docker('save', '--output', folder.join('one.tar'), 'app:1');
  } finally {
    await daemon.stop();
  }
  execFileSync('gzip', ['-1', '--keep', folder.join('one.tar')]);
  mkdirSync(folder.join('unpacked'));
  execFileSync('tar', ['-C', folder.join('unpacked'), '-xf', folder.join('one.tar')]);
}

function podmanSaves(folder: TemporaryFolder): void {
  const store = ['--root', folder.join('store'), '--runroot', folder.join('run'), '--storage-driver', 'vfs'];
  mkdirSync(folder.join('.config', 'containers'), { recursive: true });
  writeFileSync(folder.join('.config', 'containers', 'policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
  const call = (program: string, ...args: string[]) =>
    execFileSync(program, [...store, ...args], {
      env: { PATH: process.env.PATH, HOME: folder.path, TMPDIR: folder.path },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  call('podman', 'load', '--input', folder.join('one.tar'));
  call('podman', 'save', '--output', folder.join('podman.tar'), 'app:1');
  call('podman', 'save', '--format', 'oci-archive', '--output', folder.join('podman.oci'), 'app:1');
  call('podman', 'save', '--format', 'oci-dir', '--output', folder.join('podman-oci'), 'app:1');
  call('buildah', 'push', '--quiet', 'localhost/app:1', `docker-archive:${folder.join('buildah.tar')}:app:1`);
  call('buildah', 'push', '--quiet', 'localhost/app:1', `oci:${folder.join('buildah-oci')}:app:1`);
}
