import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  EngineDiedError,
  GetTimeoutError,
  InvalidInputError,
  OperationCancelledError,
  SandboxError,
  SandboxFileError,
  sandboxError,
  WouldDeadlockError,
} from '../../../src/client/errors.ts';
import type { Link } from '../../../src/client/link.ts';
import { OperationRef, type Settled } from '../../../src/client/operationRef.ts';
import { results } from '../../../src/client/results.ts';
import { mergedOptions, refuseUnknown, runArguments } from '../../../src/client/sandboxOptions.ts';
import { bytesOf, isWhole } from '../../../src/client/streamWriter.ts';
import { wait, waitLater } from '../../../src/client/wait.ts';

/** A link on which nothing happens but what `work` does each time somebody blocks. */
function linkTo(work: () => void = () => {}): Link {
  return {
    blocking: true,
    start: () => assert.fail('no jobs here'),
    poll: () => undefined,
    block: (_what, done, deadline) => {
      for (let turn = 0; turn < 10 && !done(); turn++) work();
      if (!done()) assert.notEqual(deadline, Number.POSITIVE_INFINITY, 'it would hang');
      return done();
    },
    owns: () => undefined,
  };
}

function pending<T>(link: Link = linkTo(), more: { needsLoop?: () => string | undefined } = {}) {
  let settle: (outcome: Settled<T>) => void = () => assert.fail();
  const log: string[] = [];
  const ref = new OperationRef<T>({
    link,
    what: 'work',
    ...more,
    begin: each => {
      settle = each;
      return { cancel: () => log.push('cancel'), hold: () => log.push('hold') };
    },
  });
  return { ref, log, settle: (outcome: Settled<T>) => settle(outcome) };
}

describe('a ref', () => {
  test('settles once, whoever asks how often in whatever form', async () => {
    const work = pending<object>();
    const value = {};
    const before = [work.ref.then(got => got), Promise.resolve(work.ref)];
    work.settle({ value });
    work.settle({ error: new SandboxError('internal', 'too late') });
    assert.ok(
      [...(await Promise.all(before)), work.ref.get(), work.ref.result(), await work.ref].every(got => got === value),
    );
    assert.deepEqual([work.ref.state, work.ref.cancel(), work.log], ['done', false, ['hold']]);
  });

  test('that fails gives all the same error, with the caller’s stack, and nobody the trouble of an unheard one', async () => {
    const work = pending<object>();
    const error = sandboxError({ code: 'path_not_found', message: 'not there', data: { sandbox_id: 'sb-1' } });
    work.settle({ error });
    await new Promise(resolve => setImmediate(resolve));
    function caller() {
      work.ref.get();
    }
    assert.throws(caller, error);
    assert.throws(caller, error);
    await assert.rejects(async () => work.ref, error);
    assert.match(error.stack ?? '', /SandboxFileError: not there\n.*caller/);
    assert.deepEqual([error instanceof SandboxFileError, error.sandboxId, error.retryable], [true, 'sb-1', false]);
    assert.equal(new EngineDiedError('engine_died', '').retryable, true);
  });

  test('is left going by a time-out, and ended by cancel', async () => {
    const work = pending<number>();
    assert.throws(() => work.ref.get({ timeoutMs: 1 }), GetTimeoutError);
    assert.equal(work.ref.state, 'pending');
    assert.equal(work.ref.cancel(), true);
    assert.throws(() => work.ref.get(), OperationCancelledError);
    assert.deepEqual([work.ref.state, work.log.at(-1)], ['cancelled', 'cancel']);
  });

  test('that needs this thread is not blocked for, unless it is over', () => {
    const work = pending<number>(undefined, { needsLoop: () => 'for a reason' });
    assert.throws(() => work.ref.get(), WouldDeadlockError);
    assert.throws(() => wait([work.ref]), WouldDeadlockError);
    work.settle({ value: 1 });
    assert.equal(work.ref.get(), 1);
  });
});

describe('many refs', () => {
  const three = () => {
    const works: ReturnType<typeof pending<number>>[] = [];
    let next = 2;
    const link = linkTo(() => works[next--]?.settle({ value: next + 1 }));
    for (let n = 0; n < 3; n++) works.push(pending<number>(link));
    return works.map(work => work.ref);
  };

  test('give their values in their order, and wait stops when enough are over', async () => {
    assert.deepEqual(results(three()), [0, 1, 2]);
    const refs = three();
    const { done, pending: left } = wait(refs, { numReturns: 2 });
    assert.deepEqual([done, left], [[refs[1], refs[2]], [refs[0]]]);
    assert.deepEqual(wait([], {}), { done: [], pending: [] });
    assert.deepEqual(await waitLater(refs, { numReturns: 1 }), { done, pending: left });
    assert.deepEqual(await waitLater([refs[0]!], { timeoutMs: 5 }), { done: [], pending: [refs[0]] });
    for (const numReturns of [-1, 4, 1.5]) assert.throws(() => wait(refs, { numReturns }), InvalidInputError);
  });
});

describe('arguments', () => {
  test('of run are words, then options', () => {
    assert.deepEqual(runArguments([]), {});
    assert.deepEqual(runArguments(['ls', '-l', { cwd: '/' }]), { command: ['ls', '-l'], cwd: '/' });
    assert.throws(() => runArguments(['ls', { command: ['ls'] }]), InvalidInputError);
    assert.throws(() => runArguments([{}, 'ls']), InvalidInputError);
  });

  test('of a session and of its sandbox are put together', () => {
    const merged = mergedOptions(
      { tags: ['a'], env: { A: '1', B: '1' }, cwd: '/' },
      { tags: ['a', 'b'], env: { B: '2' } },
    );
    assert.deepEqual(merged, { tags: ['a', 'b'], env: { A: '1', B: '2' }, cwd: '/', secrets: {} });
  });

  test('that are misspelt are refused, not left unheeded', () => {
    refuseUnknown({ a: 1 }, ['a', 'b'], 'this');
    assert.throws(() => refuseUnknown({ a: 1, c: 1 }, ['a', 'b'], 'this'), /c: this has no such option/);
    assert.throws(() => mergedOptions({ tags: 'abc' as never }, {}), InvalidInputError);
    for (const wrong of [5, null, {}]) assert.throws(() => isWhole(wrong as never), InvalidInputError);
  });

  test('that are bytes are taken as they are now', () => {
    const mine = Buffer.from('mine');
    const taken = bytesOf(mine);
    mine[0] = 0;
    assert.equal(Buffer.from(taken).toString(), 'mine');
    assert.throws(() => bytesOf(1 as never), InvalidInputError);
  });
});
