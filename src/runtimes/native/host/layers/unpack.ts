import * as crypto from 'node:crypto';
import type { Readable } from 'node:stream';
import { Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { RootedError } from '../../../../paths/rootedFolder.ts';
import { CoppiceError } from '../../../../protocol/errors.ts';
import { packingOf, takeHead } from './packing.ts';
import { TarError } from './tarError.ts';
import { TarReader } from './tarReader.ts';
import { type MissingLink, type TreeCounts, UnpackedTree } from './unpackedTree.ts';

export interface UnpackOptions {
  readonly signal: AbortSignal;
  /** Bytes of the archive taken so far. */
  readonly progress: (done: number) => void;
  /**
   * A layer of an image: its names may hide what lies below it, it may be empty, and it must be the tar of that digest. Else
   * a root file system, whose archive gets a digest.
   */
  readonly layer?: { readonly diffId: string };
}

export interface Unpacked {
  readonly counts: TreeCounts;
  /** Of the archive as it came; of a layer: of its plain tar. */
  readonly digest: string;
  /** Folders that no entry names: they are to look like those in the layers below. Byte paths. */
  readonly implied: readonly string[];
  readonly missingLinks: readonly MissingLink[];
  readonly opaqueRoot: boolean;
}

/**
 * Unpacks a tar (plain, gzip or zstd) into an empty folder. The archive may be anyone's: every name and link target is
 * resolved inside the folder, and an entry that would leave it ends the import.
 */
export async function unpackTar(source: Readable, folder: string, options: UnpackOptions): Promise<Unpacked> {
  const tree = new UnpackedTree(folder, { layer: options.layer !== undefined });
  const algorithm = options.layer?.diffId.startsWith('sha512:') ? 'sha512' : 'sha256';
  const hash = crypto.createHash(algorithm);
  const { signal } = options;
  let done = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      done += chunk.length;
      if (options.layer === undefined) hash.update(chunk);
      options.progress(done);
      callback(null, chunk);
    },
  });
  const reader = new TarReader(tree);
  const taken = new Writable({
    highWaterMark: 4 << 20,
    write(chunk: Buffer, _encoding, callback) {
      try {
        if (options.layer !== undefined) hash.update(chunk);
        reader.write(chunk);
        callback();
      } catch (error) {
        callback(error as Error);
      }
    },
  });
  try {
    const packing = packingOf(await takeHead(source));
    await pipeline([source, counted, ...packing, taken] as never, { signal });
    const digest = `${algorithm}:${hash.digest('hex')}`;
    reader.finish();
    if (options.layer !== undefined && options.layer.diffId !== digest)
      throw new TarError(`its tar is ${digest}, not ${options.layer.diffId} as the image says`);
    if (options.layer === undefined && tree.counts.entries === 0) throw new TarError('it holds no files');
    await tree.finish(signal);
    const { counts, opaqueRoot } = tree;
    return { counts, digest, opaqueRoot, implied: [...tree.implied], missingLinks: [...tree.missingLinks.values()] };
  } catch (error) {
    signal.throwIfAborted();
    throw explained(error, options.layer?.diffId);
  } finally {
    source.destroy();
    tree.close();
  }
}

function broken(message: string, diffId: string | undefined): CoppiceError {
  return diffId === undefined
    ? new CoppiceError('import_failed', `the archive cannot be unpacked: ${message}`, {
        fix: 'Give a tar, tar.gz or tar.zst of a root file system, or a folder.',
      })
    : new CoppiceError('import_failed', `layer ${diffId} cannot be unpacked: ${message}`, {
        fix: 'The image itself is at fault: ask who made it, or take another one.',
      });
}

function explained(error: unknown, diffId: string | undefined): unknown {
  if (error instanceof CoppiceError) return error;
  if (error instanceof RootedError) return broken(error.message, diffId);
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') return error;
  if (code === 'ERR_STREAM_PREMATURE_CLOSE') return broken('it ends too early', diffId);
  // What the tar reader and zlib have to say about their input, and names that the file system refuses.
  return broken(message, diffId);
}
