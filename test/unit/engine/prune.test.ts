import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { ImageRemoval } from '../../../src/engine/images/imageRemoval.ts';
import { prune } from '../../../src/engine/images/prune.ts';
import { removeImage } from '../../../src/engine/images/removeImage.ts';
import { Runtimes } from '../../../src/engine/runtimes.ts';
import { CoppiceError } from '../../../src/protocol/errors.ts';
import type { VerbRequest } from '../../../src/protocol/verbs.ts';
import type { Runtime, RuntimeImage } from '../../../src/runtimes/runtime.ts';
import { Parts, uuid } from './parts.ts';

const DAY = 86_400_000;
const [base, child, leaf, other, lone] = [1, 2, 3, 4, 5].map(number => uuid(number)) as [
  string,
  string,
  string,
  string,
  string,
];

let parts: Parts;
let removal: ImageRemoval;
let inUse: Map<string, string>;
/** What the runtime was asked to free, with what it was told must stay. */
let freed: { readonly image: string; readonly others: readonly string[] }[];

/** base ← child ← leaf, base ← other, and lone by itself: all last used 20 days ago. */
beforeEach(() => {
  parts = new Parts();
  inUse = new Map();
  freed = [];
  const runtime = {
    name: 'native',
    removeImage: async (image: RuntimeImage, others: readonly RuntimeImage[]) => {
      freed.push({ image: image.uuid, others: others.map(kept => kept.uuid) });
      return 10;
    },
  } as unknown as Runtime;
  removal = new ImageRemoval(parts.images, parts.branches, new Runtimes([runtime]), () => inUse);
  for (const [image, parent] of [
    [base, null],
    [child, base],
    [leaf, child],
    [other, base],
    [lone, null],
  ] as const)
    parts.image(image, { parent });
  parts.database.run('UPDATE images SET created_at = ?, used_at = ?', Date.now() - 20 * DAY, Date.now() - 20 * DAY);
});
afterEach(() => parts[Symbol.dispose]());

const living = () => parts.images.living().map(image => image.uuid);
const remove = (image: string, force = false) => removeImage(removal, { image, force });
const pruned = async (policy: Partial<VerbRequest<'prune'>> = {}) => {
  const result = await prune(removal, { unused_for: 14 * 86_400, keep_tagged: true, dry_run: false, ...policy });
  return result.removed.map(image => image.image);
};
const refused = (message: RegExp, fix: RegExp) => (error: unknown) =>
  error instanceof CoppiceError && error.code === 'in_use' && message.test(error.message) && fix.test(error.fix!);

describe('remove_image', () => {
  test('what nothing holds goes, and its bytes', async () => {
    assert.deepEqual(await remove(leaf), {
      removed: [{ image: leaf, tag: null, size: 1, reason: 'asked for' }],
      freed_bytes: 10,
    });
    assert.deepEqual(freed, [{ image: leaf, others: [base, child, other, lone] }]);
    assert.deepEqual(living(), [base, child, other, lone]);
    assert.ok(parts.seen.some(event => event.topic === 'image' && event.change === 'removed'));
    await assert.rejects(remove(leaf), { code: 'image_not_found' });
  });

  test('what holds an image is named, with the cure', async () => {
    parts.images.setTag(lone, 'kept');
    parts.branches.move('main', leaf);
    parts.branches.move('main', other);
    inUse.set(other, 'op-abc123');
    await assert.rejects(remove(lone), refused(/has the tag kept/, /coppice tag .* --remove/));
    await assert.rejects(remove(leaf), refused(/history of branch main/, /coppice branch main --remove/));
    await assert.rejects(remove(base), refused(/parent of image .*2 and 1 more/, /Remove those first/));
    await assert.rejects(remove(other), refused(/in use by op-abc123, and .*branch main/, /coppice cancel op-abc123/));
    assert.equal(living().length, 5);
    assert.deepEqual(freed, []);
  });

  test('a forced parent stays as a record, and its children keep their lineage', async () => {
    const result = await remove(base, true);
    assert.match(result.removed[0]!.reason, /^forced: it is the parent of image/);
    assert.equal(parts.images.find(child)!.parent, base);
    assert.notEqual(parts.images.find(base)!.removedAt, null);
    assert.deepEqual(freed, [{ image: base, others: [child, leaf, other, lone] }]);
  });

  test('a forced tag goes with its image', async () => {
    parts.images.setTag(lone, 'kept');
    assert.equal((await remove('tag:kept', true)).removed[0]!.tag, 'kept');
    assert.equal(parts.images.byTag('kept'), undefined);
  });

  test('what runs from a forced image keeps its files until it is done', async () => {
    inUse.set(leaf, 'op-abc123');
    assert.equal((await remove(leaf, true)).freed_bytes, 0);
    assert.deepEqual(freed, []);
    await remove(other);
    assert.deepEqual(freed, [{ image: other, others: [base, child, lone, leaf] }]);
    inUse.clear();
    await remove(lone);
    assert.deepEqual(freed.slice(1), [
      { image: leaf, others: [base, child] },
      { image: lone, others: [base, child] },
    ]);
  });
});

describe('prune', () => {
  test('all that was not used for so long, children before parents', async () => {
    assert.deepEqual(await pruned(), [lone, other, leaf, child, base]);
    assert.deepEqual(living(), []);
  });

  test('a dry run says exactly what would go, and nothing goes', async () => {
    parts.images.touch(other);
    const policy = { unused_for: 14 * 86_400, keep_tagged: true };
    const dry = await prune(removal, { ...policy, dry_run: true });
    assert.deepEqual([dry.kept, dry.freed_bytes, dry.dry_run, living().length], [2, 3, true, 5]);
    assert.ok(dry.removed.every(image => image.reason === 'not used for 20 days'));
    const done = await prune(removal, { ...policy, dry_run: false });
    assert.deepEqual(done.removed, dry.removed);
    assert.deepEqual([done.kept, done.freed_bytes], [2, 30]);
    assert.deepEqual(living(), [base, other]);
  });

  test('keeps what is tagged, on a branch, in use or was used lately, and all they came from', async () => {
    parts.images.setTag(child, 'kept');
    assert.deepEqual(await pruned({ dry_run: true }), [lone, other, leaf]);
    parts.branches.move('main', leaf);
    parts.branches.move('main', lone);
    assert.deepEqual(await pruned({ dry_run: true }), [other], 'history counts too');
    inUse.set(other, 'sb-1');
    assert.deepEqual(await pruned({ dry_run: true }), []);
  });

  test('an ancestor of what stays is kept although the one between is gone', async () => {
    parts.images.touch(leaf);
    await remove(child, true);
    assert.deepEqual(await pruned(), [lone, other]);
    assert.deepEqual(living(), [base, leaf]);
  });

  test('keep_tagged:false takes tagged ones, and says so', async () => {
    parts.images.setTag(lone, 'old');
    const result = await prune(removal, { unused_for: 86_400, keep_tagged: false, dry_run: false });
    assert.equal(result.removed[0]!.tag, 'old');
    assert.match(result.removed[0]!.reason, /its tag old goes with it/);
  });

  test('the limit is exact: unused_for 0 takes everything, a day more nothing', async () => {
    assert.deepEqual(await pruned({ unused_for: 21 * 86_400 }), []);
    parts.images.touch(lone);
    assert.equal((await pruned({ unused_for: 0, dry_run: true })).length, 5);
  });
});
