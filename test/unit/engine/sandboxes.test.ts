import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Handlers } from '../../../src/engine/call.ts';
import { dispatch } from '../../../src/engine/dispatch.ts';
import { FileStore } from '../../../src/engine/files/fileStore.ts';
import { operationVerbs } from '../../../src/engine/operations/operationVerbs.ts';
import { StartImages } from '../../../src/engine/operations/startImage.ts';
import { Runtimes } from '../../../src/engine/runtimes.ts';
import { Sandboxes } from '../../../src/engine/sandboxes/sandboxes.ts';
import { sandboxFileVerbs } from '../../../src/engine/sandboxes/sandboxFileVerbs.ts';
import { sandboxVerbs } from '../../../src/engine/sandboxes/sandboxVerbs.ts';
import { Sessions } from '../../../src/engine/sandboxes/sessions.ts';
import { sessionVerbs } from '../../../src/engine/sandboxes/sessionVerbs.ts';
import { Snapshots } from '../../../src/engine/sandboxes/snapshots.ts';
import { Blobs } from '../../../src/engine/store/blobs.ts';
import type { StateLayers } from '../../../src/engine/sync/stateLayers.ts';
import { CoppiceError } from '../../../src/protocol/errors.ts';
import type { VerbInput, VerbName, VerbResult } from '../../../src/protocol/verbs.ts';
import { ForcedRuntime } from './forcedRuntime.ts';
import { call, gate, Parts, uuid } from './parts.ts';

const image = uuid(1);
/** No folder is synced here. */
const noStates = { find: () => undefined } as unknown as StateLayers;
let parts: Parts;
let forced: ForcedRuntime;
let sandboxes: Sandboxes;
let sessions: Sessions;
let handlers: Handlers;
let importHost: (signal: AbortSignal) => Promise<never>;

beforeEach(() => make());
afterEach(async () => {
  await sandboxes.stopAll();
  parts[Symbol.dispose]();
});

function make(limit = 256): void {
  parts = new Parts({ concurrency: 1 });
  forced = new ForcedRuntime();
  const runtimes = new Runtimes([forced.runtime]);
  parts.image(image);
  parts.images.setTag(image, 'base');
  importHost = async () => assert.fail('nobody asked for host:');
  const startImages = new StartImages({
    images: parts.images,
    branches: parts.branches,
    runtimes,
    importHost: signal => importHost(signal),
    defaultImage: undefined,
  });
  sandboxes = new Sandboxes({ ...parts, runtimes, startImages, limit, events: parts.events });
  sessions = new Sessions(sandboxes);
  const files = new FileStore(parts.database, new Blobs(parts.home));
  handlers = {
    ...sandboxFileVerbs(sandboxes),
    ...sessionVerbs(sessions),
    ...sandboxVerbs(sandboxes, sessions, new Snapshots(parts.images, parts.operations), files, noStates),
    ...operationVerbs(parts.operations, parts.spools, parts.feed, id => sandboxes.process(id, 'operation_id').output),
  } as Handlers;
}

async function ask<V extends VerbName>(verb: V, input: VerbInput<V>, by = call()): Promise<VerbResult<V>> {
  return (await dispatch(handlers, verb, input, by)) as VerbResult<V>;
}

const create = (input: VerbInput<'create_sandbox'> = {}, by = call()) =>
  ask('create_sandbox', { image: 'tag:base', ...input }, by);

async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 5_000; !condition(); await sleep(2))
    if (Date.now() > deadline) throw new Error('waited in vain');
}

async function running(input: VerbInput<'create_sandbox'> = {}, by = call()): Promise<string> {
  const { sandbox_id } = await create(input, by);
  await sandboxes.find(sandbox_id).ready;
  return sandbox_id;
}

const statuses = (id: string) => {
  const all = parts.seen.flatMap(event =>
    event.topic === 'sandbox' && event.sandbox.sandbox_id === id ? [event.sandbox.status] : [],
  );
  return all.filter((status, index) => status !== all[index - 1]);
};

