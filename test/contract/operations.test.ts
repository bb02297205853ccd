import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineClient } from '../../src/client/engineClient.ts';
import { followOutput } from '../../src/client/followOutput.ts';
import type { OperationResult } from '../../src/protocol/schemas/operations.ts';
import type { VerbInput } from '../../src/protocol/verbs.ts';
import { engineScript } from '../harness/coppiceHome.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { eventually } from '../harness/eventually.ts';
import { sandboxProcesses, without } from '../harness/testRuntime.ts';

let engine: TestEngine;
let image: string;

before(async () => {
  engine = await startEngine();
  image = await engine.busybox();
});
after(async () => engine[Symbol.asyncDispose]());

const run = (command: string, more: Partial<VerbInput<'run'>> = {}) => engine.run(command, { image, ...more });

async function start(command: string, more: Partial<VerbInput<'run'>> = {}): Promise<string> {
  const started = await engine.client.call('run', {
    image,
    command,
    network: 'none',
    timeout: 0,
    ...more,
    wait: false,
  });
  return started.operation_id;
}

const operation = (operation_id: string) => engine.client.call('get_operation', { operation_id });
const executing = (id: string) =>
  eventually(`${id} is executing`, async () => (await operation(id)).status === 'EXECUTING');
const printed = (id: string, text: string) =>
  eventually(`${id} prints ${text}`, async () => (await operation(id)).stdout.includes(text));

const newClient = () => EngineClient.connect({ home: engine.home, script: engineScript, start: false }, 'test');
const processesWith = (text: string) =>
  sandboxProcesses(engine.client.engine.pid).filter(process => process.command.includes(text));

async function succeeds(command: string, more: Partial<VerbInput<'run'>> = {}): Promise<string> {
  const result = await run(command, more);
  assert.equal(result.status, 'SUCCESS', `${result.stderr}${result.error?.message ?? ''}`);
  return result.stdout;
}

