import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Scheduler } from '../../../src/engine/operations/scheduler.ts';
import { gate } from './parts.ts';

const never = new AbortController().signal;
const turn = () => new Promise<void>(resolve => setImmediate(resolve));

test('one job of another client is next, however many the first has queued', async () => {
  const scheduler = new Scheduler(2);
  const order: string[] = [];
  const gates = Array.from({ length: 100 }, gate);
  const many = gates.map((held, index) =>
    scheduler.schedule('many', never, async () => {
      order.push(`many-${index}`);
      await held.opened;
    }),
  );
  const one = scheduler.schedule('one', never, async () => {
    order.push('one');
  });
  assert.equal(scheduler.running, 2);
  assert.equal(scheduler.queued, 99);
  gates[0]!.open();
  await turn();
  // The client whose turn it was goes first once; then it is the other's.
  gates[1]!.open();
  await one;
  assert.ok(order.indexOf('one') <= 3, order.slice(0, 5).join());
  for (const held of gates) held.open();
  await Promise.all(many);
  assert.equal(scheduler.running, 0);
  assert.equal(scheduler.queued, 0);
});

test('three clients take turns', async () => {
  const scheduler = new Scheduler(1);
  const order: string[] = [];
  const held = gate();
  const first = scheduler.schedule('x', never, () => held.opened);
  const jobs = ['a', 'a', 'a', 'b', 'c', 'b'].map(client =>
    scheduler.schedule(client, never, async () => {
      order.push(client);
    }),
  );
  held.open();
  await Promise.all([first, ...jobs]);
  assert.deepEqual(order, ['a', 'b', 'c', 'a', 'b', 'a']);
});

test('one client is served in the order it asked', async () => {
  const scheduler = new Scheduler(1);
  const order: number[] = [];
  await Promise.all(
    [0, 1, 2, 3].map(index =>
      scheduler.schedule('one', never, async () => {
        order.push(index);
      }),
    ),
  );
  assert.deepEqual(order, [0, 1, 2, 3]);
});

test('a job aborted while it waits never starts, and holds up nobody', async () => {
  const scheduler = new Scheduler(1);
  const held = gate();
  const running = scheduler.schedule('a', never, () => held.opened);
  const controller = new AbortController();
  let started = false;
  const aborted = scheduler.schedule('a', controller.signal, async () => {
    started = true;
  });
  const after = scheduler.schedule('a', never, async () => 'after');
  controller.abort(new Error('no longer wanted'));
  await assert.rejects(aborted, /no longer wanted/);
  assert.equal(scheduler.queued, 1);
  held.open();
  await running;
  assert.equal(await after, 'after');
  assert.equal(started, false);
});

test('one that was aborted before it was asked for never starts', async () => {
  const scheduler = new Scheduler(1);
  await assert.rejects(
    scheduler.schedule('a', AbortSignal.abort(new Error('gone')), async () => 'ran'),
    /gone/,
  );
  assert.equal(scheduler.queued, 0);
});

test('a job that fails gives its slot back', async () => {
  const scheduler = new Scheduler(1);
  const failing = scheduler.schedule('a', never, async () => {
    throw new Error('broken');
  });
  const next = scheduler.schedule('a', never, async () => 'next');
  await assert.rejects(failing, /broken/);
  assert.equal(await next, 'next');
  assert.equal(scheduler.running, 0);
});

test('at most so many of a group run at once, while others pass', async () => {
  const scheduler = new Scheduler(3);
  const gates = Array.from({ length: 4 }, gate);
  const started: string[] = [];
  const job = (name: string, opened: Promise<void>) => async () => {
    started.push(name);
    await opened;
  };
  const group = { id: 'sweep', limit: 2 };
  const runs = gates.map((held, index) => scheduler.schedule('a', never, job(`g${index}`, held.opened), group));
  assert.deepEqual(started, ['g0', 'g1'], 'although three slots are free');
  await scheduler.schedule('a', never, job('other', Promise.resolve()));
  assert.deepEqual(started, ['g0', 'g1', 'other']);
  gates[0]!.open();
  await runs[0];
  await turn();
  assert.deepEqual(started, ['g0', 'g1', 'other', 'g2']);
  for (const held of gates) held.open();
  await Promise.all(runs);
  assert.equal(scheduler.queued, 0);
});

test('the latest limit of a group counts, across clients, and is forgotten with its last job', async () => {
  const scheduler = new Scheduler(8);
  const held = gate();
  const wait = (client: string, limit?: number) =>
    scheduler.schedule(client, never, () => held.opened, { id: 'g', limit });
  const runs = [wait('a', 1), wait('b'), wait('b')];
  assert.equal(scheduler.running, 1);
  runs.push(wait('c', 3));
  assert.equal(scheduler.running, 3);
  held.open();
  await Promise.all(runs);
  await turn();
  const free = gate();
  const unlimited = [1, 2, 3, 4].map(() => scheduler.schedule('d', never, () => free.opened, { id: 'g' }));
  assert.equal(scheduler.running, 4);
  free.open();
  await Promise.all(unlimited);
});

test('a job of a full group can be aborted, and counts no more', async () => {
  const scheduler = new Scheduler(4);
  const held = gate();
  const group = { id: 'g', limit: 1 };
  const first = scheduler.schedule('a', never, () => held.opened, group);
  const controller = new AbortController();
  const dropped = scheduler.schedule('a', controller.signal, async () => 'never', group);
  const last = scheduler.schedule('a', never, async () => 'last', group);
  controller.abort(new Error('not wanted'));
  await assert.rejects(dropped, /not wanted/);
  held.open();
  await first;
  assert.equal(await last, 'last');
});
