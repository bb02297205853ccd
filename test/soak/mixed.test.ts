import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CoppiceHome } from '../harness/coppiceHome.ts';
import { descendants, residentMemory } from '../harness/processes.ts';
import { TemporaryFolder } from '../harness/temporaryFolder.ts';
import { importBase, load, Told } from './load.ts';
import { Random } from './random.ts';
import { noFoldersLeft, verify } from './verify.ts';

const CLIENTS = 8;
const CALLS = 500;

test(`${CALLS} mixed calls of ${CLIENTS} clients leave a store that verifies and nothing else`, async () => {
  const random = Random.announced();
  const told = new Told();
  using folder = new TemporaryFolder();
  await using home = new CoppiceHome();
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => home.connect()));
  const [client] = clients as [(typeof clients)[0], ...typeof clients];
  const base = { image: await importBase(client, folder.path, told), folder: folder.path };
  const processesBefore = descendants(client.engine.pid).length;
  const memoryBefore = residentMemory(client.engine.pid);
  let left = CALLS;
  const counts = await Promise.all(
    clients.map((each, n) => load(each, String(n), random, told, base, () => left-- <= 0)),
  );
  assert.equal(
    counts.reduce((sum, each) => sum + each, 0),
    CALLS,
  );
  const { operations } = await client.call('list_operations', { status: ['PENDING', 'EXECUTING'], limit: 1000 });
  if (operations.length > 0)
    await client.call('wait_operations', { operation_ids: operations.map(each => each.operation_id) });
  const { images } = await client.call('list_images', { limit: 10_000 });
  const grown = residentMemory(client.engine.pid) - memoryBefore;
  console.log(`${images.length} images, the engine grew ${grown.toFixed(0)} MB`);
  await verify(client, home.path, told, images.map(image => image.uuid).slice(0, 100));
  await noFoldersLeft(home.path);
  assert.ok(descendants(client.engine.pid).length <= processesBefore + 4, 'processes pile up');
  assert.ok(grown < 200, `the engine grew by ${grown.toFixed(0)} MB`);
  for (const each of clients) each.close();
});
