import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mountsWithin } from '../../../src/runtimes/native/host/layers/lockedFolders.ts';

test('mounts within a folder are found, the folder itself and its namesakes are not', () => {
  const mountinfo = [
    '1 0 0:1 / / rw - overlay overlay rw',
    '2 1 0:2 /x /etc/hosts rw - ext4 /dev/a rw',
    '3 1 0:2 /y /etc/with\\040space rw - ext4 /dev/a rw',
    '4 1 0:3 / /usr rw - ext4 /dev/b rw',
    '5 1 0:4 / /optional/x rw - ext4 /dev/c rw',
    '',
  ].join('\n');
  assert.deepEqual([...mountsWithin(['usr', 'etc', 'opt'], mountinfo)], [['etc', ['/etc/hosts', '/etc/with space']]]);
});