describe('a sandbox', () => {
  test('is answered at once, before the runtime has made it', async () => {
    const held = gate();
    forced.creating = () => held.opened;
    const view = await create({ tags: ['a'] });
    assert.match(view.sandbox_id, /^sb-[0-9a-f]{16}$/);
    assert.equal(view.status, 'creating');
    assert.equal(view.image, image);
    assert.equal(view.command, null);
    held.open();
    await sandboxes.find(view.sandbox_id).ready;
    assert.equal((await ask('get_sandbox', { sandbox_id: view.sandbox_id })).status, 'running');
  });

  test('with an id of the caller’s is known by it before it is answered, and only once', async () => {
    const creating = create({ sandbox_id: 'sb-abcdef' });
    const process = ask('exec', { sandbox_id: 'sb-abcdef', command: ['true'], process_id: 'pr-123456' });
    await assert.rejects(create({ sandbox_id: 'sb-abcdef' }), { code: 'already_exists', field: 'sandbox_id' });
    assert.equal((await creating).sandbox_id, 'sb-abcdef');
    assert.equal((await process).running, true);
    await assert.rejects(ask('exec', { sandbox_id: 'sb-abcdef', command: ['true'], process_id: 'pr-123456' }), {
      code: 'already_exists',
      field: 'process_id',
    });
  });

  test('forgets its oldest processes, output and all', async () => {
    const id = await running();
    for (let n = 0; n < 1_002; n++) {
      const process_id = `pr-${n.toString(16).padStart(6, '0')}`;
      await ask('exec', { sandbox_id: id, command: ['true'], process_id });
      forced.last.processes.get(process_id)!.end(0);
      await sandboxes.process(process_id).ended;
    }
    await until(() => sandboxes.find(id).processes.length === 1_000);
    await assert.rejects(ask('wait_process', { process_id: 'pr-000000' }), { code: 'process_not_found' });
    assert.equal((await ask('wait_process', { process_id: 'pr-0003e9' })).exit_code, 0);
  });

  test('whose main process would have the id of another process is refused', async () => {
    const id = await running();
    await ask('exec', { sandbox_id: id, command: ['true'], process_id: 'pr-abcdef' });
    await assert.rejects(create({ sandbox_id: 'sb-abcdef' }), { code: 'already_exists', field: 'sandbox_id' });
  });

  for (const [exitCode, status] of [
    [0, 'completed'],
    [3, 'failed'],
  ] as const) {
    test(`whose command exits with ${exitCode} is ${status}`, async () => {
      const id = await running({ command: ['make'] });
      forced.last.main.end(exitCode);
      await sandboxes.find(id).ended;
      const view = await ask('get_sandbox', { sandbox_id: id });
      assert.equal(view.status, status);
      assert.equal(view.exit_code, exitCode);
      assert.equal(view.error, null);
      assert.notEqual(view.finished_at, null);
      assert.deepEqual(statuses(id), ['creating', 'running', status]);
      assert.equal(forced.last.removed, 1);
    });
  }

  test('is stopped once for all who ask, and each is answered at the terminal status', async () => {
    const id = await running({ command: ['sleep'] });
    const held = gate();
    forced.last.stopping = () => held.opened;
    const stops = [1, 2, 3].map(() => ask('stop_sandbox', { sandbox_id: id }));
    assert.equal((await ask('get_sandbox', { sandbox_id: id })).status, 'terminating');
    held.open();
    for (const view of await Promise.all(stops)) assert.equal(view.status, 'terminated');
    assert.equal(forced.last.stops, 1);
    assert.equal((await ask('stop_sandbox', { sandbox_id: id })).status, 'terminated');
    assert.deepEqual(statuses(id), ['creating', 'running', 'terminating', 'terminated']);
  });

  test('that ended by itself keeps that status when it is stopped afterwards', async () => {
    const id = await running({ command: ['make'] });
    forced.last.main.end(0);
    await sandboxes.find(id).ended;
    assert.equal((await ask('stop_sandbox', { sandbox_id: id })).status, 'completed');
    assert.equal(forced.last.stops, 0);
  });

  test('stopped while it is being made is removed as soon as it is made', async () => {
    const held = gate();
    forced.creating = () => held.opened;
    const { sandbox_id } = await create();
    const process = ask('exec', { sandbox_id, command: ['true'], wait: true });
    const stop = ask('stop_sandbox', { sandbox_id });
    held.open();
    assert.equal((await stop).status, 'terminated');
    assert.equal(forced.last.removed, 1);
    await assert.rejects(process, { code: 'conflict', data: { sandbox_id, status: 'terminating' } });
    assert.deepEqual(statuses(sandbox_id), ['creating', 'terminating', 'terminated']);
  });

  test('stopped while its image is still looked for is made never', async () => {
    importHost = signal =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const creating = ask('create_sandbox', { sandbox_id: 'sb-abcdef' });
    assert.equal((await ask('get_sandbox', { sandbox_id: 'sb-abcdef' })).status, 'pending');
    assert.equal((await ask('stop_sandbox', { sandbox_id: 'sb-abcdef' })).status, 'terminated');
    await assert.rejects(creating, { code: 'conflict' });
    assert.equal(forced.sandboxes.length, 0);
  });

  test('whose creation is cancelled by its caller goes', async () => {
    importHost = signal =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const controller = new AbortController();
    const creating = ask('create_sandbox', { sandbox_id: 'sb-abcdef' }, call('c', controller.signal));
    controller.abort();
    await assert.rejects(creating);
    await sandboxes.find('sb-abcdef').ended;
    assert.equal(sandboxes.find('sb-abcdef').status, 'terminated');
  });

  test('of an unknown image is refused, and who uses its id is told why', async () => {
    await assert.rejects(create({ sandbox_id: 'sb-abcdef', image: 'tag:none' }), { code: 'image_not_found' });
    await sandboxes.find('sb-abcdef').ended;
    await assert.rejects(ask('exec', { sandbox_id: 'sb-abcdef', command: ['true'] }), { code: 'image_not_found' });
    assert.equal(forced.sandboxes.length, 0);
  });

  test('that the runtime cannot make is failed with why, and so is what waited for it', async () => {
    const held = gate();
    forced.creating = async () => {
      await held.opened;
      throw new CoppiceError('unsupported', 'no memory limits here', { fix: 'Leave them out.' });
    };
    const { sandbox_id } = await create();
    const asked = [
      ask('exec', { sandbox_id, command: ['true'] }),
      ask('exec', { sandbox_id, command: ['true'], wait: true }),
      ask('read_sandbox_file', { sandbox_id, path: '/x' }),
      ask('snapshot', { sandbox_id }),
    ];
    held.open();
    for (const answer of asked) await assert.rejects(answer, { code: 'unsupported', fix: 'Leave them out.' });
    const view = await ask('get_sandbox', { sandbox_id });
    assert.equal(view.status, 'failed');
    assert.deepEqual(view.error, { code: 'unsupported', message: 'no memory limits here' });
  });

  test('whose runtime dies is failed, its processes end, nothing hangs', async () => {
    const sandbox_id = await running();
    const process = ask('exec', { sandbox_id, command: ['sleep'], wait: true });
    await until(() => forced.last.processes.size === 1);
    const died = new CoppiceError('interrupted', 'the host process is gone');
    for (const each of [...forced.last.processes.values(), forced.last.main]) each.fail(died);
    await assert.rejects(process, { code: 'interrupted' });
    await sandboxes.find(sandbox_id).ended;
    const view = await ask('get_sandbox', { sandbox_id });
    assert.equal(view.status, 'failed');
    assert.equal(view.error?.code, 'interrupted');
  });

  test('that idles and ends by itself is failed, not completed', async () => {
    const sandbox_id = await running();
    forced.last.main.end(0);
    await sandboxes.find(sandbox_id).ended;
    const view = await ask('get_sandbox', { sandbox_id });
    assert.equal(view.status, 'failed');
    assert.equal(view.error?.code, 'interrupted');
  });

  test('whose stop fails says so, stays terminating, and can be stopped again', async () => {
    const sandbox_id = await running();
    forced.last.stopping = async () => {
      throw new Error('busy');
    };
    await assert.rejects(ask('stop_sandbox', { sandbox_id }), /busy/);
    assert.equal((await ask('get_sandbox', { sandbox_id })).status, 'terminating');
    forced.last.stopping = async () => {};
    assert.equal((await ask('stop_sandbox', { sandbox_id })).status, 'terminated');
  });

  test('whose remains cannot be removed is over all the same', async () => {
    const sandbox_id = await running();
    forced.last.removing = async () => {
      throw new Error('device busy');
    };
    assert.equal((await ask('stop_sandbox', { sandbox_id })).status, 'terminated');
  });

  test('is stopped at the end of its lifetime', async () => {
    const sandbox_id = await running({ lifetime: 0.02 });
    await sandboxes.find(sandbox_id).ended;
    assert.equal((await ask('get_sandbox', { sandbox_id })).status, 'terminated');
  });

  test('takes its place among a limited number and gives it back', async () => {
    parts[Symbol.dispose]();
    make(2);
    const first = await running();
    await running();
    await assert.rejects(create(), { code: 'engine_busy', data: { limit: 2 } });
    await ask('stop_sandbox', { sandbox_id: first });
    await running();
    assert.equal(sandboxes.living, 2);
  });

  test('holds its image while it lives', async () => {
    const id = await running();
    assert.deepEqual([...sandboxes.inUse()], [[image, id]]);
    await ask('stop_sandbox', { sandbox_id: id });
    assert.equal(sandboxes.inUse().size, 0);
  });
});

