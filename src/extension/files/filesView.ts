import * as vscode from 'vscode';
import type { FileEntry } from '../../protocol/schemas/files.ts';
import { contextKeys, itemWords, views } from '../contributions.ts';
import { Disposable } from '../disposable.ts';
import { byteSize } from '../views/labels.ts';
import type { ImageFiles } from './imageFiles.ts';
import { imageUri } from './imageUri.ts';

/** A file or folder of an image that is browsed; an image's root is a folder too. */
export interface FileRow {
  readonly kind: 'root' | 'folder' | 'file' | 'more';
  readonly image: { readonly uuid: string };
  readonly path: string;
  readonly label: string;
  readonly parent: FileRow | undefined;
  readonly entry: FileEntry | undefined;
}

/** Files of the images one browses: asked folder by folder when it is opened, and nothing runs for it. */
export class FilesView extends Disposable implements vscode.TreeDataProvider<FileRow> {
  readonly #files: ImageFiles;
  readonly #changed = this._register(new vscode.EventEmitter<FileRow | undefined>());
  readonly #view: vscode.TreeView<FileRow>;
  #roots: readonly FileRow[] = [];

  readonly onDidChangeTreeData = this.#changed.event;

  constructor(files: ImageFiles) {
    super();
    this.#files = files;
    this.#view = this._register(
      vscode.window.createTreeView<FileRow>(views.files.id, {
        treeDataProvider: this,
        canSelectMany: true,
        showCollapseAll: true,
      }),
    );
  }

  /** Shows an image's files, beside those of others that are browsed. */
  async browse(image: string, name: string): Promise<void> {
    const known = this.#roots.find(root => root.image.uuid === image);
    const root: FileRow = known ?? {
      kind: 'root',
      image: { uuid: image },
      path: '/',
      label: name,
      parent: undefined,
      entry: undefined,
    };
    if (!known) await this.#show([...this.#roots, root]);
    await vscode.commands.executeCommand(`${views.files.id}.focus`);
    await this.#view.reveal(root, { expand: true, focus: true, select: true });
  }

  async close(root: FileRow): Promise<void> {
    await this.#show(this.#roots.filter(({ image }) => image.uuid !== root.image.uuid));
  }

  async #show(roots: readonly FileRow[]): Promise<void> {
    this.#roots = roots;
    await vscode.commands.executeCommand('setContext', contextKeys.browsing, roots.length > 0);
    this.#changed.fire(undefined);
  }

  async getChildren(row?: FileRow): Promise<FileRow[]> {
    if (!row) return [...this.#roots];
    const { entries, total } = await this.#files.list(row.image.uuid, row.path);
    const rows = entries.map(entry => rowOf(row, entry)).toSorted(foldersFirst);
    return total > entries.length ? [...rows, moreRow(row, total - entries.length)] : rows;
  }

  getParent(row: FileRow): FileRow | undefined {
    return row.parent;
  }

  getTreeItem(row: FileRow): vscode.TreeItem {
    const folder = row.kind === 'root' || row.kind === 'folder';
    const state = folder ? vscode.TreeItemCollapsibleState.Collapsed : vscode.TreeItemCollapsibleState.None;
    const item = new vscode.TreeItem(row.label, state);
    item.id = `${row.image.uuid}${row.path}${row.kind === 'more' ? '\0' : ''}`;
    if (row.kind === 'more') return item;
    const uri = imageUri(row.image.uuid, row.path);
    item.contextValue = `${itemWords.files} ${itemWords[row.kind === 'root' || row.kind === 'folder' ? row.kind : 'file']}`;
    if (row.kind === 'root') item.iconPath = new vscode.ThemeIcon('layers');
    else {
      item.resourceUri = uri;
      item.iconPath = folder ? vscode.ThemeIcon.Folder : vscode.ThemeIcon.File;
    }
    item.description = describe(row);
    item.tooltip = tooltip(row);
    item.accessibilityInformation = { label: [row.label, ...(item.description ? [item.description] : [])].join(', ') };
    if (row.kind === 'file') item.command = { command: 'vscode.open', title: 'Open', arguments: [uri] };
    return item;
  }
}

function rowOf(parent: FileRow, entry: FileEntry): FileRow {
  const leadsTo = entry.type === 'link' ? entry.stands_for : entry.type;
  return {
    kind: leadsTo === 'directory' ? 'folder' : 'file',
    image: parent.image,
    path: parent.path === '/' ? `/${entry.name}` : `${parent.path}/${entry.name}`,
    label: entry.name,
    parent,
    entry,
  };
}

function moreRow(parent: FileRow, hidden: number): FileRow {
  return { ...parent, kind: 'more', label: `${hidden} more are not shown`, parent, entry: undefined };
}

function foldersFirst(a: FileRow, b: FileRow): number {
  if (a.kind !== b.kind) return a.kind === 'folder' ? -1 : 1;
  return a.label.localeCompare(b.label, undefined, { numeric: true });
}

function describe({ entry, image }: FileRow): string {
  if (!entry) return image.uuid.slice(0, 8);
  if (entry.type === 'link') return `→ ${entry.link ?? ''}${entry.stands_for === null ? ' (leads nowhere)' : ''}`;
  return entry.type === 'file' ? byteSize(entry.size) : entry.type === 'other' ? 'device, socket or pipe' : '';
}

function tooltip({ entry, path, image }: FileRow): string {
  if (!entry) return `Image ${image.uuid}`;
  const facts = [
    `${entry.size.toLocaleString('en')} bytes, mode ${entry.mode.toString(8)}, owner ${entry.uid}:${entry.gid}`,
    new Date(entry.mtime).toLocaleString(),
  ];
  return [path, ...facts].join('\n');
}
