import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import type { CoppiceExtension } from '../../src/extension/activate.ts';
import type { CommandId } from '../../src/extension/contributions.ts';
import type { Row } from '../../src/extension/views/engineTree.ts';
import type { ImageRow } from '../../src/extension/views/imagesView.ts';
import type { OperationRow } from '../../src/extension/views/operationsView.ts';
import { eventually } from '../harness/eventually.ts';

/** The extension in VS Code's own extension host, with a real engine and real sandboxes. */

const extension = vscode.extensions.getExtension<CoppiceExtension>('coppice.coppice')!;
const workspace = () => vscode.workspace.workspaceFolders![0]!.uri;
const file = (name: string) => vscode.Uri.joinPath(workspace(), name);
const inside = () => `/workspace/${vscode.workspace.workspaceFolders![0]!.name}`;

const FILES: Readonly<Record<string, string>> = {
  'try/hello.py': `import os, sys
print("hello from a sandbox")
print(f"working in {os.getcwd()}, file {__file__}")
open("/root/made-in-the-sandbox.txt", "w").write("x" * 1000)
print("and this is stderr", file=sys.stderr)
`,
  'try/part.py': 'answer = 42\n',
  'try/whole.py': 'import part\nprint(f"the answer is {part.answer}")\n',
  'try/forever.sh': 'i=0; while true; do i=$((i + 1)); echo "tick $i"; sleep 0.2; done\n',
  'try/Makefile': 'all:\n\t@echo made by make in $$PWD\n',
  'try/look.sh': 'wc -c < /root/made-in-the-sandbox.txt\n',
  'try/tool': '#!/bin/sh\necho "run by its first line"\n',
};

before(async () => {
  for (const [name, text] of Object.entries(FILES)) await vscode.workspace.fs.writeFile(file(name), Buffer.from(text));
});

describe('Images', () => {
  it('shows an imported host: image, and says what it is', async () => {
    await vscode.commands.executeCommand('coppice.images.focus');
    await vscode.commands.executeCommand('coppice.importHost');
    const { connection } = await extension.activate();
    await connection.call('set_tag', { image: 'host:', tag: 'host' });
    const row = await hostImage();
    const item = row.item(Date.now());
    assert.equal(item.label, 'host');
    assert.match(String(item.description), /just now/);
    assert.match(item.contextValue ?? '', /^image tagged\b/);
  });

  it('follows a tag that is moved and taken away', async () => {
    const row = await hostImage();
    await vscode.commands.executeCommand('coppice.tagImage', row, 'base');
    await eventually('the tag base', async () =>
      (await rows<ImageRow>('images')).find(({ image }) => image.tag === 'base'),
    );
    await vscode.commands.executeCommand('coppice.untagImage', row);
    await eventually('no tag', async () => (await rows<ImageRow>('images')).find(({ image }) => image.tag === null));
    await vscode.commands.executeCommand('coppice.tagImage', row, 'host');
    await hostImage();
  });

  it('copies a UUID, and is revealed in Lineage', async () => {
    const row = await hostImage();
    await vscode.commands.executeCommand('coppice.copyUuid', row);
    assert.equal(await vscode.env.clipboard.readText(), row.image.uuid);
    await vscode.commands.executeCommand('coppice.showLineage', row);
    const { lineage } = await extension.activate();
    await eventually('it is selected', async () => lineage.selection[0]?.id === `lineage:${row.image.uuid}`);
  });
});

describe('Run in Sandbox', () => {
  it('runs a Python file: output, exit state, nothing kept', async () => {
    const operation = await runFile('try/hello.py');
    assert.equal(operation.status, 'SUCCESS', JSON.stringify(operation.error));
    assert.equal(operation.title, 'python3 try/hello.py');
    assert.equal(operation.result_image, operation.image);
    const text = await outputOf(operation.operation_id);
    assert.match(text, /hello from a sandbox/);
    assert.ok(text.includes(`working in ${inside()}, file`), text);
    assert.match(text, /── stderr ──\nand this is stderr/);
    assert.match(text, /── exit 0 · /);
  });

  it('sees the whole folder, as it is on disk', async () => {
    const first = await runFile('try/whole.py');
    assert.match(await outputOf(first.operation_id), /the answer is 42/);
    assert.match(first.directory_state_id ?? '', /^ds-/);
    await vscode.workspace.fs.writeFile(file('try/part.py'), Buffer.from('answer = 43\n'));
    const second = await runFile('try/whole.py');
    assert.match(await outputOf(second.operation_id), /the answer is 43/);
    assert.notEqual(second.directory_state_id, first.directory_state_id);
  });

  it('keeps the result as a new image of the tree', async () => {
    const operation = await runFile('try/hello.py', 'coppice.runInSandboxAndKeep');
    assert.notEqual(operation.result_image, operation.image);
    const kept = await eventually('the kept image', async () =>
      (await rows<ImageRow>('images')).find(({ image }) => image.uuid === operation.result_image),
    );
    assert.equal(kept.image.parent, operation.image);

    await vscode.window.showTextDocument(file('try/look.sh'));
    const look = await acceptingFirst(operationOf('coppice.runHere', kept));
    assert.equal(look.image, operation.result_image);
    assert.match(await outputOf(look.operation_id), /^1000\n/);
  });

  it('runs a Makefile, and a file by its #! line', async () => {
    const made = await runFile('try/Makefile');
    assert.match(await outputOf(made.operation_id), new RegExp(`made by make in ${inside()}/try\n`));
    assert.equal(made.title, 'make all');
    const tool = await runFile('try/tool');
    assert.equal(tool.title, '/bin/sh try/tool');
    assert.match(await outputOf(tool.operation_id), /run by its first line/);
  });

  it('takes what is in the editor, saved first', async () => {
    const document = await vscode.workspace.openTextDocument(file('try/tool'));
    const edit = new vscode.WorkspaceEdit();
    edit.insert(document.uri, new vscode.Position(2, 0), 'echo "edited $((40 + 2))"\n');
    await vscode.workspace.applyEdit(edit);
    const operation = await runFile('try/tool');
    assert.match(await outputOf(operation.operation_id), /edited 42/);
  });

  it('streams, and cancels a run that would not end', async () => {
    await vscode.commands.executeCommand('coppice.runInSandbox', file('try/forever.sh'));
    const row = await eventually('a running row with its last line', async () =>
      (await rows<OperationRow>('operations')).find(
        ({ operation }) => operation.status === 'EXECUTING' && /tick [3-9]/.test(operation.last_line),
      ),
    );
    assert.equal((row.item(Date.now()).iconPath as vscode.ThemeIcon).id, 'loading~spin');
    await vscode.commands.executeCommand('coppice.openOutput', row);
    const document = vscode.window.activeTextEditor!.document;
    const before = document.getText();
    await eventually('a document that grows', async () => document.getText().length > before.length);
    await vscode.commands.executeCommand('coppice.cancelOperation', row);
    const ended = await finished(row.operation.operation_id);
    assert.equal(ended.status, 'CANCELLED');
    await eventually('its end in the document', async () => /── cancelled/.test(document.getText()));
  });
});

