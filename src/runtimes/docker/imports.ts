import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough, type Readable, Transform, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdDecompress } from 'node:zlib';
import type Docker from 'dockerode';
import { pack } from 'tar-stream';
import { CoppiceError } from '../../protocol/errors.ts';
import type { ImageConfig } from '../../protocol/schemas/images.ts';
import type { OciImage, OciLayer } from '../../registry/ociImage.ts';
import { identifyRootfs, openRootfs } from '../native/rootfsSource.ts';
import type { ImageSource, ImportedImage, ImportOptions } from '../runtime.ts';
import type { Connection } from './connect/connection.ts';
import { readable } from './containerFiles.ts';
import { configOf, type DockerImageData, followed, type Images, withAlgorithm } from './images.ts';
import type { Names } from './names.ts';

/** What is told of an import: where it is kept while that is needed, and whose it becomes. */
export interface ImportPlace {
  readonly connection: Connection;
  readonly images: Images;
  readonly names: Names;
  /** For layers that have to be unpacked first. */
  readonly scratch: string;
}

export async function identifySource(source: ImageSource, images: Images): Promise<string | undefined> {
  switch (source.kind) {
    case 'host':
      return undefined;
    case 'rootfs':
      return identifyRootfs(source.path);
    case 'oci':
      return source.image.digest;
    case 'docker-daemon': {
      const found = await inDaemon(source.reference, images);
      return found && withAlgorithm(found.Id);
    }
  }
}

export async function importSource(
  source: ImageSource,
  options: ImportOptions,
  place: ImportPlace,
): Promise<ImportedImage> {
  switch (source.kind) {
    case 'host':
      throw new CoppiceError('unsupported', '`host:` is of the native runtime alone', {
        fix: 'Use the runtime native, or import an image.',
      });
    case 'rootfs':
      return importRootfs(source.path, options, place);
    case 'oci':
      return importOci(source.image, options, place);
    case 'docker-daemon':
      return adopt(source.reference, options, place);
  }
}

async function importRootfs(from: string, options: ImportOptions, place: ImportPlace): Promise<ImportedImage> {
  const { uuid, signal, progress } = options;
  const rootfs = await openRootfs(from, signal);
  const hash = createHash('sha256');
  let done = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      hash.update(chunk);
      done += chunk.length;
      progress('sending', done, rootfs.total ?? undefined);
      next(null, chunk);
    },
  });
  const plain = new PassThrough();
  const broken = new AbortController();
  const sending = (async () => {
    await pipeline(rootfs.stream, counted, unpacked, plain, { signal, end: false });
    // Only a source that was read whole may end as one.
    await rootfs.whole;
    plain.end();
  })();
  sending.catch(error => {
    broken.abort();
    plain.destroy(error as Error);
  });
  try {
    const labels = labelLines(place.names, uuid);
    const changes = [...labels, 'CMD ["/bin/sh"]'];
    const id = await place.images.importTar(plain, changes, AbortSignal.any([signal, broken.signal]));
    await sending;
    return await finish(id, `sha256:${hash.digest('hex')}`, options, place);
  } catch (error) {
    signal.throwIfAborted();
    if (broken.signal.aborted) await sending;
    throw notAnArchive(error, from);
  }
}

/** Docker itself unpacks gzip, but zstd only in its newer versions. */
async function* unpacked(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const iterator = chunks[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done) return;
  const rest = (async function* () {
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => iterator };
  })();
  if (!isZstd(first.value)) yield* rest;
  else yield* pipeThrough(rest);
}

async function* pipeThrough(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const decompress = createZstdDecompress();
  const fed = pipeline(chunks, decompress);
  fed.catch(() => undefined);
  yield* decompress as AsyncIterable<Buffer>;
  await fed;
}

const isZstd = (bytes: Buffer): boolean => bytes.length >= 4 && bytes.readUInt32LE(0) === 0xfd2fb528;