describe('a lease', () => {
  test('ends what a client made when it goes, not what others made, nor what is detached', async () => {
    const mine = await running({}, call('me'));
    const detached = await running({ detached: true }, call('me'));
    const others = await running({}, call('other'));
    sandboxes.clientGone('me');
    await sandboxes.find(mine).ended;
    assert.equal(sandboxes.find(mine).status, 'terminated');
    assert.equal(sandboxes.find(detached).status, 'running');
    assert.equal(sandboxes.find(others).status, 'running');
    assert.equal((await ask('get_sandbox', { sandbox_id: detached })).detached, true);
  });

  test('ends also what is still being made', async () => {
    const held = gate();
    forced.creating = () => held.opened;
    const { sandbox_id } = await create({}, call('me'));
    sandboxes.clientGone('me');
    held.open();
    await sandboxes.find(sandbox_id).ended;
    assert.equal(sandboxes.find(sandbox_id).status, 'terminated');
    assert.equal(forced.last.removed, 1);
  });

  test('of a client that is gone already begins nothing', async () => {
    await assert.rejects(create({}, call('me', AbortSignal.abort())));
    assert.equal(sandboxes.living, 0);
  });
});

describe('a session', () => {
  const session_id = 'se-000001';
  const open = (by = call('me'), id = session_id) => ask('open_session', { session_id: id, tags: ['t'] }, by);

  test('ends what it owns when it is closed, and names what did not stop', async () => {
    await open();
    const good = await running({ session_id });
    const bad = await running({ session_id });
    forced.last.stopping = async () => Promise.reject(new Error('it will not'));
    const other = await running({});
    const closed = await ask('close_session', { session_id });
    assert.deepEqual(closed.stopped, [good]);
    assert.equal(closed.failures[0]?.sandbox_id, bad);
    assert.equal(sandboxes.find(other).status, 'running');
    await assert.rejects(ask('close_session', { session_id }), { code: 'session_not_found' });
    forced.sandboxes[1]!.stopping = async () => {};
  });

  test('ends with the connection it was opened on', async () => {
    await open();
    const id = await running({ session_id }, call('another client'));
    const released = await running({ session_id });
    await ask('release_sandbox', { session_id, sandbox_id: released });
    sessions.clientGone('me');
    await sandboxes.find(id).ended;
    assert.equal(sandboxes.find(released).status, 'running');
    assert.deepEqual((await ask('sessions', {})).sessions, []);
  });

  test('adopts what nobody’s session owns; another open session’s only by stealing', async () => {
    await open();
    await open(call('you'), 'se-000002');
    const id = await running({}, call('you'));
    assert.equal((await ask('adopt_sandbox', { session_id, sandbox_id: id })).session, session_id);
    sandboxes.clientGone('you');
    assert.equal(sandboxes.find(id).status, 'running');
    const steal = { session_id: 'se-000002', sandbox_id: id };
    await assert.rejects(ask('adopt_sandbox', steal), { code: 'in_use' });
    await assert.rejects(ask('release_sandbox', steal), { code: 'conflict' });
    assert.equal((await ask('adopt_sandbox', { ...steal, steal: true })).session, 'se-000002');
    await ask('close_session', { session_id });
    assert.equal(sandboxes.find(id).status, 'running');
    sessions.clientGone('you');
    await sandboxes.find(id).ended;
  });

  test('that is not open owns nothing', async () => {
    await assert.rejects(create({ session_id }), { code: 'session_not_found' });
    assert.equal(sandboxes.living, 0);
  });
});

