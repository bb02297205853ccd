import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { debianTar, withoutDebian } from '../harness/debianTar.ts';
import { DockerDaemon } from '../harness/docker.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { OciLayout } from '../harness/ociLayout.ts';
import { umociTar } from '../harness/otherUnpackers.ts';
import { tarOfEntries } from '../harness/tarOfEntries.ts';
import { pictureDifference, type TarPicture, tarPicture } from '../harness/tarPicture.ts';
import { TemporaryFolder } from '../harness/temporaryFolder.ts';

const missing = withoutDebian() ?? DockerDaemon.missing();

/** What people do first: a Debian with Python, apt and dpkg in it; and it is to the last bit what other tools make of it. */
describe('a Debian image', { skip: missing ?? false }, () => {
  let folder: TemporaryFolder;
  let engine: TestEngine;
  let image: string;
  before(async () => {
    folder = new TemporaryFolder();
    const layout = new OciLayout(folder.join('layout'));
    const above = await tarOfEntries([
      { name: 'usr/share/.wh.doc' },
      { name: 'etc/motd', content: 'hello' },
      { name: 'usr/local/.wh..wh..opq' },
    ]);
    const config = { Env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'], Cmd: ['bash'] };
    layout.add('debian', {
      layers: [{ tar: readFileSync(debianTar()) }, { tar: above }],
      config,
      architecture: 'amd64',
    });
    engine = await startEngine();
    const imported = await engine.client.call('import_image', { registry_url: `oci:${layout.folder}:debian` });
    assert.equal(imported.status, 'SUCCESS', imported.error?.message);
    image = imported.image!;
  });
  after(async () => {
    await engine[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  const exported = async (of: string, name: string, format: 'oci-archive' | 'docker-archive' | 'rootfs') => {
    await engine.client.call('export_image', { image: of, destination: folder.join(name), format });
    return folder.join(name);
  };

  it('holds what umoci unpacks', async () => {
    const ours = await tarPicture(await exported(image, 'ours.tar', 'rootfs'), { timeless });
    umociTar(`${folder.join('layout')}:debian`, folder.join('bundle'), folder.join('umoci.tar'));
    const theirs = await tarPicture(folder.join('umoci.tar'), { timeless });
    assert.ok(ours.size > 5000, `only ${ours.size} names`);
    assert.deepEqual(pictureDifference(ours, withoutDevices(theirs)), []);
  });

  it('apt, dpkg, users and Python work in it', async () => {
    const made = await engine.keep(
      [
        'set -e',
        'mkdir -p /tmp/p/DEBIAN /tmp/p/usr/bin',
        'printf "Package: probe\\nVersion: 1\\nArchitecture: all\\nMaintainer: x <x@example.org>\\nDescription: x\\n" > /tmp/p/DEBIAN/control',
        'printf "#!/bin/sh\\nset -e\\nchown 33:33 /usr/bin/probe\\n" > /tmp/p/DEBIAN/postinst; chmod 755 /tmp/p/DEBIAN/postinst',
        'printf "#!/bin/sh\\necho probed\\n" > /tmp/p/usr/bin/probe; chmod 755 /tmp/p/usr/bin/probe',
        'dpkg-deb -b /tmp/p /tmp/probe.deb',
        'dpkg -i /tmp/probe.deb && dpkg -r probe && apt-get install -y /tmp/probe.deb',
        'useradd -m joe && groupadd crew && usermod -aG crew joe',
        'python3 -c "import ssl, sqlite3, json; print(json.dumps({1: 2}))"',
        'rm -r /usr/share/man && mkdir /usr/share/man && mv /usr/bin/probe /usr/bin/probe2',
      ].join('\n'),
      { image, timeout: 120 },
    );
    const { stdout } = await engine.run('probe2; stat -c %u:%g /usr/bin/probe2; id -Gn; touch ~/x', {
      image: made.result_image,
      user: 'joe',
    });
    assert.equal(stdout, 'probed\n33:33\njoe crew\n');
  });

  it('what was kept on it goes through docker load and comes back the same', async () => {
    const kept = await engine.keep('rm -r /usr/share/perl* && mkdir /usr/share/perl && ln /etc/motd /etc/motd2', {
      image,
    });
    const ours = await tarPicture(await exported(kept.result_image, 'kept.tar', 'rootfs'), { timeless: dockers });
    const docker = await DockerDaemon.start();
    try {
      for (const format of ['oci-archive', 'docker-archive'] as const) {
        const archive = await exported(kept.result_image, `${format}.tar`, format);
        const said = execFileSync('docker', [...docker.cli, 'load', '-i', archive], { encoding: 'utf8' });
        const id = /sha256:[0-9a-f]{64}/.exec(said)?.[0];
        assert.ok(id, said);
        const container = execFileSync('docker', [...docker.cli, 'create', id, 'true'], { encoding: 'utf8' }).trim();
        execFileSync('docker', [...docker.cli, 'export', '-o', folder.join('docker.tar'), container]);
        const theirs = await tarPicture(folder.join('docker.tar'), { timeless: dockers });
        assert.deepEqual(pictureDifference(withoutDockers(ours), withoutDockers(withoutDevices(theirs))), [], format);
        const saved = folder.join(`saved-${format}.tar`);
        execFileSync('docker', [...docker.cli, 'save', '-o', saved, id]);
        const again = await engine.client.call('import_image', { registry_url: `docker-archive:${saved}` });
        assert.equal(again.status, 'SUCCESS', again.error?.message);
        const back = await tarPicture(await exported(again.image!, 'back.tar', 'rootfs'), { timeless: dockers });
        assert.deepEqual(pictureDifference(withoutSpecks(ours), withoutSpecks(back)), [], format);
      }
    } finally {
      await docker.stop();
    }
  });
});

/** No layer of these images names the root, so its time is that of unpacking. */
const timeless = new Set(['']);

/** Device nodes: nobody's namespace may make them, and a sandbox has its own. */
function withoutDevices(picture: TarPicture): TarPicture {
  return new Map([...picture].filter(([, line]) => !line.startsWith('device')));
}

/** Docker makes mount points in a container that it creates, which changes the times of the folders they lie in. */
const dockers = new Set(['', 'etc', 'dev', 'proc', 'sys']);
const mountPoints = /^(?:|\.dockerenv|dev\/.*|etc\/(?:hosts|hostname|resolv\.conf|mtab)|proc|sys|dev)$/;
function withoutDockers(picture: TarPicture): TarPicture {
  return withoutSpecks(new Map([...picture].filter(([name]) => !mountPoints.test(name))));
}

/** Docker keeps no times finer than a second in the layers that it packs itself. */
function withoutSpecks(picture: TarPicture): TarPicture {
  return new Map([...picture].map(([name, line]) => [name, line.replace(/(\d+)\.\d{9}/, '$1')]));
}
