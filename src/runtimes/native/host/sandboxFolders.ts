import { closeSync, copyFileSync, fchmodSync, fchownSync, fstatSync, lchownSync, renameSync } from 'node:fs';
import path from 'node:path';
import type { LinuxRootedFolder } from '../../../paths/linuxRooted.ts';
import { CoppiceError } from '../../../protocol/errors.ts';
import type { FileEntry } from '../../../protocol/schemas/files.ts';
import type { SandboxFileRequest } from '../hostApi.ts';
import { notWritten } from './sandboxFiles.ts';
import { asCoppiceError, entryAt, listFolder, normal } from './views/viewFiles.ts';

/** Folders and names of sandboxes, whose processes may change any path meanwhile. */
export function answerFileRequest(
  root: LinuxRootedFolder,
  sandbox: string,
  request: SandboxFileRequest,
): readonly FileEntry[] {
  const file = normal(request.path);
  const looks = request.kind === 'list' || request.kind === 'stat';
  try {
    switch (request.kind) {
      case 'list':
        return listFolder(root, file);
      case 'stat':
        return [entryAt(root, file)];
      case 'makeFolder':
        root.makeFolder(file, request.mode);
        return [];
      case 'remove':
        remove(root, sandbox, file, request.recursive);
        return [];
      case 'rename':
        rename(root, sandbox, file, normal(request.to));
        return [];
    }
  } catch (error) {
    if (error instanceof CoppiceError) throw error;
    throw looks ? asCoppiceError(error, `sandbox ${sandbox}`, file) : notWritten(error, sandbox, file);
  }
}

function remove(root: LinuxRootedFolder, sandbox: string, file: string, recursive: boolean): void {
  const folder = root.lstat(file).isDirectory();
  if (folder && !recursive && root.list(file).length > 0) throw notEmpty(sandbox, file);
  root.remove(file);
}

/** Over one file system by its own rename; else, as `mv` does, by a copy whose original goes when it is whole. */
function rename(root: LinuxRootedFolder, sandbox: string, from: string, to: string): void {
  if (to === from) return void root.lstat(from);
  if (to.startsWith(`${from}/`)) {
    throw new CoppiceError('invalid_input', `sandbox ${sandbox}: ${from} cannot move into itself`, { field: 'to' });
  }
  root.makeFolder(path.posix.dirname(to));
  try {
    root.at(from, { below: true }, source => root.at(to, { below: true }, target => renameSync(source, target)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    if (isFolder(root, to) && root.list(to).length > 0) throw notEmpty(sandbox, to);
    copyTree(root, from, to);
    root.remove(from);
  }
}

function isFolder(root: LinuxRootedFolder, file: string): boolean {
  const [name, parent] = [path.posix.basename(file), path.posix.dirname(file)];
  return root.list(parent).some(entry => entry.name === name && entry.isDirectory());
}

/** Every step starts at the root anew, so that whoever swaps a folder for a link meanwhile leads us nowhere else. */
function copyTree(root: LinuxRootedFolder, from: string, to: string): void {
  const stats = root.lstat(from);
  if (stats.isDirectory()) {
    root.makeFolder(to, 0o700);
    for (const { name } of root.list(from)) copyTree(root, path.posix.join(from, name), path.posix.join(to, name));
    root.at(to, {}, place => lchownSync(place, stats.uid, stats.gid));
    root.setMode(to, stats.mode);
  } else if (stats.isSymbolicLink()) {
    root.symlink(root.readlink(from), to);
    root.at(to, {}, place => lchownSync(place, stats.uid, stats.gid));
  } else {
    copyFile(root, from, to);
  }
  root.setTime(to, stats.mtime);
}

function copyFile(root: LinuxRootedFolder, from: string, to: string): void {
  const source = root.openFile(from);
  try {
    const { mode, uid, gid } = fstatSync(source);
    const pending = root.createFile(to, { mode: 0o600 });
    try {
      copyFileSync(`/proc/self/fd/${source}`, `/proc/self/fd/${pending.fd}`);
      fchownSync(pending.fd, uid, gid);
      fchmodSync(pending.fd, mode & 0o7777);
      pending.commit();
    } finally {
      pending.abandon();
    }
  } finally {
    closeSync(source);
  }
}

function notEmpty(sandbox: string, file: string): CoppiceError {
  return new CoppiceError('conflict', `sandbox ${sandbox}: ${file} is a folder with something in it`, {
    field: 'recursive',
    fix: 'Say recursive to remove what is in it too.',
    data: { path: file },
  });
}