describe('waiting', () => {
  test('for a sandbox to run ends when it runs, and with what keeps it from that', async () => {
    const held = gate();
    forced.creating = () => held.opened;
    const { sandbox_id } = await create();
    const waits = ask('wait_sandbox', { sandbox_id });
    held.open();
    assert.equal((await waits).status, 'running');
    forced.creating = async () => Promise.reject(new CoppiceError('disk_full', 'no room'));
    const failing = await create();
    await assert.rejects(ask('wait_sandbox', { sandbox_id: failing.sandbox_id }), {
      code: 'disk_full',
    });
    const over = ask('wait_sandbox', { sandbox_id, until: 'over' });
    await ask('stop_sandbox', { sandbox_id });
    assert.equal((await over).status, 'terminated');
    await assert.rejects(ask('wait_sandbox', { sandbox_id }), { code: 'conflict' });
  });

  test('for output answers when there is some, and at the end', async () => {
    const sandbox_id = await running();
    const { process_id } = await ask('exec', { sandbox_id, command: ['x'] });
    const process = forced.last.processes.get(process_id)!;
    const more = (offset: number) => ask('read_output', { operation_id: process_id, offset, wait: true });
    const first = more(0);
    process.print('one');
    assert.equal((await first).text, 'one');
    const second = more(3);
    const aborted = new AbortController();
    const given = ask('read_output', { operation_id: process_id, offset: 3, wait: true }, call('x', aborted.signal));
    aborted.abort();
    await assert.rejects(given);
    process.end(0);
    assert.deepEqual([(await second).text, (await second).eof], ['', true]);
  });
});