describe('run, input by input', () => {
  test('answers with everything about the run', async () => {
    const result = await run('echo out; echo err >&2');
    assert.match(result.operation_id, /^op-[0-9a-f]{16}$/);
    assert.deepEqual(
      {
        status: result.status,
        exit_code: result.exit_code,
        signal: result.signal,
        timed_out: result.timed_out,
        stdout: result.stdout,
        stderr: result.stderr,
        truncated: result.truncated,
        image: result.image,
        result_image: result.result_image,
        filesystem_changed: result.filesystem_changed,
        error: result.error,
      },
      {
        status: 'SUCCESS',
        exit_code: 0,
        signal: null,
        timed_out: false,
        stdout: 'out\n',
        stderr: 'err\n',
        truncated: { stdout: false, stderr: false },
        image,
        result_image: image,
        filesystem_changed: false,
        error: null,
      },
    );
    assert.ok(result.duration_ms !== null && result.duration_ms >= 0);
  });

  test('env reaches the command as it is', async () => {
    const value = ' "quoted" $HOME `id` \n é€🙂 = ';
    assert.equal(await succeeds('printf %s "$VALUE"', { env: { VALUE: value } }), value);
    assert.equal(await succeeds('printf %s "$EMPTY"; env | grep -c ^EMPTY=', { env: { EMPTY: '' } }), '1\n');
  });

  test('cwd is where it starts: / unless told otherwise', async () => {
    assert.equal(await succeeds('pwd'), '/\n');
    assert.equal(await succeeds('pwd', { cwd: '/tmp' }), '/tmp\n');
    // As container runtimes have it: a folder that is not there is made.
    assert.equal(await succeeds('pwd', { cwd: '/new/er' }), '/new/er\n');
  });

  test('user by name, by id, with a group; nobody unknown', async () => {
    assert.equal(await succeeds('id -u; id -g'), '0\n0\n');
    assert.equal(await succeeds('id -u; id -g', { user: 'nobody' }), '65534\n65534\n');
    assert.equal(await succeeds('id -u', { user: '1234' }), '1234\n');
    assert.equal(await succeeds('id -u; id -g', { user: '12:34' }), '12\n34\n');
    const unknown = await run('id', { user: 'martian' });
    assert.equal(unknown.status, 'FAILED');
    assert.match(unknown.error!.message, /martian/);
  });

  test('stdin is given whole and then ends; without any it is empty', async () => {
    const text = 'line\n'.repeat(100_000);
    assert.equal((await succeeds('wc -c', { stdin: text })).trim(), String(text.length));
    assert.equal(await succeeds('cat', { stdin: 'é\0\n' }), 'é\0\n');
    assert.equal(await succeeds('cat; echo end'), 'end\n');
    assert.equal(await succeeds('cat', { stdin: '' }), '');
  });

  test('args are never read by a shell', async () => {
    const args = ['a b', '$HOME', '`id`', '"; rm -rf / #', '', "it's", '*', 'é\n'];
    assert.equal(await succeeds('printf "[%s]"', { args }), args.map(word => `[${word}]`).join(''));
    assert.equal(
      await succeeds('printf', { args: ['[%s]', ...args], shell: false }),
      args.map(word => `[${word}]`).join(''),
    );
  });

  test('shell:false is the program itself, found by PATH', async () => {
    assert.equal(await succeeds('echo', { args: ['$HOME', '&&', 'x'], shell: false }), '$HOME && x\n');
    const line = await run('echo hi', { shell: false });
    assert.equal(line.status, 'FAILED', 'a line is no program');
  });

  test('files are laid over the image, with folders made, and may be binary or empty', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const binary = await engine.client.call('upload', { content_base64: bytes.toString('base64') });
    const empty = await engine.client.call('upload', { content: '' });
    const host = engine.folder.join('script.sh');
    writeFileSync(host, 'echo "script $1"');
    const script = await engine.client.call('upload', { path: host });
    const files = { '/in/deep/binary': binary.uuid, '/in/empty': empty.uuid, '/etc/group': script.uuid };
    const output = await succeeds('base64 -w0 /in/deep/binary; echo; wc -c < /in/empty; sh /etc/group x', { files });
    assert.equal(output, `${bytes.toString('base64')}\n0\nscript x\n`);
    assert.match(await succeeds('head -1 /etc/group'), /^root:/, 'the image itself is as it was');
  });

  test('an uploaded file nobody knows starts nothing', async () => {
    const before = (await engine.client.call('list_operations', {})).total;
    await assert.rejects(run('true', { files: { '/x': '00000000-0000-4000-8000-000000000000' } }), {
      code: 'file_not_found',
      field: 'files./x',
    });
    assert.equal((await engine.client.call('list_operations', {})).total, before);
  });

  test('network none reaches nothing', async () => {
    const output = await succeeds('ip -o link | wc -l; ping -c1 -W1 10.0.2.2 >/dev/null 2>&1 || echo unreachable');
    assert.equal(output, '1\nunreachable\n');
  });
});

describe('how a run ends', () => {
  for (const code of [1, 3, 126, 127, 255]) {
    test(`exit code ${code}`, async () => {
      const result = await run(`echo partial; exit ${code}`);
      assert.deepEqual([result.status, result.exit_code, result.stdout], ['FAILED', code, 'partial\n']);
    });
  }

  for (const [signal, number] of [
    ['SIGKILL', 9],
    ['SIGTERM', 15],
    ['SIGSEGV', 11],
  ] as const) {
    test(`killed by ${signal}`, async () => {
      const result = await run(`sh -c 'kill -${number} $$'; exit $?`);
      assert.deepEqual([result.status, result.exit_code, result.signal], ['FAILED', 128 + number, signal]);
    });
  }

  test('a program that is not there is not an internal error', async () => {
    const result = await run('/no/such/program', { shell: false });
    assert.equal(result.status, 'FAILED');
    assert.equal(result.error?.code, 'command_not_started');
    assert.ok(result.error.fix);
    const inShell = await run('no-such-program');
    assert.equal(inShell.exit_code, 127);
    assert.match(inShell.stderr, /not found/);
  });

  test('a timeout kills the whole tree and keeps the output', async () => {
    const command =
      'sleep 31337 & setsid sleep 31338 & (setsid sh -c "trap \'\' TERM HUP INT; sleep 31339; sleep 31339" &) ; echo started; sleep 31340';
    const result = await run(command, { timeout: 1 });
    assert.equal(result.status, 'FAILED');
    assert.equal(result.timed_out, true);
    assert.equal(result.stdout, 'started\n');
    assert.ok(result.duration_ms! < 5000);
    assert.deepEqual(processesWith('sleep 3133'), []);
    assert.ok(result.hints.some(hint => hint.includes('timeout')));
  });

  test('a process left in the background does not keep the run from ending, and does not outlive it', async () => {
    const result = await run('sleep 31341 & echo done');
    assert.deepEqual([result.status, result.stdout], ['SUCCESS', 'done\n']);
    assert.ok(result.duration_ms! < 5000);
    await eventually('it is gone', () => processesWith('sleep 31341').length === 0);
  });

  test('timeouts below a second work', async () => {
    const result = await run('sleep 10', { timeout: 0.2 });
    assert.equal(result.timed_out, true);
    assert.ok(result.duration_ms! < 3000);
  });
});

