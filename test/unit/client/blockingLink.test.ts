import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';
import { BlockingLink } from '../../../src/client/bridge/blockingLink.ts';
import { EngineDiedError } from '../../../src/client/errors.ts';
import { OperationRef } from '../../../src/client/operationRef.ts';

const bridge = (name: string) => path.join(import.meta.dirname, '..', '..', 'fixtures', 'bridge', `${name}.mjs`);

describe('a bridge that', () => {
  for (const [name, limit] of [
    ['dies', 5_000],
    ['still', 10_000],
  ] as const) {
    test(`${name === 'dies' ? 'fails' : 'stands still'} ends the wait with a typed error`, () => {
      const link = new BlockingLink(bridge(name), { home: '/nonexistent', script: '/nonexistent', start: false });
      const ref = OperationRef.job({ link, what: 'work' }, 'readFile', { sandbox: 'sb-1', path: '/' }, value => value);
      const begun = performance.now();
      assert.throws(() => ref.get(), EngineDiedError);
      assert.ok(performance.now() - begun < limit);
      assert.equal(ref.state, 'failed');
    });
  }
});
