import { parseArgs } from 'node:util';
import { ensureAgentPrograms } from './agentPrograms.mjs';
import { build } from './build.mjs';
import { inBackground, reportingFailure, run } from './command.mjs';
import { ensureDebianPackages } from './debian.mjs';
import { ensureNodeModules } from './nodeModules.mjs';
import { pack } from './package.mjs';
import { runPass } from './testing/pass.mjs';
import { editorNeeds, ensureVscode } from './vscode.mjs';

// npm test                       every group but docker and soak
// npm test -- unit contract      these groups
// npm test -- --grep text        tests whose name holds the text

const asRoot = process.getuid() === 0;

/** The contract suite on a daemon of its own: the surfaces and the registries are the same whatever a run runs on. */
const onDaemons = [
  ...['docker', 'podman'].map(runtime => ({
    folder: 'test/contract',
    minutes: 15,
    runtime,
    except: /\/(mcp\w*|skill|registry)\.test/,
  })),
  { folder: 'test/sdk', minutes: 6, runtime: 'docker', only: 'rows.test.ts' },
];

/** Each group is one pass or more over its folder. A pass that takes longer than its minutes has failed. */
const groups = {
  unit: [{ folder: 'test/unit', minutes: 6, concurrency: 2 }],
  contract: [
    ...(asRoot ? ['root', 'user'] : ['user']).map(as => ({ folder: 'test/contract', minutes: 8, as })),
    ...(asRoot ? [{ folder: 'test/smoke', minutes: 2, runtime: 'docker' }] : []),
  ],
  sdk: [{ folder: 'test/sdk', minutes: 6, concurrency: 2 }],
  host: [{ folder: 'test/host', minutes: 6, inExtensionHost: true }],
  e2e: [{ folder: 'test/e2e', minutes: 10 }],
  docker: onDaemons,
  soak: [
    { folder: 'test/soak', minutes: 40 },
    ...onDaemons,
    { folder: 'test/soak', minutes: 5, runtime: 'docker', only: 'lineage.test.ts' },
  ],
};

async function test() {
  const started = performance.now();
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { grep: { type: 'string' } } });
  const names =
    positionals.length > 0 ? positionals : Object.keys(groups).filter(name => name !== 'soak' && name !== 'docker');
  const unknown = names.find(name => !groups[name]);
  if (unknown) throw new Error(`there is no group ${unknown}; there are ${Object.keys(groups).join(', ')}`);
  const results = await prepare(names);
  if (!results.includes(notReady)) {
    for (const name of names) results.push(...(await runGroup(name, values.grep)));
  }
  if (values.grep && results.length === 0) results.push({ name: `no test is called ${values.grep}`, state: 'failed' });
  summarise(results, performance.now() - started);
}

const notReady = { name: 'set-up and build', state: 'failed' };

/** Everything the groups need, and the checks; what is wrong here counts as a failed test. */
async function prepare(names) {
  const inEditor = ['host', 'e2e', 'soak'].some(name => names.includes(name));
  const withRegistries = names.includes('contract') || names.includes('soak');
  try {
    await ensureNodeModules();
    await ensureDebianPackages([
      'sandboxes',
      ...(withRegistries ? ['registries'] : []),
      ...(names.includes('soak') ? ['a Debian image', 'images of other tools', 'daemons'] : []),
      ...(names.includes('docker') ? ['registries', 'daemons'] : []),
      ...(names.includes('contract') && asRoot ? ['a Docker daemon'] : []),
      ...(inEditor ? ['tests', ...editorNeeds()] : []),
    ]);
    const vscode = inEditor && inBackground(ensureVscode());
    const programs = names.includes('soak') && inBackground(ensureAgentPrograms());
    await build();
    const results = [await check('typecheck'), await check('lint')].flat();
    await vscode;
    await programs;
    if (names.includes('e2e') || names.includes('soak')) await pack();
    return results;
  } catch (error) {
    console.error(error.message);
    return [notReady];
  }
}

async function check(script) {
  try {
    await run('npm', ['run', '--silent', script], { quiet: true });
    console.log(`${script}: good`);
    return [];
  } catch (error) {
    console.error(error.message);
    return [{ name: script, state: 'failed' }];
  }
}

async function runGroup(name, grep) {
  const results = [];
  for (const pass of groups[name]) results.push(...(await runPass(name, pass, grep)));
  return results;
}

function summarise(results, milliseconds) {
  const counted = state => results.filter(result => result.state === state);
  for (const { name, reason } of counted('skipped')) console.log(`skipped: ${name}${reason ? ` (${reason})` : ''}`);
  for (const { name } of counted('failed')) console.log(`failed: ${name}`);
  console.log(`took ${Math.round(milliseconds / 1000)} s`);
  const [passed, failed, skipped] = ['passed', 'failed', 'skipped'].map(state => counted(state).length);
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  process.exitCode = failed === 0 ? 0 : 1;
}

await reportingFailure(test);
