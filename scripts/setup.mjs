import { fileURLToPath } from 'node:url';
import { reportingFailure } from './command.mjs';
import { ensureDebianPackages, needs } from './debian.mjs';
import { ensureNodeModules } from './nodeModules.mjs';
import { ensureVscode } from './vscode.mjs';

// Makes a fresh Debian machine ready. Each step says what it does when it does something, and costs milliseconds when it need not.
export { ensureDebianPackages, ensureNodeModules, ensureVscode };

async function setUp() {
  await ensureNodeModules();
  await ensureDebianPackages(['sandboxes', 'tests']);
  await ensureVscode();
  console.log(`set-up: ready (${Object.keys(needs).join(', ')})`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await reportingFailure(setUp);
