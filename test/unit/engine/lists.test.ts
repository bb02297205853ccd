import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HostDrift } from '../../../src/engine/images/hostDrift.ts';
import type { Runtime } from '../../../src/runtimes/runtime.ts';
import { newOperation, Parts, uuid } from './parts.ts';

/** A chain of `length` images on a `host:` base that was made of `digest`. */
function chain(parts: Parts, length: number, digest: string): string[] {
  const names = Array.from({ length }, (_, index) => uuid(index + 1));
  for (const [index, name] of names.entries())
    parts.image(name, index === 0 ? { source: 'host:', digest } : { parent: names[index - 1]! });
  return names;
}

const machine = (identity: string): Runtime =>
  ({ name: 'native', identify: async () => identity }) as unknown as Runtime;

describe('lists', () => {
  test('drift is known of a whole lineage, asking for each ancestor once', async () => {
    using parts = new Parts();
    const names = chain(parts, 200, 'old');
    const drift = new HostDrift(machine('new'), parts.images);
    await drift.refresh();
    let asked = 0;
    const origin = parts.images.origin.bind(parts.images);
    parts.images.origin = name => {
      asked++;
      return origin(name);
    };
    const views = parts.images.views(parts.images.list({}, 1000, 0).images);
    assert.ok(views.every(view => view.drifted));
    assert.equal(asked, names.length);
    parts.images.remove(names[0]!);
    assert.equal(parts.images.view(parts.images.find(names[199]!)!).drifted, true, 'a removed root is still the root');
  });

  test('the machine is looked at behind whoever starts from a `host:` image, and only then', async () => {
    using parts = new Parts();
    const [base, , top] = chain(parts, 3, 'old');
    parts.image(uuid(99));
    const drift = new HostDrift(machine('new'), parts.images);
    const look = async (image: string) => {
      drift.lookBehind(parts.images.find(image)!, assert.ifError);
      await new Promise(resolve => setImmediate(resolve));
      await new Promise(resolve => setImmediate(resolve));
      return drift.drifted(parts.images.find(base!)!);
    };
    assert.equal(await look(uuid(99)), false);
    assert.equal(await look(top!), true);
  });

  test('views of many are the views of each', () => {
    using parts = new Parts();
    const names = chain(parts, 5, 'x');
    parts.branches.move('b', names[1]!);
    parts.branches.move('a', names[1]!);
    parts.branches.move('a', names[3]!);
    parts.branches.move('c', names[1]!);
    const { images } = parts.images.list({}, 10, 0);
    assert.deepEqual(
      parts.images.views(images),
      images.map(image => parts.images.view(image)),
    );
    assert.deepEqual(parts.images.view(parts.images.find(names[1]!)!).branches, ['b', 'c']);
  });

  test('operations come newest first, page by page, whatever they are filtered by', () => {
    using parts = new Parts();
    const made = Array.from({ length: 9 }, () => parts.store.insert(newOperation).id);
    for (const id of made.slice(0, 3)) parts.store.begin(id);
    const page = (statuses: readonly ('PENDING' | 'EXECUTING')[], limit: number, offset: number) =>
      parts.store.list({ statuses, kind: 'run' }, limit, offset).operations.map(operation => operation.id);
    assert.deepEqual(page(['PENDING', 'EXECUTING'], 9, 0), made.toReversed());
    assert.deepEqual(page(['PENDING', 'EXECUTING'], 4, 4), made.toReversed().slice(4, 8));
    assert.deepEqual(page(['EXECUTING'], 2, 1), [made[1], made[0]]);
    assert.deepEqual(parts.store.list({ statuses: [] }, 9, 0), { operations: [], total: 0 });
  });
});
