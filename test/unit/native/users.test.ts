import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveUser } from '../../../src/runtimes/native/host/users.ts';

const files: Record<string, string> = {
  '/etc/passwd': 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:App:/home/app:/bin/sh\nbroken\n',
  '/etc/group': 'root:x:0:\napp:x:1001:\nwheel:x:10:root,app\nweb:x:33:app\n',
};
const read = async (file: string) => files[file];
const nothing = async () => undefined;

test('root needs no file', async () => {
  for (const user of [null, '', 'root', '0']) {
    assert.deepEqual(await resolveUser(user, nothing), { uid: 0, gid: 0, additionalGids: [], home: '/root' });
  }
});

test('a name brings its group, its groups and its home', async () => {
  const app = { uid: 1000, gid: 1001, additionalGids: [1001, 10, 33], home: '/home/app' };
  assert.deepEqual(await resolveUser('app', read), app);
  assert.deepEqual(await resolveUser('1000', read), app);
});

test('a given group takes the place of the others', async () => {
  assert.deepEqual(await resolveUser('app:wheel', read), {
    uid: 1000,
    gid: 10,
    additionalGids: [10],
    home: '/home/app',
  });
  assert.deepEqual(await resolveUser('4000:5', nothing), { uid: 4000, gid: 5, additionalGids: [5], home: '/' });
});

test('who is not there is named', async () => {
  await assert.rejects(resolveUser('ghost', read), { code: 'command_not_started', field: 'user' });
  await assert.rejects(resolveUser('app:ghosts', read), { code: 'command_not_started', field: 'user' });
});
