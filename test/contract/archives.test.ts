import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { CoppiceError, ErrorCode } from '../../src/protocol/errors.ts';
import { digestOf, OciLayout, tarOf } from '../harness/ociLayout.ts';
import { Outside } from '../harness/outside.ts';
import { TemporaryFolder } from '../harness/temporaryFolder.ts';

/** Layouts and archives as skopeo writes them, packed and unpacked, whole and damaged. */

let folder: TemporaryFolder;
let layout: OciLayout;
let outside: Outside;
let tars: readonly Buffer[];
const at = (...names: string[]): string => folder.join(...names);

before(() => {
  folder = new TemporaryFolder();
  outside = new Outside();
  tars = ['first', 'second'].map(name => {
    mkdirSync(at(name));
    for (let file = 0; file < 20; file++) writeFileSync(at(name, `${name}${file}`), `${name} ${file}`.repeat(999));
    return tarOf(at(name));
  });
  layout = new OciLayout(at('layout'));
  const layers = tars.map(tar => ({ tar }));
  layout.add('app:1', { layers, config: { Env: ['A=1'] } });
  layout.add('app:2', { layers: [...layers, layers[0]!] });
  layout.addIndex('many', [{ layers }, { layers, architecture: 'arm64' }]);
});
after(() => {
  outside[Symbol.dispose]();
  folder[Symbol.dispose]();
});

