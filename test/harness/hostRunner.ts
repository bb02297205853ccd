import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';
import type { TestResult } from './testResult.ts';

/** Runs inside VS Code's extension host: the module that `extensionTestsPath` names. runHostTests.ts says what to run. */
export async function run(): Promise<void> {
  const { files, grep, results } = JSON.parse(process.env.COPPICE_HOST_TESTS!) as HostTests;
  const mocha = new Mocha({ ui: 'bdd', timeout: 30_000, reporter: Mocha.reporters.Base, ...(grep && { grep }) });
  for (const file of files) mocha.addFile(file);
  const collected: TestResult[] = [];
  await new Promise<void>(resolve =>
    report(
      mocha.run(() => resolve()),
      collected,
    ),
  );
  writeFileSync(results, JSON.stringify(collected));
}

/** What is asked of the runner, in its environment. */
export interface HostTests {
  readonly files: readonly string[];
  readonly grep: string | undefined;
  readonly results: string;
}

function report(runner: Mocha.Runner, collected: TestResult[]): void {
  const note = (test: Mocha.Runnable, result: Omit<TestResult, 'name'>) => {
    collected.push({ name: test.titlePath().join(' › '), ...result });
    console.log(`coppice-host-test ${JSON.stringify(collected.at(-1))}`);
  };
  runner.on('pass', test => note(test, { state: 'passed' }));
  runner.on('pending', test => note(test, { state: 'skipped' }));
  runner.on('fail', (test, error: Error) => note(test, { state: 'failed', reason: error.stack ?? String(error) }));
}
