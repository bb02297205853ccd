import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Parts, uuid } from './parts.ts';

const [a, b, c, d] = [uuid(0xa), uuid(0xb), uuid(0xc), uuid(0xd)];

function withBranch(work: (parts: Parts) => void): void {
  using parts = new Parts();
  for (const id of [a, b, c, d]) parts.image(id!);
  for (const id of [a, b, c]) parts.branches.move('main', id!);
  work(parts);
}

const history = (parts: Parts) => parts.branches.result('main').history.map(step => step.image);

describe('a branch', () => {
  test('goes back along its history and forward again, and nothing is lost', () =>
    withBranch(parts => {
      const { branches } = parts;
      branches.rollBack('main', { steps: 1 });
      assert.equal(branches.head('main'), b);
      branches.rollBack('main', { steps: 1 });
      assert.equal(branches.head('main'), a);
      branches.rollBack('main', { steps: -2 });
      assert.equal(branches.head('main'), c);
      assert.deepEqual(history(parts), [a, b, c]);
    }));

  test('after going back, a new image is added behind where it started from, and the old future stays', () =>
    withBranch(parts => {
      parts.branches.rollBack('main', { steps: 2 });
      parts.branches.move('main', d!);
      assert.equal(parts.branches.head('main'), d);
      assert.deepEqual(history(parts), [a, b, c, a, d]);
      parts.branches.rollBack('main', { steps: 1 });
      assert.equal(parts.branches.head('main'), a, 'back is where the new image came from');
      parts.branches.rollBack('main', { steps: 1 });
      assert.equal(parts.branches.head('main'), c);
    }));

  test('goes to an image of its history: the nearest earlier, else a later', () =>
    withBranch(parts => {
      parts.branches.rollBack('main', { image: a! });
      assert.equal(parts.branches.head('main'), a);
      parts.branches.rollBack('main', { image: c! });
      assert.equal(parts.branches.head('main'), c);
      assert.throws(() => parts.branches.rollBack('main', { image: d! }), { code: 'invalid_input', field: 'image' });
      assert.equal(parts.branches.head('main'), c);
    }));

  test('does not go beyond its ends, and says where it is', () =>
    withBranch(parts => {
      assert.throws(() => parts.branches.rollBack('main', { steps: 3 }), {
        code: 'invalid_input',
        field: 'steps',
        message: /3 of 3/,
      });
      assert.throws(() => parts.branches.rollBack('main', { steps: -1 }), { code: 'invalid_input', field: 'steps' });
      assert.equal(parts.branches.head('main'), c);
    }));

  test('moved to where it is stays as it is', () =>
    withBranch(parts => {
      parts.branches.move('main', c!);
      assert.deepEqual(history(parts), [a, b, c]);
    }));

  test('nobody made is named', () =>
    withBranch(parts => {
      for (const work of [
        () => parts.branches.head('other'),
        () => parts.branches.rollBack('other', { steps: 1 }),
        () => parts.branches.remove('other'),
      ])
        assert.throws(work, { code: 'branch_not_found', data: { branch: 'other' } });
    }));

  test('that is removed is checked out nowhere any more; its images stay', () =>
    withBranch(parts => {
      parts.branches.checkOut('/work', 'main');
      assert.equal(parts.branches.checkedOut('/work'), 'main');
      parts.branches.remove('main');
      assert.equal(parts.branches.checkedOut('/work'), undefined);
      assert.ok(parts.images.find(c!));
      assert.deepEqual(parts.branches.names(), []);
      assert.equal(parts.seen.at(-1)!.topic, 'branch');
    }));

  test('of two folders is checked out in each, and a folder has one at a time', () =>
    withBranch(parts => {
      parts.branches.move('other', d!);
      parts.branches.checkOut('/one', 'main');
      parts.branches.checkOut('/two', 'main');
      assert.deepEqual(parts.branches.view('main').checked_out_in, ['/one', '/two']);
      parts.branches.checkOut('/one', 'other');
      assert.deepEqual(parts.branches.view('main').checked_out_in, ['/two']);
      parts.branches.checkOut('/one', null);
      assert.deepEqual(parts.branches.view('other').checked_out_in, []);
    }));

  test('holds every image of its history', () =>
    withBranch(parts => {
      parts.branches.rollBack('main', { steps: 2 });
      assert.deepEqual([...parts.branches.heldImages().keys()].sort(), [a, b, c].sort());
    }));

  test('moved inside a transaction that fails has not moved', () =>
    withBranch(parts => {
      assert.throws(() =>
        parts.database.transaction(() => {
          parts.branches.moveInTransaction('main', d!, null);
          throw new Error('the run could not be recorded');
        }),
      );
      assert.equal(parts.branches.head('main'), c);
      assert.deepEqual(history(parts), [a, b, c]);
    }));
});