describe('output', () => {
  test('is cut at whole characters, and says that it was cut', async () => {
    // aé€🙂 is 1 + 2 + 3 + 4 bytes.
    for (let limit = 0; limit <= 12; limit++) {
      const result = await run('printf %s "$TEXT"; printf %s "$TEXT" >&2', {
        env: { TEXT: 'aé€🙂' },
        truncate_output_at: limit,
      });
      const expected = limit >= 10 ? 'aé€🙂' : limit >= 6 ? 'aé€' : limit >= 3 ? 'aé' : limit >= 1 ? 'a' : '';
      assert.equal(result.stdout, expected, `at ${limit}`);
      assert.equal(result.stderr, expected, `at ${limit}`);
      assert.deepEqual(result.truncated, { stdout: limit < 10, stderr: limit < 10 });
      assert.deepEqual(result.output_bytes, { stdout: 10, stderr: 10 });
    }
  });

  test('beyond the answer is all there, page by page and by its tail', async () => {
    const result = await run('seq 1 50000');
    assert.equal(result.truncated.stdout, true);
    const expected = `${Array.from({ length: 50_000 }, (_, n) => n + 1).join('\n')}\n`;
    let read = '';
    for (let offset = 0; ; ) {
      const page = await engine.client.call('read_output', { operation_id: result.operation_id, offset });
      read += page.text;
      offset = page.next_offset;
      if (page.eof) break;
    }
    assert.equal(read, expected);
    const tail = await engine.client.call('read_output', { operation_id: result.operation_id, tail: 12 });
    assert.equal(tail.text, '49999\n50000\n');
  });

  test('is followed live and without gaps', async () => {
    const id = await start('for i in $(seq 1 2000); do echo "line $i é"; done; sleep 0.1; echo last');
    const finished = engine.client.call('wait_operations', { operation_ids: [id] });
    const pieces: Buffer[] = [];
    await followOutput(engine.client, id, { write: (_stream, bytes) => void pieces.push(bytes) }, finished);
    const expected = `${Array.from({ length: 2000 }, (_, n) => `line ${n + 1} é\n`).join('')}last\n`;
    assert.equal(Buffer.concat(pieces).toString(), expected);
  });

  test('arrives while the command still runs', async () => {
    const id = await start('echo early; sleep 31342');
    await printed(id, 'early');
    assert.equal((await operation(id)).status, 'EXECUTING');
    assert.equal((await operation(id)).last_line, 'early');
    await engine.client.call('cancel_operation', { operation_id: id });
  });

  test('beyond the cap is dropped and said so, and the command goes on', async () => {
    process.env.COPPICE_OUTPUT_CAP = '4096';
    try {
      await using second = await startEngine();
      const base = await second.busybox();
      const result = await second.run('yes é | head -c 1000000; echo done >&2', { image: base });
      assert.deepEqual([result.status, result.stderr], ['SUCCESS', 'done\n']);
      assert.deepEqual(result.truncated, { stdout: true, stderr: false });
      assert.equal(result.output_bytes.stdout, 4096);
      // é and the end of its line are three bytes: the cap is in the middle of a character.
      assert.ok(result.stdout === 'é\n'.repeat(1365), result.stdout.slice(-10));
      const page = await second.client.call('read_output', { operation_id: result.operation_id, tail: 4 });
      assert.deepEqual([page.capped, page.eof], [true, true]);
    } finally {
      delete process.env.COPPICE_OUTPUT_CAP;
    }
  });

  test('of bytes that are no text is kept byte for byte', async () => {
    const result = await run("printf '\\377\\376\\000\\001'");
    const page = await engine.client.call('read_output', { operation_id: result.operation_id, encoding: 'base64' });
    assert.deepEqual([...Buffer.from(page.text, 'base64')], [255, 254, 0, 1]);
  });
});

