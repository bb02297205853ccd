import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import path from 'node:path';
import type { FileEntry } from '../../protocol/schemas/files.ts';
import type { ImageFiles } from '../../runtimes/runtime.ts';
import { fromText, toText } from '../../workspace/bytePath.ts';
import type { FileStore } from '../files/fileStore.ts';
import type { ImageRecord, ImageStore } from '../images/imageStore.ts';
import type { OperationRecord, OperationStore } from '../operations/operationStore.ts';
import type { Blobs } from '../store/blobs.ts';
import type { StateStore } from '../sync/stateStore.ts';
import type { StoredEntry } from '../sync/tree.ts';

export type ReadFiles = Pick<ImageFiles, 'stat' | 'read'>;

/** A file or link that was laid over an image for a run. */
interface Laid {
  readonly entry: FileEntry;
  readonly blob?: string;
}

/**
 * What a run found when it began: an image's files, its directory state over them, its single files over all. A diff tells
 * what the run did to that ground, so this is where its "before" is read.
 */
export class Ground {
  readonly #images: ImageStore;
  readonly #operations: OperationStore;
  readonly #states: StateStore;
  readonly #files: FileStore;
  readonly #blobs: Blobs;

  constructor(parts: {
    readonly images: ImageStore;
    readonly operations: OperationStore;
    readonly states: StateStore;
    readonly files: FileStore;
    readonly blobs: Blobs;
  }) {
    this.#images = parts.images;
    this.#operations = parts.operations;
    this.#states = parts.states;
    this.#files = parts.files;
    this.#blobs = parts.blobs;
  }

  /** `below`, with what was laid over it for the run that made `image`. */
  of(image: ImageRecord, below: ImageFiles): ReadFiles {
    const operation = this.#operationOf(image);
    if (!operation) return below;
    const laid = new Map<string, Laid | undefined>();
    const at = (name: string): Laid | undefined => {
      const normal = path.posix.normalize(name);
      if (!laid.has(normal)) laid.set(normal, this.#single(operation, normal) ?? this.#ofState(operation, normal));
      return laid.get(normal);
    };
    return {
      stat: async name => at(name)?.entry ?? below.stat(name),
      read: async (name, offset, length) => {
        const blob = at(name)?.blob;
        return blob === undefined ? below.read(name, offset, length) : readBlob(blob, offset, length);
      },
    };
  }

  /** Of several steps only the first one found what was laid. */
  #operationOf(image: ImageRecord): OperationRecord | undefined {
    if (image.operationId === null) return undefined;
    const parent = image.parent === null ? undefined : this.#images.find(image.parent);
    return parent?.operationId === image.operationId ? undefined : this.#operations.find(image.operationId);
  }

  #single({ input }: OperationRecord, name: string): Laid | undefined {
    const files = (input.files ?? {}) as Readonly<Record<string, string>>;
    const found = Object.keys(files).find(file => path.posix.normalize(file) === name);
    if (found === undefined) return undefined;
    const [file] = this.#files.laidOver({ [found]: files[found]! });
    const fd = openSync(file!.blob, 'r');
    try {
      return { entry: entryOf(name, { type: 'file', size: fstatSync(fd).size, mode: 0o644 }), blob: file!.blob };
    } finally {
      closeSync(fd);
    }
  }

  #ofState({ directoryStateId: id }: OperationRecord, name: string): Laid | undefined {
    const state = id === null ? undefined : this.#states.lookUp(id);
    if (!state || !name.startsWith(`${state.destination}/`)) return undefined;
    const steps = fromText(name.slice(state.destination.length + 1)).split('/');
    let object = state.object;
    for (const [index, step] of steps.entries()) {
      const stored = this.#states.folder(object).find(entry => entry.name === step);
      if (!stored) return undefined;
      if (index === steps.length - 1) return this.#laid(name, stored);
      if (stored.kind !== 'folder') return undefined;
      object = stored.value;
    }
    return undefined;
  }

  #laid(name: string, { kind, mode, mtime, size, value }: StoredEntry): Laid | undefined {
    const time = new Date(mtime).toISOString();
    if (kind === 'file')
      return { entry: entryOf(name, { type: 'file', size, mode, mtime: time }), blob: this.#blobs.path(value) };
    if (kind === 'link') return { entry: entryOf(name, { type: 'link', mode, mtime: time, link: toText(value) }) };
    return { entry: entryOf(name, { type: 'directory', mode, mtime: time }) };
  }
}

function entryOf(name: string, known: Partial<FileEntry> & Pick<FileEntry, 'type' | 'mode'>): FileEntry {
  const fixed = { path: name, name: path.posix.basename(name), uid: 0, gid: 0 };
  return { size: 0, mtime: new Date(0).toISOString(), link: null, ...fixed, ...known };
}

function readBlob(blob: string, offset: number, length: number): { bytes: Buffer; size: number } {
  const fd = openSync(blob, 'r');
  try {
    const { size } = fstatSync(fd);
    const bytes = Buffer.alloc(Math.max(0, Math.min(length, size - offset)));
    return { bytes: bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, offset)), size };
  } finally {
    closeSync(fd);
  }
}
