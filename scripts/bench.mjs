import { build } from './build.mjs';
import { reportingFailure, runProjectNode } from './command.mjs';
import { inRoot } from './paths.mjs';
import { ensureDebianPackages, ensureNodeModules } from './setup.mjs';

/** `npm run bench -- start|parallel|snapshot|sync|download|import|sdk|all [--check] [--runs N] [--json FILE] [--markdown FILE]` */
async function bench() {
  await ensureNodeModules();
  await ensureDebianPackages(['sandboxes', 'benchmarks', 'registries', 'a Debian image']);
  await build();
  await runProjectNode([inRoot('test', 'bench', 'main.ts'), ...process.argv.slice(2)]);
}

await reportingFailure(bench);
