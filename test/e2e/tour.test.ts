import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { repository } from '../harness/coppiceHome.ts';
import { eventually } from '../harness/eventually.ts';
import { TemporaryFolder } from '../harness/temporaryFolder.ts';

describe('the tour of npm start', () => {
  let folder: TemporaryFolder;

  beforeEach(() => {
    folder = new TemporaryFolder();
  });
  afterEach(() => folder[Symbol.dispose]());

  /** What `npm start` shows between its build and the editor. */
  function start(): ChildProcessByStdio<null, Readable, Readable> {
    return spawn(process.execPath, [path.join(repository, 'scripts', 'tour.mjs'), folder.path], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  test('shows each thing with the real command and leaves nothing', async () => {
    const tour = start();
    const [shown, trouble, [code]] = await Promise.all([text(tour.stdout), text(tour.stderr), once(tour, 'close')]);
    assert.equal(code, 0, `${shown}\n${trouble}`);
    assert.equal(trouble, '');
    for (const line of [
      /^[0-9a-f]{8} {2}base$/m,
      /^ds-[0-9a-f]{40}\n11 files, /m,
      /^installed greet 1\.0\.0 as \/usr\/local\/bin\/greet\nop-\S+ · exit 0 · .+ · kept [0-9a-f]{8} as greet$/m,
      /^Outside there is no greet\.$/m,
      /^ {3}One after the other \d+\.\d s; together \d+\.\d s\.$/m,
      /^loss 0\.007825 +[0-9a-f]{8} {2}rate 0\.06\nloss 0\.007883 /m,
      /\/hazel\/model\.json {2}\d+ B$/m,
      /^height = 0\.7462 × age \+ 0\.2392 {3}loss 0\.007825$/m,
      /greet: not found\nop-\S+ · exit 127 · /,
      /^├─○ [0-9a-f]{8} {2}rate-0\.06 \[best\] .+ {2}sh train\.sh 0\.06\n│ ○ .+ {2}rm -r \/usr\/local\/lib\/greet$/m,
      /^└─○ [0-9a-f]{8} .+ {2}✗ exit 1 {2}sh train\.sh 0\.08$/m,
      /-- true\nop-\S+ · exit 0 · [\d.]+ m?s$/m,
    ])
      assert.match(shown, line);
    assert.equal(shown.match(/^op-\S+ +(ok|exit 1) .+ → \S+ +rate /gm)?.length, 8, 'eight trainings end');
    assert.equal(shown.match(/^[├└]─○ /gm)?.length, 8, 'eight siblings');
    assert.equal(shown.match(/Hello, Hazel!/g)?.length, 2, 'before the mistake and after it was taken back');
    assert.doesNotMatch(shown, /\x1b/);
    assertNothingLeft();
  });

  test('ends in order when it is interrupted amid the trainings', async () => {
    const tour = start();
    let shown = '';
    tour.stdout.setEncoding('utf8').on('data', (piece: string) => {
      shown += piece;
    });
    const closed = once(tour, 'close');
    await eventually('the trainings are waited for', () => shown.includes('\n$ coppice wait\n'), 30);
    // As under npm: the terminal tells us and npm, and npm tells us again.
    tour.kill('SIGINT');
    tour.kill('SIGINT');
    assert.deepEqual(await closed, [130, null]);
    assert.match(shown, /The tour’s engine: stopped\n$/);
    assertNothingLeft();
  });

  function assertNothingLeft(): void {
    assert.deepEqual(readdirSync(folder.path), []);
    const left = readdirSync('/proc').filter(pid => /^\d+$/.test(pid) && speaksOf(folder.path, pid));
    assert.deepEqual(left, []);
  }
});

function speaksOf(folder: string, pid: string): boolean {
  return ['cmdline', 'environ', 'mountinfo'].some(name => {
    const file = path.join('/proc', pid, name);
    try {
      return existsSync(file) && readFileSync(file, 'latin1').includes(folder);
    } catch {
      return false; // Gone meanwhile, or somebody else's.
    }
  });
}