function skopeo(...args: string[]): void {
  writeFileSync(at('policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
  execFileSync('skopeo', ['--policy', at('policy.json'), 'copy', '--quiet', ...args], {
    env: { PATH: process.env.PATH, HOME: folder.path, TMPDIR: folder.path },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
}

async function refused(source: string, code: ErrorCode, platform?: string): Promise<CoppiceError> {
  const error = (await outside.bring(source, platform === undefined ? {} : { platform }).then(
    () => assert.fail(`${source} was taken`),
    thrown => thrown,
  )) as CoppiceError;
  assert.equal(error.code, code, error.stack);
  return error;
}

const diffIds = (): string[] => tars.map(digestOf);

describe('an OCI layout', () => {
  it('is read as a folder and as a tar of it, by name and by platform', async () => {
    skopeo(`oci:${layout.folder}:app:1`, `oci-archive:${at('app.oci')}:app:1`);
    for (const source of [
      `oci:${layout.folder}:app:1`,
      `oci-archive:${at('app.oci')}`,
      `oci-archive:${at('app.oci')}:app:1`,
    ]) {
      const image = await outside.bring(source);
      assert.deepEqual(
        image.layers.map(layer => layer.diffId),
        diffIds(),
      );
      assert.deepEqual(
        image.read,
        image.layers.map(layer => layer.digest),
      );
      assert.deepEqual([image.config.env, image.name], [{ A: '1' }, 'app:1']);
    }
    const of = async (platform: string) =>
      (await outside.bring(`oci:${layout.folder}:many`, { platform })).config.architecture;
    assert.deepEqual([await of('linux/amd64'), await of('linux/arm64')], ['amd64', 'arm64']);
    await refused(`oci:${layout.folder}:many`, 'wrong_platform', 'linux/s390x');
    await refused(`oci:${layout.folder}:app:1`, 'wrong_platform', 'linux/s390x');
  });

  it('with several images wants one of their names', async () => {
    assert.match((await refused(`oci:${layout.folder}`, 'ambiguous_reference')).fix!, /app:1, app:2, many/);
    assert.match((await refused(`oci:${layout.folder}:none`, 'registry_tag_not_found')).fix!, /app:1/);
    await refused(`oci:${at('nowhere')}:app:1`, 'path_not_found');
    await refused('oci:', 'invalid_input');
  });

  it('is refused when it is damaged, cut short or none', async () => {
    const broken = at('broken');
    const anew = () => {
      rmSync(broken, { recursive: true, force: true });
      cpSync(layout.folder, broken, { recursive: true });
    };
    anew();
    const manifest = layout.readJson(indexEntry('app:1')) as { layers: { digest: string }[] };
    const blob = path.join(broken, 'blobs', ...manifest.layers[1]!.digest.split(':'));
    const bytes = readFileSync(blob);
    bytes[100] = bytes[100]! ^ 1;
    writeFileSync(blob, bytes);
    await refused(`oci:${broken}:app:1`, 'bad_digest');
    truncateSync(blob, 50);
    await refused(`oci:${broken}:app:1`, 'bad_digest');
    rmSync(blob);
    await refused(`oci:${broken}:app:1`, 'import_failed');
    writeFileSync(path.join(broken, 'index.json'), 'my secret, no JSON');
    assert.doesNotMatch((await refused(`oci:${broken}:app:1`, 'import_failed')).message, /secret/);
    execFileSync('tar', ['-C', layout.folder, '-cf', at('cut.oci'), '.']);
    truncateSync(at('cut.oci'), 20_000);
    await refused(`oci-archive:${at('cut.oci')}:app:1`, 'import_failed');
    writeFileSync(at('noise'), Buffer.alloc(100_000, 'noise'));
    await refused(`oci-archive:${at('noise')}`, 'import_failed');
    writeFileSync(at('empty'), '');
    await refused(`oci-archive:${at('empty')}`, 'import_failed');
    await refused(`oci-archive:${at('first')}`, 'import_failed');
  });

  it('reads nothing outside itself, whatever links lie in it', async () => {
    const linked = at('linked');
    cpSync(layout.folder, linked, { recursive: true });
    writeFileSync(at('outside.json'), readFileSync(path.join(linked, 'index.json')));
    for (const target of [at('outside.json'), '../outside.json']) {
      rmSync(path.join(linked, 'index.json'));
      symlinkSync(target, path.join(linked, 'index.json'));
      await refused(`oci:${linked}:app:1`, 'import_failed');
    }
  });
});

describe('an archive of Docker’s', () => {
  it('is read packed, unpacked and compressed, with its links', async () => {
    skopeo(`oci:${layout.folder}:app:2`, `docker-archive:${at('app.tar')}:registry.example/team/app:2`);
    mkdirSync(at('unpacked'));
    execFileSync('tar', ['-C', at('unpacked'), '-xf', at('app.tar')]);
    execFileSync('gzip', ['-1', '--keep', at('app.tar')]);
    const names = ['app.tar', 'unpacked', 'app.tar.gz'].map(name => `docker-archive:${at(name)}`);
    for (const source of [...names, `${names[0]}:registry.example/team/app:2`, `${names[0]}:@0`]) {
      const image = await outside.bring(source);
      const [first, second] = diffIds();
      assert.deepEqual(
        image.layers.map(layer => layer.diffId),
        [first, second, first],
      );
      assert.deepEqual(image.read, [first, second, first]);
      assert.equal(image.name, 'registry.example/team/app:2');
    }
    await refused(`docker-archive:${at('app.tar')}:other:1`, 'registry_tag_not_found');
    assert.match((await refused(`oci-archive:${at('app.tar')}`, 'invalid_input')).fix!, /docker-archive:/);
    assert.equal(await outside.digest(names[0]!), await outside.digest(names[2]!));
  });

  it('is refused when a layer is not what the configuration says', async () => {
    const other = at('other');
    cpSync(at('unpacked'), other, { recursive: true, verbatimSymlinks: true });
    const [{ Layers }] = JSON.parse(readFileSync(path.join(other, 'manifest.json'), 'utf8')) as [{ Layers: string[] }];
    const file = path.join(other, Layers[1]!);
    const bytes = readFileSync(file);
    bytes[bytes.length - 1] = 1;
    chmodSync(file, 0o600);
    writeFileSync(file, bytes);
    await refused(`docker-archive:${other}`, 'bad_digest');
    writeFileSync(at('damaged.tar.gz'), readFileSync(at('app.tar.gz')).subarray(0, 3000));
    await refused(`docker-archive:${at('damaged.tar.gz')}`, 'import_failed');
  });
});

function indexEntry(name: string): string {
  const { manifests } = JSON.parse(readFileSync(path.join(layout.folder, 'index.json'), 'utf8')) as {
    manifests: { digest: string; annotations: Record<string, string> }[];
  };
  return manifests.find(({ annotations }) => Object.values(annotations).includes(name))!.digest;
}
