import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as vscode from 'vscode';
import type { CoppiceExtension } from '../../src/extension/activate.ts';
import { commands } from '../../src/extension/contributions.ts';

/** The first file by its name: nothing has used the extension yet. */

const ACTIVATION_BUDGET_MS = 50;
const MOST_KILOBYTES = 150;

const extension = vscode.extensions.getExtension<CoppiceExtension>('coppice.coppice')!;

describe('activation', () => {
  it(`takes at most ${ACTIVATION_BUDGET_MS} ms with loading, and asks nothing of the engine`, async () => {
    const { activation, connection } = await extension.activate();
    assert.equal(connection.state.kind, 'idle');
    // The best of some: other work of the machine is not ours.
    const bundle = vscode.Uri.joinPath(extension.extensionUri, 'dist', 'extension.js').fsPath;
    const loading = Math.min(...Array.from({ length: 5 }, () => loadingTime(bundle)));
    const activating = Math.min(activation.milliseconds, activation.cpuMilliseconds);
    const message = `${loading.toFixed(1)} ms to load and ${activating.toFixed(1)} ms to activate`;
    assert.ok(loading + activating <= ACTIVATION_BUDGET_MS, message);
  });

  it(`loads at most ${MOST_KILOBYTES} KB`, () => {
    const { size } = statSync(vscode.Uri.joinPath(extension.extensionUri, 'dist', 'extension.js').fsPath);
    assert.ok(size <= MOST_KILOBYTES * 1000, `${size} bytes`);
  });

  it('registers every command of contributions.ts', async () => {
    const registered = new Set(await vscode.commands.getCommands(true));
    for (const command of Object.keys(commands)) assert.ok(registered.has(command), `${command} is not registered`);
  });
});

/** Loads the bundle once more, as VS Code did: it does nothing until it is activated. What others did meanwhile is left out. */
function loadingTime(bundle: string): number {
  const require = createRequire(bundle);
  delete require.cache[bundle];
  const started = performance.now();
  const cpu = process.cpuUsage();
  require(bundle);
  const { user, system } = process.cpuUsage(cpu);
  return Math.min(performance.now() - started, (user + system) / 1000);
}
