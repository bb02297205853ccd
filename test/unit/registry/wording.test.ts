import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseChallenges } from '../../../src/registry/challenge.ts';
import { fit, parsePlatform } from '../../../src/registry/platform.ts';

describe('a challenge', () => {
  it('is read as registries write it', () => {
    assert.deepEqual(
      parseChallenges(
        'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/x:pull,push"',
      ),
      [
        {
          scheme: 'bearer',
          parameters: {
            realm: 'https://auth.docker.io/token',
            service: 'registry.docker.io',
            scope: 'repository:library/x:pull,push',
          },
        },
      ],
    );
    assert.deepEqual(parseChallenges('Basic realm="a \\"b\\"", Bearer realm=x , error="insufficient_scope"'), [
      { scheme: 'basic', parameters: { realm: 'a "b"' } },
      { scheme: 'bearer', parameters: { realm: 'x', error: 'insufficient_scope' } },
    ]);
    assert.deepEqual(parseChallenges('Negotiate'), [{ scheme: 'negotiate', parameters: {} }]);
    for (const odd of ['', ',', '=x', '"', 'Bearer realm="unended', ' ,,, ', 'a=b'])
      assert.ok(parseChallenges(odd).length <= 1);
  });
});

describe('a platform', () => {
  const best = (wanted: string, ...offered: string[]) =>
    offered
      .map(name => ({ name, how: fit(parsePlatform(wanted), parsePlatform(name)) }))
      .filter(({ how }) => how !== undefined)
      .sort((a, b) => b.how! - a.how!)[0]?.name;

  it('fits as the machine does, variants of ARM included', () => {
    assert.equal(best('linux/amd64', 'linux/arm64', 'linux/amd64'), 'linux/amd64');
    assert.equal(best('linux/amd64', 'windows/amd64', 'linux/386'), undefined);
    assert.equal(best('linux/amd64', 'linux/amd64/v3', 'linux/amd64'), 'linux/amd64');
    assert.equal(best('linux/arm64', 'linux/arm/v7', 'linux/arm64/v8'), 'linux/arm64/v8');
    assert.equal(best('linux/arm64', 'linux/arm64/v9'), undefined);
    assert.equal(best('linux/arm/v7', 'linux/arm/v5', 'linux/arm/v6', 'linux/arm64/v8'), 'linux/arm/v6');
    assert.equal(best('linux/arm/v6', 'linux/arm/v7', 'linux/arm/v5'), 'linux/arm/v5');
    assert.equal(best('linux/arm/v6', 'linux/arm/v7'), undefined);
    assert.equal(best('linux/arm', 'linux/arm/v6', 'linux/arm/v7'), 'linux/arm/v7');
  });
});
