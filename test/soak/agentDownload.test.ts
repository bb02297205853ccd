import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import type { Progress } from '@modelcontextprotocol/sdk/types.js';
import { TestAgent } from '../harness/agent.ts';
import { startEngine } from '../harness/engine.ts';

const SIZE = 2 * 1024 ** 3;
const MOST_MEMORY_KB = 400_000;
const PATIENCE_MS = 15 * 60_000;

test('an agent downloads 2 GiB: progress by bytes, the same bytes, little memory; cancelled half-way it leaves nothing', async () => {
  await using engine = await startEngine();
  const image = await engine.busybox();
  await using agent = await TestAgent.start(engine);
  const command = `yes 0123456789abcdef | head -c ${SIZE} > /large && sha256sum /large`;
  const made = await agent.call<{ result_image: string; stdout: string }>(
    'run',
    { command, image, network: 'none', disposable: false, timeout: 900 },
    { timeout: PATIENCE_MS },
  );
  const input = { image: made.value.result_image, path: '/large' };

  const steps: Progress[] = [];
  const { value } = await agent.call<{ destination: string; size: number }>(
    'download',
    { ...input, destination: 'large' },
    { onprogress: step => void steps.push(step), timeout: PATIENCE_MS },
  );
  assert.equal(value.size, SIZE);
  assert.ok(steps.length > 5, `${steps.length} steps`);
  assert.ok(steps.every((step, index) => index === 0 || step.progress > steps[index - 1]!.progress));
  assert.ok(steps.every(step => step.total === SIZE && step.progress <= SIZE));
  const hash = createHash('sha256');
  await pipeline(createReadStream(value.destination), hash);
  assert.equal(hash.digest('hex'), made.value.stdout.split(' ')[0]);
  for (const pid of [agent.transport.pid!, engine.client.engine.pid]) {
    const most = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
    assert.ok(most < MOST_MEMORY_KB, `process ${pid} took ${most} KB`);
  }

  const cancel = new AbortController();
  const going = agent.call(
    'download',
    { ...input, destination: 'cancelled' },
    {
      timeout: PATIENCE_MS,
      signal: cancel.signal,
      onprogress: ({ progress }) => void (progress > SIZE / 4 && cancel.abort()),
    },
  );
  await assert.rejects(going);
  assert.ok(!existsSync(engine.folder.join('cancelled')));
  assert.equal(statSync(value.destination).size, SIZE);
});
