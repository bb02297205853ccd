import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as vscode from 'vscode';
import type { CoppiceExtension } from '../../src/extension/activate.ts';
import type { FileRow } from '../../src/extension/files/filesView.ts';
import { changeUri, imageUri } from '../../src/extension/files/imageUri.ts';
import { eventually } from '../harness/eventually.ts';

/** Files of images in the editor: browsed, compared, downloaded, and brought into the workspace. */

const extension = vscode.extensions.getExtension<CoppiceExtension>('coppice.coppice')!;
const folder = () => vscode.workspace.workspaceFolders![1]!;
const here = (name: string) => path.join(folder().uri.fsPath, name);
const inside = (name: string) => `/workspace/${folder().name}/${name}`;
const fs = vscode.workspace.fs;

const BIG = 20_000_000;

describe('files of an image', () => {
  let image: string;
  const uri = (file: string) => imageUri(image, file);

  before(async () => {
    image = await kept(`mkdir -p /opt/try/sub && cd /opt/try && printf 'text\\n' > a.txt && printf 'a\\0b' > b.bin &&
      ln -s a.txt link && ln -s sub folder && ln -s nowhere dangling && chmod 755 a.txt && touch -d @1600000000 a.txt &&
      head -c ${BIG} /dev/urandom > big && touch 'with space and ä#?.txt'`);
  });

  it('have their sizes, times and kinds, links with what they lead to', async () => {
    const { File, Directory, SymbolicLink } = vscode.FileType;
    const text = await fs.stat(uri('/opt/try/a.txt'));
    assert.deepEqual([text.type, text.size, text.mtime], [File, 5, 1_600_000_000_000]);
    assert.equal(text.permissions, vscode.FilePermission.Readonly);
    assert.equal((await fs.stat(uri('/opt/try'))).type, Directory);
    assert.equal((await fs.stat(uri('/'))).type, Directory);
    const link = await fs.stat(uri('/opt/try/link'));
    assert.deepEqual([link.type, link.size], [SymbolicLink | File, 5]);
    const names = Object.fromEntries(await fs.readDirectory(uri('/opt/try')));
    assert.equal(names.folder, SymbolicLink | Directory);
    assert.equal(names.dangling, SymbolicLink);
    assert.equal(names.sub, Directory);
    assert.equal(names['with space and ä#?.txt'], File);
    assert.equal((await fs.stat(uri('/opt/try/with space and ä#?.txt'))).size, 0);
  });

  it('are read whole, and through links', async () => {
    assert.equal(Buffer.from(await fs.readFile(uri('/opt/try/link'))).toString(), 'text\n');
    assert.deepEqual(await fs.readDirectory(uri('/opt/try/folder')), []);
    const { connection } = await extension.activate();
    const sum = await connection.call('run', { image, command: 'sha256sum < /opt/try/big' });
    const big = await fs.readFile(uri('/opt/try/big'));
    assert.equal(big.length, BIG);
    assert.ok('stdout' in sum && sum.stdout.startsWith(createHash('sha256').update(big).digest('hex')));
  });

  it('cannot be written, and what is not there is told as such', async () => {
    assert.equal(fs.isWritableFileSystem('coppice'), false);
    const code = async (work: Thenable<unknown>) => {
      try {
        await work;
        return 'nothing';
      } catch (error) {
        return error instanceof vscode.FileSystemError ? error.code : String(error);
      }
    };
    assert.equal(await code(fs.stat(uri('/opt/none'))), 'FileNotFound');
    assert.equal(await code(fs.readFile(uri('/opt/try/dangling'))), 'Unavailable');
    assert.equal(await code(fs.readDirectory(uri('/opt/try/a.txt'))), 'FileNotADirectory');
    assert.equal(await code(fs.readFile(uri('/opt/try'))), 'FileIsADirectory');
    assert.equal(await code(fs.stat(imageUri('00000000-0000-4000-8000-000000000000', '/'))), 'FileNotFound');
    assert.notEqual(await code(fs.writeFile(uri('/opt/try/a.txt'), Buffer.from('x'))), 'nothing');
    assert.notEqual(await code(fs.delete(uri('/opt/try/a.txt'))), 'nothing');
  });

  it('open in an editor, and are browsed as a tree, and nothing is started', async () => {
    const { connection, files } = await extension.activate();
    const operations = async () => (await connection.call('list_operations', { limit: 1 })).total;
    const before = await operations();
    await vscode.window.showTextDocument(uri('/opt/try/a.txt'));
    assert.equal(vscode.window.activeTextEditor!.document.getText(), 'text\n');
    await vscode.commands.executeCommand('coppice.browseFiles', { image: { uuid: image } });
    const root = (await files.getChildren()).find(row => row.image.uuid === image)!;
    const opt = (await files.getChildren(root)).find(row => row.path === '/opt')!;
    const tried = (await files.getChildren(opt)).find(row => row.path === '/opt/try')!;
    const rows = await files.getChildren(tried);
    assert.deepEqual(
      rows.slice(0, 2).map(row => row.label),
      ['folder', 'sub'],
      'folders come first',
    );
    const item = (name: string) => files.getTreeItem(rows.find(row => row.label === name)!);
    assert.match(String(item('a.txt').description), /^5 B$/);
    assert.match(String(item('dangling').description), /→ nowhere \(leads nowhere\)/);
    assert.equal(item('folder').collapsibleState, vscode.TreeItemCollapsibleState.Collapsed);
    assert.equal(await operations(), before);
    await vscode.commands.executeCommand('coppice.closeFiles', root);
    assert.equal((await files.getChildren()).length, 0);
  });

  it('are downloaded: a file, a folder, a glob', async () => {
    const to = path.join(tmpdir(), 'downloads');
    mkdirSync(to);
    const row = (file: string): FileRow => ({
      kind: 'file',
      image: { uuid: image },
      path: file,
      label: '',
      parent: undefined,
      entry: undefined,
    });
    const download = (rows: FileRow[], into: string) =>
      vscode.commands.executeCommand('coppice.download', rows[0], rows, vscode.Uri.file(into));
    await download([row('/opt/try/a.txt')], path.join(to, 'one.txt'));
    assert.equal(readFileSync(path.join(to, 'one.txt'), 'utf8'), 'text\n');
    await download([row('/opt/try'), row('/opt/try/a.txt')], to);
    assert.equal(statSync(path.join(to, 'try', 'big')).size, BIG);
    assert.equal(readlinkSync(path.join(to, 'try', 'link')), 'a.txt');
    const glob = path.join(to, 'glob');
    await vscode.commands.executeCommand(
      'coppice.downloadFrom',
      { image: { uuid: image } },
      '/opt/try/*.txt',
      vscode.Uri.file(glob),
    );
    assert.deepEqual([existsSync(path.join(glob, 'a.txt')), existsSync(path.join(glob, 'big'))], [true, false]);
    rmSync(to, { recursive: true });
  });
});

