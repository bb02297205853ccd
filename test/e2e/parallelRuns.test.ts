import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { FrameLocator, Locator } from 'playwright-core';
import type { EngineClient } from '../../src/client/engineClient.ts';
import type { OperationView } from '../../src/protocol/schemas/operations.ts';
import { eventually } from '../harness/eventually.ts';
import { type Editor, serveWithVsix } from '../harness/vscode.ts';

/** The Parallel Runs panel in the packaged extension, as a person meets it: one window for all of it. */

const RUNS = 24;

/** Trains as the sample does, but one of them finds the machine busy until a moment that the test chooses. */
const TRAINING = `if [ "$1" = 0.03 ] && [ "$2" = 40 ] && [ "$(date +%s)" -lt "$(cat free-at)" ]; then
  echo "the accelerator is busy" >&2
  exit 75
fi
exec sh train.sh "$@"
`;

test('24 runs of a matrix: live, plotted, compared, the winner kept', { timeout: 300_000 }, async t => {
  const editor = await serveWithVsix(t, {
    folder: 'examples/sample',
    settings: { 'files.simpleDialog.enable': true, 'workbench.colorTheme': 'Default Light Modern' },
  });
  const client = await editor.home.connect();
  t.after(() => client.close());
  const panel = new Panel(editor);
  const { image } = await client.call('import_image', { registry_url: 'host:' });
  await client.call('branch', { name: 'main', image: image! });
  await client.call('checkout', { name: 'main', workspace: editor.folder });
  writeFileSync(path.join(editor.folder, 'training.sh'), TRAINING);
  let freeAt = 0;
  const downloads = path.join(path.dirname(editor.folder), 'downloads');
  mkdirSync(downloads);
  /** What comes after one that failed would only wait for what is not there. */
  const step = async (name: string, work: () => Promise<void>) => {
    if (failed) return;
    await t.test(name, async () => {
      failed = true;
      try {
        await work();
        failed = false;
      } finally {
        if (failed) await panel.shot('failed');
      }
    });
  };
  let failed = false;
  const troubles: string[] = [];
  editor.page.on('pageerror', error => troubles.push(String(error.stack ?? error)));

  await step('the preview shows the exact runs', async () => {
    await editor.page.locator('.statusbar-item').getByText('Coppice').or(editor.page.getByText('main: host')).waitFor();
    await editor.command('Coppice: Parallel Runs');
    await panel.field('Commands').fill('PACE=0.4 sh training.sh {rate} {epochs}');
    await panel.addParameter(1, 'rate', '0.01..0.08..0.01');
    await panel.addParameter(2, 'epochs', '20, 40, 60');
    await panel.field('Metric, a regular expression').fill('loss ([\\d.e+-]+)');
    await panel.page.getByText(`${RUNS} runs, exactly these`).waitFor();
    await panel.page.getByText('PACE=0.4 sh training.sh 0.08 60', { exact: true }).waitFor();
    await panel.shot('1-setup');
  });

  await step('a set-up is saved in the workspace', async () => {
    await panel.button('Save…').click();
    await editor.answer('sweep');
    const file = path.join(editor.folder, '.vscode', 'coppice-runs.json');
    const saved = await eventually('the file', () => readOrUndefined(file));
    assert.equal(JSON.parse(saved).sweep.parameters[0].values, '0.01..0.08..0.01');
  });

  await step('the runs are live, four at once', async () => {
    freeAt = Math.floor(Date.now() / 1000) + 25;
    writeFileSync(path.join(editor.folder, 'free-at'), String(freeAt));
    await panel.button(`Start ${RUNS} Runs`).click();
    await panel.page.getByText(/4 running · \d+ waiting/).waitFor();
    await panel.page.locator('.plot .mark').nth(5).waitFor();
    await panel.shot('2-live');
  });

  await step('a window that is reloaded shows the same, and they run on', async () => {
    await panel.row(/ 0\.01 40 /).click();
    const before = await groupOf(client);
    // VS Code in a browser writes down what pages keep every few seconds.
    await editor.page.waitForTimeout(6_000);
    await editor.page.evaluate('window.beforeReload = true');
    await editor.command('Developer: Reload Window');
    await editor.page.waitForFunction('window.beforeReload === undefined');
    await panel.page.locator('.plot .mark').nth(5).waitFor();
    await panel.page.locator('.run[aria-selected="true"]').waitFor();
    assert.match(await panel.page.locator('.run[aria-selected="true"]').innerText(), /0\.01\s+40/);
    await panel.page
      .getByText('23 done · 1 failed')
      .or(panel.page.getByText(/\d+ done · \d+ failed$/))
      .waitFor({ timeout: 60_000 });
    const after = await groupOf(client);
    assert.deepEqual(
      new Set(after.map(({ operation_id }) => operation_id)),
      new Set(before.map(({ operation_id }) => operation_id)),
    );
    assert.ok(mostAtOnce(after) <= 4, `${mostAtOnce(after)} at once`);
  });

  await step('what failed is run again, and succeeds where it can', async () => {
    const failed = (await groupOf(client)).filter(({ status }) => status === 'FAILED');
    assert.ok(failed.some(({ exit_code }) => exit_code === 75));
    await panel.shot('3-failed');
    await eventually('the machine is free', () => Date.now() / 1000 > freeAt, 60);
    await panel.button('Retry Failed').click();
    await panel.row(/ 0\.03 40 .*exit 0 ↻2/).waitFor();
    await client.call('wait_operations', { operation_ids: (await groupOf(client)).map(run => run.operation_id) });
    await panel.page.getByText(countsOf(await latestOf(client)), { exact: true }).waitFor();
    assert.equal((await groupOf(client)).length, RUNS + failed.length);
    assert.equal(await panel.page.getByRole('grid').getAttribute('aria-rowcount'), String(RUNS + 1));
  });

  await step('what is plotted is what the runs printed', async () => {
    const expected = new Map(
      await Promise.all(
        (await latestOf(client)).map(async run => [run.operation_id, await printed(client, run.operation_id)] as const),
      ),
    );
    assert.equal(expected.size, RUNS);
    const marks = await panel.page
      .locator('.plot .mark')
      .evaluateAll(found =>
        found.map(
          mark =>
            [
              mark.getAttribute('data-run')!,
              mark.getAttribute('data-x')!,
              Number(mark.getAttribute('data-y')),
            ] as const,
        ),
      );
    assert.deepEqual(
      new Map(marks.map(([id, , y]) => [id, y])),
      new Map([...expected].map(([id, values]) => [id, values.at(-1)!])),
    );
    for (const { operation_id, labels } of await latestOf(client))
      assert.equal(marks.find(([id]) => id === operation_id)![1], labels.rate);
    await panel.page.getByRole('img', { name: /\(best\)$/ }).waitFor();
  });

  await step('the exported table and series are what the runs printed', async () => {
    const runs = csv(await panel.export('Export runs as CSV', path.join(downloads, 'runs.csv')));
    for (const { operation_id, labels } of await latestOf(client)) {
      const line = runs.find(({ operation }) => operation === operation_id)!;
      assert.deepEqual([line.rate, line.epochs], [labels.rate, labels.epochs]);
      assert.equal(Number(line.metric), (await printed(client, operation_id)).at(-1));
    }
    await panel.choose('x', 'every printed value');
    await panel.page.locator('path.line').nth(5).waitFor();
    await panel.shot('4-series');
    const series = csv(await panel.export('CSV', path.join(downloads, 'series.csv')));
    for (const { operation_id } of await latestOf(client)) {
      const values = series.filter(({ operation }) => operation === operation_id).map(({ metric }) => Number(metric));
      assert.deepEqual(values, await printed(client, operation_id));
    }
    await panel.choose('x', 'rate');
  });

  await step('the plot is a picture', async () => {
    const svg = await panel.export('SVG', path.join(downloads, 'plot.svg'));
    assert.match(svg, /^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    assert.equal(svg.match(/data-run=/g)!.length, RUNS);
    const png = await panel.export('PNG', path.join(downloads, 'plot.png'), 'latin1');
    assert.equal(png.slice(1, 4), 'PNG');
  });

  await step('outputs stand side by side, differences marked', async () => {
    await panel.row(/ 0\.02 20 /).click();
    await panel.row(/ 0\.02 40 /).click({ modifiers: ['Control'] });
    await panel.tab('Output').click();
    await panel.page.locator('.output-title').nth(1).waitFor();
    await panel.page.locator('.output-cell[data-mark="changed"]').first().waitFor();
    await panel.page.locator('.output-cell[data-mark="added"]').first().waitFor();
    await panel.shot('5-outputs');
  });

  await step('the best run’s artifact is found, downloaded and opened', async () => {
    await panel.page.getByRole('button', { name: 'loss', exact: true }).click();
    await panel.page.locator('.run').first().click();
    assert.match(await panel.page.locator('.run').first().innerText(), /best/);
    await panel.tab('Files').click();
    const file = panel.page.getByRole('treeitem', { name: /^model\.json, added/ });
    await file.waitFor();
    await file.click();
    await panel.shot('6-files');
    await panel.button(/^Download…/).click();
    await panel.answerPath(`${downloads}/`);
    await panel.page.getByText(/1 file, \d+ B/).waitFor();
    await editor.page.getByRole('button', { name: 'Open', exact: true }).click();
    await editor.page.getByRole('tab', { name: /^model\.json/ }).waitFor();
    const model = JSON.parse(readFileSync(path.join(downloads, 'model.json'), 'utf8')) as {
      rate: number;
      loss: number;
    };
    const best = await bestOf(client);
    assert.equal(model.rate, Number(best.labels.rate));
    await panel.show();
  });

  await step('files by a pattern, from several runs at once', async () => {
    await panel.page.getByRole('grid').focus();
    await editor.page.keyboard.press('Shift+ArrowDown');
    await panel.field('Files by pattern').fill('/workspace/**/model*.json');
    await panel.button('Download Matching…').click();
    await panel.answerPath(`${downloads}/`);
    await panel.page.getByText(/2 files, \d+ B/).waitFor();
  });

  await step('the winner becomes the head of the branch', async () => {
    await editor.page.keyboard.press('Escape');
    await panel.page.locator('.run').first().click();
    await panel.button('Make it a branch’s head').click();
    await editor.pick('main');
    const best = await bestOf(client);
    await eventually('main points to the winner', async () => {
      const { branches } = await client.call('branches', {});
      return branches.find(({ name }) => name === 'main')?.head === best.result_image;
    });
  });

  await step('dark and high contrast', async () => {
    await panel.tab('Plot').click();
    for (const [name, className] of [
      ['Dark Modern', 'vs-dark'],
      ['Dark High Contrast', 'hc-black'],
      ['Light High Contrast', 'hc-light'],
    ] as const) {
      await useTheme(editor, name, className);
      await panel.shot(`theme-${name}`);
    }
    await useTheme(editor, 'Light Modern', 'vs');
    await panel.shot('7-light');
  });

  await step('what is loaded is started, and all of it cancelled', async () => {
    await panel.tab('Set-up').click();
    await panel.button('Load…').click();
    await editor.pick('sweep');
    await panel.field('Commands').fill('echo {rate} {epochs}; sleep 600');
    await panel.button(`Start ${RUNS} Runs`).click();
    await panel.page.getByText('4 running · 20 waiting').waitFor();
    await panel.button('Cancel All').click();
    await panel.page.getByText('24 cancelled').waitFor();
    const operations = await groupOf(client);
    assert.ok(operations.every(({ status }) => status === 'CANCELLED'));
  });

  assert.deepEqual(troubles, []);
});

class Panel {
  readonly page: FrameLocator;
  readonly #editor: Editor;

  constructor(editor: Editor) {
    this.#editor = editor;
    this.page = editor.webview();
  }

  field(name: string): Locator {
    return this.page.getByRole('textbox', { name, exact: true }).locator('visible=true');
  }
  button(name: string | RegExp): Locator {
    return this.page.getByRole('button', { name, exact: true }).locator('visible=true');
  }
  tab(name: string): Locator {
    return this.page.getByRole('tab', { name, exact: true });
  }
  row(text: RegExp): Locator {
    return this.page.getByRole('row', { name: text }).first();
  }

  async addParameter(nth: number, name: string, values: string): Promise<void> {
    await this.button('Add Parameter').click();
    await this.field('Name')
      .nth(nth - 1)
      .fill(name);
    await this.field('Values')
      .nth(nth - 1)
      .fill(values);
  }

  async choose(dropdown: string, option: string): Promise<void> {
    await this.page.getByRole('combobox', { name: dropdown, exact: true }).click();
    await this.page.getByRole('option', { name: option, exact: true }).locator('visible=true').click();
  }

  /** Presses what exports, answers where to, and reads what was written. */
  async export(button: string, file: string, encoding: BufferEncoding = 'utf8'): Promise<string> {
    await this.button(button).click();
    await this.answerPath(file);
    return eventually(file, () => readOrUndefined(file, encoding));
  }

  /** VS Code's own file dialog writes its default into the box when it has listed the folder, over what was typed. */
  async answerPath(place: string): Promise<void> {
    const { page } = this.#editor;
    const dialog = page.locator('.quick-input-widget');
    const box = dialog.locator('input[type="text"]');
    await dialog.waitFor();
    await eventually('the dialog has listed its folder', async () => (await box.inputValue()).startsWith('/'));
    await eventually(
      'the dialog takes the path',
      async () => {
        if (!(await dialog.isVisible())) return true;
        if ((await box.inputValue()) !== place) await box.fill(place);
        await page.waitForTimeout(400);
        if ((await box.inputValue()) !== place) return false;
        await box.press('Enter');
        await page.waitForTimeout(400);
        return !(await dialog.isVisible());
      },
      20,
    );
  }

  async show(): Promise<void> {
    await this.#editor.page.getByRole('tab', { name: /^Parallel Runs/ }).click();
    await this.page.getByRole('grid').waitFor();
  }

  shot(name: string): Promise<string> {
    return this.#editor.screenshot(`panel-${name}`);
  }
}

/** All runs of the newest group, retries too, in the order they were started. */
async function groupOf(client: EngineClient): Promise<OperationView[]> {
  const { operations: newest } = await client.call('list_operations', { kind: 'run', limit: 1 });
  const { operations } = await client.call('list_operations', { group: newest[0]!.group!, limit: 1000 });
  return operations.toReversed();
}

async function latestOf(client: EngineClient): Promise<OperationView[]> {
  const byLabels = new Map((await groupOf(client)).map(run => [JSON.stringify(run.labels), run]));
  return [...byLabels.values()];
}

async function bestOf(client: EngineClient): Promise<OperationView> {
  const runs = (await latestOf(client)).filter(({ status }) => status === 'SUCCESS');
  const losses = await Promise.all(runs.map(async run => (await printed(client, run.operation_id)).at(-1)!));
  return runs[losses.indexOf(Math.min(...losses))]!;
}

/** Read here by the output itself, with nothing of the panel. */
async function printed(client: EngineClient, operation_id: string): Promise<number[]> {
  const { text } = await client.call('read_output', { operation_id, length: 1_000_000 });
  return text.split('\n').flatMap(line => {
    const word = line.split('loss ')[1];
    return word === undefined ? [] : [Number.parseFloat(word)];
  });
}

function mostAtOnce(operations: readonly OperationView[]): number {
  const spans = operations.map(
    ({ started_at, finished_at }) => [Date.parse(started_at!), Date.parse(finished_at!)] as const,
  );
  // The end of one is recorded a moment after the next has started.
  return Math.max(...spans.map(([at]) => spans.filter(([from, to]) => from <= at + 200 && at + 200 < to).length));
}

function countsOf(operations: readonly OperationView[]): string {
  const count = (status: string) => operations.filter(operation => operation.status === status).length;
  const [done, failed] = [count('SUCCESS'), count('FAILED')];
  return [`${done} done`, ...(failed > 0 ? [`${failed} failed`] : [])].join(' · ');
}

function csv(text: string): Record<string, string>[] {
  const [header, ...lines] = text
    .trimEnd()
    .split('\r\n')
    .map(line => line.split(','));
  return lines.map(line => Object.fromEntries(header!.map((name, index) => [name, line[index]!])));
}

function readOrUndefined(file: string, encoding: BufferEncoding = 'utf8'): string | undefined {
  try {
    return readFileSync(file, encoding) || undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function useTheme(editor: Editor, name: string, className: string): Promise<void> {
  const { page } = editor;
  await editor.command('Preferences: Color Theme');
  const box = page.locator('.quick-input-widget input[type="text"]');
  await box.fill(name);
  await page.locator('.quick-input-list .monaco-list-row.focused').filter({ hasText: name }).waitFor();
  await box.press('Enter');
  await page.locator(`.monaco-workbench.${className}`).waitFor();
  await page.locator('.quick-input-widget').waitFor({ state: 'hidden' });
}
