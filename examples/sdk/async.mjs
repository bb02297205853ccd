// Async code: the same methods, awaited. `coppice/async` starts no thread and never blocks.
import { Sandbox, SandboxExecutionError } from 'coppice/async';

await using sandbox = Sandbox.run({ network: 'none' });

const [uname, words] = await Promise.all([
  sandbox.exec(['uname', '-s']),
  sandbox.exec(['wc', '-w'], { stdin: 'how many words are these' }),
]);
console.log(uname.stdout.trim(), words.stdout.trim());

const build = sandbox.exec(['sh', '-c', 'echo compiling; sleep 0.05; echo linking']);
for await (const line of build.stdout) console.log('build:', line);

try {
  await sandbox.exec(['sh', '-c', 'echo broken >&2; exit 2'], { check: true });
} catch (error) {
  if (!(error instanceof SandboxExecutionError)) throw error;
  console.log('failed with', error.result.returncode, error.result.stderr.trim());
}