describe('a list of sandboxes', () => {
  test('has those with all the tags, newest first, and those that are over only when asked', async () => {
    const a = await running({ tags: ['x', 'y'] });
    const b = await running({ tags: ['x'] });
    const c = await running({ tags: ['x', 'y', 'z'] });
    await ask('stop_sandbox', { sandbox_id: c });
    const ids = async (input: VerbInput<'list_sandboxes'>) =>
      (await ask('list_sandboxes', input)).sandboxes.map(view => view.sandbox_id);
    assert.deepEqual(await ids({}), [b, a]);
    assert.deepEqual(await ids({ tags: ['y', 'x'] }), [a]);
    assert.deepEqual(await ids({ tags: ['x'], show_terminated: true }), [c, b, a]);
    assert.deepEqual(await ids({ status: 'terminated' }), [c]);
    assert.deepEqual(await ids({ status: 'running', limit: 1 }), [b]);
    assert.deepEqual(await ids({ tags: ['none'] }), []);
  });

  test('remembers the last two hundred that are over, and the output of those only', async () => {
    const first = await running({ command: ['true'] });
    const spool = parts.spools.open(`pr-${first.slice(3)}`).stdout;
    await ask('stop_sandbox', { sandbox_id: first });
    assert.ok(existsSync(spool));
    for (let n = 0; n < 200; n++) await ask('stop_sandbox', { sandbox_id: await running() });
    await assert.rejects(ask('get_sandbox', { sandbox_id: first }), { code: 'sandbox_not_found' });
    await assert.rejects(ask('wait_process', { process_id: `pr-${first.slice(3)}` }), { code: 'process_not_found' });
    assert.equal(existsSync(spool), false);
    assert.equal((await ask('list_sandboxes', { show_terminated: true, limit: 1000 })).sandboxes.length, 200);
  });
});

