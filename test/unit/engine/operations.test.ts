import assert from 'node:assert/strict';
import { appendFileSync, rmSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { Job } from '../../../src/engine/operations/operations.ts';
import { operationVerbs } from '../../../src/engine/operations/operationVerbs.ts';
import type { OperationView } from '../../../src/protocol/schemas/operations.ts';
import { call, gate, newImage, newOperation, Parts, temporaryHome, uuid } from './parts.ts';

const untilAborted = (job: Job) =>
  new Promise<never>((_resolve, reject) => job.signal.addEventListener('abort', () => reject(job.signal.reason)));

function verbs(parts: Parts) {
  return operationVerbs(parts.operations, parts.spools, parts.feed, () => {
    throw new Error('no processes here');
  });
}

const views = (parts: Parts, id: string): OperationView[] =>
  parts.seen.flatMap(event =>
    event.topic === 'operation' && event.operation.operation_id === id ? [event.operation] : [],
  );

describe('an operation', () => {
  test('is told from PENDING over EXECUTING to its end, and its record says the same', async () => {
    using parts = new Parts();
    const { id } = parts.operations.start(newOperation, 'a', async () => ({ status: 'SUCCESS', exitCode: 0 }));
    await parts.operations.ended(id);
    assert.deepEqual(
      views(parts, id).map(view => view.status),
      ['PENDING', 'EXECUTING', 'SUCCESS'],
    );
    const record = parts.operations.record(id);
    assert.equal(record.status, 'SUCCESS');
    assert.equal(record.exitCode, 0);
    assert.ok(record.createdAt <= record.startedAt! && record.startedAt! <= record.finishedAt!);
  });

  test('that throws is FAILED with what it threw', async () => {
    using parts = new Parts();
    const { id } = parts.operations.start(newOperation, 'a', async () => {
      throw new Error('broken');
    });
    await parts.operations.ended(id);
    const record = parts.operations.record(id);
    assert.equal(record.status, 'FAILED');
    assert.deepEqual(record.error, { code: 'internal', message: 'broken' });
  });

  test('cancelled in the queue never starts', async () => {
    using parts = new Parts({ concurrency: 1 });
    const held = gate();
    const first = parts.operations.start(newOperation, 'a', async () => {
      await held.opened;
      return { status: 'SUCCESS' };
    });
    let started = false;
    const queued = parts.operations.start(newOperation, 'a', async () => {
      started = true;
      return { status: 'SUCCESS' };
    });
    const { cancelled, record } = await parts.operations.cancel(queued.id);
    assert.equal(cancelled, true);
    assert.equal(record.status, 'CANCELLED');
    assert.equal(record.startedAt, null);
    assert.equal(record.error, null);
    held.open();
    await parts.operations.ended(first.id);
    assert.equal(started, false);
    assert.equal(parts.operations.record(first.id).status, 'SUCCESS');
  });

  test('cancelled while it runs is told to its work, and what that made is not kept', async () => {
    using parts = new Parts();
    const { id } = parts.operations.start(newOperation, 'a', async job => {
      await untilAborted(job).catch(() => undefined);
      return {
        status: 'SUCCESS',
        resultImage: uuid(1),
        commit: () => parts.images.insert(newImage(uuid(1))),
        announce: () => assert.fail('nothing to announce'),
      };
    });
    const { cancelled, record } = await parts.operations.cancel(id);
    assert.equal(cancelled, true);
    assert.equal(record.status, 'CANCELLED');
    assert.equal(record.resultImage, null);
    assert.equal(parts.images.find(uuid(1)), undefined);
  });

  test('ends for those who wait although its output cannot be looked at', async () => {
    using parts = new Parts();
    parts.spools.size = () => {
      throw new Error('too many open files');
    };
    const { id } = parts.operations.start(newOperation, 'a', async () => ({ status: 'SUCCESS' }));
    await parts.operations.ended(id);
    const record = parts.operations.record(id);
    assert.equal(record.status, 'FAILED');
    assert.equal(record.error?.message, 'too many open files');
    await parts.operations.cancelAll();
  });

  test('that is finished is left as it is by cancel', async () => {
    using parts = new Parts();
    const { id } = parts.operations.start(newOperation, 'a', async () => ({ status: 'SUCCESS' }));
    await parts.operations.ended(id);
    const before = parts.operations.record(id);
    const { cancelled, record } = await parts.operations.cancel(id);
    assert.equal(cancelled, false);
    assert.deepEqual(record, before);
  });

  test('nobody knows is named', async () => {
    using parts = new Parts();
    await assert.rejects(parts.operations.cancel('op-ffffffffffff'), {
      code: 'operation_not_found',
      field: 'operation_id',
    });
  });

  test('that was going on when the engine died is FAILED, interrupted, with its output', async () => {
    const home = temporaryHome();
    try {
      let ids: string[] = [];
      {
        using died = new Parts({ home, concurrency: 1 });
        const held = gate();
        const jobs = [0, 1].map(() =>
          died.operations.start(newOperation, 'a', async () => {
            await held.opened;
            return { status: 'SUCCESS' };
          }),
        );
        ids = jobs.map(job => job.id);
        appendFileSync(died.spools.open(ids[0]!).stdout, 'so far\n');
      }
      using next = new Parts({ home });
      next.operations.endInterrupted();
      for (const id of ids) {
        const record = next.operations.record(id);
        assert.equal(record.status, 'FAILED');
        assert.equal(record.error?.code, 'interrupted');
        assert.notEqual(record.finishedAt, null);
      }
      assert.equal(next.operations.record(ids[0]!).lastLine, 'so far');
      assert.equal(next.operations.record(ids[0]!).stdoutBytes, 7);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });

  test('whose record the disk has no room for is FAILED all the same, for all who ask', async () => {
    using parts = new Parts();
    const held = gate();
    const { id } = parts.operations.start(newOperation, 'a', async () => {
      await held.opened;
      return { status: 'SUCCESS', commit: () => parts.images.insert({ ...newImage(uuid(1)), data: 'x'.repeat(1e6) }) };
    });
    await new Promise(resolve => setImmediate(resolve));
    // SQLite itself now says `database or disk is full`.
    const { page_count } = parts.database.get<{ page_count: number }>('PRAGMA page_count')!;
    parts.database.get(`PRAGMA max_page_count=${page_count}`);
    held.open();
    await parts.operations.ended(id);
    const record = parts.operations.record(id);
    assert.equal(record.status, 'FAILED');
    assert.equal(record.error?.code, 'disk_full');
    assert.equal(parts.images.find(uuid(1)), undefined, 'no half image');
    assert.equal(views(parts, id).at(-1)!.status, 'FAILED');
    assert.equal(parts.operations.list({}, 10, 0).operations[0]!.status, 'FAILED');
  });

  test('whose end cannot be written at all has ended for as long as this engine lives', async () => {
    using parts = new Parts();
    const held = gate();
    const { id } = parts.operations.start(newOperation, 'a', async () => {
      await held.opened;
      return { status: 'SUCCESS' };
    });
    await new Promise(resolve => setImmediate(resolve));
    parts.database.get('PRAGMA query_only=1');
    held.open();
    await parts.operations.ended(id);
    assert.equal(parts.operations.record(id).status, 'FAILED');
    assert.equal(parts.operations.list({}, 10, 0).operations[0]!.status, 'FAILED');
    assert.equal(parts.store.find(id)!.status, 'EXECUTING');
  });

  test('without a slot of its own starts although all slots are taken', async () => {
    using parts = new Parts({ concurrency: 1 });
    const held = gate();
    const first = parts.operations.start(newOperation, 'a', async () => {
      await held.opened;
      return { status: 'SUCCESS' };
    });
    const second = parts.operations.start(newOperation, 'a', async () => ({ status: 'SUCCESS' }), { queued: false });
    await parts.operations.ended(second.id);
    assert.equal(parts.operations.record(second.id).status, 'SUCCESS');
    held.open();
    await parts.operations.ended(first.id);
  });
});

describe('wait_operations', () => {
  const request = { mode: 'all', timeout: 300, cancel_remaining: false, truncate_output_at: 8000 } as const;

  test('all: waits for the last, and names ids nobody knows', async () => {
    using parts = new Parts();
    const held = gate();
    const slow = parts.operations.start(newOperation, 'a', async () => {
      await held.opened;
      return { status: 'FAILED', exitCode: 3 };
    });
    const quick = parts.operations.start(newOperation, 'a', async () => ({ status: 'SUCCESS', exitCode: 0 }));
    const waiting = verbs(parts).wait_operations(
      { ...request, operation_ids: [slow.id, quick.id, slow.id, 'op-00000000'] },
      call(),
    );
    held.open();
    const result = await waiting;
    assert.deepEqual(result.completed.sort(), [slow.id, quick.id].sort());
    assert.deepEqual(result.unknown, ['op-00000000']);
    assert.deepEqual(result.pending, []);
    assert.equal(result.timed_out, false);
    assert.equal(result.results[slow.id]!.exit_code, 3);
  });

  test('any: the first wakes it, and cancel_remaining ends the others', async () => {
    using parts = new Parts();
    const jobs = [1, 2, 3].map(() => parts.operations.start(newOperation, 'a', untilAborted));
    const quick = parts.operations.start(newOperation, 'a', async () => ({ status: 'SUCCESS' }));
    const result = await verbs(parts).wait_operations(
      { ...request, mode: 'any', cancel_remaining: true, operation_ids: [...jobs.map(job => job.id), quick.id] },
      call(),
    );
    assert.deepEqual(result.completed, [quick.id]);
    assert.deepEqual(result.cancelled.sort(), jobs.map(job => job.id).sort());
    assert.deepEqual(result.pending, []);
  });

  test('a timeout cancels nothing', async () => {
    using parts = new Parts();
    const { id } = parts.operations.start(newOperation, 'a', untilAborted);
    const result = await verbs(parts).wait_operations({ ...request, timeout: 0.02, operation_ids: [id] }, call());
    assert.equal(result.timed_out, true);
    assert.deepEqual(result.pending, [id]);
    assert.equal(parts.operations.record(id).status, 'EXECUTING');
    await parts.operations.cancel(id);
  });

  test('a caller that goes away stops the waiting only', async () => {
    using parts = new Parts();
    const { id } = parts.operations.start(newOperation, 'a', untilAborted);
    const controller = new AbortController();
    const waiting = verbs(parts).wait_operations({ ...request, operation_ids: [id] }, call('c', controller.signal));
    controller.abort();
    await assert.rejects(waiting, { name: 'AbortError' });
    assert.equal(parts.operations.record(id).status, 'EXECUTING');
    await parts.operations.cancel(id);
  });

  test('a thousand waits for one operation', async () => {
    using parts = new Parts();
    const held = gate();
    const { id } = parts.operations.start(newOperation, 'a', async () => {
      await held.opened;
      return { status: 'SUCCESS' };
    });
    const waits = Array.from({ length: 1000 }, () =>
      verbs(parts).wait_operations({ ...request, operation_ids: [id] }, call()),
    );
    held.open();
    for (const result of await Promise.all(waits)) assert.deepEqual(result.completed, [id]);
  });
});

describe('read_output', () => {
  const request = { wait: false, stream: 'stdout', offset: 0, length: 65_536, encoding: 'text' } as const;

  async function withOutput(text: string | Buffer, work: (parts: Parts, id: string) => Promise<void>): Promise<void> {
    using parts = new Parts();
    const { id } = parts.operations.start(newOperation, 'a', async job => {
      appendFileSync(parts.spools.open(job.operation.id).stdout, text);
      return { status: 'SUCCESS' };
    });
    await parts.operations.ended(id);
    await work(parts, id);
  }

  const text = 'aé€𝄞z漢🙂!'.repeat(3);
  for (const length of [1, 2, 3, 4, 5, 7, 1000]) {
    test(`pages of ${length} bytes are whole characters and together the whole`, () =>
      withOutput(text, async (parts, operation_id) => {
        let read = '';
        for (let offset = 0; ; ) {
          const page = await verbs(parts).read_output({ ...request, operation_id, offset, length }, call());
          assert.ok(!page.text.includes('\ufffd'), `${JSON.stringify(page.text)} at ${offset}`);
          assert.ok(page.next_offset > offset);
          read += page.text;
          offset = page.next_offset;
          if (page.eof) break;
        }
        assert.equal(read, text);
      }));
  }

  test('a tail begins with a whole character, however long it is', () =>
    withOutput(text, async (parts, operation_id) => {
      for (let tail = 1; tail <= Buffer.byteLength(text) + 1; tail++) {
        const page = await verbs(parts).read_output({ ...request, operation_id, tail, length: 2 }, call());
        assert.ok(text.endsWith(page.text), `tail ${tail}: ${JSON.stringify(page.text)}`);
        assert.ok(Buffer.byteLength(page.text) > tail - 4);
        assert.equal(page.eof, true);
      }
    }));

  test('what is no text comes as it is, and ends', () =>
    withOutput(Buffer.from([0x61, 0xe2, 0x82]), async (parts, operation_id) => {
      const bytes = await verbs(parts).read_output({ ...request, operation_id, encoding: 'base64' }, call());
      assert.equal(bytes.text, Buffer.from([0x61, 0xe2, 0x82]).toString('base64'));
      const page = await verbs(parts).read_output({ ...request, operation_id }, call());
      assert.equal(page.text, 'a\ufffd');
      assert.equal(page.eof, true);
    }));

  test('of a running operation leaves the character that is not whole yet for the next page', async () => {
    using parts = new Parts();
    const held = gate();
    const { id } = parts.operations.start(newOperation, 'a', async () => {
      await held.opened;
      return { status: 'SUCCESS' };
    });
    const { stdout } = parts.spools.open(id);
    appendFileSync(stdout, Buffer.from('né').subarray(0, 2));
    const page = await verbs(parts).read_output({ ...request, operation_id: id }, call());
    assert.equal(page.text, 'n');
    assert.equal(page.eof, false);
    assert.equal(parts.operations.result(parts.operations.record(id), 100).stdout, 'n');
    appendFileSync(stdout, Buffer.from('né').subarray(2));
    const next = await verbs(parts).read_output({ ...request, operation_id: id, offset: page.next_offset }, call());
    assert.equal(next.text, 'é');
    held.open();
    await parts.operations.ended(id);
  });

  test('beyond the end is empty and the end', () =>
    withOutput('abc', async (parts, operation_id) => {
      const page = await verbs(parts).read_output({ ...request, operation_id, offset: 99 }, call());
      assert.equal(page.text, '');
      assert.equal(page.eof, true);
    }));

  test('of an id nobody knows is an error that names it', async () => {
    using parts = new Parts();
    await assert.rejects(verbs(parts).read_output({ ...request, operation_id: '../../etc/passwd' }, call()), {
      code: 'operation_not_found',
    });
  });
});
