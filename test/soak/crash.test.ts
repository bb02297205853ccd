import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CoppiceHome } from '../harness/coppiceHome.ts';
import { descendants } from '../harness/processes.ts';
import { TemporaryFolder } from '../harness/temporaryFolder.ts';
import { importBase, load, Told } from './load.ts';
import { Random } from './random.ts';
import { noFoldersLeft, nothingLeft, verify } from './verify.ts';

const KILLS = Number(process.env.COPPICE_SOAK_KILLS ?? 200);
const MINUTES = 18;
const CLIENTS = 4;

test(`an engine killed at ${KILLS} random moments under load loses nothing that it said`, async () => {
  const random = Random.announced();
  const told = new Told();
  const end = Date.now() + MINUTES * 60_000;
  using folder = new TemporaryFolder();
  await using home = new CoppiceHome();
  const first = await home.connect();
  const base = { image: await importBase(first, folder.path, told), folder: folder.path };
  first.close();
  let kills = 0;
  let done = 0;
  for (; kills < KILLS && Date.now() < end; kills++) {
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => home.connect()));
    const { pid } = clients[0]!.engine;
    const work = clients.map((client, n) => load(client, String(n), random, told, base));
    await sleep(random.below(800));
    const below = descendants(pid);
    process.kill(pid, 'SIGKILL');
    done += (await Promise.all(work)).reduce((sum, each) => sum + each, 0);
    for (const client of clients) client.close();
    await nothingLeft(home.path, 0, [pid, ...below.map(each => each.pid)]);
    const next = await home.connect();
    await verify(next, home.path, told, sampleOf(told, random));
    await nothingLeft(home.path, pid, []);
    await noFoldersLeft(home.path);
    next.close();
  }
  console.log(`${kills} kills, ${done} calls answered, ${told.images.size} images told`);
  const last = await home.connect();
  const { images } = await last.call('list_images', { limit: 10_000 });
  await verify(last, home.path, told, images.map(image => image.uuid).slice(0, 300));
  last.close();
  assert.ok(kills >= Math.min(KILLS, 50), `only ${kills} kills fitted into ${MINUTES} minutes`);
});

/** The newest, which the kill might have caught, and an older one. */
function sampleOf(told: Told, random: Random): readonly string[] {
  const newest = [...told.images.keys()].slice(-2);
  return [...newest, told.anyImage(random)];
}
