import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from './build.mjs';
import { reportingFailure, runProjectNode } from './command.mjs';
import { ensureNodeModules } from './nodeModules.mjs';
import { inRoot } from './paths.mjs';

const { version } = JSON.parse(readFileSync(inRoot('package.json'), 'utf8'));

/** The packaged extension; test/harness/vscode.ts and `npm start` install it. */
export const vsix = inRoot('dist', `coppice-${version}.vsix`);

/** Packs what `build` made. vsce wants Node 22 or later. */
export async function pack() {
  const vsce = inRoot('node_modules', '@vscode', 'vsce', 'vsce');
  // There is no repository to point the README's pictures at: they ship.
  const options = ['--no-dependencies', '--allow-missing-repository', '--no-rewrite-relative-links', '--out', vsix];
  await runProjectNode([vsce, 'package', ...options], { quiet: true });
  console.log(`package: ${vsix}`);
}

async function buildAndPack() {
  await ensureNodeModules();
  await build();
  await pack();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await reportingFailure(buildAndPack);
