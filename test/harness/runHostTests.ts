import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { calmSettings, startVscodeServer, writeUserSettings } from '../../scripts/vscodeServer.mjs';
import { openPage } from './browser.ts';
import { CoppiceHome, repository } from './coppiceHome.ts';
import type { HostTests } from './hostRunner.ts';
import { TemporaryFolder } from './temporaryFolder.ts';
import type { TestResult } from './testResult.ts';
import { copyFolder } from './vscode.ts';

/**
 * Runs mocha tests (`describe`, `it`) inside the real extension host, in one window, with `dist/extension.js` loaded from
 * the repository as an extension under development:
 *
 *     node test/harness/runHostTests.ts [--grep text] [--folder examples/sample] test/host/*.test.ts
 *
 * A test reaches the extension by `vscode.extensions.getExtension('coppice.coppice')`. COPPICE_HOME is a fresh folder;
 * a copy of `--folder` is the first folder of the workspace, an empty one called `second` the other. Modal dialogs throw there.
 */
export interface HostRun {
  readonly extension: string;
  readonly files: readonly string[];
  readonly folder: string;
  readonly grep?: string | undefined;
  /** For the extension host, over what it has. */
  readonly env?: Readonly<Record<string, string>>;
}

const TIMEOUT_MS = 5 * 60_000;

export async function runHostTests(asked: HostRun): Promise<readonly TestResult[]> {
  await using parts = new AsyncDisposableStack();
  const temporary = parts.use(new TemporaryFolder());
  const home = parts.use(new CoppiceHome());
  const workspace = makeWorkspace(copyFolder(asked.folder, temporary), temporary);
  const results = temporary.join('results.json');
  const place = path.join(asked.extension, '.cache', `host-tests-${process.pid}`);
  const clear = () => rmSync(place, { recursive: true, force: true });
  process.once('exit', clear);
  parts.defer(() => {
    process.off('exit', clear);
    clear();
  });
  const bundles = await bundle(asked, place);
  const tests: HostTests = { files: bundles.files, grep: asked.grep, results };
  writeUserSettings(temporary.join('data'), calmSettings);
  const server = await startVscodeServer({
    dataFolder: temporary.join('data'),
    // The smoke-test driver's page ignores tokens; it lives for seconds and is alone on its port.
    open: true,
    flags: ['--enable-smoke-test-driver', '--disable-workspace-trust'],
    // With an image to start from nobody is asked for one.
    env: { ...home.env, COPPICE_IMAGE: 'host:', TMPDIR: temporary.path },
  });
  parts.defer(() => server.dispose());
  const { page } = parts.use(await openPage(temporary.path));
  const log: string[] = [];
  const ended = new Promise<number>(resolve => void page.exposeFunction('codeAutomationExit', resolve));
  await page.exposeFunction('codeAutomationLog', (_type: string, words: readonly unknown[]) => listen(words, log));
  const remote = (file: string) => `vscode-remote://${server.authority}${file}`;
  const payload = [
    ['extensionDevelopmentPath', remote(asked.extension)],
    ['extensionTestsPath', remote(bundles.runner)],
    ['extensionEnvironment', JSON.stringify({ ...asked.env, COPPICE_HOST_TESTS: JSON.stringify(tests) })],
  ];
  await page.goto(`${server.address(workspace)}&payload=${encodeURIComponent(JSON.stringify(payload))}`);
  const code = await Promise.race([ended, timeout()]);
  if (code !== 0) throw new Error(`the extension host ended with ${code}\n${log.slice(-60).join('\n')}`);
  return JSON.parse(readFileSync(results, 'utf8')) as TestResult[];
}

/** Several folders are the harder case; what holds there holds for one. */
function makeWorkspace(first: string, temporary: TemporaryFolder): string {
  const second = temporary.join('second');
  mkdirSync(second);
  const file = temporary.join('tests.code-workspace');
  writeFileSync(file, JSON.stringify({ folders: [{ path: first }, { path: second }] }));
  return file;
}

/** The tests path must lie inside the extension, and its modules are loaded by the extension host's own `require`. */
async function bundle(
  { files }: HostRun,
  folder: string,
): Promise<{ readonly runner: string; readonly files: string[] }> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'package.json'), '{ "type": "commonjs" }\n');
  const sources = [path.join(import.meta.dirname, 'hostRunner.ts'), ...files.map(file => path.resolve(file))];
  const outputs = sources.map(source => path.join(folder, `${path.basename(source, '.ts')}.js`));
  await build({
    entryPoints: sources,
    outdir: folder,
    entryNames: '[name]',
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node24',
    sourcemap: 'inline',
    external: ['vscode', 'mocha', '*.node'],
    define: { 'import.meta.dirname': '__dirname', 'import.meta.main': 'false' },
    logLevel: 'warning',
  });
  return { runner: outputs[0]!, files: outputs.slice(1) };
}

/** The runner's own lines are progress; the rest of the window's console is kept for a failure. */
function listen(words: readonly unknown[], log: string[]): void {
  const line = words.join(' ');
  const [, json] = /coppice-host-test (\{.*\})/.exec(line) ?? [];
  if (json) print(JSON.parse(json) as TestResult);
  else log.push(line);
}

function print({ name, state, reason }: TestResult): void {
  console.log(`${{ passed: '✔', failed: '✖', skipped: '﹣' }[state]} ${name}${reason ? `\n${reason}` : ''}`);
}

function timeout(): Promise<string> {
  return new Promise(resolve => setTimeout(resolve, TIMEOUT_MS, `nothing for ${TIMEOUT_MS / 60_000} minutes`).unref());
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { grep: { type: 'string' }, folder: { type: 'string', default: 'examples/sample' } },
  });
  const results = await runHostTests({
    extension: repository,
    files: positionals,
    folder: values.folder,
    grep: values.grep,
  });
  if (process.env.COPPICE_TEST_RESULTS) writeFileSync(process.env.COPPICE_TEST_RESULTS, JSON.stringify(results));
  process.exitCode = results.some(result => result.state === 'failed') ? 1 : 0;
}