function notAnArchive(error: unknown, from: string): unknown {
  if (error instanceof CoppiceError) return error;
  const message = (error as { json?: { message?: string } }).json?.message;
  if (message === undefined) return error;
  return new CoppiceError('import_failed', `${from} is no tar of a root file system: ${message}`, {
    field: 'registry_url',
  });
}

const labelLines = (names: Names, uuid: string): string[] =>
  Object.entries(names.labels('image', uuid)).map(([name, value]) => `LABEL ${name}=${value}`);

/** An image of a registry's, a layout's or an archive's, as `docker load` takes it: its layers and a config of ours. */
async function importOci(image: OciImage, options: ImportOptions, place: ImportPlace): Promise<ImportedImage> {
  const { uuid, signal, progress } = options;
  const { api } = await place.connection.daemon();
  place.images.claim(uuid);
  const scratch = await mkdtemp(`${place.scratch}-`);
  try {
    const config = Buffer.from(JSON.stringify(ociConfig(image, place.names, uuid)));
    const name = `${createHash('sha256').update(config).digest('hex')}.json`;
    const tar = pack();
    const sending = sendArchive(
      tar,
      { image, config, name, reference: place.names.image(uuid) },
      scratch,
      signal,
      progress,
    );
    sending.catch(error => tar.destroy(error));
    const answer = await api.loadImage(readable(tar), { quiet: true, abortSignal: signal } as object);
    await followed(answer, () => {});
    await sending;
    const loaded = await place.images.find(place.names.image(uuid));
    if (!loaded) throw new CoppiceError('import_failed', 'the daemon took the layers and made no image of them');
    return await finish(withAlgorithm(loaded.Id), image.digest, options, place);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Volumes and health checks are left out: what runs write belongs to the image, wherever it is written. */
function ociConfig(image: OciImage, names: Names, uuid: string): object {
  const { env, cwd, user, entrypoint, cmd, labels, architecture } = image.config;
  return {
    architecture: dockerArchitecture(architecture),
    os: 'linux',
    created: '1970-01-01T00:00:00Z',
    config: {
      Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      WorkingDir: cwd,
      User: user,
      Entrypoint: entrypoint.length > 0 ? entrypoint : null,
      Cmd: cmd.length > 0 ? cmd : ['/bin/sh'],
      Labels: { ...labels, ...names.labels('image', uuid) },
    },
    rootfs: { type: 'layers', diff_ids: image.layers.map(layer => layer.diffId) },
    history: image.layers.map(layer => ({ created: '1970-01-01T00:00:00Z', created_by: layer.digest })),
  };
}

const dockerArchitecture = (name: string): string => ({ x86_64: 'amd64', aarch64: 'arm64' })[name] ?? name;

async function sendArchive(
  tar: ReturnType<typeof pack>,
  parts: { readonly image: OciImage; readonly config: Buffer; readonly name: string; readonly reference: string },
  scratch: string,
  signal: AbortSignal,
  progress: ImportOptions['progress'],
): Promise<void> {
  const { image, config, name, reference } = parts;
  const total = image.layers.reduce((sum, layer) => sum + layer.size, 0);
  let done = 0;
  // Asked for at once, they download side by side.
  const opened = image.layers.map(layer => layer.open(signal));
  for (const layer of opened) layer.catch(() => undefined);
  const files: string[] = [];
  for (const [index, layer] of image.layers.entries()) {
    const file = `${index}-${layer.diffId.replace('sha256:', '')}.tar`;
    files.push(file);
    await addLayer(tar, file, layer, await opened[index]!, path.join(scratch, String(index)), bytes => {
      done += bytes;
      progress('loading', Math.min(done, total), total);
    });
  }
  tar.entry({ name }, config);
  tar.entry({ name: 'manifest.json' }, JSON.stringify([{ Config: name, RepoTags: [reference], Layers: files }]));
  tar.finalize();
}

async function addLayer(
  tar: ReturnType<typeof pack>,
  name: string,
  layer: OciLayer,
  blob: Readable,
  scratch: string,
  arrived: (bytes: number) => void,
): Promise<void> {
  const chunks = blob[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const first = await chunks.next();
  const all = (async function* () {
    if (first.done) return;
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => chunks };
  })();
  const counted = (async function* () {
    for await (const chunk of all) {
      arrived(chunk.length);
      yield chunk;
    }
  })();
  if (first.done || !isZstd(first.value)) return writeEntry(tar, name, layer.size, counted);
  // How long it is unpacked is known only when it is.
  await pipeline(counted, createZstdDecompress(), createWriteStream(scratch, { mode: 0o600 }));
  await writeEntry(tar, name, (await stat(scratch)).size, createReadStream(scratch));
  await rm(scratch);
}

async function writeEntry(
  tar: ReturnType<typeof pack>,
  name: string,
  size: number,
  content: AsyncIterable<Buffer>,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const entry = tar.entry({ name, size }, error => (error ? reject(error) : resolve()));
  for await (const chunk of content) {
    if (!entry.write(chunk)) await new Promise<void>(drained => entry.once('drain', () => drained()));
  }
  (entry as unknown as Writable).end();
  await promise;
}

/** The daemon knows best what may be a name. */
async function inDaemon(reference: string, images: Images): Promise<Docker.ImageInspectInfo | undefined> {
  try {
    return await images.find(reference);
  } catch (error) {
    const { statusCode, json } = error as { statusCode?: number; json?: { message?: string } };
    const said = json?.message ?? String(error);
    // Podman calls it a failure of its own.
    if (statusCode !== 400 && !said.includes('normalizing image')) throw error;
    const name = JSON.stringify(reference.length > 100 ? `${reference.slice(0, 100)}…` : reference);
    const reason = /(invalid (reference )?format|repository name).*$/s.exec(said)?.[0] ?? 'the daemon does not take it';
    throw new CoppiceError('invalid_input', `docker-daemon: ${name} is no name of an image: ${reason}`, {
      field: 'registry_url',
    });
  }
}

/** An image that is in the daemon already: it gets one more name and is otherwise left as it is. */
async function adopt(reference: string, options: ImportOptions, place: ImportPlace): Promise<ImportedImage> {
  const found = await inDaemon(reference, place.images);
  if (!found)
    throw new CoppiceError('import_failed', `the daemon has no image ${reference}`, {
      field: 'registry_url',
      fix: 'See `docker images`, or import it from its registry: docker://name:tag.',
    });
  if (found.Os !== 'linux') throw new CoppiceError('unsupported', `${reference} is not of Linux but of ${found.Os}`);
  await place.images.tag(found.Id, options.uuid);
  const imported = await finish(withAlgorithm(found.Id), withAlgorithm(found.Id), options, place);
  const volumes = Object.keys(found.Config.Volumes ?? {});
  if (volumes.length === 0) return imported;
  const { id, layers, size } = await place.images.withoutVolumes(options.uuid);
  const data: DockerImageData = { id, layers, parent: null, ground: null };
  const note = `${reference} declares volumes (${volumes.join(', ')}), whose content no image would keep: this is a copy of it without them.`;
  return { ...imported, data, size, notes: [note] };
}

async function finish(
  id: string,
  digest: string,
  { uuid, signal }: ImportOptions,
  { images }: ImportPlace,
): Promise<ImportedImage & { readonly data: DockerImageData; readonly config: ImageConfig }> {
  await images.tag(id, uuid);
  try {
    signal.throwIfAborted();
    const { layers, size } = await images.describe(id);
    const data: DockerImageData = { id, layers, parent: null, ground: null };
    return { data, config: configOf(await images.inspect(id)), size, digest };
  } catch (error) {
    await images.removeTag(uuid);
    throw error;
  }
}
