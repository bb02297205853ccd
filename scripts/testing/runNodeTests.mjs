import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { parseArgs } from 'node:util';

// node --test with a list of results beside the report. Runs on the project's Node, in a group's environment:
//   COPPICE_TEST_RESULTS=file node runNodeTests.mjs --concurrency 2 --minutes 4 [--grep text] files…

const { values, positionals: files } = parseArgs({
  allowPositionals: true,
  options: { concurrency: { type: 'string' }, minutes: { type: 'string' }, grep: { type: 'string' } },
});

const results = [];
const isFile = name => files.some(file => path.resolve(file) === path.resolve(name));
const tests = run({
  files,
  concurrency: Number(values.concurrency),
  timeout: Number(values.minutes) * 60_000,
  ...(values.grep && { testNamePatterns: [new RegExp(RegExp.escape(values.grep))] }),
});
tests.on('test:pass', event => note(event, event.skip ?? event.todo));
tests.on('test:fail', event => note(event, event.todo));
tests.on('end', () => writeFileSync(process.env.COPPICE_TEST_RESULTS, JSON.stringify(results)));
tests.compose(new spec()).pipe(process.stdout);

function note({ name, details }, notRun) {
  const { type, error } = details;
  // A parent fails with its subtests, and a file that holds no test at all is reported as one.
  if (type === 'suite' || error?.failureType === 'subtestsFailed' || (!error && isFile(name))) return;
  if (notRun !== undefined) results.push({ name, state: 'skipped', reason: String(notRun) });
  else results.push({ name, state: error ? 'failed' : 'passed' });
}
