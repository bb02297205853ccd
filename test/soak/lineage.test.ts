import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startEngine, type TestEngine } from '../harness/engine.ts';

const DEPTH = 200;
/** The goal is 1.3; a test on a busy machine allows more. */
const MAY_BE_SLOWER = 3;

test(`a lineage of ${DEPTH} kept runs keeps every file and every parent, and runs as fast at its end`, async () => {
  await using engine = await startEngine();
  let image = await engine.busybox();
  const images = [image];
  for (let depth = 1; depth <= DEPTH; depth++) {
    const command = `echo ${depth} > /root/file${depth}; echo ${depth} > /root/last; rm -f /root/file${depth - 10}`;
    image = (await engine.keep(command, { image })).result_image;
    images.push(image);
  }
  const lineage = await engine.client.call('lineage', { image });
  assert.equal(lineage.depth, DEPTH);
  assert.deepEqual(lineage.ancestors.map(ancestor => ancestor.image).toReversed(), images.slice(0, -1));
  const deepest = await engine.run('cat /root/last; ls /root | wc -l', { image });
  assert.equal(deepest.stdout, `${DEPTH}\n11\n`, 'deleted files stay deleted, the last ten are there');
  const middle = await engine.run('cat /root/last', { image: images[DEPTH / 2]! });
  assert.equal(middle.stdout, `${DEPTH / 2}\n`);
  const [shallow, deep] = await medians(engine, [images[1]!, image]);
  console.log(`depth 1: ${shallow!.toFixed(1)} ms, depth ${DEPTH}: ${deep!.toFixed(1)} ms`);
  assert.ok(deep! < shallow! * MAY_BE_SLOWER, `${deep!.toFixed(1)} ms against ${shallow!.toFixed(1)} ms at depth 1`);
});

/** Of `true` from each image, in turn. */
async function medians(engine: TestEngine, images: readonly string[]): Promise<readonly number[]> {
  const times = images.map(() => [] as number[]);
  for (let turn = 0; turn < 25; turn++) {
    for (const [index, image] of images.entries()) {
      const start = performance.now();
      await engine.run('true', { image });
      times[index]!.push(performance.now() - start);
    }
  }
  return times.map(each => each.sort((a, b) => a - b)[Math.floor(each.length / 2)]!);
}
