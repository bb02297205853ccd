import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { dockerCredentials } from '../../../src/registry/dockerCredentials.ts';
import { KeptCredentials } from '../../../src/registry/keptCredentials.ts';
import { TemporaryFolder } from '../../harness/temporaryFolder.ts';

let folder: TemporaryFolder;
let env: NodeJS.ProcessEnv;

beforeEach(() => {
  folder = new TemporaryFolder();
  mkdirSync(folder.join('bin'));
  mkdirSync(folder.join('.docker'));
  env = { HOME: folder.path, PATH: `${folder.join('bin')}:/usr/bin:/bin` };
});
afterEach(() => folder[Symbol.dispose]());

const find = (registry: string) => dockerCredentials(env).find(registry);
const config = (value: unknown, file = '.docker/config.json') => {
  mkdirSync(path.dirname(folder.join(file)), { recursive: true });
  writeFileSync(folder.join(file), typeof value === 'string' ? value : JSON.stringify(value));
};
const auth = (username: string, password: string) => ({
  auth: Buffer.from(`${username}:${password}`).toString('base64'),
});
const password = (username: string, text: string) => ({ kind: 'password' as const, username, password: text });

/** A program as credential helpers are: told `get`, given a server on stdin. */
function program(name: string, script: string): void {
  const file = folder.join('bin', `docker-credential-${name}`);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
}

describe('credentials that docker login left', () => {
  it('are found under every name of a registry', async () => {
    config({
      auths: {
        'https://index.docker.io/v1/': auth('hub', 'a:b'),
        'ghcr.io': auth('gh', 'c'),
        'https://quay.io': auth('q', 'd'),
      },
    });
    assert.deepEqual((await find('docker.io')).credentials, password('hub', 'a:b'));
    assert.deepEqual((await find('ghcr.io')).credentials, password('gh', 'c'));
    assert.deepEqual((await find('quay.io')).credentials, password('q', 'd'));
    assert.equal((await find('ghcr.io:443')).credentials, undefined);
    assert.equal((await find('http://ghcr.io')).credentials, undefined);
    assert.equal((await find('__proto__')).credentials, undefined);
  });

  it('may be an identity token, or Podman’s', async () => {
    config({ auths: { 'a.example': { ...auth('x', 'y'), identitytoken: 'refresh' } } });
    config({ auths: { 'b.example': auth('pod', 'man') } }, '.config/containers/auth.json');
    assert.deepEqual((await find('a.example')).credentials, { kind: 'identity', token: 'refresh' });
    assert.deepEqual((await find('b.example')).credentials, password('pod', 'man'));
    env.DOCKER_CONFIG = folder.join('elsewhere');
    assert.equal((await find('a.example')).credentials, undefined);
  });

  it('come from the helper that is named for the registry, else from the store', async () => {
    program(
      'one',
      'read server; [ "$1" = get ] && echo "{\\"ServerURL\\":\\"$server\\",\\"Username\\":\\"one\\",\\"Secret\\":\\"of $server\\"}"',
    );
    program('all', 'read server; echo "{\\"Username\\":\\"<token>\\",\\"Secret\\":\\"all of $server\\"}"');
    config({ auths: { 'one.example': auth('no', 'no') }, credHelpers: { 'one.example': 'one' }, credsStore: 'all' });
    assert.deepEqual((await find('one.example')).credentials, password('one', 'of one.example'));
    assert.deepEqual((await find('docker.io')).credentials, {
      kind: 'identity',
      token: 'all of https://index.docker.io/v1/',
    });
  });

  it('are those in the file when the helper has none or fails, and the failure is told without its output', async () => {
    program('empty', 'echo credentials not found in native keychain; exit 1');
    program('broken', 'echo my-secret-output; echo my-secret-output >&2; exit 3');
    program('chatty', 'yes my-secret-output');
    program('odd', 'echo my-secret-output');
    const auths = { 'x.example': auth('file', 'f') };
    config({ auths, credsStore: 'empty' });
    assert.deepEqual(await find('x.example'), { credentials: password('file', 'f') });
    assert.deepEqual(await find('y.example'), { credentials: undefined });
    for (const credsStore of ['broken', 'chatty', 'odd', 'missing', '../../bin/sh', 'a b']) {
      config({ auths, credsStore });
      const { credentials, trouble } = await find('y.example');
      assert.equal(credentials, undefined);
      assert.match(trouble!, /was asked in vain/);
      assert.doesNotMatch(trouble!, /my-secret-output/);
      assert.deepEqual((await find('x.example')).credentials, password('file', 'f'));
    }
  });

  it('are nobody’s when the file is damaged, and nothing of it is repeated', async () => {
    for (const text of ['{"auths":{"x.example":{"auth":"my-secret', '7', '"my-secret"', '']) {
      config(text);
      const { credentials, trouble } = await find('x.example');
      assert.equal(credentials, undefined);
      assert.match(trouble!, /config\.json is not/);
      assert.doesNotMatch(trouble!, /my-secret/);
    }
    config({ auths: { 'x.example': { auth: 'bm9jb2xvbg==' }, 'y.example': { auth: 7 }, 'z.example': null } });
    for (const registry of ['x.example', 'y.example', 'z.example'])
      assert.deepEqual(await find(registry), { credentials: undefined });
  });
});

describe('credentials that registry_auth kept', () => {
  it('lie in a file of their own that only its owner reads, and go when they are forgotten', async () => {
    const kept = new KeptCredentials(folder.path);
    assert.equal(kept.keep('a.example', 'me', 'one'), undefined);
    assert.equal(kept.keep('b.example', 'me', 'two'), undefined);
    assert.equal(kept.keep('a.example', 'you', 'three'), 'me');
    const file = folder.join('registry', 'auth.json');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(statSync(folder.join('registry')).mode & 0o777, 0o700);
    const again = new KeptCredentials(folder.path);
    assert.deepEqual((await again.find('a.example')).credentials, password('you', 'three'));
    assert.equal(again.forget('a.example'), 'you');
    assert.equal(again.forget('a.example'), undefined);
    assert.equal((await kept.find('a.example')).credentials, undefined);
    again.forget('b.example');
    assert.equal(statSync(file, { throwIfNoEntry: false }), undefined);
    writeFileSync(file, '{"registries":{"a.example":{"token":"my-secret');
    await assert.rejects(
      kept.find('a.example'),
      (error: Error) => /damaged/.test(error.message) && !/my-secret/.test(error.message),
    );
  });
});
