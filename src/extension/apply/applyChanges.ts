import { isUtf8 } from 'node:buffer';
import { chmodSync, readFileSync, rmdirSync, type Stats } from 'node:fs';
import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import type { FileEntry } from '../../protocol/schemas/files.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { isBinary } from '../files/changeText.ts';
import type { ImageFiles } from '../files/imageFiles.ts';
import { type ApplyItem, type ApplyPlan, insidePath, localStats, localUri } from './applyPlan.ts';

/** A larger text is replaced as a file and not edited as a document. */
const MOST_TEXT = 2 * 1024 * 1024;

export interface Applied {
  readonly changed: number;
  /** What stayed as it is, and why. */
  readonly left: readonly string[];
}

/** What the image has at one chosen path, and what is here. */
interface Side {
  readonly item: ApplyItem;
  readonly theirs: FileEntry | undefined;
  readonly ours: Stats | undefined;
}

/**
 * Brings the chosen changes into the workspace as one edit that Undo takes back: text as an edit of its document, so that an
 * open editor keeps its place, anything else as a file deleted and made. Modes, links and folders follow behind; VS Code's
 * edits know none of them.
 */
export class ApplyChanges {
  readonly #connection: EngineConnection;
  readonly #files: ImageFiles;
  readonly #log: vscode.LogOutputChannel;
  readonly #plan: ApplyPlan;
  readonly #edit = new vscode.WorkspaceEdit();
  readonly #edited: vscode.TextDocument[] = [];
  readonly #left: string[] = [];

  constructor(connection: EngineConnection, files: ImageFiles, log: vscode.LogOutputChannel, plan: ApplyPlan) {
    this.#connection = connection;
    this.#files = files;
    this.#log = log;
    this.#plan = plan;
  }

