import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { EngineClient } from '../../src/client/engineClient.ts';
import { eventually } from '../harness/eventually.ts';
import type { Told } from './load.ts';

/** Everything that clients were told is there and can be used; nothing half-made is. `sample`: images looked into. */
export async function verify(client: EngineClient, home: string, told: Told, sample: readonly string[]): Promise<void> {
  verifyDatabase(home);
  await nothingUnfinished(client);
  const { images } = await client.call('list_images', { limit: 10_000 });
  const there = new Map(images.map(image => [image.uuid, image]));
  for (const uuid of told.images.keys())
    assert.ok(there.has(uuid), `image ${uuid}, of which a client was told, is gone`);
  for (const image of images) if (image.parent) assert.ok(there.has(image.parent), `${image.uuid} has lost its parent`);
  for (const [tag, uuid] of told.tags) if (uuid) assert.equal(there.get(uuid)?.tag, tag);
  const { branches } = await client.call('branches', {});
  for (const [name, uuid] of told.branches)
    if (uuid) assert.equal(branches.find(each => each.name === name)?.head, uuid, `branch ${name}`);
  for (const uuid of sample) await usable(client, told, uuid);
}

function verifyDatabase(home: string): void {
  const database = new DatabaseSync(path.join(home, 'store', 'coppice.db'), { readOnly: true });
  try {
    assert.deepEqual({ ...database.prepare('PRAGMA integrity_check').get() }, { integrity_check: 'ok' });
    assert.deepEqual(database.prepare('PRAGMA foreign_key_check').all(), []);
  } finally {
    database.close();
  }
}

async function nothingUnfinished(client: EngineClient): Promise<void> {
  const { operations } = await client.call('list_operations', { status: ['PENDING', 'EXECUTING'], limit: 1000 });
  assert.deepEqual(
    operations.map(({ operation_id, title }) => `${operation_id} ${title}`),
    [],
    'an operation of the dead engine seems to go on',
  );
}

/** Any image that is listed can be looked into and run from; one we were told of holds what it should. */
async function usable(client: EngineClient, told: Told, image: string): Promise<void> {
  const expected = told.images.get(image);
  const file = expected?.file ?? '/etc/group';
  const { content } = (await client.call('read_file', { image, path: file })) as { content?: string };
  const result = await client.call('run', { image, command: `cat ${file}`, network: 'none' });
  assert.ok('stdout' in result);
  assert.equal(result.status, 'SUCCESS', `${image}: ${result.error?.message} ${result.stderr}`);
  if (expected) assert.equal(result.stdout, expected.content);
  if (expected && content !== undefined) assert.equal(content, expected.content);
}

/** What a dead engine must leave: no process, no mount; and after the next start no folder and no cgroup of its runs. */
export async function nothingLeft(home: string, enginePid: number, pids: readonly number[]): Promise<void> {
  await eventually('every process below the killed engine is gone', () => pids.every(pid => !isAlive(pid)));
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
  assert.ok(!mounts.includes(home), 'a mount is left');
  await eventually('its cgroups are gone', () => cgroupsOf(enginePid).length === 0, 20);
}

export async function noFoldersLeft(home: string): Promise<void> {
  const native = path.join(home, 'native');
  for (const place of ['runs', 'staging'])
    await eventually(
      `${place} is empty`,
      () => readdirSync(path.join(native, place)).filter(name => !name.startsWith('spare-')).length === 0,
      20,
    );
}

function cgroupsOf(pid: number): readonly string[] {
  const root = '/sys/fs/cgroup';
  const places = [
    root,
    ...readdirSync(root, { withFileTypes: true }).flatMap(entry =>
      entry.isDirectory() ? [path.join(root, entry.name)] : [],
    ),
  ];
  return places.flatMap(place => readdirSync(place).filter(name => name === `coppice-${pid}`));
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
