import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import type { CoppiceExtension } from '../../src/extension/activate.ts';
import type { ImageRow } from '../../src/extension/views/imagesView.ts';
import type { LineageRow } from '../../src/extension/views/lineageView.ts';
import type { OperationView } from '../../src/protocol/schemas/operations.ts';
import { eventually } from '../harness/eventually.ts';

/** Scripts, selections, shells and tasks in sandboxes; what is kept grows in Lineage. */

const extension = vscode.extensions.getExtension<CoppiceExtension>('coppice.coppice')!;
const folder = () => vscode.workspace.workspaceFolders![0]!;
const file = (name: string) => vscode.Uri.joinPath(folder().uri, name);
const inside = () => `/workspace/${folder().name}`;
const api = () => extension.activate();

const FILES: Readonly<Record<string, string>> = {
  'kinds/args.sh': 'for word; do echo "<$word>"; done\n',
  'kinds/part.py': 'def f():\n    answer = 6 * 7\n    print("answer", answer)\n',
  'kinds/Makefile': 'one:\n\t@echo target one in $$PWD\ntwo:\n\t@echo two\n',
  'kinds/keep.sh': 'echo kept > /root/keep.txt\n',
  '.vscode/tasks.json': JSON.stringify({
    version: '2.0.0',
    tasks: [
      {
        type: 'coppice',
        label: 'compile',
        command: 'echo "kinds/part.py:2:5: error: it is wrong"; exit 2',
        problemMatcher: {
          owner: 'coppice-test',
          // biome-ignore lint/suspicious/noTemplateCurlyInString: VS Code’s own variable
          fileLocation: ['relative', '${workspaceFolder}'],
          pattern: {
            regexp: '^(.*):(\\d+):(\\d+): (error): (.*)$',
            file: 1,
            line: 2,
            column: 3,
            severity: 4,
            message: 5,
          },
        },
      },
    ],
  }),
};

before(async () => {
  for (const [name, text] of Object.entries(FILES)) await vscode.workspace.fs.writeFile(file(name), Buffer.from(text));
});

describe('variations of Run in Sandbox', () => {
  it('with arguments, as a shell reads them', async () => {
    const run = await runOf(() =>
      command('coppice.runWithArguments', file('kinds/args.sh'), '--a "two words" \'$HOME\''),
    );
    assert.equal(await outputOf(run), '<--a>\n<two words>\n<$HOME>\n');
  });

  it('the selection, without the blanks that its lines begin with', async () => {
    const editor = await vscode.window.showTextDocument(file('kinds/part.py'));
    editor.selection = new vscode.Selection(1, 0, 3, 0);
    const run = await runOf(() => command('coppice.runSelection'));
    assert.equal(await outputOf(run), 'answer 42\n');
    assert.equal(run.title, 'python3 kinds/.selection.py');
  });

  it('a target of a Makefile, chosen from a list', async () => {
    const run = await acceptingFirst(runOf(() => command('coppice.runInSandbox', file('kinds/Makefile'))));
    assert.equal(await outputOf(run), `target one in ${inside()}/kinds\n`);
  });

  it('a folder: a script that lies in it', async () => {
    const run = await acceptingFirst(runOf(() => command('coppice.runInSandbox', file('kinds'))));
    assert.equal(run.title, 'make one');
  });

  it('several files, each in its own terminal', async () => {
    const files = [file('kinds/args.sh'), file('kinds/part.py')];
    await runOf(() => command('coppice.runInSandbox', files[0], files));
    await eventually('both', async () => {
      const titles = (await operations()).slice(0, 2).map(operation => operation.title);
      return titles.includes('sh kinds/args.sh') && titles.includes('python3 kinds/part.py');
    });
  });

  it('a command line in a folder, in background', async () => {
    const run = await runOf(() => command('coppice.runCommand', file('kinds'), 'pwd'));
    assert.equal(await outputOf(run), `${inside()}/kinds\n`);
    const terminals = vscode.window.terminals.length;
    // It resolves when its notification is answered.
    const behind = await runOf(async () => void command('coppice.runInBackground', file('kinds/args.sh')));
    assert.equal(behind.status, 'SUCCESS');
    assert.equal(vscode.window.terminals.length, terminals);
  });

  it('the same once more', async () => {
    const { connection } = await api();
    const [last] = await operations();
    await command('coppice.runAgain', { operation: last });
    const again = await eventually('another one', async () => {
      const [newest] = await operations();
      return newest!.operation_id === last!.operation_id ? undefined : newest;
    });
    assert.equal(again.title, last!.title);
    const { results } = await connection.call('wait_operations', { operation_ids: [again.operation_id] });
    assert.equal(results[again.operation_id]?.status, last!.status);
  });
});