describe('hidden trees', () => {
  it('do nothing when something happens, and show it when they are seen again', async () => {
    const { images, operations, connection } = await extension.activate();
    await vscode.commands.executeCommand('coppice.operations.focus');
    await sleep(200); // What happened before is drawn.
    await vscode.commands.executeCommand('workbench.view.explorer');
    let drawn = 0;
    const listeners = [images, operations].map(tree => tree.onDidChangeTreeData!(() => drawn++));
    const made = await connection.call('run', { command: 'touch /root/x', disposable: false, tag: 'seen-again' });
    await sleep(300);
    assert.equal(drawn, 0);
    await vscode.commands.executeCommand('coppice.images.focus');
    await eventually('a drawn tree', async () => drawn > 0);
    for (const listener of listeners) listener.dispose();
    await eventually('its image', async () =>
      (await rows<ImageRow>('images')).find(({ image }) => image.tag === 'seen-again'),
    );
    await eventually('its row', async () =>
      (await rows<OperationRow>('operations')).find(({ operation }) => operation.operation_id === made.operation_id),
    );
  });
});

describe('the engine dies', () => {
  it('is started again, and the trees show what was there', async () => {
    const { connection } = await extension.activate();
    const { engine } = await connection.client();
    process.kill(engine.pid, 'SIGKILL');
    await eventually(
      'another engine',
      async () => connection.state.kind === 'connected' && connection.state.engine.pid !== engine.pid,
      15,
    );
    await hostImage();
    const operation = await runFile('try/Makefile');
    assert.equal(operation.status, 'SUCCESS', JSON.stringify(operation));
  });
});

/** Takes the first entry of every pick list that comes up meanwhile. */
async function acceptingFirst<T>(work: Promise<T>): Promise<T> {
  const accept = () => void vscode.commands.executeCommand('workbench.action.acceptSelectedQuickOpenItem');
  const timer = setInterval(accept, 300);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}

type Tree = 'images' | 'operations';

async function rows<R extends Row>(name: Tree): Promise<R[]> {
  const tree = (await extension.activate())[name];
  const groups = (await tree.getChildren()) ?? [];
  return groups.flatMap(group => [...group.children()]) as R[];
}

function hostImage(): Promise<ImageRow> {
  return eventually('the host image', async () =>
    (await rows<ImageRow>('images')).find(({ image }) => image.tag === 'host'),
  );
}

function runFile(
  name: string,
  command: 'coppice.runInSandbox' | 'coppice.runInSandboxAndKeep' = 'coppice.runInSandbox',
) {
  return operationOf(command, file(name));
}

/** Gives a command, and answers the finished operation that came of it. */
async function operationOf(command: CommandId, subject: vscode.Uri | Row) {
  await vscode.commands.executeCommand('coppice.operations.focus');
  const before = new Set((await rows<OperationRow>('operations')).map(({ operation }) => operation.operation_id));
  await vscode.commands.executeCommand(command, subject);
  const row = await eventually(`an operation of ${command}`, async () =>
    (await rows<OperationRow>('operations')).find(
      ({ operation }) => operation.kind === 'run' && !before.has(operation.operation_id),
    ),
  );
  return finished(row.operation.operation_id);
}

async function finished(id: string) {
  const row = await eventually(`the end of ${id}`, async () =>
    (await rows<OperationRow>('operations')).find(
      ({ operation }) => operation.operation_id === id && operation.finished_at !== null,
    ),
  );
  return row.operation;
}

async function outputOf(id: string): Promise<string> {
  const row = (await rows<OperationRow>('operations')).find(({ operation }) => operation.operation_id === id);
  await vscode.commands.executeCommand('coppice.openOutput', row);
  return activeText();
}

function activeText(): string {
  return vscode.window.activeTextEditor?.document.getText() ?? '';
}
