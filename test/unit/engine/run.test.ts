import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { FileStore } from '../../../src/engine/files/fileStore.ts';
import { ImageRemoval } from '../../../src/engine/images/imageRemoval.ts';
import { ImportImage } from '../../../src/engine/images/importImage.ts';
import { Run } from '../../../src/engine/operations/run.ts';
import { StartImages } from '../../../src/engine/operations/startImage.ts';
import { Runtimes } from '../../../src/engine/runtimes.ts';
import { Blobs } from '../../../src/engine/store/blobs.ts';
import type { StateLayers } from '../../../src/engine/sync/stateLayers.ts';
import { CoppiceError } from '../../../src/protocol/errors.ts';
import { type VerbInput, verbSchemas } from '../../../src/protocol/verbs.ts';
import { OutsideImages } from '../../../src/registry/outsideImages.ts';
import type { ImageSource, ImportOptions, Runtime, RuntimeImage } from '../../../src/runtimes/runtime.ts';
import { ForcedRuntime, type ForcedSandbox } from './forcedRuntime.ts';
import { call, gate, Parts, uuid } from './parts.ts';

const base = uuid(1);
const noStates = { find: () => undefined } as unknown as StateLayers;

let parts: Parts;
let forced: ForcedRuntime;
let removed: { readonly uuid: string; readonly others: readonly string[] }[];
let importing: (options: ImportOptions) => Promise<void>;
let identity: string | undefined;
let files: FileStore;
let run: Run;
let imports: ImportImage;

beforeEach(() => {
  parts = new Parts();
  parts.image(base);
  forced = new ForcedRuntime();
  removed = [];
  identity = undefined;
  importing = async () => {};
  const runtime = {
    ...forced.runtime,
    identify: async () => identity,
    removeImage: async (image: RuntimeImage, others: readonly RuntimeImage[]) => {
      removed.push({ uuid: image.uuid, others: others.map(other => other.uuid) });
      return 1;
    },
    importImage: async (_source: ImageSource, options: ImportOptions) => {
      await importing(options);
      return { data: {}, config: {}, size: 1, digest: 'd' };
    },
  } as unknown as Runtime;
  files = new FileStore(parts.database, new Blobs(parts.home));
  const runtimes = new Runtimes([runtime]);
  const removal = new ImageRemoval(parts.images, parts.branches, runtimes, () => new Map());
  const discard = removal.discard.bind(removal);
  const startImages = new StartImages({
    ...parts,
    runtimes,
    defaultImage: undefined,
    importHost: () => Promise.reject(new Error('not here')),
  });
  run = new Run({
    measureLater: () => {},
    ...parts,
    files,
    stateLayers: noStates,
    startImages,
    runtimes,
    discard,
  });
  const outside = new OutsideImages(parts.home, { find: async () => ({ credentials: undefined }) }, {});
  imports = new ImportImage(parts.images, parts.operations, runtimes, outside, discard);
});

afterEach(async () => {
  await parts.operations.cancelAll();
  parts[Symbol.dispose]();
});

const start = async (input: VerbInput<'run'>): Promise<string> =>
  (await run.call(verbSchemas.run.input.parse({ image: base, wait: false, ...input }), call())).operation_id;

/** The sandbox of the next command, which writes something. */
async function nextSandbox(number: number): Promise<ForcedSandbox> {
  while (forced.sandboxes.length < number) await setImmediate();
  const sandbox = forced.sandboxes[number - 1]!;
  sandbox.committing = async name => ({ changed: true, data: { step: number, name }, size: 1 });
  return sandbox;
}