describe('the image of runs', () => {
  const configured = process.env.COPPICE_IMAGE;
  before(() => {
    delete process.env.COPPICE_IMAGE;
  });
  after(async () => {
    process.env.COPPICE_IMAGE = configured;
    const { connection } = await api();
    await connection.call('checkout', { name: null, workspace: folder().uri.fsPath });
  });

  it('is asked for once, and then is the head of a branch that kept results move', async () => {
    const { connection } = await api();
    const workspace = folder().uri.fsPath;
    await connection.call('checkout', { name: null, workspace });
    const first = await acceptingFirst(runOf(() => command('coppice.runInSandboxAndKeep', file('kinds/keep.sh'))));
    const { branches, checked_out } = await connection.call('branches', { workspace });
    assert.match(checked_out ?? '', new RegExp(`^${folder().name}`));
    assert.equal(branches.find(branch => branch.name === checked_out)?.head, first.result_image);
    const second = await runOf(() => command('coppice.runCommand', folder().uri, 'cat /root/keep.txt'));
    assert.equal(second.image, first.result_image);
  });

  it('can be chosen anew, for the branch that is checked out', async () => {
    const { connection } = await api();
    const workspace = folder().uri.fsPath;
    const { uuid } = await connection.call('get_image', { image: 'host:' });
    await acceptingFirst(Promise.resolve(command('coppice.chooseImage', 'host:'))); // Of the first folder.
    const { branches, checked_out } = await connection.call('branches', { workspace });
    assert.equal(branches.find(branch => branch.name === checked_out)?.head, uuid);
  });
});

describe('Lineage', () => {
  it('grows by what is kept, and tells how it was made', async () => {
    const { lineage, connection } = await api();
    await command('coppice.lineage.focus');
    await lineageRow(row => row.image.source === 'host:');
    const fired: unknown[] = [];
    const listening = lineage.onDidChangeTreeData(rows => fired.push(rows));
    const kept = await connection.call('run', { command: 'echo grown > /root/grown', disposable: false, tag: 'grown' });
    const row = await lineageRow(({ image }) => image.tag === 'grown');
    await eventually('the change', async () => fired.length > 0);
    listening.dispose();
    assert.ok(!fired.includes(undefined), 'the whole tree was drawn anew');
    const item = row.item(Date.now());
    assert.equal(item.label, 'echo grown > /root/grown');
    await eventually('its size', async () => /^grown · \+/.test(String(row.item(Date.now()).description)));
    assert.equal((lineage.getParent(row) as LineageRow).image.source, 'host:');

    await command('coppice.copyScript', row);
    assert.match(
      await vscode.env.clipboard.readText(),
      /^#!\/bin\/sh\n[\s\S]*\(\n {2}echo grown > \/root\/grown\n\)\n$/,
    );
    await command('coppice.copyDockerfile', row);
    assert.match(await vscode.env.clipboard.readText(), /\nARG BASE\nFROM \$BASE\n\nRUN echo grown > \/root\/grown\n$/);
    await command('coppice.revealOperation', row);
    await selected((await api()).operations, `operation:${kept.operation_id}`);
  });

  it('marks what failed, shows heads, and goes back and forth with a branch', async () => {
    const { connection } = await api();
    const workspace = folder().uri.fsPath;
    await connection.call('checkout', { name: 'grow', workspace, create_from: 'tag:grown' });
    await connection.call('run', { command: 'touch /root/more', disposable: false, workspace });
    await command('coppice.lineage.focus');
    const head = await lineageRow(({ image }) => image.branches.includes('grow'));
    assert.equal(head.image.title, 'touch /root/more');
    assert.match(String(head.item(Date.now()).description), /^⎇ grow/);
    await acceptingFirst(Promise.resolve(command('coppice.rollback', lineageOf(head)))); // Of the first folder.
    const back = await lineageRow(({ image }) => image.branches.includes('grow'));
    assert.equal(back.image.tag, 'grown');
    await connection.call('run', { command: 'touch /root/x; exit 3', disposable: false });
    const broken = await lineageRow(({ image }) => image.title === 'touch /root/x; exit 3');
    assert.match(String(broken.item(Date.now()).description), /exit 3/);
    assert.equal((broken.item(Date.now()).iconPath as vscode.ThemeIcon).id, 'error');
    await connection.call('checkout', { name: null, workspace });
  });

  it('reveals an image of the Images tree, and keeps what stood on a removed one', async () => {
    const { connection, lineage } = await api();
    const made = await connection.call('run', { steps: ['touch /root/1', 'touch /root/2'] });
    assert.ok('result_image' in made && made.result_image);
    const middle = (await connection.call('get_image', { image: made.result_image })).parent!;
    await command('coppice.showLineage', { image: await connection.call('get_image', { image: made.result_image }) });
    await selected(lineage, `lineage:${made.result_image}`);
    await connection.call('remove_image', { image: middle, force: true });
    const orphan = await eventually('a root of its own', async () =>
      ((await lineage.getChildren()) as LineageRow[]).find(root => root.image?.uuid === made.result_image),
    );
    assert.match(String(orphan.item(Date.now()).description), /its parent was removed/);
  });
});

