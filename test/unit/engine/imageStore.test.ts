import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Parts, uuid } from './parts.ts';

const first = uuid(1, 'abcdef12');
const second = uuid(2, 'abcdef34');
const third = uuid(3, '12345678');

function withImages(work: (parts: Parts) => void): void {
  using parts = new Parts();
  for (const id of [first, second, third]) parts.image(id);
  work(parts);
}

const resolve = (parts: Parts, text: string) => parts.images.resolve(text).uuid;

describe('an image reference', () => {
  test('by UUID, by a prefix that is unique', () =>
    withImages(parts => {
      assert.equal(resolve(parts, first), first);
      assert.equal(resolve(parts, 'abcdef1'), first);
      assert.equal(resolve(parts, 'abcdef34'), second);
      assert.equal(resolve(parts, 'abcdef34-0000-40'), second);
      assert.equal(resolve(parts, '123456'), third);
    }));

  test('by a prefix of several names them', () =>
    withImages(parts => {
      assert.throws(() => resolve(parts, 'abcdef'), {
        code: 'ambiguous_reference',
        field: 'image',
        data: { candidates: [first, second] },
      });
    }));

  test('by a prefix too short is none', () =>
    withImages(parts => assert.throws(() => resolve(parts, 'abcde'), { code: 'image_not_found' })));

  test('by tag, with its prefix and bare', () =>
    withImages(parts => {
      parts.images.setTag(first, 'python:3.11-slim');
      assert.equal(resolve(parts, 'tag:python:3.11-slim'), first);
      assert.equal(resolve(parts, 'python:3.11-slim'), first);
      assert.throws(() => resolve(parts, 'tag:python'), { code: 'image_not_found' });
    }));

  test('that is a tag and a UUID prefix at once is ambiguous, unless it says tag:', () =>
    withImages(parts => {
      parts.images.setTag(third, 'abcdef1');
      assert.throws(() => resolve(parts, 'abcdef1'), { code: 'ambiguous_reference' });
      assert.equal(resolve(parts, 'tag:abcdef1'), third);
      parts.images.setTag(third, 'beadbead');
      assert.equal(resolve(parts, 'beadbead'), third, 'no image’s prefix, so the tag');
    }));

  test('by branch is its head, also after going back', () =>
    withImages(parts => {
      parts.branches.move('main', first);
      parts.branches.move('main', second);
      assert.equal(resolve(parts, 'branch:main'), second);
      parts.branches.rollBack('main', { steps: 1 });
      assert.equal(resolve(parts, 'branch:main'), first);
      assert.throws(() => resolve(parts, 'branch:other'), { code: 'branch_not_found', field: 'image' });
      assert.throws(() => resolve(parts, 'main'), { code: 'image_not_found' }, 'a bare name is never a branch');
    }));

  test('host: is the newest import of the machine that has not drifted', () =>
    withImages(parts => {
      assert.throws(() => resolve(parts, 'host:'), { code: 'image_not_found' });
      const old = parts.image(uuid(4), { source: 'host:', digest: 'then' });
      assert.equal(resolve(parts, 'host:'), old);
      const now = parts.image(uuid(5), { source: 'host:', digest: 'now' });
      assert.equal(resolve(parts, 'host:'), now);
      parts.images.tellDriftBy(image => image.digest === 'now');
      assert.equal(resolve(parts, 'host:'), old);
    }));

  test('to a removed image says so; its prefix and tag are free', () =>
    withImages(parts => {
      parts.images.setTag(first, 'mine');
      parts.images.remove(first);
      assert.throws(() => resolve(parts, first), { code: 'image_not_found', message: /was removed/ });
      assert.throws(() => resolve(parts, 'mine'), { code: 'image_not_found' });
      assert.equal(resolve(parts, 'abcdef'), second);
      assert.ok(parts.images.find(first), 'stays as a record');
    }));

  test('that cannot be one is an error of its field', () =>
    withImages(parts => {
      for (const text of ['', 'tag:', 'branch:', '-rf', 'a b', "x'; DROP TABLE images"]) {
        assert.throws(() => parts.images.resolve(text, 'create_from'), {
          code: 'invalid_input',
          field: 'create_from',
        });
      }
      assert.throws(() => resolve(parts, uuid(99)), { code: 'image_not_found' });
    }));

  test('with SQL’s wildcards matches nothing', () =>
    withImages(parts => {
      parts.images.setTag(first, 'a_b');
      assert.equal(parts.images.list({ tagPrefix: 'a_' }, 10, 0).total, 1);
      assert.equal(parts.images.list({ tagPrefix: '%' }, 10, 0).total, 0);
      assert.equal(parts.images.list({ tagPrefix: 'ab' }, 10, 0).total, 0);
    }));
});

describe('a tag', () => {
  test('moves, and says whose it was and what the image had', () =>
    withImages(parts => {
      assert.deepEqual(parts.images.setTag(first, 'v1'), { previousTag: null, movedFrom: null });
      assert.deepEqual(parts.images.setTag(second, 'v1'), { previousTag: null, movedFrom: first });
      assert.equal(parts.images.find(first)!.tag, null);
      assert.deepEqual(parts.images.setTag(second, 'v2'), { previousTag: 'v1', movedFrom: null });
      assert.deepEqual(parts.images.setTag(second, null), { previousTag: 'v2', movedFrom: null });
      assert.equal(parts.images.byTag('v2'), undefined);
    }));

  test('set again where it is changes nothing', () =>
    withImages(parts => {
      parts.images.setTag(first, 'v1');
      assert.deepEqual(parts.images.setTag(first, 'v1'), { previousTag: 'v1', movedFrom: null });
      assert.equal(resolve(parts, 'v1'), first);
    }));
});

test('lists are newest first and paged', () =>
  withImages(parts => {
    const page = parts.images.list({}, 2, 1);
    assert.equal(page.total, 3);
    assert.deepEqual(
      page.images.map(image => image.uuid),
      [second, first],
    );
    parts.images.remove(second);
    assert.equal(parts.images.list({}, 10, 0).total, 2);
  }));
