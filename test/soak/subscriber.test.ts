import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientProcess } from '../harness/clientProcess.ts';
import { startEngine } from '../harness/engine.ts';
import { eventually } from '../harness/eventually.ts';
import { residentMemory } from '../harness/processes.ts';

const GIGABYTE = 1_073_741_824;
const MAY_GROW_MB = 200;
const MAY_TAKE_MS = 5_000;

test('a stopped subscriber of 1 GB of output costs neither memory nor the others', async () => {
  await using engine = await startEngine();
  await engine.busybox();
  const { pid } = engine.client.engine;
  using stopped = new ClientProcess(engine.home);
  using reader = new ClientProcess(engine.home);
  const { operation_id } = await engine.client.call('run', {
    // Waits for its input's end of file to go, so that the subscribers are there first.
    command: 'sleep 2; dd if=/dev/zero bs=1M count=1024 2>/dev/null',
    image: 'tag:busybox',
    network: 'none',
    timeout: 0,
    wait: false,
  });
  await stopped.follow(operation_id);
  await reader.follow(operation_id);
  stopped.process.kill('SIGSTOP');
  const before = residentMemory(pid);
  let highest = before;
  let slowest = 0;
  let served = 0;
  await eventually(
    'all output is written',
    async () => {
      const start = performance.now();
      assert.equal((await engine.run('echo served', { image: 'tag:busybox' })).stdout, 'served\n');
      slowest = Math.max(slowest, performance.now() - start);
      served++;
      highest = Math.max(highest, residentMemory(pid));
      const { status } = await reader.call('get_operation', { operation_id, truncate_output_at: 0 });
      return status === 'SUCCESS';
    },
    240,
  );
  const { output_bytes } = await reader.call('get_operation', { operation_id, truncate_output_at: 0 });
  console.log(`grew ${(highest - before).toFixed(0)} MB, ${served} runs served, slowest ${slowest.toFixed(0)} ms`);
  assert.equal(output_bytes.stdout, GIGABYTE);
  assert.ok(highest - before < MAY_GROW_MB, `the engine grew by ${(highest - before).toFixed(0)} MB`);
  assert.ok(slowest < MAY_TAKE_MS, `a run of another client took ${slowest.toFixed(0)} ms`);
  stopped.process.kill('SIGCONT');
});
