import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { eventually } from '../harness/eventually.ts';
import { type Editor, serveWithVsix } from '../harness/vscode.ts';

/** The workspace and the files of images, as a person meets them: edit → state → run, browse, compare, apply, undo. */

const project = { folder: 'test/e2e/project', settings: { 'terminal.integrated.gpuAcceleration': 'off' } };

test('files go into sandboxes and come back', { timeout: 240_000 }, async t => {
  const editor = await serveWithVsix(t, project);
  const { page } = editor;
  const here = (name: string) => path.join(editor.folder, name);
  let image: string;

  await t.test('an edited file is a new state in the status bar, and a run sees it', async () => {
    await page.getByRole('tab', { name: /^Coppice/ }).click();
    await page.getByRole('button', { name: 'Import host: base' }).click();
    const first = await stateShown(editor);
    await editor.openFile('Makefile');
    await page.locator('.monaco-editor .view-line').last().click();
    await page.keyboard.press('Control+End');
    await page.keyboard.type('\t@echo edited a moment ago\n');
    await page.keyboard.press('Control+S');
    const second = await stateShown(editor, first);
    await editor.command('Coppice: Run in Sandbox');
    await page
      .locator('.terminal-wrapper.active .xterm-rows')
      .filter({ hasText: 'edited a moment ago' })
      .waitFor({ timeout: 30_000 });
    const client = await editor.home.connect();
    const { operations } = await client.call('list_operations', { kind: 'run' });
    client.close();
    assert.equal(operations[0]?.directory_state_id?.slice(0, 10), second);
    await editor.screenshot('sync-1-state');
  });

  await t.test('the state’s place in the status bar offers what can be done', async () => {
    await page.locator('#coppice\\.coppice\\.coppice\\.sync').click();
    await page.getByText('Pause Auto-Sync').waitFor();
    await editor.screenshot('sync-2-menu');
    await editor.pick('Show Excluded Files');
    await page.locator('.view-lines').getByText('Left out when project is synced').waitFor();
  });

  await t.test('an image’s files are browsed', async () => {
    image = await changedInSandbox(editor);
    await editor.command('Coppice: Browse Files');
    await editor.pick('changed in a sandbox');
    // By keyboard alone, as one would.
    await fileRow(editor, 'bin').waitFor();
    await page.keyboard.type('workspace');
    await page.keyboard.press('ArrowRight');
    await downTo(editor, 'project');
    await page.keyboard.press('ArrowRight');
    await downTo(editor, 'src');
    await onto(editor, 'primes.txt');
    await page.keyboard.press('Enter');
    await page.locator('.view-lines').getByText('2 3 5 7').waitFor();
    await editor.screenshot('files-1-browse');
  });

  await t.test('what a run changed is shown in the multi-file diff', async () => {
    await editor.command('Coppice: Compare with Parent');
    await editor.pick('changed in a sandbox');
    await page.getByRole('tab', { name: /\(5 files\)/ }).waitFor();
    await page.locator('.view-lines').getByText('binary file').first().waitFor();
    await page.locator('.view-lines').getByText('echo theirs').first().waitFor();
    await editor.screenshot('files-2-changes');
  });

  await t.test('changes come into the workspace, the conflict stays, Undo takes all of it back', async () => {
    const before = readFileSync(here('README.md'), 'utf8');
    writeFileSync(here('forever.sh'), 'echo mine\n');
    await editor.command('Coppice: Apply to Workspace');
    await editor.pick('changed in a sandbox');
    const list = page.locator('.quick-input-widget');
    await list.getByText('changed on both sides', { exact: true }).waitFor();
    await editor.screenshot('apply-1-choose');
    const conflict = list.locator('.monaco-list-row').filter({ hasText: 'forever.sh' });
    await conflict.hover();
    await conflict.getByRole('button', { name: 'Show the difference' }).click();
    await page.getByRole('tab', { name: /forever\.sh \(workspace ↔ sandbox\)/ }).waitFor();
    await page.locator('.view-lines').getByText('echo theirs').waitFor();
    await editor.screenshot('apply-2-conflict');
    await list.getByRole('button', { name: 'OK' }).click();
    await eventually('the changes here', () => existsSync(here('primes.txt')) && existsSync(here('data.bin')));
    await eventually('the edited file', () => readFileSync(here('README.md'), 'utf8').includes('written in a sandbox'));
    assert.equal(readFileSync(here('forever.sh'), 'utf8'), 'echo mine\n');
    assert.equal(existsSync(here('src/primes.py')), false);
    await editor.screenshot('apply-3-applied');
    await editor.openFile('README.md');
    await page.locator('.monaco-editor.focused').first().waitFor();
    await page.keyboard.press('Control+Z');
    await eventually('the old files', async () => {
      const undo = page.getByRole('dialog').getByRole('button', { name: /^(Yes|Undo)/ });
      if ((await undo.count()) > 0) await undo.first().click();
      return existsSync(here('src/primes.py')) && !existsSync(here('primes.txt')) && !existsSync(here('data.bin'));
    });
    await page.keyboard.press('Control+S');
    await eventually('the old text', () => readFileSync(here('README.md'), 'utf8') === before);
  });

  await t.test('dark and high contrast', async () => {
    await editor.command('Coppice: Apply to Workspace');
    await editor.pick('changed in a sandbox');
    await page.locator('.quick-input-widget').getByText('changed on both sides', { exact: true }).waitFor();
    await page.keyboard.press('Escape');
    for (const [name, className] of Object.entries({ 'Dark Modern': 'vs-dark', 'Dark High Contrast': 'hc-black' })) {
      await editor.useTheme(name, className);
      await editor.command('Coppice: Apply to Workspace');
      await editor.pick('changed in a sandbox');
      await page.locator('.quick-input-widget').getByText('changed on both sides', { exact: true }).waitFor();
      await editor.screenshot(`files-theme-${name}`);
      await page.keyboard.press('Escape');
    }
  });
  assert.ok(image!);
});