describe('run', () => {
  test('lays uploaded files under what an earlier step did to them, never over it', async () => {
    const { uuid: file } = await files.upload({ content: 'x' }, call());
    const id = await start({ steps: ['edit', 'look'], files: { '/app/x': file } });
    (await nextSandbox(1)).main.end(0);
    (await nextSandbox(2)).main.end(0);
    await parts.operations.ended(id);
    assert.deepEqual(
      forced.sandboxes.map(sandbox => sandbox.spec.files.map(laid => laid.path)),
      [['/app/x'], []],
    );
  });

  test('cancelled after some steps leaves none of their files behind', async () => {
    const id = await start({ steps: ['one', 'two', 'three'] });
    (await nextSandbox(1)).main.end(0);
    (await nextSandbox(2)).main.end(0);
    await nextSandbox(3);
    const { record } = await parts.operations.cancel(id);
    assert.equal(record.status, 'CANCELLED');
    assert.equal(record.steps, null);
    await setImmediate();
    assert.equal(removed.length, 2);
    for (const { uuid: gone, others } of removed) {
      assert.equal(parts.images.find(gone), undefined);
      assert.deepEqual(others, [base]);
    }
  });

  test('cancelled while it is kept leaves no files behind', async () => {
    const held = gate();
    const id = await start({ command: 'x', disposable: false });
    const sandbox = await nextSandbox(1);
    sandbox.committing = async () => {
      await held.opened;
      return { changed: true, data: {}, size: 1 };
    };
    sandbox.main.end(0);
    await setImmediate();
    const cancelling = parts.operations.cancel(id);
    held.open();
    assert.equal((await cancelling).cancelled, true);
    await setImmediate();
    assert.equal(removed.length, 1);
  });

  test('that was recorded keeps its files', async () => {
    const id = await start({ command: 'x', disposable: false });
    (await nextSandbox(1)).main.end(0);
    await parts.operations.ended(id);
    await setImmediate();
    assert.deepEqual(removed, []);
    assert.ok(parts.images.find(parts.operations.record(id).resultImage!));
  });

  test('that moves a branch tells of the image the branch has left', async () => {
    parts.branches.move('main', base);
    const seen = parts.seen.length;
    const id = await start({ image: 'branch:main', command: 'x', disposable: false });
    (await nextSandbox(1)).main.end(0);
    await parts.operations.ended(id);
    const heads = parts.seen
      .slice(seen)
      .flatMap(event => (event.topic === 'image' ? [[event.image.uuid, event.image.branches]] : []));
    assert.deepEqual(heads, [
      [parts.operations.record(id).resultImage, ['main']],
      [base, []],
    ]);
  });

  test('names the field of a limit that cannot be', async () => {
    for (const memory of ['1k', '999999999t'])
      await assert.rejects(start({ command: 'x', limits: { memory } }), {
        code: 'invalid_input',
        field: 'limits.memory',
        message: /^limits\.memory: /,
      });
  });

  test('ends although its sandbox cannot be stopped', async () => {
    const id = await start({ command: 'x', timeout: 0.01 });
    const sandbox = await nextSandbox(1);
    sandbox.stopping = () => Promise.reject(new Error('no such thing'));
    sandbox.removing = async () => {};
    await parts.operations.ended(id);
    const record = parts.operations.record(id);
    assert.equal(record.status, 'FAILED');
    assert.match(record.error?.message ?? '', /could not be stopped/);
  });
});

describe('an import', () => {
  const request = verbSchemas.import_image.input.parse({ registry_url: 'rootfs:/x.tar' });

  test('that another waits for goes on for that one when the first gives up', async () => {
    const given = new AbortController();
    let began = 0;
    importing = async ({ signal }) => {
      if (++began > 1) return;
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const first = imports.call(request, call('a', given.signal));
    const second = imports.call(request, call('b'));
    while (began === 0) await setImmediate();
    given.abort(new CoppiceError('cancelled', 'gave up'));
    assert.equal((await first).status, 'CANCELLED');
    const answer = await second;
    assert.equal(answer.status, 'SUCCESS');
    assert.ok(parts.images.find(answer.image!));
    assert.equal(began, 2);
  });

  test('refuses a platform that its source cannot choose', async () => {
    await assert.rejects(imports.call({ ...request, platform: 'linux/arm64' }, call()), { field: 'platform' });
  });

  test('of what is here under another name makes a second image, and takes no name away', async () => {
    identity = 'd';
    const first = await imports.call(request, call());
    assert.equal(first.already_present, false);
    const second = await imports.call({ ...request, tag: 'other' }, call());
    assert.deepEqual([second.already_present, second.operation_id, second.tag], [true, null, 'other']);
    assert.notEqual(second.image, first.image);
    assert.equal(parts.images.find(first.image!)!.tag, first.tag);
    assert.deepEqual(parts.images.find(second.image!)!.data, parts.images.find(first.image!)!.data);
    const again = await imports.call({ ...request, tag: first.tag! }, call());
    assert.equal(again.image, first.image);
    assert.equal((await imports.call({ ...request, tag: 'other' }, call())).image, second.image);
    parts.images.setTag(first.image!, null);
    parts.images.setTag(second.image!, null);
    assert.equal((await imports.call({ ...request, tag: 'new' }, call())).tag, 'new');
    assert.equal(parts.images.living().length, 3);
  });

  test('cancelled at its very end leaves nothing behind', async () => {
    const given = new AbortController();
    importing = async () => given.abort();
    const answer = await imports.call(request, call('a', given.signal));
    assert.equal(answer.status, 'CANCELLED');
    await setImmediate();
    assert.equal(removed.length, 1);
    assert.deepEqual(
      parts.images.living().map(image => image.uuid),
      [base],
    );
  });
});
