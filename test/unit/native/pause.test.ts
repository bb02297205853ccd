import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { pauseProgram } from '../../../src/runtimes/native/pause.ts';

const here = process.platform === 'linux' && (process.arch === 'x64' || process.arch === 'arm64');

test('a static program of one read-only segment, on both architectures', () => {
  for (const [architecture, machine] of [
    ['x64', 62],
    ['arm64', 183],
  ] as const) {
    const program = pauseProgram(architecture);
    assert.equal(program.subarray(0, 4).toString('latin1'), '\x7fELF');
    assert.equal(program.readUInt16LE(18), machine);
    assert.equal(program.readUInt32LE(68), 5);
    assert.equal(Number(program.readBigUInt64LE(96)), program.length);
    assert.ok(program.length < 512);
  }
  assert.throws(() => pauseProgram('mips'));
});

describe('the pause program', { skip: !here }, () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'coppice-pause-'));
  const file = path.join(folder, 'pause');
  writeFileSync(file, pauseProgram(process.arch), { mode: 0o755 });
  after(() => rmSync(folder, { recursive: true }));

  test('ends at once when it is given an argument', () => {
    assert.equal(spawnSync(file, ['x']).status, 0);
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`waits without working, ignores SIGCHLD, ends on ${signal}`, async () => {
      const child = spawn(file, { stdio: 'ignore' });
      const exit = once(child, 'exit');
      await until(() => stateOf(child.pid!) === 'S');
      child.kill('SIGCHLD');
      await pause(20);
      assert.equal(stateOf(child.pid!), 'S');
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      const ignored = BigInt(`0x${/^SigIgn:\s+(\w+)/m.exec(status)?.[1]}`);
      assert.notEqual(ignored & (1n << 16n), 0n);
      child.kill(signal);
      assert.deepEqual(await exit, [0, null]);
    });
  }
});

function stateOf(pid: number): string | undefined {
  return /^State:\s+(\w)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !condition(); tries++) await pause(10);
  assert.ok(condition());
}
