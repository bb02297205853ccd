import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Runtimes } from '../../../src/engine/runtimes.ts';
import type { Runtime } from '../../../src/runtimes/runtime.ts';

class Probed {
  asked = 0;
  readonly runtime: Runtime;
  constructor(name: 'native' | 'docker', available: boolean | Error) {
    const probe = async () => {
      this.asked++;
      if (available instanceof Error) throw available;
      return { available };
    };
    this.runtime = { name, probe } as unknown as Runtime;
  }
}

describe('the runtime that new images go to', () => {
  test('auto: the first that works, asked once; the second is not even asked', async () => {
    const [native, docker] = [new Probed('native', true), new Probed('docker', true)];
    const runtimes = new Runtimes([native.runtime, docker.runtime]);
    assert.equal((await runtimes.preferred()).name, 'native');
    assert.equal((await runtimes.preferred()).name, 'native');
    assert.deepEqual([native.asked, docker.asked], [1, 0]);
  });

  test('auto: docker where native does not work, or cannot even be asked', async () => {
    for (const state of [false, new Error('broken')]) {
      const runtimes = new Runtimes([new Probed('native', state).runtime, new Probed('docker', true).runtime]);
      assert.equal((await runtimes.preferred()).name, 'docker');
    }
  });

  test('auto: where nothing works, the first says why; and it is asked again', async () => {
    const [native, docker] = [new Probed('native', false), new Probed('docker', false)];
    const runtimes = new Runtimes([native.runtime, docker.runtime]);
    assert.equal((await runtimes.preferred()).name, 'native');
    await runtimes.preferred();
    assert.deepEqual([native.asked, docker.asked], [2, 2]);
  });

  test('chosen: that one, unasked', async () => {
    const [native, docker] = [new Probed('native', true), new Probed('docker', false)];
    const runtimes = new Runtimes([native.runtime, docker.runtime], 'docker');
    assert.equal((await runtimes.preferred()).name, 'docker');
    assert.deepEqual([native.asked, docker.asked], [0, 0]);
  });

  test('an image’s own; one that this engine has not is an error', () => {
    const native = new Probed('native', true).runtime;
    assert.equal(new Runtimes([native]).of({ runtime: 'native' }), native);
    assert.throws(() => new Runtimes([native]).of({ runtime: 'docker' }), { code: 'runtime_unavailable' });
  });
});