describe('disposable and kept', () => {
  test('a disposable run leaves nothing but the word that it changed something', async () => {
    const result = await run('echo x > /new');
    assert.equal(result.filesystem_changed, true);
    assert.equal(result.result_image, image);
    assert.ok(result.hints.some(hint => hint.includes('disposable:false')));
    assert.equal(await succeeds('ls /new 2>/dev/null; echo gone'), 'gone\n');
  });

  test('a kept run is a new image; its parent is as it was', async () => {
    const kept = await engine.keep('echo x > /new; rm /etc/group', { image });
    assert.equal(kept.filesystem_changed, true);
    assert.notEqual(kept.result_image, image);
    assert.equal(
      await succeeds('cat /new; ls /etc/group 2>/dev/null || echo removed', { image: kept.result_image }),
      'x\nremoved\n',
    );
    assert.match(await succeeds('ls /new 2>/dev/null; cat /etc/group'), /^root:/);
    const lineage = await engine.client.call('lineage', { image: kept.result_image });
    assert.equal(lineage.parent?.image, image);
  });

  test('a kept run that changed nothing makes no image', async () => {
    const before = (await engine.images()).length;
    const result = await run('cat /etc/passwd > /dev/null', { disposable: false });
    assert.equal(result.filesystem_changed, false);
    assert.equal(result.result_image, image);
    assert.equal((await engine.images()).length, before);
  });

  test('a failed run that was to be kept is kept for a look', async () => {
    const result = await run('echo half > /half; exit 7', { disposable: false });
    assert.deepEqual([result.status, result.exit_code], ['FAILED', 7]);
    assert.notEqual(result.result_image, image);
    assert.equal(await succeeds('cat /half', { image: result.result_image! }), 'half\n');
  });

  test('so is one that ran out of time', async () => {
    const result = await run('echo half > /half; sleep 31343', { disposable: false, timeout: 0.5 });
    assert.equal(result.timed_out, true);
    assert.equal(await succeeds('cat /half', { image: result.result_image! }), 'half\n');
  });

  test('a tag goes to the kept image', async () => {
    const kept = await engine.keep('touch /tagged', { image, tag: 'contract/tagged:1' });
    assert.equal(await succeeds('ls /tagged', { image: 'tag:contract/tagged:1' }), '/tagged\n');
    assert.equal((await engine.client.call('get_image', { image: kept.result_image })).tag, 'contract/tagged:1');
  });

  test('a tag is not moved by a failure, nor taken from an image that did not change', async () => {
    const good = await engine.keep('touch /good', { image, tag: 'contract/moves' });
    const failed = await run('touch /bad; exit 1', { disposable: false, tag: 'contract/moves' });
    assert.notEqual(failed.result_image, image);
    assert.ok(failed.hints.some(hint => hint.includes('contract/moves')));
    const tagged = () => engine.client.call('get_image', { image: 'tag:contract/moves' });
    assert.equal((await tagged()).uuid, good.result_image);
    const unchanged = await run('true', { image: good.result_image, disposable: false, tag: 'contract/other' });
    assert.ok(unchanged.hints.some(hint => hint.includes('contract/other')));
    assert.equal((await tagged()).uuid, good.result_image);
    const plain = await engine.keep('touch /plain', { image });
    await run('true', { image: plain.result_image, disposable: false, tag: 'contract/plain' });
    assert.equal((await engine.client.call('get_image', { image: 'contract/plain' })).uuid, plain.result_image);
  });

  test('parallel runs of one image have the same parent and never see each other', async () => {
    const kept = await Promise.all(
      [0, 1, 2, 3, 4, 5, 6, 7].map(n => engine.keep(`ls /mine* 2>/dev/null; echo ${n} > /mine${n}`, { image })),
    );
    for (const [n, one] of kept.entries()) {
      assert.equal(one.stdout, '');
      assert.equal(await succeeds('cat /mine*', { image: one.result_image }), `${n}\n`);
      assert.equal((await engine.client.call('lineage', { image: one.result_image })).parent?.image, image);
    }
  });
});

