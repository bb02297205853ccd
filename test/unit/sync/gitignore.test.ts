import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { NAMES, PATTERNS } from '../../harness/ignoreRules.ts';
import { random } from '../../harness/randomTree.ts';
import { filesOf, SyncStores, sync } from './syncStores.ts';

let stores: SyncStores;
before(() => {
  stores = new SyncStores();
});
after(() => stores.close());

test('random ignore trees: a state holds what git ls-files -co --exclude-standard lists', () => {
  const seed = Number(process.env.COPPICE_SEED ?? Date.now() % 1_000_000);
  const rounds = Number(process.env.COPPICE_ROUNDS ?? 60);
  console.log(`seed ${seed}`);
  const next = random(seed);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(next() * values.length)]!;
  const thread = stores.open('store');
  for (let round = 0; round < rounds; round++) {
    const source = path.join(stores.base, `r${round}`);
    execFileSync('git', ['init', '-q', source]);
    const folders = [source];
    for (let count = 0; count < 6; count++) {
      folders.push(path.join(pick(folders), pick(NAMES)));
      mkdirSync(folders.at(-1)!, { recursive: true });
    }
    const edit = () => {
      for (const folder of folders) {
        if (next() < 0.5)
          writeFileSync(
            path.join(folder, '.gitignore'),
            Array.from({ length: 1 + Math.floor(next() * 4) }, () => pick(PATTERNS)).join('\n'),
          );
        const file = path.join(folder, pick(NAMES));
        if (!folders.includes(file)) writeFileSync(file, String(next()));
      }
    };
    for (let step = 0; step < 2; step++) {
      edit();
      const outcome = sync(thread, source, undefined, { defaultExcludes: false, exclude: ['/.git'] });
      const listed = execFileSync('git', ['ls-files', '-coz', '--exclude-standard'], { cwd: source })
        .toString()
        .split('\0')
        .filter(Boolean);
      assert.deepEqual(filesOf(stores.home('store'), outcome.object), listed.sort(), `round ${round} step ${step}`);
    }
    rmSync(source, { recursive: true });
  }
});
