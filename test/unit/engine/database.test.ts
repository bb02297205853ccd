import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';
import { Database } from '../../../src/engine/store/database.ts';
import { migrations } from '../../../src/engine/store/migrations.ts';
import { temporaryHome } from './parts.ts';

function inHome(work: (home: string) => void): void {
  const home = temporaryHome();
  try {
    work(home);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

const file = (home: string) => path.join(home, 'store', 'coppice.db');
const insertFile = "INSERT INTO files (uuid, sha256, size, created_at) VALUES (?, 'x', 1, 1)";

describe('the store', () => {
  test('has every migration, once, also when opened again', () =>
    inHome(home => {
      new Database(home).close();
      const again = new Database(home);
      assert.equal(again.get<{ user_version: number }>('PRAGMA user_version')!.user_version, migrations.length);
      assert.equal(again.get<{ journal_mode: string }>('PRAGMA journal_mode')!.journal_mode, 'wal');
      again.close();
    }));

  test('of every earlier version is brought up to date with its records', () =>
    inHome(home => {
      for (let version = 1; version <= migrations.length; version++) {
        const old = path.join(home, String(version));
        mkdirSync(path.join(old, 'store'), { recursive: true });
        const raw = new DatabaseSync(file(old));
        raw.exec(`${migrations.slice(0, version).join(';')}; PRAGMA user_version=${version};`);
        raw.prepare(insertFile).run('kept');
        raw.close();
        const database = new Database(old);
        assert.equal(database.get<{ user_version: number }>('PRAGMA user_version')!.user_version, migrations.length);
        assert.ok(database.get("SELECT 1 FROM files WHERE uuid = 'kept'"));
        database.close();
      }
    }));

  test('of a newer Coppice is refused and left alone', () =>
    inHome(home => {
      new Database(home).close();
      const raw = new DatabaseSync(file(home));
      raw.exec(`PRAGMA user_version=${migrations.length + 1}`);
      raw.close();
      assert.throws(() => new Database(home), { code: 'version_mismatch', fix: 'Update Coppice.' });
      const after = new DatabaseSync(file(home));
      assert.deepEqual({ ...after.prepare('PRAGMA user_version').get() }, { user_version: migrations.length + 1 });
      after.close();
    }));

  test('takes all of a transaction or nothing', () =>
    inHome(home => {
      const database = new Database(home);
      assert.throws(() =>
        database.transaction(() => {
          database.run(insertFile, 'a');
          throw new Error('in the middle');
        }),
      );
      assert.equal(database.all('SELECT * FROM files').length, 0);
      database.transaction(() => {
        database.run(insertFile, 'a');
        database.run(insertFile, 'b');
      });
      assert.equal(database.all('SELECT * FROM files').length, 2);
      database.close();
    }));

  test('killed at any moment holds whole transactions only', () =>
    inHome(home => {
      new Database(home).close();
      const writer = `
        import { Database } from ${JSON.stringify(path.resolve('src/engine/store/database.ts'))};
        const database = new Database(${JSON.stringify(home)});
        setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(process.argv[1]));
        for (let pair = Date.now() * 1000; ; pair++) {
          database.transaction(() => {
            database.run(${JSON.stringify(insertFile)}, pair + '-a');
            database.run(${JSON.stringify(insertFile)}, pair + '-b');
          });
          if (pair % 50 === 0) await new Promise(resolve => setImmediate(resolve));
        }`;
      for (const after of [5, 20, 35]) {
        const child = spawnSync(process.execPath, ['--input-type=module', '-e', writer, String(after)]);
        assert.equal(child.signal, 'SIGKILL', child.stderr.toString());
        const database = new Database(home);
        const halves = database.get<{ count: number }>(
          `SELECT count(*) AS count FROM files a WHERE substr(uuid, -2) = '-a'
           AND NOT EXISTS (SELECT 1 FROM files b WHERE b.uuid = substr(a.uuid, 1, length(a.uuid) - 2) || '-b')`,
        )!;
        assert.equal(halves.count, 0);
        const { length } = database.all('SELECT * FROM files');
        assert.ok(length > 0);
        assert.equal(length % 2, 0);
        assert.equal(database.get<{ integrity_check: string }>('PRAGMA integrity_check')!.integrity_check, 'ok');
        database.close();
      }
    }));
});