describe('steps', () => {
  const steps = (lines: string[], more: Partial<VerbInput<'run'>> = {}) =>
    engine.client.call('run', { image, network: 'none', steps: lines, ...more }) as Promise<OperationResult>;

  test('are one operation with an image a step, each the parent of the next', async () => {
    const result = await steps(['echo a > /a', 'cat /a > /b', 'cat /a /b']);
    assert.equal(result.status, 'SUCCESS');
    assert.deepEqual(
      result.steps!.map(step => [step.command, step.exit_code]),
      [
        ['echo a > /a', 0],
        ['cat /a > /b', 0],
        ['cat /a /b', 0],
      ],
    );
    const [one, two, three] = result.steps!.map(step => step.image);
    assert.equal(two, three, 'the last changed nothing');
    assert.equal(result.result_image, two);
    assert.equal(result.stdout, 'a\na\n');
    const lineage = await engine.client.call('lineage', { image: two! });
    assert.deepEqual(
      lineage.ancestors.slice(0, 2).map(ancestor => ancestor.image),
      [one, image],
    );
  });

  test('stop at the first failure, whose image is kept', async () => {
    const result = await steps(['echo a > /a', 'echo half > /half; exit 4', 'echo never > /never']);
    assert.deepEqual([result.status, result.exit_code], ['FAILED', 4]);
    assert.equal(result.steps!.length, 2);
    assert.equal(result.steps![1]!.exit_code, 4);
    assert.equal(
      await succeeds('cat /a /half; ls /never 2>/dev/null', { image: result.result_image! }).catch(() => 'ls failed'),
      'ls failed',
    );
    assert.equal(await succeeds('cat /a /half', { image: result.result_image! }), 'a\nhalf\n');
    assert.equal(await succeeds('cat /a', { image: result.steps![0]!.image! }), 'a\n');
  });
});

describe('waiting', () => {
  test('all: every result, in one answer', async () => {
    const ids = await Promise.all([start('echo 1'), start('sleep 0.3; echo 2'), start('exit 3')]);
    const waited = await engine.client.call('wait_operations', { operation_ids: [...ids, 'op-000000000000'] });
    assert.deepEqual(waited.completed.toSorted(), ids.toSorted());
    assert.deepEqual(waited.unknown, ['op-000000000000']);
    assert.equal(waited.timed_out, false);
    assert.equal(waited.results[ids[1]!]!.stdout, '2\n');
    assert.equal(waited.results[ids[2]!]!.exit_code, 3);
  });

  test('any, and the rest cancelled', async () => {
    const slow = await start('sleep 31344');
    const quick = await start('echo won');
    const waited = await engine.client.call('wait_operations', {
      operation_ids: [slow, quick],
      mode: 'any',
      cancel_remaining: true,
    });
    assert.deepEqual([waited.completed, waited.cancelled, waited.pending], [[quick], [slow], []]);
    assert.deepEqual(processesWith('sleep 31344'), []);
  });

  test('a timeout cancels nothing', async () => {
    const id = await start('sleep 31345');
    const waited = await engine.client.call('wait_operations', { operation_ids: [id], timeout: 0.2 });
    assert.deepEqual([waited.timed_out, waited.pending], [true, [id]]);
    assert.equal((await operation(id)).status, 'EXECUTING');
    await engine.client.call('cancel_operation', { operation_id: id });
  });

  test('ids nobody knows are named', async () => {
    await assert.rejects(operation('op-ffffffffffff'), { code: 'operation_not_found' });
    const waited = await engine.client.call('wait_operations', { operation_ids: ['op-ffffffffffff'] });
    assert.deepEqual(waited.unknown, ['op-ffffffffffff']);
    await assert.rejects(engine.client.call('cancel_operation', { operation_id: 'op-ffffffffffff' }), {
      code: 'operation_not_found',
    });
  });
});

