import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { Locator } from 'playwright-core';
import { repository } from '../harness/coppiceHome.ts';
import { type Editor, serveWithVsix } from '../harness/vscode.ts';

/** The packaged extension in the browser, as a person meets it. Each picture in test/e2e/shots is there to be looked at. */

const project = { folder: 'test/e2e/project', settings: { 'terminal.integrated.gpuAcceleration': 'off' } };

const themes = { 'Dark Modern': 'vs-dark', 'Dark High Contrast': 'hc-black', 'Light High Contrast': 'hc-light' };
const MOST_VSIX_BYTES = 1_500_000;

test('the package is small', () => {
  const { version } = JSON.parse(readFileSync(path.join(repository, 'package.json'), 'utf8')) as { version: string };
  const { size } = statSync(path.join(repository, 'dist', `coppice-${version}.vsix`));
  assert.ok(size <= MOST_VSIX_BYTES, `${size} bytes`);
});

test('first start: import a base, run a file, keep a result, cancel a run', { timeout: 180_000 }, async t => {
  const editor = await serveWithVsix(t, project);
  const { page } = editor;

  await t.test('an empty tree offers a base image', async () => {
    await openSidebar(editor);
    await page.getByText('No images yet.').waitFor();
    await editor.screenshot('1-welcome');
    await page.getByRole('button', { name: 'Import host: base' }).click();
    await imageRow(editor, 'host').waitFor();
    await editor.screenshot('2-imported');
  });

  await t.test('right-click on a file → Run in Sandbox → output', async () => {
    await page.getByRole('tab', { name: /^Explorer/ }).click();
    await page.getByRole('treeitem', { name: 'src', exact: true }).click();
    await page.getByRole('treeitem', { name: 'primes.py' }).click({ button: 'right' });
    await page.getByRole('menuitem', { name: 'Run in Sandbox', exact: true }).waitFor();
    await page.waitForTimeout(300); // The menu fades in.
    await editor.screenshot('3-explorer-menu');
    await page.getByRole('menuitem', { name: 'Run in Sandbox', exact: true }).click();
    await terminalText(editor, 'below 100: 25 primes');
    await terminalText(editor, 'written to /root/primes.txt');
    await terminalText(editor, '✔ exit 0');
    await editor.screenshot('4-output');
  });

  await t.test('the editor’s own menu runs it too, and keeps the result', async () => {
    await editor.openFile('primes.py');
    await editor.command('Coppice: Run in Sandbox and Keep the Result');
    await terminalText(editor, 'kept as');
    await openSidebar(editor);
    await imageRow(editor, 'python3 src/primes.py').waitFor();
    await editor.screenshot('5-kept');
  });

  await t.test('a run is shown while it runs, and Ctrl-C cancels it', async () => {
    await editor.openFile('forever.sh');
    await page.getByRole('button', { name: 'Run in Sandbox', exact: true }).click();
    await terminalText(editor, 'tick 2');
    await page.getByRole('treeitem', { name: /^run sh forever\.sh, [\d.]+ (ms|s), tick/ }).waitFor();
    await editor.screenshot('6-running');
    await page.locator('.terminal-wrapper.active .xterm').click();
    await page.keyboard.press('Control+C');
    await terminalText(editor, '⊘ cancelled');
    await editor.screenshot('7-cancelled');
  });

  await t.test('dark and high contrast', async () => {
    for (const [name, className] of Object.entries(themes)) {
      await editor.useTheme(name, className);
      await editor.screenshot(`theme-${name}`);
    }
    await editor.useTheme('Light Modern', 'vs');
  });

  await t.test('the run goes on when the window is reloaded, and is shown again', async () => {
    await page.locator('.terminal-wrapper.active .xterm').click();
    await page.keyboard.press('Enter');
    await page.getByRole('treeitem', { name: /^run sh forever\.sh, [\d.]+ (ms|s), tick/ }).waitFor();
    await editor.open();
    await openSidebar(editor);
    const row = page.getByRole('treeitem', { name: /^run sh forever\.sh, [\d.]+ (ms|s), tick/ });
    await row.click();
    await page.getByRole('tab', { name: /^sh forever\.sh\.log/ }).waitFor();
    await page.locator('.view-lines').getByText('tick 3', { exact: true }).waitFor();
    await editor.screenshot('8-after-reload');
    await row.hover();
    await row.getByRole('button', { name: 'Cancel' }).click();
    await page
      .getByRole('treeitem', { name: /^run sh forever\.sh, cancelled/ })
      .first()
      .waitFor();
  });

  await t.test('the doctor tells what works', async () => {
    await editor.command('Coppice: Check the Engine (Doctor)');
    await page.locator('.view-lines').getByText('Trial run').waitFor();
    await editor.screenshot('9-doctor');
    const client = await editor.home.connect();
    const { operations } = await client.call('list_operations', {});
    client.close();
    assert.equal(operations[0]?.status, 'SUCCESS', JSON.stringify(operations[0]?.error));
  });
});

async function openSidebar(editor: Editor): Promise<void> {
  const tab = editor.page.getByRole('tab', { name: /^Coppice/ });
  await tab.waitFor();
  if ((await tab.getAttribute('aria-selected')) !== 'true') await tab.click();
  await editor.page
    .getByRole('heading', { name: /Images/ })
    .first()
    .waitFor();
}

function imageRow(editor: Editor, name: string): Locator {
  return editor.page
    .getByRole('treeitem', { name: new RegExp(`^Image ${name.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')},`) })
    .first();
}

async function terminalText(editor: Editor, text: string): Promise<void> {
  await editor.page
    .locator('.terminal-wrapper.active .xterm-rows')
    .filter({ hasText: text })
    .waitFor({ timeout: 20_000 });
}