describe('shells', () => {
  it('have a terminal of their own, and what was changed is kept', async () => {
    const { connection } = await api();
    const terminal = await shell();
    terminal.sendText('stty size > /root/size; tty > /root/tty; exit');
    const kept = await eventually('the kept image', async () => {
      terminal.sendText('k', false);
      const { images } = await connection.call('list_images', { limit: 10 });
      return images.find(image => image.title === 'shell');
    });
    const read = async (path: string) => (await connection.call('read_file', { image: kept.uuid, path })).content;
    assert.match(await read('/root/size'), /^[1-9]\d* [1-9]\d*\n$/);
    assert.match(await read('/root/tty'), /^\/dev\/pts\/\d+\n$/);
    await eventually('no shell', async () => (await shellsThere()).length === 0);
    terminal.dispose();
  });

  it('leave nothing when they are discarded', async () => {
    const terminal = await shell();
    terminal.sendText('touch /root/gone; exit');
    await eventually('a closed terminal', async () => {
      if (!vscode.window.terminals.includes(terminal)) return true;
      terminal.sendText('d', false);
      return false;
    });
    assert.deepEqual(await shellsThere(), []);
  });
});

describe('tasks', () => {
  it('are offered for scripts and targets', async () => {
    const tasks = await vscode.tasks.fetchTasks({ type: 'coppice' });
    const names = tasks.map(task => task.name);
    assert.ok(names.includes('make two') && names.includes('npm run test'), names.join(', '));
    assert.equal(tasks.find(task => task.name === 'npm run test')?.group, vscode.TaskGroup.Test);
  });

  it('end with the exit code, and problem matchers read what they print', async () => {
    const task = await eventually('the task of tasks.json', async () =>
      (await vscode.tasks.fetchTasks({ type: 'coppice' })).find(({ name }) => name === 'compile'),
    );
    const ended = new Promise<number | undefined>(resolve => {
      const listening = vscode.tasks.onDidEndTaskProcess(({ execution, exitCode }) => {
        if (execution.task.name !== 'compile') return;
        listening.dispose();
        resolve(exitCode);
      });
    });
    await vscode.tasks.executeTask(task);
    assert.equal(await ended, 2);
    const problem = await eventually(
      'the problem',
      async () => vscode.languages.getDiagnostics(file('kinds/part.py'))[0],
    );
    assert.equal(problem.message, 'it is wrong');
    assert.deepEqual([problem.range.start.line, problem.range.start.character], [1, 4]);
  });
});

/** VS Code tells the selection a little after it was made. */
async function selected(tree: { readonly selection: readonly { readonly id: string }[] }, id: string): Promise<void> {
  await eventually(`${id} selected`, async () => tree.selection.length === 1 && tree.selection[0]!.id === id);
}

const command = (id: string, ...input: unknown[]) => vscode.commands.executeCommand(id, ...input);

async function operations(): Promise<readonly OperationView[]> {
  const { connection } = await api();
  return (await connection.call('list_operations', { kind: 'run', limit: 20 })).operations;
}

/** The finished run that something starts. */
async function runOf(start: () => unknown): Promise<OperationView> {
  const { connection } = await api();
  const before = new Set((await operations()).map(operation => operation.operation_id));
  await start();
  const begun = await eventually('a run', async () =>
    (await operations()).find(operation => !before.has(operation.operation_id)),
  );
  const ended = await connection.call('wait_operations', { operation_ids: [begun.operation_id], timeout: 20 });
  return ended.results[begun.operation_id]!;
}

async function outputOf({ operation_id }: OperationView): Promise<string> {
  const { connection } = await api();
  return (await connection.call('read_output', { operation_id })).text;
}

/** Takes the first entry of every pick list that comes up meanwhile. */
async function acceptingFirst<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(() => void command('workbench.action.acceptSelectedQuickOpenItem'), 300);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}

async function lineageRow(matches: (row: LineageRow) => boolean): Promise<LineageRow> {
  const { lineage } = await api();
  const search = async (rows: readonly LineageRow[]): Promise<LineageRow | undefined> => {
    for (const row of rows) {
      const found = row.image && matches(row) ? row : await search(row.children() as LineageRow[]);
      if (found) return found;
    }
    return undefined;
  };
  return eventually('a row of the lineage', async () => search((await lineage.getChildren()) as LineageRow[]));
}

/** As a menu of the Images tree would give it. */
function lineageOf(head: LineageRow): Pick<ImageRow, 'image'> {
  return { image: (head.parent as LineageRow).image };
}

async function shellsThere() {
  const { connection } = await api();
  return (await connection.call('list_sandboxes', { tags: ['shell'], status: 'running' })).sandboxes;
}

async function shell(): Promise<vscode.Terminal> {
  const before = new Set(vscode.window.terminals);
  await command('coppice.shell', folder().uri);
  const terminal = await eventually('its terminal', async () =>
    vscode.window.terminals.find(candidate => !before.has(candidate)),
  );
  await eventually('its process', async () => (await shellsThere()).some(({ processes }) => processes.length > 0));
  return terminal;
}
