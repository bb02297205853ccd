import { test } from 'node:test';
import type { Locator } from 'playwright-core';
import { type Editor, serveWithVsix } from '../harness/vscode.ts';

/** From the first start to a tree of images: nobody is asked for an image before something is run. */

const sample = {
  folder: 'examples/sample',
  settings: { 'terminal.integrated.gpuAcceleration': 'off' },
  env: { COPPICE_IMAGE: '' },
};

test('walkthrough, a kept install, back, a shell that is kept', { timeout: 180_000 }, async t => {
  const editor = await serveWithVsix(t, sample);
  const { page } = editor;

  await t.test('the walkthrough leads through the first steps', async () => {
    await page.getByRole('tab', { name: /^Coppice/ }).waitFor();
    await editor.command('Coppice: Get Started');
    await page.getByText('Get an image').first().waitFor();
    await page
      .locator('.getting-started-media svg, .getting-started-media webview, .getting-started-media iframe')
      .first()
      .waitFor();
    await page.waitForTimeout(500);
    await editor.screenshot('trees-1-walkthrough');
    await page.locator('.getting-started-step').filter({ hasText: 'Go back' }).click();
    await page.waitForTimeout(500);
    await editor.screenshot('trees-2-walkthrough-back');
  });

  await t.test('a target is chosen, then an image; the result is kept and the lineage grows', async () => {
    await editor.openFile('Makefile');
    await editor.command('Coppice: Run in Sandbox and Keep the Result');
    await page.getByText('What shall run?').or(page.getByPlaceholder('What shall run?')).first().waitFor();
    await editor.screenshot('trees-3-targets');
    await editor.pick('make install');
    await page.getByPlaceholder('An image is a snapshot').waitFor();
    await editor.screenshot('trees-4-choose-image');
    await editor.pick('This machine');
    await terminalText(editor, 'kept as');
    await openSidebar(editor);
    await lineageRow(editor, /^Image made by make install, ⎇ sample/).waitFor();
    await editor.screenshot('trees-5-lineage');
  });

  await t.test('by the keyboard: a row’s menu, and back to the root', async () => {
    await lineageRow(editor, /^Root image host/).click({ button: 'right' });
    const item = page.getByRole('menuitem', { name: 'Roll Back Branch…' });
    await item.waitFor();
    await page.waitForTimeout(300);
    await editor.screenshot('trees-6-menu');
    await item.click();
    await lineageRow(editor, /^Root image host, ⎇ sample/).waitFor();
    await lineageRow(editor, /^Image made by make install, \+/).waitFor();
    await editor.screenshot('trees-7-rolled-back');
    await lineageRow(editor, /^Image made by make install/).click();
    await page.keyboard.press('F2');
    await page.locator('.quick-input-widget input[type="text"]').waitFor();
    await editor.answer('greet');
    await lineageRow(editor, /^Image made by make install, greet/).waitFor();
  });

  await t.test('a shell: something is changed, and kept by one key', async () => {
    await editor.command('Coppice: Open Shell in Sandbox');
    await terminalText(editor, '# ');
    await page.locator('.terminal-wrapper.active .xterm').click();
    await page.keyboard.type('echo pruned > /root/hazel && ls -l /root\n');
    await terminalText(editor, 'hazel');
    await page.keyboard.type('exit\n');
    await terminalText(editor, 'Keep what was changed as an image?');
    await editor.screenshot('trees-8-shell');
    await page.keyboard.press('k');
    await terminalText(editor, 'kept as');
    await lineageRow(editor, /^Image made by shell, ⎇ sample/).waitFor();
    await editor.screenshot('trees-9-shell-kept');
  });

  await t.test('a shell goes on when the window is reloaded', async () => {
    await editor.command('Coppice: Open Shell in Sandbox');
    // The one before is shown until this one is.
    const fresh = page.locator('.terminal-wrapper.active .xterm').filter({ hasNotText: 'kept as' });
    await fresh.filter({ hasText: '# ' }).click();
    await page.keyboard.type('echo before-$((40 + 2))\n');
    await terminalText(editor, 'before-42');
    await editor.open();
    await openSidebar(editor);
    // VS Code may have opened one of its own beside it.
    const shell = page.locator('.terminal-tabs-entry').filter({ hasText: 'shell' }).first();
    await shell.or(page.getByText('before-42').first()).first().waitFor();
    if (await shell.isVisible()) await shell.click();
    await terminalText(editor, 'before-42');
    await page.locator('.terminal-wrapper.active .xterm').click();
    await page.keyboard.type('cat /root/hazel; exit\n');
    await terminalText(editor, 'pruned');
    await terminalText(editor, 'Keep what was changed as an image?');
    await page.keyboard.press('d');
    // The focus leaves a terminal that closes; a palette opened before would close with it.
    await page.getByText('before-42').first().waitFor({ state: 'hidden' });
    await page.waitForTimeout(500);
  });

  await t.test('the import picker says what is here', async () => {
    await editor.command('Coppice: Import Image…');
    await page.getByText('already here').first().waitFor();
    await page.waitForTimeout(300); // It fades in.
    await editor.screenshot('trees-10-import');
    await page.keyboard.press('Escape');
  });

  await t.test('clean-up shows what would go, and how much', async () => {
    await editor.command('Coppice: Clean Up Images…');
    await page.getByText('All without a tag').waitFor();
    await page.waitForTimeout(300);
    await editor.screenshot('trees-11-clean-up');
    await page.keyboard.press('Escape');
  });
});

async function openSidebar(editor: Editor): Promise<void> {
  const tab = editor.page.getByRole('tab', { name: /^Coppice/ });
  await tab.waitFor();
  if ((await tab.getAttribute('aria-selected')) !== 'true') await tab.click();
  await editor.page
    .getByRole('heading', { name: /Lineage/ })
    .first()
    .waitFor();
}

function lineageRow(editor: Editor, name: RegExp): Locator {
  return editor.page.getByRole('treeitem', { name }).first();
}

async function terminalText(editor: Editor, text: string): Promise<void> {
  await editor.page
    .locator('.terminal-wrapper.active .xterm-rows')
    .filter({ hasText: text })
    .waitFor({ timeout: 20_000 });
}