describe('a process', () => {
  test('has the sandbox’s environment, folder and user where it names none of its own', async () => {
    const sandbox_id = await running({
      env: { A: 'sandbox', B: 'sandbox' },
      secrets: { S: 'secret' },
      cwd: '/work',
      user: 'me',
    });
    await ask('exec', { sandbox_id, command: ['a', 'b c'], env: { B: 'own' } });
    await ask('exec', { sandbox_id, command: ['x'], cwd: '/other', user: '7:8' });
    const [one, two] = [...forced.last.processes.values()].map(process => process.spec!);
    assert.deepEqual(one!.args, ['a', 'b c']);
    assert.deepEqual(one!.env, { A: 'sandbox', B: 'own', S: 'secret' });
    assert.deepEqual([one!.cwd, one!.user, two!.cwd, two!.user], ['/work', 'me', '/other', '7:8']);
  });

  test('asked for before the sandbox runs is written to in order once it does', async () => {
    const held = gate();
    forced.creating = () => held.opened;
    const { sandbox_id } = await create();
    const process_id = 'pr-abcdef';
    const started = ask('exec', { sandbox_id, process_id, command: ['cat'], stdin: 'open' });
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    const writes = [
      ask('write_stdin', { process_id, data: base64('one ') }),
      ask('write_stdin', { process_id, data: base64('two '), close: false }),
      ask('write_stdin', { process_id, data: base64('three'), close: true }),
    ];
    held.open();
    await started;
    await Promise.all(writes);
    const process = forced.last.processes.get(process_id)!;
    assert.equal(process.input, 'one two three');
    assert.equal(process.inputClosed, true);
    await assert.rejects(ask('write_stdin', { process_id, data: base64('late') }), { code: 'conflict' });
  });

  test('that ended takes no more input, and neither a signal nor a size is an error', async () => {
    const sandbox_id = await running();
    const { process_id } = await ask('exec', { sandbox_id, command: ['cat'], tty: { cols: 80, rows: 24 } });
    forced.last.processes.get(process_id)!.end(0);
    await ask('wait_process', { process_id });
    await assert.rejects(ask('write_stdin', { process_id, data: 'eA==' }), { code: 'conflict', field: 'process_id' });
    assert.deepEqual(await ask('kill_process', { process_id }), { ok: true });
    assert.deepEqual(await ask('resize', { process_id, cols: 1, rows: 1 }), { ok: true });
    assert.deepEqual(forced.last.processes.get(process_id)!.signals, []);
  });

  test('gets signals and sizes', async () => {
    const sandbox_id = await running();
    const { process_id } = await ask('exec', { sandbox_id, command: ['top'], tty: { cols: 80, rows: 24 } });
    await ask('resize', { process_id, cols: 120, rows: 40 });
    await ask('kill_process', { process_id, signal: 'SIGUSR1' });
    await ask('kill_process', { process_id });
    const process = forced.last.processes.get(process_id)!;
    assert.deepEqual(process.sizes, ['120x40']);
    assert.deepEqual(process.signals, ['SIGUSR1', 'SIGTERM']);
    assert.deepEqual(process.spec!.stdin, { kind: 'open' });
    await assert.rejects(ask('kill_process', { process_id, signal: 'SIGNOTHING' }), {
      code: 'invalid_input',
      field: 'signal',
    });
    const plain = await ask('exec', { sandbox_id, command: ['cat'] });
    await assert.rejects(ask('resize', { process_id: plain.process_id, cols: 1, rows: 1 }), { code: 'invalid_input' });
  });

  test('is killed at its timeout, which its start does not count for; the sandbox lives on', async () => {
    forced.starting = () => sleep(60);
    const sandbox_id = await running();
    const view = await ask('exec', { sandbox_id, command: ['sleep'], timeout: 0.04, wait: true });
    assert.equal(view.timed_out, true);
    assert.equal(view.signal, 'SIGKILL');
    assert.equal(view.running, false);
    assert.ok(view.duration_ms! >= 35, `${view.duration_ms} ms`);
    assert.equal((await ask('get_sandbox', { sandbox_id })).status, 'running');
  });

  test('that could not be started is a typed error for all who wait for it', async () => {
    const sandbox_id = await running();
    const process = await ask('exec', { sandbox_id, command: ['nothing'] });
    forced.last.processes
      .get(process.process_id)!
      .fail(new CoppiceError('command_not_started', 'no such program', { fix: 'Look.' }));
    for (let again = 0; again < 2; again++)
      await assert.rejects(ask('wait_process', { process_id: process.process_id }), { code: 'command_not_started' });
    assert.equal((await ask('get_sandbox', { sandbox_id })).status, 'running');
  });

  test('waited for by a caller who goes is killed when the caller started it, and lives when it only waited', async () => {
    const sandbox_id = await running();
    const { process_id } = await ask('exec', { sandbox_id, command: ['sleep'] });
    const controller = new AbortController();
    const waiting = ask('wait_process', { process_id }, call('c', controller.signal));
    const doing = ask('exec', { sandbox_id, command: ['make'], wait: true }, call('c', controller.signal));
    await until(() => forced.last.processes.size === 2);
    controller.abort();
    await assert.rejects(waiting, { name: 'AbortError' });
    await assert.rejects(doing, { name: 'AbortError' });
    const [sleeping, making] = [...forced.last.processes.values()];
    await until(() => making!.signals.length > 0);
    assert.deepEqual(making!.signals, ['SIGKILL']);
    assert.deepEqual(sleeping!.signals, []);
  });

  test('is over when its sandbox is, with its output whole', async () => {
    const sandbox_id = await running();
    const { process_id } = await ask('exec', { sandbox_id, command: ['sleep'] });
    forced.last.processes.get(process_id)!.print('so far');
    await ask('stop_sandbox', { sandbox_id });
    const view = await ask('wait_process', { process_id });
    assert.equal(view.signal, 'SIGKILL');
    const output = await ask('read_output', { operation_id: process_id });
    assert.equal(output.text, 'so far');
    assert.equal(output.eof, true);
    await assert.rejects(ask('exec', { sandbox_id, command: ['true'] }), {
      code: 'conflict',
      data: { sandbox_id, status: 'terminated' },
    });
  });

  test('tells its output live, and it is read while it goes on', async () => {
    const sandbox_id = await running({ command: ['server'] });
    const process_id = `pr-${sandbox_id.slice(3)}`;
    const pieces: string[] = [];
    parts.feed.follow(process_id, {
      ready: () => true,
      send: event => pieces.push(Buffer.from(event.data, 'base64').toString()),
    });
    forced.last.main.print('listening\n');
    forced.last.main.print('request\n');
    assert.deepEqual(pieces, ['listening\n', 'request\n']);
    const output = await ask('read_output', { operation_id: process_id, tail: 8 });
    assert.equal(output.text, 'request\n');
    assert.equal(output.eof, false);
    assert.deepEqual((await ask('get_sandbox', { sandbox_id })).processes, [process_id]);
  });

  test('nobody knows is named', async () => {
    for (const verb of ['wait_process', 'kill_process'] as const)
      await assert.rejects(ask(verb, { process_id: 'pr-none' }), { code: 'process_not_found', field: 'process_id' });
    await assert.rejects(ask('read_output', { operation_id: 'pr-none' }), {
      code: 'process_not_found',
      field: 'operation_id',
    });
  });
});

