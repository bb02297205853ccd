import { cpSync, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import type { Page } from 'playwright-core';
import {
  calmSettings,
  installVsix,
  startVscodeServer,
  type VscodeServer,
  writeUserSettings,
} from '../../scripts/vscodeServer.mjs';
import { openPage } from './browser.ts';
import { CoppiceHome, repository } from './coppiceHome.ts';
import { TemporaryFolder } from './temporaryFolder.ts';

export interface EditorOptions {
  /** Copied, so that a test may change what it opened. From the repository's root. */
  readonly folder: string;
  /** User settings, above the calm ones that keep the first page quiet. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** For the extension host, its terminals and the engine it starts. */
  readonly env?: Readonly<Record<string, string>>;
  /** true: VS Code asks whether the folder is to be trusted. */
  readonly trustPrompt?: boolean;
  /** What starts the server, as `unshare --mount`. */
  readonly under?: readonly string[];
  readonly vsix?: string;
}

/**
 * Real VS Code in a real browser, with the packaged extension (`npm run package`) and a copy of a folder opened.
 *
 *     test('a file runs in a sandbox', async t => {
 *       const editor = await serveWithVsix(t, { folder: 'examples/sample', settings: { 'editor.fontSize': 14 } });
 *       await editor.command('Coppice: Import Image…');
 *       await editor.page.getByRole('treeitem', { name: 'base' }).waitFor();
 *       await editor.screenshot('images');                          // test/e2e/shots/images.png
 *     });
 *
 * It ends with the test, however that ends, and a test that fails leaves `test/e2e/shots/failed-<test>.png`.
 * Outside of one test: `await using editor = await serveWithVsix(undefined, …)`.
 */
export async function serveWithVsix(test: TestContext | undefined, options: EditorOptions): Promise<Editor> {
  await using parts = new AsyncDisposableStack();
  const temporary = parts.use(new TemporaryFolder());
  const home = parts.use(new CoppiceHome());
  const folder = copyFolder(options.folder, temporary);
  const dataFolder = temporary.join('data');
  writeUserSettings(dataFolder, { ...calmSettings, ...options.settings });
  await installVsix(dataFolder, options.vsix ?? packagedExtension());
  const server = await startVscodeServer({
    dataFolder,
    flags: options.trustPrompt ? [] : ['--disable-workspace-trust'],
    under: options.under ?? [],
    // VS Code's own extensions leave folders there.
    // With an image to start from nobody is asked for one.
    env: { ...home.env, COPPICE_IMAGE: 'host:', TMPDIR: temporary.path, ...options.env },
  });
  parts.defer(() => server.dispose());
  const { page } = parts.use(await openPage(temporary.path));
  const editor = new Editor({ page, home, folder, server, parts: parts.move() });
  if (test) disposeAfter(test, editor);
  await editor.open();
  return editor;
}

/** The workbench as a user sees it; what is not here is one Playwright call on `page`. */
export class Editor implements AsyncDisposable {
  readonly page: Page;
  /** The engine's home, with `connect()` for looking behind the scenes. */
  readonly home: CoppiceHome;
  /** Where the opened copy lies. */
  readonly folder: string;
  readonly #server: VscodeServer;
  readonly #parts: AsyncDisposableStack;

  constructor(made: {
    readonly page: Page;
    readonly home: CoppiceHome;
    readonly folder: string;
    readonly server: VscodeServer;
    readonly parts: AsyncDisposableStack;
  }) {
    this.page = made.page;
    this.home = made.home;
    this.folder = made.folder;
    this.#server = made.server;
    this.#parts = made.parts;
  }

  /** Opens the folder; called again it is a fresh window on the same server, as after a reload. */
  async open(): Promise<void> {
    await this.page.goto(this.#server.address(this.folder));
    await this.page.locator('.monaco-workbench').waitFor({ timeout: 60_000 });
    await this.page.locator('.explorer-folders-view').getByRole('treeitem').first().waitFor({ timeout: 60_000 });
  }

  /** Runs a command by its title, as the palette shows it. */
  async command(title: string): Promise<void> {
    await this.page.keyboard.press('F1');
    await this.#pick(`>${title}`, title);
  }

  /** Takes an entry of the pick list that is open. */
  pick(label: string): Promise<void> {
    return this.#pick(label, label);
  }

  /** Answers the input box that is open. */
  async answer(text: string): Promise<void> {
    await this.#input.fill(text);
    await this.#input.press('Enter');
  }

  /** Opens a file of the folder in an editor. */
  async openFile(name: string): Promise<void> {
    await this.page.keyboard.press('Control+P');
    await this.pick(name);
    await this.page.getByRole('tab', { name: path.basename(name) }).waitFor();
  }

  /** `className`: the workbench's once the theme is there. */
  async useTheme(name: string, className: string): Promise<void> {
    await this.command('Preferences: Color Theme');
    await this.#input.fill(name);
    await this.page.locator('.quick-input-list .monaco-list-row.focused').filter({ hasText: name }).waitFor();
    await this.#input.press('Enter');
    await this.page.locator(`.monaco-workbench.${className}`).waitFor();
    await this.page.locator('.quick-input-widget').waitFor({ state: 'hidden' });
  }

  /** The inside of the webview that is shown. */
  webview() {
    return this.page.frameLocator('iframe.webview.ready').frameLocator('#active-frame');
  }

  async screenshot(name: string): Promise<string> {
    const file = path.join(repository, 'test', 'e2e', 'shots', `${name.replace(/[^\w.-]+/g, '-')}.png`);
    await this.page.screenshot({ path: file });
    return file;
  }

  get #input() {
    return this.page.locator('.quick-input-widget input[type="text"]');
  }

  async #pick(typed: string, label: string): Promise<void> {
    await this.#input.fill(typed);
    await this.page.locator('.quick-input-list .monaco-list-row').filter({ hasText: label }).first().click();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }
}

export function copyFolder(folder: string, temporary: TemporaryFolder): string {
  const source = path.resolve(repository, folder);
  const copy = temporary.join(path.basename(source));
  cpSync(source, copy, { recursive: true, verbatimSymlinks: true });
  return copy;
}

function packagedExtension(): string {
  const { version } = JSON.parse(readFileSync(path.join(repository, 'package.json'), 'utf8')) as { version: string };
  const vsix = path.join(repository, 'dist', `coppice-${version}.vsix`);
  if (!existsSync(vsix)) throw new Error(`${vsix} is not there: npm run package`);
  return vsix;
}

function disposeAfter(test: TestContext, editor: Editor): void {
  test.after(async () => {
    try {
      // Node has `passed` on a test's context; its types do not yet.
      if (!(test as TestContext & { readonly passed: boolean }).passed) await editor.screenshot(`failed-${test.name}`);
    } finally {
      await editor[Symbol.asyncDispose]();
    }
  });
}