  async apply(items: readonly ApplyItem[], signal: AbortSignal): Promise<Applied> {
    const sides: Side[] = [];
    for (const item of items) {
      signal.throwIfAborted();
      sides.push(await this.#look(item));
    }
    const plain = sides.filter(isPlain);
    for (const side of plain) {
      signal.throwIfAborted();
      await this.#take(side);
    }
    if (plain.length > 0 && !(await vscode.workspace.applyEdit(this.#edit)))
      throw new CoppiceError('conflict', 'VS Code did not apply the edit: a file changed meanwhile', {
        fix: 'Apply again',
      });
    await this.#save();
    for (const side of plain) this.#setMode(side);
    const special = await this.#special(sides.filter(side => !isPlain(side)));
    return { changed: plain.length + special, left: this.#left };
  }

  async #look(item: ApplyItem): Promise<Side> {
    const theirs = await this.#files.find(this.#plan.image, insidePath(this.#plan, item.path));
    return { item, theirs: theirs?.entry, ours: localStats(this.#plan, item.path) };
  }

  async #take({ item, theirs, ours }: Side): Promise<void> {
    const uri = localUri(this.#plan, item.path);
    if (!theirs) {
      this.#edit.deleteFile(uri, { ignoreIfNotExists: true });
      return;
    }
    const contents = await this.#files.read(this.#plan.image, insidePath(this.#plan, item.path), theirs.size);
    if (!ours) this.#edit.createFile(uri, { contents });
    else if (!(await this.#asText(uri, contents))) {
      // Undo of an overwriting creation would delete the file; of a deletion and a creation it brings the old one back.
      this.#edit.deleteFile(uri);
      this.#edit.createFile(uri, { contents });
    }
  }

  /** false: an edited document would not become exactly these bytes. */
  async #asText(uri: vscode.Uri, contents: Uint8Array): Promise<boolean> {
    const eol = lineEnding(contents);
    if (eol === undefined || lineEnding(readFileSync(uri.fsPath)) === undefined) return false;
    const document = await vscode.workspace.openTextDocument(uri);
    if (document.encoding !== 'utf8') return false;
    const [before, after] = [document.getText(), Buffer.from(contents).toString('utf8')];
    const edits = eol === document.eol ? [] : [vscode.TextEdit.setEndOfLine(eol)];
    const replaced = replacement(document, before, after);
    this.#edit.set(uri, [...(replaced ? [replaced] : []), ...edits]);
    // What somebody was writing there stays theirs to save.
    if (!document.isDirty) this.#edited.push(document);
    return true;
  }

  async #save(): Promise<void> {
    for (const document of this.#edited) {
      if (document.isDirty && !(await document.save()))
        this.#left.push(`${vscode.workspace.asRelativePath(document.uri)} is changed and could not be saved`);
    }
  }

  /** Only what a workspace has a use for: no set-uid bits that a run set. */
  #setMode({ item, theirs }: Side): void {
    if (!theirs || process.platform === 'win32') return;
    const now = localStats(this.#plan, item.path);
    const mode = theirs.mode & 0o777;
    if (now?.isFile() && (now.mode & 0o777) !== mode) chmodSync(localUri(this.#plan, item.path).fsPath, mode);
  }

  /** Folders, links, and what changes from one into another. */
  async #special(sides: readonly Side[]): Promise<number> {
    let count = 0;
    // Deepest first, so that a folder is empty when its turn comes.
    for (const side of sides.toReversed()) {
      try {
        if (await this.#specialOne(side)) count++;
      } catch (error) {
        this.#left.push(`${side.item.path}: ${error instanceof Error ? error.message : String(error)}`);
        this.#log.warn(`apply ${side.item.path}: ${String(error)}`);
      }
    }
    return count;
  }

  async #specialOne({ item, theirs, ours }: Side): Promise<boolean> {
    const uri = localUri(this.#plan, item.path);
    if (item.change === 'conflict') {
      this.#left.push(`${item.path}: a conflict of links or folders is yours to solve`);
      return false;
    }
    if (theirs?.type === 'directory' && (!ours || ours.isDirectory())) {
      await vscode.workspace.fs.createDirectory(uri);
      return true;
    }
    if (!theirs && ours?.isDirectory()) return removeEmpty(uri.fsPath);
    // The engine compares once more and writes without following a link.
    const { applied } = await this.#connection.call('apply', {
      image: this.#plan.image,
      path: this.#plan.inside,
      to: this.#plan.to.fsPath,
      paths: [item.path],
    });
    return applied.length > 0;
  }
}

/** A regular file on both sides, as far as it is there at all. */
function isPlain({ theirs, ours }: Side): boolean {
  if (!theirs && !ours) return true;
  return (theirs === undefined || theirs.type === 'file') && (ours === undefined || ours.isFile());
}

/** Of text that a document can hold and write back byte for byte; undefined for all else. */
function lineEnding(bytes: Uint8Array): vscode.EndOfLine | undefined {
  if (bytes.length > MOST_TEXT || isBinary(bytes) || !isUtf8(bytes) || hasByteOrderMark(bytes)) return undefined;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  const all = text.split('\n').length - 1;
  const windows = text.split('\r\n').length - 1;
  if (text.split('\r').length - 1 !== windows || (windows > 0 && windows < all)) return undefined;
  return windows > 0 ? vscode.EndOfLine.CRLF : vscode.EndOfLine.LF;
}

const hasByteOrderMark = (bytes: Uint8Array): boolean => bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;

/** Only what lies between the equal beginning and the equal end: cursors elsewhere stay where they are. */
function replacement(document: vscode.TextDocument, before: string, after: string): vscode.TextEdit | undefined {
  const now = after.replaceAll('\r\n', '\n');
  const was = before.replaceAll('\r\n', '\n');
  if (now === was) return undefined;
  const lines = (text: string) => text.split('\n');
  const [a, b] = [lines(was), lines(now)];
  let start = 0;
  while (start < a.length - 1 && start < b.length - 1 && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - 1 - start && end < b.length - 1 - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const last = a.length - 1 - end;
  const range = new vscode.Range(start, 0, last, document.lineAt(last).text.length);
  return vscode.TextEdit.replace(range, b.slice(start, b.length - end).join('\n'));
}

function removeEmpty(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    // It holds something of the workspace's own, or of what was not chosen.
    if (code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'ENOENT') return false;
    throw error;
  }
}
