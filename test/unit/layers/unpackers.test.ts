import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import * as path from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Unpackers } from '../../../src/runtimes/native/host/layers/unpackers.ts';
import { eventually } from '../../harness/eventually.ts';
import { tarOfEntries } from '../../harness/tarOfEntries.ts';
import { TemporaryFolder } from '../../harness/temporaryFolder.ts';

const script = path.join(import.meta.dirname, '../../../src/runtimes/native/host/layers/unpackWorker.ts');

test('an archive that is given up takes none with it that waits for its thread', {
  skip: process.platform !== 'linux',
}, async () => {
  using folder = new TemporaryFolder();
  const unpackers = new Unpackers(script);
  const tar = await tarOfEntries([{ name: 'file', content: 'content', mtime: new Date(0) }]);
  const stop = new AbortController();
  let begun = 0;
  const started = (source: Readable, name: string, signal: AbortSignal) => {
    mkdirSync(folder.join(name));
    return unpackers.unpack(source, folder.join(name), { signal, progress: () => void begun++ });
  };
  try {
    // As many as there are threads at most, and none of them ends.
    const stalled = [0, 1, 2, 3].map(n => {
      const source = new Readable({ read: () => {} });
      source.push(tar.subarray(0, 512));
      return started(source, `stalled-${n}`, stop.signal);
    });
    const waiting = [0, 1, 2].map(n =>
      started(Readable.from([Buffer.from(tar)]), `waiting-${n}`, new AbortController().signal),
    );
    await eventually('two archives on their way', () => begun >= 2);
    await sleep(200);
    stop.abort();
    for (const end of await Promise.allSettled(stalled)) assert.equal(end.status, 'rejected');
    for (const { counts } of await Promise.all(waiting)) assert.equal(counts.entries, 1);
  } finally {
    unpackers.close();
  }
});
