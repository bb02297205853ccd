import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { refuseForeignFolder, socketPath } from '../../../src/protocol/endpoint.ts';

const deep = path.join('/home', 'x'.repeat(120));

describe('the socket of a home with a long path', { skip: process.platform === 'win32' }, () => {
  test('is the same whatever the temporary folder is called', () => {
    const before = process.env.TMPDIR;
    const address = socketPath(deep);
    process.env.TMPDIR = '/elsewhere';
    try {
      assert.equal(socketPath(deep), address);
      assert.ok(Buffer.byteLength(address) < 100);
    } finally {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    }
  });

  test('is refused in a folder that others may write to, or that is a link', () => {
    const folder = mkdtempSync('/tmp/coppice-endpoint-');
    try {
      const place = (name: string) => path.join(folder, name);
      const refuse = (name: string) => refuseForeignFolder(path.join(place(name), 'x.sock'), place(name));
      refuse('missing');
      mkdirSync(place('mine'), { mode: 0o700 });
      refuse('mine');
      const before = process.umask(0);
      mkdirSync(place('shared'), { mode: 0o777 });
      process.umask(before);
      assert.throws(() => refuse('shared'), { code: 'engine_unreachable' });
      symlinkSync('mine', place('link'));
      assert.throws(() => refuse('link'), { code: 'engine_unreachable' });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
