import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { ensureBenchPrograms } from './benchPrograms.mjs';
import { build } from './build.mjs';
import { reportingFailure } from './command.mjs';
import { inRoot, projectNode } from './paths.mjs';
import { ensureDebianPackages, ensureNodeModules, ensureVscode } from './setup.mjs';

const INTERRUPTED = 130;

/** `npm run bench -- [GROUP…|all] [--check] [--runs N] [--json FILE] [--markdown FILE] [--readme]`; groups are in test/bench/groups.ts */
async function bench(words) {
  await ensureNodeModules();
  const all = words.includes('all') || !words[0] || words[0].startsWith('-');
  const inEditor = all || words.includes('editor');
  await ensureDebianPackages([
    'sandboxes',
    'benchmarks',
    'registries',
    'a Debian image',
    ...(inEditor ? ['tests'] : []),
  ]);
  if (inEditor) await ensureVscode();
  await ensureBenchPrograms();
  await build();
  const child = spawn(projectNode, [inRoot('test', 'bench', 'main.ts'), ...words], { cwd: inRoot(), stdio: 'inherit' });
  // It clears away what it started, and is waited for. A terminal's Ctrl-C has reached it already.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  const [code] = await once(child, 'close');
  process.exitCode = code ?? INTERRUPTED;
}

await reportingFailure(() => bench(process.argv.slice(2)));