describe('a snapshot', () => {
  const changes = (size = 1) => {
    forced.last.committing = async id => ({ changed: true, data: { layers: [id] }, size });
  };

  test('is an operation with an image whose parent is the image it runs on, then the snapshot before', async () => {
    const sandbox_id = await running();
    changes(42);
    const one = await ask('snapshot', { sandbox_id, tag: 'one' });
    const two = await ask('snapshot', { sandbox_id });
    assert.equal(one.filesystem_changed, true);
    const first = parts.images.find(one.image)!;
    assert.equal(first.parent, image);
    assert.equal(first.tag, 'one');
    assert.equal(first.size, 42);
    assert.equal(first.operationId, one.operation_id);
    assert.equal(parts.images.find(two.image)!.parent, one.image);
    const record = parts.operations.record(one.operation_id);
    assert.deepEqual(
      [record.kind, record.status, record.image, record.resultImage],
      ['snapshot', 'SUCCESS', image, one.image],
    );
    assert.equal((await ask('get_sandbox', { sandbox_id })).status, 'running');
  });

  test('taken many at once is one after the other, each the parent of the next', async () => {
    const sandbox_id = await running();
    changes();
    const taken = await Promise.all(Array.from({ length: 5 }, () => ask('snapshot', { sandbox_id })));
    const expected = [image, ...taken.slice(0, -1).map(each => each.image)];
    assert.deepEqual(
      taken.map(each => parts.images.find(each.image)!.parent),
      expected,
    );
  });

  test('of nothing changed is the image it runs on, and no new one', async () => {
    const sandbox_id = await running();
    const taken = await ask('snapshot', { sandbox_id });
    assert.equal(taken.image, image);
    assert.equal(taken.filesystem_changed, false);
    assert.equal(parts.images.list({}, 10, 0).total, 1);
  });

  test('of nothing changed with a tag takes no tag away: the same files under two names', async () => {
    const sandbox_id = await running();
    const taken = await ask('snapshot', { sandbox_id, tag: 'kept' });
    assert.notEqual(taken.image, image);
    assert.equal(taken.filesystem_changed, false);
    assert.deepEqual(parts.images.find(taken.image)!.data, parts.images.find(image)!.data);
    assert.equal(parts.images.byTag('base')!.uuid, image);
    assert.equal(parts.images.byTag('kept')!.uuid, taken.image);
    assert.equal((await ask('snapshot', { sandbox_id, tag: 'base' })).image, image);
  });

  test('does not wait for operations that fill every slot', async () => {
    const held = gate();
    const full = parts.operations.start(
      {
        kind: 'run',
        title: 'long',
        image: null,
        input: {},
        disposable: true,
        directoryStateId: null,
        runtime: 'native',
        client: 'test',
        hints: [],
      },
      'other',
      async () => {
        await held.opened;
        return { status: 'SUCCESS' };
      },
    );
    const sandbox_id = await running();
    changes();
    await ask('snapshot', { sandbox_id });
    held.open();
    await parts.operations.ended(full.id);
  });

  test('that fails is a typed error and a FAILED operation; the next is not held up', async () => {
    const sandbox_id = await running();
    forced.last.committing = async () => {
      throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    };
    await assert.rejects(ask('snapshot', { sandbox_id }), { code: 'disk_full' });
    const { operations } = parts.operations.list({ kind: 'snapshot' }, 10, 0);
    assert.equal(operations[0]!.status, 'FAILED');
    changes();
    const next = await ask('snapshot', { sandbox_id });
    assert.equal(parts.images.find(next.image)!.parent, image);
  });

  test('that its caller no longer wants keeps nothing', async () => {
    const sandbox_id = await running();
    const held = gate();
    forced.last.committing = async id => {
      await held.opened;
      return { changed: true, data: { layers: [id] }, size: 1 };
    };
    const controller = new AbortController();
    const taking = ask('snapshot', { sandbox_id }, call('c', controller.signal));
    await until(() => parts.operations.list({}, 10, 0).total === 1);
    controller.abort();
    held.open();
    await assert.rejects(taking, { code: 'cancelled' });
    assert.equal(parts.images.list({}, 10, 0).total, 1);
    assert.equal(parts.operations.list({}, 10, 0).operations[0]!.status, 'CANCELLED');
  });
});

test('secrets are in no record, event, spool or log', async () => {
  const secret = 'hunter2-very-secret';
  const sandbox_id = await running({ secrets: { PASSWORD: secret }, command: ['make'] });
  await ask('exec', { sandbox_id, command: ['true'] });
  await ask('snapshot', { sandbox_id });
  await ask('stop_sandbox', { sandbox_id });
  const told = JSON.stringify([parts.seen, parts.operations.list({}, 100, 0), parts.images.living()]);
  assert.ok(!told.includes(secret));
});
