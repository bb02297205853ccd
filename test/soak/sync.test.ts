import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkStore } from '../harness/checkStore.ts';
import { CoppiceHome } from '../harness/coppiceHome.ts';
import { startEngine } from '../harness/engine.ts';
import { eventually } from '../harness/eventually.ts';
import { RandomTree, random } from '../harness/randomTree.ts';
import { TemporaryFolder } from '../harness/temporaryFolder.ts';
import { pictureInside, pictureOf, withoutTimes } from '../harness/treePicture.ts';

const seed = Number(process.env.COPPICE_SEED ?? Date.now() % 1_000_000);
const MINUTES = Number(process.env.COPPICE_SOAK_MINUTES ?? 6);

test(`random trees, ${MINUTES} minutes: a sandbox sees the source, the id is the one from scratch`, async () => {
  console.log(`seed ${seed}`);
  const next = random(seed);
  using folder = new TemporaryFolder();
  await using engine = await startEngine();
  await using other = await startEngine();
  const image = await engine.busybox();
  const end = Date.now() + MINUTES * 60_000;
  let cases = 0;
  for (let round = 0; Date.now() < end; round++) {
    const source = folder.join(`tree${round}`);
    const tree = new RandomTree(source, next);
    for (let count = 0; count < 20; count++) tree.edit();
    const sync = (at: typeof engine, changed?: readonly string[]) =>
      at.client.call('rsync', {
        source,
        destination: '/app',
        ...(changed === undefined ? {} : { changed: [...changed] }),
      });
    await sync(engine);
    const ids = new Set<string>();
    for (let step = 0; step < 20; step++, cases++) {
      const changed: Buffer[] = [];
      for (let count = 0; count < 1 + next() * 4; count++) changed.push(...tree.edit());
      const tellable = changed.every(file => Buffer.from(file.toString('utf8')).equals(file));
      const where = `seed ${seed} round ${round} step ${step}`;
      const { directory_state_id: id } = await sync(
        engine,
        tellable ? changed.map(file => file.toString('utf8')) : undefined,
      );
      assert.equal((await sync(other)).directory_state_id, id, where);
      const view = ids.has(id) ? withoutTimes : (lines: string[]) => lines;
      ids.add(id);
      assert.deepEqual(
        view(await pictureInside(engine, { image, directory_state_id: id })),
        view(pictureOf(source)),
        where,
      );
    }
    rmSync(source, { recursive: true });
  }
  checkStore(engine.home);
  console.log(`${cases} cases`);
});

test('an engine killed while it syncs: the store verifies, and the next sync is right', async () => {
  console.log(`seed ${seed}`);
  const next = random(seed);
  using folder = new TemporaryFolder();
  await using home = new CoppiceHome();
  await using fresh = await startEngine();
  const source = folder.join('source');
  const write = (turn: number) => {
    for (let count = 0; count < 400; count++) {
      const at = path.join(source, `d${Math.floor(next() * 60)}`);
      mkdirSync(at, { recursive: true });
      writeFileSync(
        path.join(at, `f${Math.floor(next() * 60)}`),
        `${turn} ${next()}`.repeat(1 + Math.floor(next() * 500)),
      );
    }
  };
  for (let turn = 0; turn < 25; turn++) {
    write(turn);
    const client = await home.connect();
    const { pid } = client.engine;
    const going = client.call('rsync', { source, destination: '/app' }).catch(() => undefined);
    await sleep(next() * 120);
    process.kill(pid, 'SIGKILL');
    await going;
    client.close();
    await eventually('the engine is dead', () => !isAlive(pid));
    checkStore(home.path);
    const later = await home.connect();
    const { directory_state_id: id } = await later.call('rsync', { source, destination: '/app' });
    const { directory_state_id: right } = await fresh.client.call('rsync', { source, destination: '/app' });
    assert.equal(id, right, `turn ${turn}`);
    later.close();
    checkStore(home.path);
  }
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('large', () => {
  test('100,000 files', async () => {
    using folder = new TemporaryFolder();
    await using engine = await startEngine();
    const image = await engine.busybox();
    for (let n = 0; n < 100_000; n++) {
      const at = folder.join(`d${Math.floor(n / 10_000)}`, `s${Math.floor(n / 100) % 100}`);
      if (n % 100 === 0) mkdirSync(at, { recursive: true });
      writeFileSync(path.join(at, `f${n}`), `file ${n}`);
    }
    const sync = (changed?: string[]) =>
      engine.client.call('rsync', { source: folder.path, destination: '/app', ...(changed ? { changed } : {}) });
    const first = await sync();
    assert.equal(first.files, 100_000);
    const again = await sync();
    assert.equal(again.unchanged, true);
    writeFileSync(folder.join('d3', 's3', 'f30300'), 'changed');
    const one = await sync(['d3/s3/f30300']);
    assert.equal(one.modified, 1);
    console.log(
      `cold ${first.duration_ms} ms, nothing changed ${again.duration_ms} ms, one watched ${one.duration_ms} ms`,
    );
    const seen = await engine.run('find . -type f | wc -l; cat d3/s3/f30300', {
      image,
      cwd: '/app',
      directory_state_id: one.directory_state_id,
    });
    assert.equal(seen.stdout, '100000\nchanged');
  });

  test('a file of 2 GiB and a bit, with holes', async () => {
    using folder = new TemporaryFolder();
    await using engine = await startEngine();
    const image = await engine.busybox();
    const size = 2 ** 31 + 12_345;
    const file = openSync(folder.join('large'), 'w');
    ftruncateSync(file, size);
    writeSync(file, 'middle', 2 ** 30);
    writeSync(file, 'end', size - 3);
    closeSync(file);
    const state = await engine.client.call('rsync', { source: folder.path, destination: '/app' });
    assert.equal(state.bytes, size);
    console.log(`${state.duration_ms} ms`);
    const seen = await engine.run(
      'stat -c %s large; tail -c 3 large; dd if=large bs=1M skip=1024 count=1 2>/dev/null | head -c 6',
      {
        image,
        cwd: '/app',
        directory_state_id: state.directory_state_id,
      },
    );
    assert.equal(seen.stdout, `${size}\nendmiddle`);
  });
});
