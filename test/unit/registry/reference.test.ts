import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CoppiceError } from '../../../src/protocol/errors.ts';
import {
  canonicalSource,
  parseReference,
  parseRegistry,
  registryHost,
  shortName,
} from '../../../src/registry/reference.ts';

const DIGEST = `sha256:${'ab'.repeat(32)}`;

describe('a reference to an image in a registry', () => {
  it('has Docker’s defaults', () => {
    const names: readonly (readonly [string, string, string, string])[] = [
      ['python', 'registry-1.docker.io', 'library/python', 'python:latest'],
      ['docker://python:3.11-slim', 'registry-1.docker.io', 'library/python', 'python:3.11-slim'],
      ['docker.io/library/python:3', 'registry-1.docker.io', 'library/python', 'python:3'],
      ['index.docker.io/python:3', 'registry-1.docker.io', 'library/python', 'python:3'],
      ['team/app', 'registry-1.docker.io', 'team/app', 'team/app:latest'],
      ['docker.io/library/a/b', 'registry-1.docker.io', 'library/a/b', 'library/a/b:latest'],
      ['localhost/app', 'localhost', 'app', 'localhost/app:latest'],
      ['localhost:5000/app:1', 'localhost:5000', 'app', 'localhost:5000/app:1'],
      ['docker://127.0.0.1:5000/a/b/c:x.y_z-1', '127.0.0.1:5000', 'a/b/c', '127.0.0.1:5000/a/b/c:x.y_z-1'],
      ['[::1]:5000/app', '[::1]:5000', 'app', '[::1]:5000/app:latest'],
      ['ghcr.io/owner/app', 'ghcr.io', 'owner/app', 'ghcr.io/owner/app:latest'],
      ['GHCR.io/owner/app', 'ghcr.io', 'owner/app', 'ghcr.io/owner/app:latest'],
      ['https://quay.io/a/b:1', 'quay.io', 'a/b', 'quay.io/a/b:1'],
      [`python@${DIGEST}`, 'registry-1.docker.io', 'library/python', `python@${DIGEST}`],
      [`quay.io/a/b:1@${DIGEST}`, 'quay.io', 'a/b', `quay.io/a/b:1@${DIGEST}`],
    ];
    for (const [text, host, repository, short] of names) {
      const reference = parseReference(text);
      assert.deepEqual(
        [registryHost(reference), reference.repository, shortName(reference)],
        [host, repository, short],
      );
      // What an image remembers as its source leads to the same image again.
      assert.deepEqual(canonicalSource(parseReference(canonicalSource(reference))), canonicalSource(reference));
    }
  });

  it('goes without TLS only where it is written so', () => {
    assert.equal(parseReference('http://registry.lan:5000/app').plainHttp, true);
    assert.equal(
      canonicalSource(parseReference('http://registry.lan:5000/app')),
      'http://registry.lan:5000/app:latest',
    );
    assert.equal(parseReference('docker://registry.lan:5000/app').plainHttp, false);
  });

  it('is refused when it is none', () => {
    const wrong = [
      ...[
        '',
        'docker://',
        'Python',
        'a//b',
        'a/',
        '/a',
        'a:',
        'a b',
        'a:b c',
        '-a',
        'a:-b',
        'docker://host:99999/a',
        'docker://ho st/a',
      ],
      ...[
        'a@sha256:12',
        'a@md5:00',
        `a@${DIGEST}0`,
        'a\nb',
        'a\0b',
        'http://host',
        'https://host/',
        '../a',
        'a/../b',
        'a?b',
        'a#b',
        'host.x/%2e%2e/a',
      ],
    ];
    for (const text of wrong) assert.throws(() => parseReference(text), invalid, JSON.stringify(text));
  });

  it('holds no password, and the error repeats none', () => {
    for (const text of ['docker://me:hunter2@host.x/app', 'me:hunter2@host.x/app', 'https://hunter2@host.x/app:1']) {
      assert.throws(
        () => parseReference(text),
        (error: CoppiceError) => invalid(error) && !JSON.stringify([error.message, error.fix]).includes('hunter2'),
      );
      assert.throws(() => parseRegistry(text), invalid);
    }
  });

  it('names a registry alone, for credentials', () => {
    const registries = {
      'docker.io': 'docker.io',
      'https://index.docker.io/v1/': 'docker.io',
      'ghcr.io': 'ghcr.io',
      'docker://localhost:5000/': 'localhost:5000',
    };
    for (const [text, registry] of Object.entries(registries))
      assert.deepEqual([parseRegistry(text).registry, parseRegistry(text).repository], [registry, '']);
    assert.equal(parseRegistry('ghcr.io/owner/private:1').repository, 'owner/private');
    assert.throws(() => parseRegistry('not a host'), invalid);
  });
});

const invalid = (error: unknown): boolean => error instanceof CoppiceError && error.code === 'invalid_input';
