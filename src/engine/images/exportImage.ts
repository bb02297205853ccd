import { createHash } from 'node:crypto';
import { chmodSync, ftruncateSync, mkdirSync, realpathSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { openRooted, type PendingFile } from '../../paths/rooted.ts';
import type { VerbRequest, VerbResult } from '../../protocol/verbs.ts';
import { ArchiveFile, writeWhole } from '../../registry/archiveFile.ts';
import { type ImageToArchive, writeImageArchive } from '../../registry/imageArchive.ts';
import type { ExportedLayer, Runtime } from '../../runtimes/runtime.ts';
import { type Destination, fileDestination } from '../artifacts/destination.ts';
import type { Call } from '../call.ts';
import type { Runtimes } from '../runtimes.ts';
import { type ImageRecord, type ImageStore, toRuntimeImage } from './imageStore.ts';
import { exportedLineage, lineageLabels } from './lineageLabels.ts';

type Request = VerbRequest<'export_image'>;
type Result = VerbResult<'export_image'>;

const PROGRESS_MS = 100;

/** The verb `export_image`: an image as one file that other tools read. Until it is whole nothing has its name. */
export async function exportImage(
  images: ImageStore,
  runtimes: Runtimes,
  home: string,
  request: Request,
  call: Call,
): Promise<Result> {
  const image = images.resolve(request.image);
  images.touch(image.uuid);
  const name = `${(image.tag ?? image.uuid).replaceAll(/[^\w.-]+/g, '-')}.tar`;
  const destination = fileDestination(request.destination, name, request.overwrite, realpathSync(home));
  const made = makeFolders(path.dirname(destination.path));
  let whole = false;
  try {
    const result = await writeFile(destination, request.overwrite, call, (file, signal, wrote) =>
      request.format === 'rootfs'
        ? writeTree(runtimes.of(image), image, file.fd, signal, wrote)
        : writeArchive(images, runtimes.of(image), image, request.format, file.fd, signal, wrote),
    );
    whole = true;
    return { image: image.uuid, destination: destination.path, format: request.format, ...result };
  } finally {
    if (!whole) removeFolders(made);
  }
}

type Written = Pick<Result, 'size' | 'digest' | 'layers'>;

async function writeFile(
  destination: Destination,
  overwrite: boolean,
  call: Call,
  write: (file: PendingFile, signal: AbortSignal, wrote: (bytes: number) => void) => Promise<Written>,
): Promise<Written> {
  const folder = openRooted(path.dirname(destination.path));
  try {
    const file = folder.createFile(path.basename(destination.path), { mode: 0o644, overwrite });
    try {
      const result = await write(file, call.signal, progressOf(call));
      // Of a blob that was there already, something may lie beyond the end.
      ftruncateSync(file.fd, result.size);
      call.signal.throwIfAborted();
      file.commit();
      return result;
    } finally {
      file.abandon();
    }
  } finally {
    folder.close();
  }
}

async function writeArchive(
  images: ImageStore,
  runtime: Runtime,
  image: ImageRecord,
  format: 'oci-archive' | 'docker-archive',
  fd: number,
  signal: AbortSignal,
  wrote: (bytes: number) => void,
): Promise<Written> {
  const lineage = exportedLineage(images, image);
  const layers = await runtime.exportLayers(toRuntimeImage(image), lineage.map(toRuntimeImage));
  const archive = new ArchiveFile(fd, wrote);
  const digest = await writeImageArchive(archive, format, describe(image, lineage, layers), signal);
  return { size: await archive.finish(), digest, layers: layers.length };
}

function describe(
  image: ImageRecord,
  lineage: readonly ImageRecord[],
  layers: readonly ExportedLayer[],
): ImageToArchive {
  const labels = lineageLabels(image, lineage);
  return {
    config: { ...image.config, labels: { ...image.config.labels, ...labels } },
    created: new Date(image.createdAt),
    name: image.tag ?? undefined,
    annotations: {
      'org.opencontainers.image.created': new Date(image.createdAt).toISOString(),
      ...labels,
    },
    layers: layers.map(({ madeBy, open }) => {
      const maker = lineage[madeBy]!;
      return {
        created: new Date(maker.createdAt),
        createdBy: maker.command ?? (maker.source === null ? '' : `import ${maker.source}`),
        comment: `coppice ${maker.uuid}`,
        open,
      };
    }),
  };
}

async function writeTree(
  runtime: Runtime,
  image: ImageRecord,
  fd: number,
  signal: AbortSignal,
  wrote: (bytes: number) => void,
): Promise<Written> {
  const tree = await runtime.exportTree(toRuntimeImage(image), signal);
  const { size, digest } = await writeStream(tree, fd, signal, wrote);
  return { size, digest, layers: 1 };
}

async function writeStream(
  source: Readable,
  fd: number,
  signal: AbortSignal,
  wrote: (bytes: number) => void,
): Promise<{ readonly size: number; readonly digest: string }> {
  const hash = createHash('sha256');
  let size = 0;
  const file = new Writable({
    highWaterMark: 1 << 20,
    write: (chunk: Buffer, _encoding, callback) => {
      hash.update(chunk);
      writeWhole(fd, chunk, size).then(() => callback(), callback);
      size += chunk.length;
      wrote(chunk.length);
    },
  });
  await pipeline(source, file, { signal });
  return { size, digest: `sha256:${hash.digest('hex')}` };
}

/** Answers those that were not there, the deepest first. */
function makeFolders(folder: string): readonly string[] {
  const first = mkdirSync(folder, { recursive: true });
  if (first === undefined) return [];
  const made = [folder];
  while (made.at(-1) !== first) made.push(path.dirname(made.at(-1)!));
  // The engine's own umask is strict.
  for (const folder of made) chmodSync(folder, 0o755);
  return made;
}

function removeFolders(folders: readonly string[]): void {
  for (const folder of folders) {
    try {
      rmdirSync(folder);
    } catch (error) {
      // Somebody put something there meanwhile.
      if ((error as NodeJS.ErrnoException).code === 'ENOTEMPTY') return;
      throw error;
    }
  }
}

function progressOf(call: Call): (bytes: number) => void {
  let done = 0;
  let next = 0;
  return bytes => {
    done += bytes;
    const now = Date.now();
    if (now < next) return;
    next = now + PROGRESS_MS;
    call.progress({ message: 'exporting', done });
  };
}
