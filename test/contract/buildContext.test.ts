import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import type Docker from 'dockerode';
import { buildFolder } from '../harness/buildFolder.ts';
import { daemonApi } from '../harness/daemonApi.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { testRuntime } from '../harness/testRuntime.ts';

/** Which files of a folder a build takes, beside what Docker's own command line of the daemon's version takes of the same. */

let engine: TestEngine;
let base: string;
let api: Docker;

function context(files: Readonly<Record<string, string>>): string {
  const folder = buildFolder(engine, files);
  chmodSync(path.join(folder, 'src/a.txt'), 0o751);
  symlinkSync('../b.md', path.join(folder, 'src/link.md'));
  symlinkSync('/etc', path.join(folder, 'outward'));
  mkdirSync(path.join(folder, 'empty'));
  return folder;
}

describe('a build takes of a folder what Docker’s own command line takes', { skip: oracleMissing() }, () => {
  const files = Object.fromEntries(
    [
      'a.txt',
      'b.md',
      'README.md',
      'README-secret.md',
      'src/a.txt',
      'src/deep/er/c.txt',
      'src/deep/keep.md',
      'dist/x',
      'dist/keep/y',
      'node_modules/p/i.js',
      '.env',
      '.git/config',
      'sp ace/f',
      'ä/ö.txt',
      'temp-1',
      'temp-a',
      'x[y]',
      'Dockerfile',
    ].map(name => [name, name === 'Dockerfile' ? 'FROM busy:1\nCOPY . /c\n' : name]),
  );
  const cases: Readonly<Record<string, string>> = {
    'nothing said': '',
    'all but': '*\n!src\n!README*.md\nREADME-secret.md\n',
    'at any depth': '**/*.txt\n**/node_modules\n',
    'exceptions in a folder that is left out': 'src\n!src/deep/keep.md\ndist\n!dist/keep\n',
    'slashes, comments and blanks': '# b.md\n/a.txt\n  dist/  \n\nsrc/deep/../a.txt\n',
    'classes and single characters': 'temp-?\n!temp-[a-c]\nx\\[y\\]\n.*\n!.env\n',
    'Dockerfile and itself': 'Dockerfile\n.dockerignore\nsp ace\nä/*\n',
    'everything, also the Dockerfile': '**\n!**/deep\n',
  };
  before(async () => {
    api = daemonApi();
    engine = await startEngine();
    base = await engine.busybox('busy:1');
  });
  after(async () => engine[Symbol.asyncDispose]());

  for (const [name, ignore] of Object.entries(cases)) {
    it(name, async () => {
      const folder = context(ignore === '' ? files : { ...files, '.dockerignore': ignore });
      const { image, error } = await engine.client.call('build', { context: folder });
      assert.ok(image, error?.message);
      const ours = await engine.run(picture, { image });
      assert.match(ours.stdout, /^drwx/m);
      assert.deepEqual(ours.stdout.split('\n'), await dockersOwn(folder));
    });
  }
});

/** Names, modes, owners and sizes. Where it is a file of the image, Docker reads a line more in `.dockerignore`. */
const picture =
  'cd /c && busybox find . -exec busybox stat -c "%A %u:%g %s %N" {} \\; | busybox sed "s/ [0-9]* \\(.*dockerignore\\)/ \\1/" | sort';

/** The base has a name in the daemon for it, which is taken away again. */
async function dockersOwn(folder: string): Promise<string[]> {
  const source = (await api.listImages({ filters: { label: [`coppice.id=${base}`] } }))[0]!;
  await api.getImage(source.Id).tag({ repo: 'busy', tag: '1' });
  const docker = (...args: string[]) =>
    execFileSync('/usr/bin/docker', ['--host', process.env.COPPICE_DOCKER_HOST!, ...args], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, HOME: engine.folder.path, DOCKER_BUILDKIT: '0' },
    });
  try {
    docker('build', '--quiet', '--tag', 'oracle:1', folder);
    return docker('run', '--rm', '--network', 'none', 'oracle:1', 'sh', '-c', picture).split('\n');
  } finally {
    docker('rmi', '--force', 'oracle:1', 'busy:1');
  }
}

function oracleMissing(): string | false {
  if (testRuntime === 'native') return 'the native runtime builds no Dockerfiles yet';
  return existsSync('/usr/bin/docker') ? false : 'Docker’s command line is missing';
}