describe('cancelling', () => {
  test('ends the whole tree at once and keeps what was printed', async () => {
    const id = await start('setsid sleep 31346 & echo going; sleep 31346', { disposable: false });
    await printed(id, 'going');
    const cancelled = await engine.client.call('cancel_operation', { operation_id: id });
    assert.deepEqual([cancelled.cancelled, cancelled.status], [true, 'CANCELLED']);
    assert.deepEqual(processesWith('sleep 31346'), []);
    const after = await operation(id);
    assert.equal(after.stdout, 'going\n');
    assert.equal(after.result_image, null);
    const again = await engine.client.call('cancel_operation', { operation_id: id });
    assert.deepEqual([again.cancelled, again.status], [false, 'CANCELLED']);
  });

  test('the call cancels its operation', async () => {
    const controller = new AbortController();
    const before = (await engine.client.call('list_operations', {})).total;
    const waiting = engine.client.call(
      'run',
      { image, command: 'sleep 31347', network: 'none', timeout: 0 },
      { signal: controller.signal },
    );
    const id = await eventually('it is listed', async () => {
      const { operations, total } = await engine.client.call('list_operations', { limit: 1 });
      return total > before && operations[0]!.operation_id;
    });
    await executing(id);
    controller.abort();
    await waiting.catch(() => undefined);
    await eventually('it is cancelled', async () => (await operation(id)).status === 'CANCELLED');
  });

  test('a client that dies takes only what it waits for with it', async () => {
    const client = await newClient();
    const { operation_id: detached } = await client.call('run', {
      image,
      command: 'sleep 31348',
      network: 'none',
      timeout: 0,
      wait: false,
    });
    client.call('run', { image, command: 'sleep 31349', network: 'none', timeout: 0 }).catch(() => undefined);
    await eventually('both run', () => processesWith('sleep 3134').length >= 2);
    client.close();
    await eventually('the one it waited for is gone', () => processesWith('sleep 31349').length === 0);
    assert.equal((await operation(detached)).status, 'EXECUTING');
    await engine.client.call('cancel_operation', { operation_id: detached });
  });
});

describe('records', () => {
  test('hold no secret: neither the store, nor spools, nor the log, nor an event', async () => {
    const secret = `s3cr3t-${'x'.repeat(20)}-in-a-sandbox`;
    const result = await run('printf %s "$TOKEN" | wc -c; echo "$TOKEN" > /dev/null', { secrets: { TOKEN: secret } });
    assert.equal(result.stdout.trim(), String(secret.length));
    const kept = await engine.keep('test -n "$TOKEN" && echo x > /made-with-secret', {
      image,
      secrets: { TOKEN: secret },
    });
    assert.equal(await succeeds('printf %s "$TOKEN"', { image: kept.result_image }), '');
    const answer = await engine.client.call('get_operation', { operation_id: kept.operation_id });
    assert.ok(!JSON.stringify(answer).includes(secret));
    const found = grepHome(secret);
    assert.equal(found, '');
  });

  test('list what was run, by status and kind, newest first', async () => {
    const failed = await run('exit 9');
    const { operations } = await engine.client.call('list_operations', { status: 'FAILED', kind: 'run', limit: 1 });
    assert.equal(operations[0]!.operation_id, failed.operation_id);
    const imports = await engine.client.call('list_operations', { type: 'import_image' });
    assert.ok(imports.operations.every(each => each.kind === 'import_image') && imports.total > 0);
  });

  test('and output outlive the engine', async () => {
    await using second = await startEngine();
    const base = await second.busybox();
    const { operation_id } = await second.run('echo remembered; exit 5', { image: base });
    await second.client.stopEngine(true);
    await second.client.closed;
    const client = await EngineClient.connect({ home: second.home, script: engineScript, start: true }, 'test');
    const again = await client.call('get_operation', { operation_id });
    assert.deepEqual([again.status, again.exit_code, again.stdout], ['FAILED', 5, 'remembered\n']);
    client.close();
  });

  test('of what ran when the engine was killed end FAILED, interrupted, with the output so far', {
    skip: without('ends with its engine'),
  }, async () => {
    await using second = await startEngine();
    const base = await second.busybox();
    const { operation_id } = await second.client.call('run', {
      image: base,
      command: 'echo so far; sleep 31350',
      network: 'none',
      timeout: 0,
      wait: false,
    });
    await eventually('it prints', async () => {
      const { stdout } = await second.client.call('get_operation', { operation_id });
      return stdout === 'so far\n';
    });
    process.kill(second.client.engine.pid, 'SIGKILL');
    await second.client.closed;
    const client = await EngineClient.connect({ home: second.home, script: engineScript, start: true }, 'test');
    const again = await client.call('get_operation', { operation_id });
    assert.deepEqual([again.status, again.error?.code, again.stdout], ['FAILED', 'interrupted', 'so far\n']);
    await eventually('its processes are gone', () => !anyProcess('sleep 31350'));
    client.close();
  });
});