describe('changes between images', () => {
  it('are shown in the multi-file diff, whatever kind of file they are', async () => {
    const parent =
      await kept(`mkdir /opt/d && cd /opt/d && echo one > text && echo gone > gone && printf 'a\\0' > bin &&
      ln -s text link && echo x > kind`);
    const child = await kept(
      `cd /opt/d && echo two > text && rm gone && echo new > new && printf 'a\\0b' > bin && ln -sfn new link && rm kind && mkdir kind && touch kind/in`,
      parent,
    );
    await vscode.commands.executeCommand('coppice.diffWithParent', { image: { uuid: child } });
    assert.match(activeLabel(), /\(7 files\)$/);
    const text = async (of: string, file: string) =>
      (await vscode.workspace.openTextDocument(changeUri(of, file))).getText();
    assert.equal(await text(parent, '/opt/d/text'), 'one\n');
    assert.equal(await text(child, '/opt/d/text'), 'two\n');
    assert.equal(await text(child, '/opt/d/link'), 'link to new\n');
    assert.match(await text(child, '/opt/d/bin'), /^binary file, 3 B, mode 644\nsha256 [0-9a-f]{64}\n$/);
    await vscode.commands.executeCommand(
      'coppice.compareImages',
      { image: { uuid: parent } },
      { image: { uuid: child } },
    );
    assert.match(activeLabel(), /\(7 files\)$/);
    await vscode.commands.executeCommand('coppice.diffFileWithParent', imageUri(child, '/opt/d/text'));
    await eventually(
      'a diff',
      () => vscode.window.tabGroups.activeTabGroup.activeTab?.input instanceof vscode.TabInputTextDiff,
    );
  });
});

