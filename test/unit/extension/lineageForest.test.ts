import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineageForest, type LineageNode } from '../../../src/extension/views/lineageForest.ts';
import type { ImageView } from '../../../src/protocol/schemas/images.ts';

function image(uuid: string, parent: string | null, second: number, branches: string[] = []): ImageView {
  const created_at = new Date(second * 1000).toISOString();
  const rest = { tag: null, size: 0, operation_id: null, source: null, runtime: 'native', title: uuid } as const;
  return { uuid, parent, created_at, branches, exit_code: null, drifted: false, ...rest };
}

const picture = (nodes: readonly LineageNode[]): string =>
  nodes.map(({ image: { uuid }, children }) => uuid + (children.length > 0 ? `(${picture(children)})` : '')).join(' ');

test('images become trees, the oldest first, whatever order they come in', () => {
  const forest = new LineageForest();
  forest.replace([
    image('c', 'b', 3),
    image('d', 'a', 4),
    image('z', null, 5),
    image('a', null, 1),
    image('b', 'a', 2),
  ]);
  assert.equal(picture(forest.roots), 'a(b(c) d) z');
});

test('only what changed is to be drawn anew', () => {
  const forest = new LineageForest();
  forest.replace([image('a', null, 1), image('b', 'a', 2)]);
  const child = forest.put(image('c', 'b', 3));
  assert.equal(child.kind === 'node' && child.node.image.uuid, 'b');
  const known = forest.put({ ...image('b', 'a', 2), tag: 'named' });
  assert.equal(known.kind === 'node' && known.node.image.tag, 'named');
  assert.equal(forest.put(image('r', null, 9)).kind, 'roots');
  const leaf = forest.remove('c');
  assert.equal(leaf.kind === 'node' && leaf.node.image.uuid, 'b');
  assert.equal(forest.remove('c').kind, 'none');
});

test('what was made from a removed image stands as a root, and its own children stay below it', () => {
  const forest = new LineageForest();
  forest.replace([image('a', null, 1), image('b', 'a', 2), image('c', 'b', 3), image('d', 'c', 4)]);
  assert.equal(forest.remove('b').kind, 'roots');
  assert.equal(picture(forest.roots), 'a c(d)');
  assert.equal(forest.find('c')?.parent, undefined);
});

test('the ways to the heads', () => {
  const forest = new LineageForest();
  forest.replace([image('a', null, 1), image('b', 'a', 2), image('c', 'b', 3, ['main']), image('d', 'a', 4)]);
  assert.deepEqual([...forest.leadsToHead()].sort(), ['a', 'b']);
});

test('ten thousand images in one line and in one row', () => {
  const many = Array.from({ length: 10_000 }, (_, index) => index);
  const forest = new LineageForest();
  forest.replace(
    many.map(index => image(`${index}`, index === 0 ? null : `${index - 1}`, index, index === 9_999 ? ['x'] : [])),
  );
  assert.equal(forest.leadsToHead().size, 9_999);
  forest.replace([image('root', null, 0), ...many.map(index => image(`${index}`, 'root', index))]);
  assert.equal(forest.roots[0]?.children.length, 10_000);
});
