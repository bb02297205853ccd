import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { CoppiceError, ErrorCode } from '../../src/protocol/errors.ts';
import { CuttingProxy } from '../harness/cuttingProxy.ts';
import { eventually } from '../harness/eventually.ts';
import { digestOf, OciLayout } from '../harness/ociLayout.ts';
import { Outside } from '../harness/outside.ts';
import { basicUser, makeCertificates, TestRegistry } from '../harness/registry.ts';
import { TemporaryFolder } from '../harness/temporaryFolder.ts';
import { TokenServer } from '../harness/tokenServer.ts';

/** The client against Debian's own registry: who it lets in, what arrives, what survives a bad network. */

const MB = 1_048_576;
const plain = Buffer.concat([randomBytes(3 * MB), Buffer.alloc(2 * MB)]);
const large = randomBytes(24 * MB);
const user = { kind: 'password' as const, ...basicUser };

let folder: TemporaryFolder;
let layout: OciLayout;
let outside: Outside;

before(() => {
  folder = new TemporaryFolder();
  layout = new OciLayout(folder.join('layout'));
  layout.add('small', {
    layers: [
      { tar: plain, packing: 'gzip' },
      { tar: plain.subarray(0, MB), packing: 'zstd' },
      { tar: plain.subarray(0, 512), packing: 'plain' },
    ],
    config: { Env: ['A=1', 'EMPTY='], WorkingDir: '/srv', User: 'app', Cmd: ['sh'], Labels: { a: 'b' } },
  });
  layout.add('large', { layers: [{ tar: large, packing: 'plain' }] });
  layout.addIndex('many', [
    { layers: [{ tar: plain, packing: 'gzip' }] },
    { layers: [{ tar: plain, packing: 'gzip' }], architecture: 'arm64', variant: 'v8' },
    { layers: [{ tar: plain, packing: 'gzip' }], architecture: 'arm', variant: 'v7' },
  ]);
});
after(() => folder[Symbol.dispose]());
beforeEach(() => {
  outside = new Outside();
});
afterEach(() => outside[Symbol.dispose]());

async function refused(what: Promise<unknown>, code: ErrorCode): Promise<CoppiceError> {
  const error = (await what.then(
    () => assert.fail('it was taken'),
    thrown => thrown,
  )) as CoppiceError;
  assert.equal(error.code, code, error.stack);
  assert.ok(!JSON.stringify([error.message, error.fix, error.data]).includes(basicUser.password));
  return error;
}

const downloads = (): string[] => readdirSync(path.join(outside.home, 'registry', 'blobs'));