describe('Apply to Workspace', () => {
  let image: string;
  const apply = (...paths: string[]) =>
    vscode.commands.executeCommand<{ changed: number; left: string[] } | undefined>(
      'coppice.applyToWorkspace',
      { image: { uuid: image } },
      paths,
    );
  const texts: Readonly<Record<string, string>> = {
    'text.txt': 'first\nsecond\nthird\n',
    'windows.txt': 'one\r\ntwo\r\n',
    'gone.txt': 'gone\n',
    'both.txt': 'base\n',
    'sub/deep.txt': 'deep\n',
    'tool.sh': 'echo\n',
  };
  const binary = Buffer.from([0, 1, 2, 255]);

  before(async () => {
    const { sync, connection } = await extension.activate();
    for (const [name, text] of Object.entries(texts)) {
      mkdirSync(path.dirname(here(name)), { recursive: true });
      writeFileSync(here(name), text);
    }
    writeFileSync(here('data.bin'), binary);
    const state = await sync.stateOf(folder());
    const run = await connection.call('run', {
      command: `cd ${inside('')} && sed -i s/second/changed/ text.txt && printf 'one\\r\\n2\\r\\n3\\r\\n' > windows.txt &&
        rm gone.txt && echo theirs > both.txt && printf '\\000\\001' > data.bin && mkdir -p new/empty && echo new > new/file.txt &&
        chmod 755 tool.sh && ln -s text.txt link && rm -r sub`,
      directory_state_id: state!.directory_state_id,
      disposable: false,
      timeout: 0,
    });
    assert.equal(run.status, 'SUCCESS', JSON.stringify(run));
    image = ('result_image' in run && run.result_image) || '';
    writeFileSync(here('both.txt'), 'mine\n');
  });

  it('is compared with the workspace first', async () => {
    await vscode.commands.executeCommand('coppice.diffWithWorkspace', { image: { uuid: image } });
    assert.match(activeLabel(), /^second ↔ .* \(9 files\)$/);
  });

  it('writes what was chosen, byte for byte, and leaves conflicts alone', async () => {
    const editor = await vscode.window.showTextDocument(vscode.Uri.file(here('text.txt')));
    editor.selection = new vscode.Selection(2, 2, 2, 2);
    const names = [
      'text.txt',
      'windows.txt',
      'gone.txt',
      'data.bin',
      'new',
      'new/empty',
      'new/file.txt',
      'tool.sh',
      'link',
      'sub',
      'sub/deep.txt',
    ];
    const applied = await apply(...names);
    assert.deepEqual(applied, { changed: names.length, left: [] });
    assert.equal(readFileSync(here('text.txt'), 'utf8'), 'first\nchanged\nthird\n');
    assert.equal(readFileSync(here('windows.txt'), 'utf8'), 'one\r\n2\r\n3\r\n');
    assert.deepEqual(readFileSync(here('data.bin')), Buffer.from([0, 1]));
    assert.equal(readFileSync(here('new/file.txt'), 'utf8'), 'new\n');
    assert.ok(statSync(here('new/empty')).isDirectory());
    assert.equal(statSync(here('tool.sh')).mode & 0o777, 0o755);
    assert.equal(readlinkSync(here('link')), 'text.txt');
    assert.deepEqual([existsSync(here('gone.txt')), existsSync(here('sub'))], [false, false]);
    assert.equal(readFileSync(here('both.txt'), 'utf8'), 'mine\n');
    assert.deepEqual([editor.selection.active.line, editor.selection.active.character], [2, 2], 'the cursor stays');
    assert.equal(editor.document.isDirty, false);
  });

  it('takes a conflict when one chooses it, and calls unsaved changes one', async () => {
    writeFileSync(here('text.txt'), texts['text.txt']!);
    const document = await vscode.workspace.openTextDocument(vscode.Uri.file(here('text.txt')));
    const edit = new vscode.WorkspaceEdit();
    edit.insert(document.uri, new vscode.Position(0, 0), 'unsaved ');
    await vscode.workspace.applyEdit(edit);
    assert.ok(document.isDirty);
    assert.deepEqual(await apply('both.txt'), { changed: 1, left: [] });
    assert.equal(readFileSync(here('both.txt'), 'utf8'), 'theirs\n');
    assert.ok(document.isDirty);
    assert.match(document.getText(), /^unsaved first\n/);
    await vscode.window.showTextDocument(document);
    await vscode.commands.executeCommand('workbench.action.files.revert');
  });

  it('writes through no link of the workspace', async () => {
    const elsewhere = path.join(tmpdir(), 'elsewhere');
    mkdirSync(elsewhere);
    rmSync(here('new'), { recursive: true, force: true });
    symlinkSync(elsewhere, here('new'));
    await apply('new/file.txt');
    assert.equal(existsSync(path.join(elsewhere, 'file.txt')), false);
    assert.ok(lstatSync(here('new')).isSymbolicLink());
    rmSync(here('new'));
    rmSync(elsewhere, { recursive: true });
  });

  after(() => {
    chmodSync(here('tool.sh'), 0o644);
    for (const name of [...Object.keys(texts), 'data.bin', 'link', 'sub', 'new'])
      rmSync(here(name), { recursive: true, force: true });
  });
});

async function kept(command: string, image?: string): Promise<string> {
  const { connection } = await extension.activate();
  const run = await connection.call('run', { command, disposable: false, timeout: 0, ...(image ? { image } : {}) });
  assert.equal(run.status, 'SUCCESS', JSON.stringify(run));
  return ('result_image' in run && run.result_image) || '';
}

function activeLabel(): string {
  return vscode.window.tabGroups.activeTabGroup.activeTab?.label ?? '';
}
