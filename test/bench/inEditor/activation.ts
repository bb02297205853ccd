import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import * as vscode from 'vscode';
import type { CoppiceExtension } from '../../../src/extension/activate.ts';
import { injectedDelay } from '../delay.ts';
import { timed } from '../measure.ts';

export const extension = vscode.extensions.getExtension<CoppiceExtension>('coppice.coppice')!;

/** What a window pays for us when it opens, and for an extension that does nothing. */
export async function activationMs(): Promise<{ readonly activation: number; readonly nothing: number }> {
  const bundle = path.join(extension.extensionPath, 'dist', 'extension.js');
  const { activation } = await extension.activate();
  const delayed = await timed(injectedDelay);
  return {
    activation: loadingMs(bundle, readFileSync(bundle, 'utf8')) + activation.milliseconds + delayed,
    nothing: loadingMs(bundle, 'exports.activate = () => {};'),
  };
}

/** From a file that this process has not seen, because V8 remembers what it has compiled. */
function loadingMs(bundle: string, text: string): number {
  const copy = path.join(path.dirname(bundle), `bench-${process.pid}-${text.length}.js`);
  writeFileSync(copy, `// ${copy}\n${text}`);
  try {
    const require = createRequire(bundle);
    const start = performance.now();
    require(copy);
    return performance.now() - start;
  } finally {
    rmSync(copy);
  }
}