describe('a registry that everybody may read', () => {
  let registry: TestRegistry;
  let app: string;

  before(async () => {
    registry = await TestRegistry.start();
    app = `docker://${registry.host}/team/app`;
    await registry.push(layout.folder, 'small', 'team/app:1');
    await registry.push(layout.folder, 'large', 'team/app:large');
    await registry.push(layout.folder, 'many', 'team/app:many');
  });
  after(() => registry[Symbol.asyncDispose]());

  it('gives an image with its configuration, its layers packed in any way', async () => {
    const image = await outside.bring(`${app}:1`);
    assert.deepEqual(
      image.read,
      image.layers.map(layer => layer.digest),
    );
    assert.deepEqual(
      image.layers.map(layer => layer.diffId),
      [plain, plain.subarray(0, MB), plain.subarray(0, 512)].map(digestOf),
    );
    assert.deepEqual(image.config, {
      env: { A: '1', EMPTY: '' },
      cwd: '/srv',
      user: 'app',
      entrypoint: [],
      cmd: ['sh'],
      labels: { a: 'b' },
      architecture: 'amd64',
    });
    const total = image.layers.reduce((sum, layer) => sum + layer.size, 0);
    assert.deepEqual(outside.progress.at(-1), [total, total]);
    assert.deepEqual(downloads(), []);
    assert.equal(await outside.digest(`${app}@${image.digest}`), image.digest);
  });

  it('chooses by platform, this machine’s unless another is asked for', async () => {
    const named = async (platform?: string) =>
      (await outside.bring(`${app}:many`, platform === undefined ? {} : { platform })).config.architecture;
    if (process.arch === 'x64') assert.equal(await named(), 'amd64');
    assert.equal(await named('linux/amd64'), 'amd64');
    assert.equal(await named('linux/arm64'), 'arm64');
    assert.equal(await named('linux/arm/v7'), 'arm');
    const error = await refused(outside.bring(`${app}:many`, { platform: 'linux/s390x' }), 'wrong_platform');
    assert.deepEqual(error.data, { platforms: ['linux/amd64', 'linux/arm64/v8', 'linux/arm/v7'] });
    await refused(outside.bring(`${app}:1`, { platform: 'linux/arm64' }), 'wrong_platform');
  });

  it('says what it has not', async () => {
    assert.match((await refused(outside.bring(`${app}:2`), 'registry_tag_not_found')).fix!, /1, large, many/);
    await refused(outside.bring(`docker://${registry.host}/team/nothing`), 'registry_image_not_found');
    await refused(outside.bring(`${app}@sha256:${'0'.repeat(64)}`), 'registry_tag_not_found');
    await refused(outside.bring('docker://127.0.0.1:9/app'), 'no_network');
    await refused(outside.bring('docker://registry.invalid/app'), 'no_network');
  });

  it('is asked for no more than a head when an index is known', async () => {
    await outside.digest(`${app}:many`);
    let passed = 0;
    await using proxy = await CuttingProxy.before(registry.host, () => {
      passed++;
      return undefined;
    });
    const digest = await outside.digest(`docker://${proxy.host}/team/app:many`);
    assert.equal(digest, await outside.digest(`${app}:many`));
    // One connection to find out that it speaks no TLS, one for the question.
    assert.equal(passed, 2);
  });

  it('goes on where a connection broke, fifty times', async () => {
    await outside.digest(`${app}:large`);
    await using proxy = await CuttingProxy.before(registry.host, () =>
      proxy.cuts < 50 ? 10_000 + Math.floor(Math.random() * 600_000) : undefined,
    );
    const image = await outside.bring(`docker://${proxy.host}/team/app:large`);
    assert.deepEqual(image.read, [digestOf(large)]);
    assert.equal(proxy.cuts, 50);
  });

  it('goes on where an earlier engine ended, and trusts none of it', async () => {
    const stopping = new AbortController();
    await outside.digest(`${app}:large`);
    // Connections carry what comes before the layer and some of it; then nothing passes any more.
    await using broken = await CuttingProxy.before(registry.host, () => (broken.cuts === 0 ? 6 * MB : 1));
    const stopped = outside.bring(`docker://${broken.host}/team/app:large`, { signal: stopping.signal });
    await eventually('the connection is cut', () => broken.cuts > 1);
    stopping.abort();
    await assert.rejects(stopped);
    const [left] = downloads();
    const file = path.join(outside.home, 'registry', 'blobs', left!);
    assert.ok(statSync(path.join(outside.home, 'registry', 'blobs', left!)).size > 0);
    // As if it had come as far as the middle.
    writeFileSync(file, large.subarray(0, 12 * MB));
    outside.restart();
    let passed = 0;
    await using proxy = await CuttingProxy.before(registry.host, () => {
      passed++;
      return 13 * MB; // The rest fits, the whole would not.
    });
    assert.deepEqual((await outside.bring(`docker://${proxy.host}/team/app:large`)).read, [digestOf(large)]);
    assert.equal(proxy.cuts, 0);
    assert.ok(passed > 0);
    const damaged = Buffer.from(large.subarray(0, 12 * MB));
    damaged[5 * MB] = damaged[5 * MB]! ^ 1;
    writeFileSync(file, damaged);
    outside.restart();
    assert.deepEqual((await outside.bring(`${app}:large`)).read, [digestOf(large)]);
    assert.deepEqual(downloads(), []);
  });

  it('gives one blob once to imports that want it at the same time', async () => {
    const images = await Promise.all(Array.from({ length: 4 }, () => outside.bring(`${app}:large`)));
    for (const image of images) assert.deepEqual(image.read, [digestOf(large)]);
    assert.deepEqual(downloads(), []);
  });

  it('is not believed when a byte on its disk has changed', async () => {
    const digest = layout.add('broken', { layers: [{ tar: plain.subarray(0, 2 * MB), packing: 'plain' }] });
    await registry.push(layout.folder, 'broken', 'team/app:broken');
    const { layers } = layout.readJson(digest.digest) as { layers: { digest: string }[] };
    const file = registry.blobFile(layers[0]!.digest);
    const bytes = readFileSync(file);
    bytes[MB] = bytes[MB]! ^ 1;
    writeFileSync(file, bytes);
    const error = await refused(outside.bring(`${app}:broken`), 'bad_digest');
    assert.match(error.message, new RegExp(layers[0]!.digest.slice(0, 19)));
  });
});

