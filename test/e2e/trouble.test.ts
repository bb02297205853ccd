import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serveWithVsix } from '../harness/vscode.ts';

/** What people see when something is in the way: the cause, the cure and a way out. */

const project = 'test/e2e/project';

/** In a mount namespace where what starts containers cannot be executed. */
const withoutTools = [
  'unshare',
  ...(process.getuid!() === 0 ? [] : ['--user', '--map-root-user']),
  '--mount',
  'sh',
  '-c',
  'for tool in $(which -a crun runc); do mount --bind /dev/null "$tool" || exit 1; done; exec "$0" "$@"',
];

test('an engine that cannot start says why, in the tree and in the status bar', { timeout: 90_000 }, async t => {
  const editor = await serveWithVsix(t, { folder: project, env: { COPPICE_HOME: '/dev/null/no-folder' } });
  const { page } = editor;
  await page.getByRole('tab', { name: /^Coppice/ }).click();
  await page
    .getByText(/^The engine could not be started/)
    .first()
    .waitFor();
  await page.getByRole('treeitem', { name: 'Try Again' }).first().waitFor();
  await page.locator('.statusbar-item.warning-kind').getByText('Coppice').waitFor();
  await editor.screenshot('trouble-engine');
});

test('an untrusted folder can be looked at, and nothing of it runs', { timeout: 90_000 }, async t => {
  const editor = await serveWithVsix(t, { folder: project, trustPrompt: true });
  const { page } = editor;
  await page.getByRole('tab', { name: /^Coppice/ }).click();
  await page.getByText('This workspace is not trusted').waitFor();
  await page.getByRole('button', { name: 'Import host: base' }).waitFor();
  await editor.screenshot('trouble-untrusted');
  await editor.openFile('Makefile');
  await page.getByRole('tab', { name: /^Explorer/ }).click();
  await page.getByRole('treeitem', { name: 'Makefile' }).click({ button: 'right' });
  const item = page.locator('.action-item', {
    has: page.getByRole('menuitem', { name: 'Run in Sandbox', exact: true }),
  });
  await item.waitFor();
  assert.match((await item.getAttribute('class')) ?? '', /disabled/);
  // Engine and trees are there; the folder is not looked at.
  const client = await editor.home.connect();
  const { total } = await client.call('states', {});
  client.close();
  assert.equal(total, 0);
  assert.equal(await page.locator('#coppice\\.coppice\\.coppice\\.sync').count(), 0);
});

test('a machine on which nothing can run: the cause, the cure, and the doctor says the same', {
  timeout: 90_000,
}, async t => {
  const env = { DOCKER_HOST: 'unix:///nonexistent/docker.sock', XDG_RUNTIME_DIR: '/nonexistent' };
  const editor = await serveWithVsix(t, { folder: project, env, under: withoutTools });
  const { page } = editor;
  await page.getByRole('tab', { name: /^Coppice/ }).click();
  await page
    .getByText(/^Nothing can run here yet: .+crun/)
    .first()
    .waitFor();
  await page.getByRole('treeitem', { name: 'Check the Engine' }).first().waitFor();
  await editor.screenshot('trouble-no-runtime');
  await page.getByRole('treeitem', { name: 'Check the Engine' }).first().click();
  await page.locator('.view-lines').getByText('Runtime native').waitFor();
  await page.locator('.view-lines').getByText('✘').first().waitFor();
  // The trial run that failed went from one group to the other.
  await page.getByRole('treeitem', { name: 'Finished operations, 1' }).waitFor();
  await page.getByRole('treeitem', { name: /^Waiting operations/ }).waitFor({ state: 'detached' });
  await editor.screenshot('trouble-no-runtime-doctor');
});
