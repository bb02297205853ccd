import { lstatSync, realpathSync, type Stats } from 'node:fs';
import path from 'node:path';
import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import type { VerbResult } from '../../protocol/verbs.ts';
import type { EngineConnection } from '../engineConnection.ts';

export interface ApplyItem {
  /** Relative, with `/`. */
  readonly path: string;
  readonly change: 'A' | 'M' | 'D' | 'conflict';
  /** Conflicts only. */
  readonly reason?: string;
  readonly size?: number;
  readonly type?: 'file' | 'directory' | 'link';
}

/** What would come home from an image, and where to. */
export interface ApplyPlan {
  readonly image: string;
  /** The folder inside. */
  readonly inside: string;
  readonly folder: vscode.WorkspaceFolder;
  /** The folder here; below the workspace folder, and spelled as that is. */
  readonly to: vscode.Uri;
  readonly items: readonly ApplyItem[];
  readonly leftOut: number;
}

export async function planApply(connection: EngineConnection, image: string, signal: AbortSignal): Promise<ApplyPlan> {
  const plan = await connection.call('apply', { image, dry_run: true }, { signal });
  const { folder, to } = openFolder(plan);
  const dirty = dirtyBelow(to);
  const applied = plan.applied.map(
    ({ path, change, size, type }): ApplyItem =>
      dirty.has(path)
        ? { path, change: 'conflict', reason: 'has unsaved changes in the editor' }
        : { path, change, size, type },
  );
  const conflicts = plan.conflicts.map(({ path, reason }): ApplyItem => ({ path, change: 'conflict', reason }));
  const order = (a: ApplyItem, b: ApplyItem) => (a.path < b.path ? -1 : 1);
  const items = [
    ...applied.filter(({ change }) => change !== 'conflict').toSorted(order),
    ...[...applied.filter(({ change }) => change === 'conflict'), ...conflicts].toSorted(order),
  ];
  return { image: plan.image, inside: plan.path, folder, to, items, leftOut: plan.left_out };
}

/** The engine names folders by their real path; editors know them as they were opened. */
function openFolder({ to }: VerbResult<'apply'>): { readonly folder: vscode.WorkspaceFolder; readonly to: vscode.Uri } {
  for (const folder of vscode.workspace.workspaceFolders ?? []) {
    if (folder.uri.scheme !== 'file') continue;
    const below = path.relative(realpathSync(folder.uri.fsPath), to);
    if (below === '..' || below.startsWith(`..${path.sep}`) || path.isAbsolute(below)) continue;
    return { folder, to: below === '' ? folder.uri : vscode.Uri.joinPath(folder.uri, ...below.split(path.sep)) };
  }
  throw new CoppiceError('invalid_input', `it was made from ${to}, which is not open here`, {
    fix: 'Open that folder, or use coppice apply in a terminal',
  });
}

function dirtyBelow(to: vscode.Uri): ReadonlySet<string> {
  const start = `${to.path.replace(/\/$/, '')}/`;
  return new Set(
    vscode.workspace.textDocuments
      .filter(({ isDirty, uri }) => isDirty && uri.scheme === 'file' && uri.path.startsWith(start))
      .map(({ uri }) => uri.path.slice(start.length)),
  );
}

/** What is at that path here; undefined: nothing. A link on the way is never gone through. */
export function localStats({ to }: ApplyPlan, file: string): Stats | undefined {
  const steps = file.split('/');
  if (process.platform === 'win32' && steps.some(step => /[\\:]/.test(step)))
    throw new CoppiceError('path_escapes', `${file} cannot be a name on this machine`);
  for (let count = 1; count < steps.length; count++) {
    const above = steps.slice(0, count).join('/');
    const stats = lstatSync(vscode.Uri.joinPath(to, above).fsPath, { throwIfNoEntry: false });
    if (!stats) return undefined;
    if (!stats.isDirectory())
      throw new CoppiceError(
        'path_escapes',
        `${file} cannot be written: ${above} is a ${stats.isSymbolicLink() ? 'link' : 'file'} here`,
      );
  }
  return lstatSync(vscode.Uri.joinPath(to, file).fsPath, { throwIfNoEntry: false });
}

export const localUri = ({ to }: ApplyPlan, file: string): vscode.Uri => vscode.Uri.joinPath(to, file);
export const insidePath = ({ inside }: ApplyPlan, file: string): string => `${inside.replace(/\/$/, '')}/${file}`;