describe('a registry with a password', () => {
  it('lets in who has it, and says to whom else it is closed', async () => {
    await using registry = await TestRegistry.start({ access: { kind: 'basic' } });
    await registry.push(layout.folder, 'small', 'team/app:1');
    const source = `docker://${registry.host}/team/app:1`;
    assert.match((await refused(outside.bring(source), 'registry_unauthorized')).fix!, /coppice login/);
    outside.credentials = { [registry.host]: { ...user, password: 'wrong' } };
    await refused(outside.bring(source), 'registry_unauthorized');
    outside.credentials = { [registry.host]: user };
    assert.equal((await outside.bring(source)).read.length, 3);
  });
});

describe('a registry with tokens', () => {
  it('lets everybody read what is public, and who is known the rest', async () => {
    const certificates = makeCertificates(folder.join('tokens'));
    await using tokens = await TokenServer.start(certificates);
    await using registry = await TestRegistry.start({ access: tokens.access });
    await registry.push(layout.folder, 'small', 'public/app:1');
    await registry.push(layout.folder, 'small', 'team/app:1');
    const pushed = tokens.seen.length;
    assert.equal((await outside.bring(`docker://${registry.host}/public/app:1`)).read.length, 3);
    await refused(outside.bring(`docker://${registry.host}/team/app:1`), 'registry_unauthorized');
    assert.ok(tokens.seen.slice(pushed).every(({ authorization }) => authorization === undefined));
    outside.credentials = { [registry.host]: user };
    assert.equal((await outside.bring(`docker://${registry.host}/team/app:1`)).read.length, 3);
    outside.credentials = { [registry.host]: { ...user, password: 'wrong' } };
    await refused(outside.bring(`docker://${registry.host}/team/app:1`), 'registry_unauthorized');
  });
});

describe('a registry with TLS', () => {
  it('is believed when an authority vouches for it that Docker would believe for this host', async () => {
    const tls = makeCertificates(folder.join('tls'));
    await using registry = await TestRegistry.start({ tls });
    await registry.push(layout.folder, 'small', 'team/app:1');
    const source = `docker://${registry.host}/team/app:1`;
    assert.match((await refused(outside.bring(source), 'registry_untrusted')).fix!, /certs\.d/);
    const trusted = outside.folder.join('.docker', 'certs.d', registry.host);
    mkdirSync(trusted, { recursive: true });
    copyFileSync(makeCertificates(folder.join('others')).ca, path.join(trusted, 'ca.crt'));
    await refused(outside.bring(source), 'registry_untrusted');
    copyFileSync(tls.ca, path.join(trusted, 'ca.crt'));
    assert.equal((await outside.bring(source)).read.length, 3);
  });
});
