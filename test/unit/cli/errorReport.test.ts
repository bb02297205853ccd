import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { commands } from '../../../src/cli/commands.ts';
import { errorLine, reportError } from '../../../src/cli/errorReport.ts';
import { EXIT, exitCodeOfOperation, exitCodeOfProcess } from '../../../src/cli/exitCode.ts';
import { inWordsOfTheLine } from '../../../src/cli/lineWords.ts';
import type { Channel, Terminal } from '../../../src/cli/terminal.ts';
import { UsageError } from '../../../src/cli/usageError.ts';
import { CoppiceError, type ErrorCode } from '../../../src/protocol/errors.ts';

function report(error: unknown, name?: string, json = false, interrupted = false): { code: number; text: string } {
  const lines: string[] = [];
  const channel: Channel = {
    isTerminal: false,
    width: 80,
    height: 24,
    line: text => void lines.push(text ?? ''),
    write: () => {},
    style: (_format, text) => text,
  };
  const terminal: Terminal = {
    out: channel,
    err: channel,
    interactive: false,
    confirm: async () => false,
    ask: async () => undefined,
  };
  const command = commands.find(candidate => candidate.name === name);
  return { code: reportError(error, command, json, terminal, interrupted), text: lines.join('\n') };
}

describe('an error', () => {
  it('is one line with the next step', () => {
    const error = new CoppiceError('image_not_found', 'no image x', { fix: 'See coppice images.' });
    assert.deepEqual(report(error, 'inspect'), { code: 1, text: 'coppice: no image x. See coppice images.' });
    assert.equal(errorLine({ message: 'a\n  b', fix: 'Do\x1b[2Jit' }), 'a b. Do␛[2Jit.');
  });

  it('speaks of options where the engine speaks of fields', () => {
    const error = new CoppiceError('invalid_input', 'limits.memory: is not a size', { field: 'limits.memory' });
    assert.deepEqual(report(error, 'run'), { code: 2, text: 'coppice: --memory: is not a size.' });
    assert.equal(inWordsOfTheLine('run it with disposable:false.'), 'run it with --keep.');
    assert.equal(inWordsOfTheLine('Raise limits.memory.'), 'Raise --memory.');
  });

  it('has an exit code that tells whose fault it was', () => {
    const code = (name: ErrorCode, command: string) => report(new CoppiceError(name, 'x'), command).code;
    assert.equal(code('invalid_input', 'images'), EXIT.usage);
    assert.equal(code('image_not_found', 'images'), EXIT.failed);
    assert.equal(code('image_not_found', 'run'), EXIT.trouble);
    assert.equal(code('engine_died', 'images'), EXIT.trouble);
    assert.equal(report(new Error('what'), 'images').code, EXIT.trouble);
    assert.deepEqual(report(new UsageError('no', 'run')), { code: 2, text: 'coppice: no. See coppice help run.' });
    assert.deepEqual(report(new Error('aborted'), 'cp', false, true), { code: EXIT.cancelled, text: '' });
  });

  it('is one JSON document on one line when asked for', () => {
    const { text } = report(new CoppiceError('image_not_found', 'no image x', { field: 'image' }), 'inspect', true);
    assert.deepEqual(JSON.parse(text), { error: { code: 'image_not_found', message: 'no image x', field: 'image' } });
  });
});

describe('an exit code', () => {
  const ended = { status: 'FAILED', exit_code: null, signal: null, timed_out: false, error: null } as const;
  it('is the command’s own', () => {
    assert.equal(exitCodeOfOperation({ ...ended, exit_code: 7 }), 7);
    assert.equal(exitCodeOfOperation({ ...ended, status: 'SUCCESS', exit_code: 0 }), 0);
    assert.equal(exitCodeOfProcess({ ...ended, exit_code: 3 }), 3);
  });
  it('follows the shells’ customs otherwise', () => {
    assert.equal(exitCodeOfOperation({ ...ended, signal: 'SIGKILL' }), 137);
    assert.equal(exitCodeOfOperation({ ...ended, timed_out: true, signal: 'SIGKILL' }), 124);
    assert.equal(exitCodeOfOperation({ ...ended, status: 'CANCELLED' }), 130);
    assert.equal(exitCodeOfOperation(ended), 125);
  });
});