/** As a formatter or a generator would: one file edited, one made, one deleted, one binary, one that is edited here too. */
async function changedInSandbox(editor: Editor): Promise<string> {
  const client = await editor.home.connect();
  try {
    const source = editor.folder;
    const destination = `/workspace/${path.basename(source)}`;
    const { directory_state_id } = await client.call('rsync', { source, destination });
    const run = await client.call('run', {
      command:
        'echo "written in a sandbox" >> README.md && echo "2 3 5 7" > primes.txt && rm src/primes.py && ' +
        'printf "\\0\\1" > data.bin && echo "echo theirs" > forever.sh # changed in a sandbox',
      directory_state_id,
      cwd: destination,
      disposable: false,
    });
    assert.equal(run.status, 'SUCCESS', JSON.stringify(run));
    return ('result_image' in run && run.result_image) || '';
  } finally {
    client.close();
  }
}

/** The short id of a clean state, other than `before`. */
function stateShown(editor: Editor, before?: string): Promise<string> {
  return eventually(
    'a state in the status bar',
    async () => {
      const text =
        (await editor.page.locator('#coppice\\.coppice\\.coppice\\.sync').textContent({ timeout: 30_000 })) ?? '';
      const [id] = /ds-[0-9a-f]{7}/.exec(text) ?? [];
      const clean = (await editor.page.locator('#coppice\\.coppice\\.coppice\\.sync .codicon-check').count()) === 1;
      return clean && id !== before ? id : undefined;
    },
    30,
  );
}

const fileRow = (editor: Editor, name: string) =>
  editor.page.getByRole('tree', { name: 'Image Files' }).getByRole('treeitem', { name: new RegExp(`^${name}(,|$)`) });

/** A row that is out of sight is in no document; a folder's rows come a moment after it was opened. */
/** Row by row: what is typed slowly is taken for the start of another name. */
function onto(editor: Editor, name: string): Promise<boolean> {
  // Rows of other trees show commands that name it too.
  const focused = editor.page.locator('.monaco-list-row.focused').filter({ hasText: new RegExp(`^\\s*${name}`) });
  return eventually(`${name} is the row one is on`, async () => {
    if ((await focused.count()) > 0) return true;
    await editor.page.keyboard.press('ArrowDown');
    await editor.page.waitForTimeout(200);
    return undefined;
  });
}

function downTo(editor: Editor, name: string): Promise<boolean> {
  return eventually(`${name} in sight`, async () => {
    if (await fileRow(editor, name).isVisible()) return true;
    await editor.page.keyboard.press('ArrowDown');
    await editor.page.waitForTimeout(100);
    return undefined;
  });
}
