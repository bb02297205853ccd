import assert from 'node:assert/strict';
import { Sandbox } from 'coppice/compat';

// The code blocks of the document that the SDK comes from, line by line; Python's spelling, JavaScript's punctuation.
const printed = [];
const print = text => printed.push(text);

{
  // Sync Pattern
  // Sandbox.run() returns immediately
  const sandbox = Sandbox.run();
  // .result() blocks for result
  const result = sandbox.exec(['echo', 'hello']).result();
  print(result.stdout); // "hello\n"
  // Context manager for automatic cleanup
  {
    using sandbox = Sandbox.run();
    const result = sandbox.exec(['ls']).result();
    print(result.stdout);
  }
}
assert.equal(printed[0], 'hello\n');
assert.match(printed[1], /\bbin\n/);

// Key Sync Methods
{
  const sandbox = Sandbox.run();
  assert.equal(sandbox.wait().done, true); // Wait until RUNNING status
  assert.equal(sandbox.get_status(), 'running'); // Fetch fresh status
  sandbox.write_file('/f', 'text').get();
  assert.equal(Buffer.from(sandbox.read_file('/f').get()).toString(), 'text');
  const same = Sandbox.from_id(sandbox.id).get();
  assert.ok(same instanceof Sandbox);
  assert.ok(
    Sandbox.list({ show_terminated: true })
      .get()
      .some(each => each.id === sandbox.id),
  );
  Sandbox.delete(sandbox.id).get();
  Sandbox.delete('sb-000000', { missing_ok: true }).get();
  assert.equal(sandbox.wait_until_complete(), null); // Wait until terminal status
  assert.equal(sandbox.get_status(), 'terminated');
}

{
  // Async Codebases
  async function main() {
    // Sandbox.run() returns immediately
    const sandbox = Sandbox.run();
    // await instead of .result()
    const result = await sandbox.exec(['echo', 'hello']);
    print(result.stdout); // "hello\n"
    // Async context manager for automatic cleanup
    {
      await using sandbox = Sandbox.run();
      const result = await sandbox.exec(['ls']);
      print(result.stdout);
    }
  }
  await main();
  assert.equal(printed[2], 'hello\n');
  assert.equal(printed[3], printed[1]);
}

{
  // Parallel Execution
  // Start multiple sandboxes (each returns immediately)
  const sandboxes = [0, 1, 2].map(() => Sandbox.run());
  // Fire off commands on each sandbox (non-blocking)
  const processes = sandboxes.map((sb, i) => sb.exec(['echo', `sandbox-${i}`]));
  // Now block for all results
  const results = processes.map(p => p.result());
  for (const r of results) print(r.stdout);
  // Clean up
  for (const sb of sandboxes) sb.stop();
  assert.deepEqual(printed.slice(4), ['sandbox-0\n', 'sandbox-1\n', 'sandbox-2\n']);
}

{
  // Jupyter Notebooks
  // Cell 1 - Create sandbox
  const sandbox = Sandbox.run({ tags: ['notebook'] });
  sandbox.wait(); // Wait until RUNNING
  // Cell 2 - Execute commands
  const result = sandbox.exec(['python', '-c', 'print(1+1)']).result();
  assert.equal(result.stdout, '2\n');
  // Cell 3 - Discovery
  const sandboxes = Sandbox.list({ tags: ['notebook'] }).get();
  print(`Found ${sandboxes.length} sandboxes`);
  assert.equal(printed.at(-1), 'Found 1 sandboxes');
  // Works in Jupyter without asyncio.run()
  assert.equal((await Sandbox.list({ tags: ['notebook'] })).length, 1);
  // Cell 4 - Cleanup
  sandbox.stop().get();
}
console.log('ported');