test('one client’s hundred operations do not hold up another’s one', async () => {
  const greedy = await newClient();
  const many = await Promise.all(
    Array.from({ length: 100 }, () =>
      greedy.call('run', { image, command: 'sleep 0.2', network: 'none', wait: false }),
    ),
  );
  const begun = Date.now();
  assert.equal((await run('echo quick')).status, 'SUCCESS');
  const took = Date.now() - begun;
  const left = await engine.client.call('list_operations', { status: 'PENDING' });
  assert.ok(left.total > 0, `the others were done already, after ${took} ms`);
  await Promise.all(many.map(each => greedy.call('cancel_operation', { operation_id: each.operation_id })));
  greedy.close();
  await sleep(0);
});

test('the size of a large change is told when it is counted', async () => {
  const result = await run('mkdir /many; for i in $(seq 300); do seq 200 > /many/$i; done', { disposable: false });
  const sizeOf = async () => (await engine.client.call('get_image', { image: result.result_image! })).size;
  await eventually('the size is known', async () => (await sizeOf()) >= 300 * 512);
});

/** Every file of the home that holds the text, by grep: the store is binary. An overlay's own `work` is nobody's to read. */
function grepHome(text: string): string {
  try {
    return execFileSync('grep', ['-rlaF', '--exclude-dir=work', '--', text, engine.home], { encoding: 'utf8' });
  } catch (error) {
    if ((error as { status?: number }).status === 1) return '';
    throw error;
  }
}

function anyProcess(text: string): boolean {
  const all = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' });
  return all.split('\n').some(line => line.includes(text) && !line.startsWith('ps '));
}

describe('runs in groups', () => {
  test('no more than the limit run at once, and the group is found again with its labels', async () => {
    const group = { id: 'sweep-1', concurrency: 2 };
    const ids = await Promise.all([1, 2, 3, 4, 5].map(n => start('sleep 0.3', { group, labels: { n: String(n) } })));
    const { operations, total } = await engine.client.call('list_operations', { group: 'sweep-1' });
    assert.equal(total, 5);
    assert.deepEqual(new Set(operations.map(({ labels }) => labels.n)), new Set(['1', '2', '3', '4', '5']));
    const { results } = await engine.client.call('wait_operations', { operation_ids: ids });
    const spans = Object.values(results).map(({ started_at, finished_at }) => [
      Date.parse(started_at!),
      Date.parse(finished_at!),
    ]);
    // In the middle of a run: the end of one is recorded a moment after the next has started.
    const most = Math.max(
      ...spans.map(([at]) => spans.filter(([from, to]) => from! <= at! + 150 && at! + 150 < to!).length),
    );
    assert.equal(most, 2);
  });

  test('a run is run again as it was, in its group', async () => {
    const first = await run('echo "$WORD"; exit 3', {
      env: { WORD: 'same' },
      group: { id: 'again' },
      labels: { a: 'b' },
    });
    const again = await engine.client.call('run_again', { operation_id: first.operation_id });
    await engine.client.call('wait_operations', { operation_ids: [again.operation_id] });
    const second = await operation(again.operation_id);
    assert.deepEqual(
      [second.stdout, second.exit_code, second.image, second.group, second.labels],
      ['same\n', 3, image, 'again', { a: 'b' }],
    );
  });

  test('what was not recorded cannot be given again', async () => {
    const secret = await run('true', { secrets: { KEY: 'x' } });
    await assert.rejects(
      engine.client.call('run_again', { operation_id: secret.operation_id }),
      /secrets were not kept/,
    );
  });
});
