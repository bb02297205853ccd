import * as vscode from 'vscode';
import type { FileEntry } from '../../protocol/schemas/files.ts';
import { Disposable } from '../disposable.ts';
import { asCoppiceError } from '../engineConnection.ts';
import { byteSize, sentence } from '../views/labels.ts';
import { changeText } from './changeText.ts';
import { type ImageFiles, type Looked, meant } from './imageFiles.ts';
import { IMAGE_SCHEME, type ImagePlace, placeOfUri } from './imageUri.ts';

/** Beyond it a file is for a download: it would have to be held in memory whole. */
const MOST_BYTES = 256 * 1024 * 1024;

const IMMUTABLE = 'Images are immutable. Run something in one and keep the result: that is a new image.';

/** `coppice://<image>/path`, read-only. Nothing is started for it. */
export class ImageFileSystem extends Disposable implements vscode.FileSystemProvider {
  readonly #files: ImageFiles;
  readonly #changed = this._register(new vscode.EventEmitter<vscode.FileChangeEvent[]>());

  /** Never fires: an image does not change. */
  readonly onDidChangeFile = this.#changed.event;

  constructor(files: ImageFiles) {
    super();
    this.#files = files;
    this._register(
      vscode.workspace.registerFileSystemProvider(IMAGE_SCHEME, this, {
        isCaseSensitive: true,
        isReadonly: new vscode.MarkdownString(IMMUTABLE),
      }),
    );
  }

  watch(): vscode.Disposable {
    return { dispose: () => undefined };
  }

  async stat(uri: vscode.Uri): Promise<vscode.FileStat> {
    return this.#answer(uri, async place => {
      const looked = await this.#files.stat(place.image, place.path, place.foundBy);
      const stat = statOf(looked);
      if (!place.asChange) return stat;
      return { ...stat, type: vscode.FileType.File, size: (await changeText(this.#files, place)).length };
    });
  }

  async readDirectory(uri: vscode.Uri): Promise<[string, vscode.FileType][]> {
    return this.#answer(uri, async ({ image, path }) =>
      (await this.#files.list(image, path)).entries.map(entry => [entry.name, typeOf(entry, entry.stands_for)]),
    );
  }

  async readFile(uri: vscode.Uri): Promise<Uint8Array> {
    return this.#answer(uri, async place => {
      if (place.asChange) return changeText(this.#files, place);
      const file = meant(await this.#files.stat(place.image, place.path));
      if (file.type === 'directory') throw vscode.FileSystemError.FileIsADirectory(uri);
      if (file.type !== 'file') throw vscode.FileSystemError.Unavailable(`${file.path} is a ${file.type}, no file`);
      if (file.size > MOST_BYTES) {
        throw vscode.FileSystemError.Unavailable(`${file.path} is ${byteSize(file.size)}: download it instead`);
      }
      return this.#files.read(place.image, place.path, file.size);
    });
  }

  createDirectory(): void {
    throw vscode.FileSystemError.NoPermissions(IMMUTABLE);
  }
  writeFile(): void {
    throw vscode.FileSystemError.NoPermissions(IMMUTABLE);
  }
  delete(): void {
    throw vscode.FileSystemError.NoPermissions(IMMUTABLE);
  }
  rename(): void {
    throw vscode.FileSystemError.NoPermissions(IMMUTABLE);
  }

  async #answer<T>(uri: vscode.Uri, ask: (place: ImagePlace) => Promise<T>): Promise<T> {
    try {
      return await ask(placeOfUri(uri));
    } catch (error) {
      throw error instanceof vscode.FileSystemError ? error : fileSystemError(error);
    }
  }
}

function statOf(looked: Looked): vscode.FileStat {
  const { entry, target } = looked;
  const { size, mtime } = meant(looked);
  const time = Date.parse(mtime);
  return {
    type: typeOf(entry, target?.type ?? null),
    size,
    mtime: time,
    ctime: time,
    permissions: vscode.FilePermission.Readonly,
  };
}

/** VS Code wants a link to be told together with what it leads to. */
export function typeOf({ type }: Pick<FileEntry, 'type'>, target: FileEntry['stands_for']): vscode.FileType {
  if (type === 'link') return vscode.FileType.SymbolicLink | plainType(target ?? 'other');
  return plainType(type);
}

function plainType(type: FileEntry['type']): vscode.FileType {
  if (type === 'file') return vscode.FileType.File;
  return type === 'directory' ? vscode.FileType.Directory : vscode.FileType.Unknown;
}

function fileSystemError(thrown: unknown): vscode.FileSystemError {
  const error = asCoppiceError(thrown);
  const message = [error.message, error.fix]
    .filter(part => part !== undefined)
    .map(sentence)
    .join(' ');
  switch (error.code) {
    case 'path_not_found':
    case 'image_not_found':
    case 'ambiguous_reference':
    case 'invalid_input':
      return vscode.FileSystemError.FileNotFound(message);
    case 'not_a_directory':
      return vscode.FileSystemError.FileNotADirectory(message);
    case 'not_a_file':
      return vscode.FileSystemError.FileIsADirectory(message);
    default:
      return vscode.FileSystemError.Unavailable(message);
  }
}
