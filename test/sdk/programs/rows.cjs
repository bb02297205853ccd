'use strict';
const assert = require('node:assert/strict');

/**
 * The spec's table, a row a function. `yield ref` is `ref.get()` in a blocking program and `await ref` in an async one,
 * `yield { each: stream }` reads a stream by `for … of` or `for await … of`, so that both forms run the very same row.
 */

const quick = { network: 'none' };
const shell = line => ['/bin/sh', '-c', line];

function* fails(ref, Class) {
  try {
    yield ref;
  } catch (error) {
    assert.ok(error instanceof Class, `${error.name} ${error.message} is no ${Class.name}`);
    return error;
  }
  throw new Error(`no ${Class.name}`);
}

exports.rows = {
  *'OperationRef: both forms, in any order, as often as one likes'(sdk) {
    const sandbox = sdk.Sandbox.run(quick);
    const ref = sandbox.exec(['echo', 'hello']);
    assert.ok(ref instanceof sdk.OperationRef);
    const first = yield ref;
    assert.equal(yield ref, first);
    assert.equal(yield { awaited: ref }, first);
    assert.equal(yield ref, first);
    assert.deepEqual([ref.done, ref.state], [true, 'done']);
    const bad = sandbox.readFile('/no/such/file');
    const error = yield* fails(bad, sdk.SandboxError);
    assert.equal(yield* fails(bad, sdk.SandboxFileError), error);
    assert.deepEqual(
      [error.code, error.sandboxId, error.retryable, bad.state],
      ['path_not_found', sandbox.id, false, 'failed'],
    );
    assert.equal(yield { awaited: bad.catch(reason => reason) }, error);
    let ended = false;
    yield { awaited: ref.finally(() => (ended = true)) };
    assert.ok(ended);
    const cancelled = sandbox.exec(['sleep', '41770']);
    assert.equal(cancelled.state, 'pending');
    assert.equal(cancelled.cancel(), true);
    yield* fails(cancelled, sdk.OperationCancelledError);
    assert.deepEqual([cancelled.state, cancelled.cancel()], ['cancelled', false]);
    // Nobody asks for these, and the program goes on.
    for (let n = 0; n < 20; n++) sandbox.readFile('/no/such/file');
    assert.equal(typeof sandbox.then, 'undefined');
    yield sandbox.stop();
  },

  *'Process: streams, input, signals, exit codes'(sdk) {
    const sandbox = sdk.Sandbox.run(quick);
    const process = sandbox.exec(shell('printf "one\\ntwo é\\n"; echo err >&2; printf last; exit 3'));
    assert.deepEqual(yield { each: process.stdout }, ['one', 'two é', 'last']);
    assert.deepEqual(yield { each: process.stdout.lines() }, ['one', 'two é', 'last']);
    assert.equal((yield { each: process.stdout.chunks() }).join(''), 'one\ntwo é\nlast');
    assert.equal(yield process.stderr.readAll(), 'err\n');
    const result = yield process;
    assert.deepEqual(
      [result.stdout, result.stderr, result.returncode, result.ok, result.signal, result.truncated],
      ['one\ntwo é\nlast', 'err\n', 3, false, null, false],
    );
    assert.equal(Buffer.from(result.stdoutBytes).toString(), result.stdout);
    assert.deepEqual(result.command, process.command);
    assert.ok(result.durationMs >= 0);
    assert.deepEqual([process.poll(), process.returncode, yield process.wait()], [3, 3, 3]);

    const cat = sandbox.exec(['cat'], { stdin: true });
    assert.equal(cat.poll(), undefined);
    cat.stdin.write('typed ');
    yield cat.stdin.write(Buffer.from('é\n'));
    yield cat.stdin.end('end');
    assert.equal((yield cat).stdout, 'typed é\nend');

    const sleeper = sandbox.exec(['sleep', '41771']);
    yield sleeper.kill('SIGTERM');
    const killed = yield sleeper;
    assert.deepEqual([killed.returncode, killed.signal], [143, 'SIGTERM']);
    // Nobody reads it, and it does not stand still for that.
    const flood = sandbox.exec(shell('head -c 3000000 /dev/zero; echo done >&2'));
    assert.equal(yield flood.stderr.readAll(), 'done\n');
    assert.equal((yield flood).stdoutBytes.byteLength, 3_000_000);
    yield sandbox.stop();
  },

  *'run, list, fromId, delete: at once, by all tags, from another process too'(sdk, { foreign }) {
    const tag = `row-${process.pid}-${Math.random()}`;
    sdk.Sandbox.run(quick).stop();
    const taken = Array.from({ length: 5 }, () => {
      const begun = performance.now();
      const sandbox = sdk.Sandbox.run({ ...quick, tags: ['row', tag] });
      sandbox.taken = performance.now() - begun;
      return sandbox;
    });
    const median = taken.map(sandbox => sandbox.taken).sort((a, b) => a - b)[2];
    assert.ok(median < 50, `run() took ${median} ms`);
    assert.equal(yield sdk.Sandbox.run('echo', 'a b', quick).waitUntilComplete(), 0);
    const ids = options => sdk.Sandbox.list(options);
    const found = yield ids({ tags: ['row', tag] });
    assert.deepEqual(new Set(found.map(each => each.id)), new Set(taken.map(each => each.id)));
    assert.ok(found.every(each => each instanceof sdk.Sandbox));
    assert.deepEqual(yield ids({ tags: ['row', 'no such tag'] }), []);
    const [one] = taken;
    yield one.wait();
    assert.ok((yield ids({ tags: [tag], status: 'running' })).some(each => each.id === one.id));
    assert.equal((yield sdk.Sandbox.fromId(one.id)).id, one.id);
    yield sdk.Sandbox.delete(one.id);
    assert.equal(yield one.getStatus(), 'terminated');
    assert.ok((yield ids({ tags: [tag], showTerminated: true })).some(each => each.id === one.id));
    assert.ok(!(yield ids({ tags: [tag] })).some(each => each.id === one.id));
    yield* fails(sdk.Sandbox.delete('sb-000000'), sdk.SandboxNotFoundError);
    yield sdk.Sandbox.delete('sb-000000', { missingOk: true });
    yield* fails(sdk.Sandbox.fromId('sb-000000'), sdk.SandboxNotFoundError);
    assert.equal((yield (yield sdk.Sandbox.fromId(foreign)).exec(['cat', '/mark'])).stdout, 'of another program');
    assert.deepEqual(
      (yield ids({ tags: ['foreign'] })).map(each => each.id),
      [foreign],
    );
    yield* fails(sdk.Sandbox.run({ image: 'tag:no-such-image' }).exec(['true']), sdk.ImageNotFoundError);
    assert.throws(() => sdk.Sandbox.run({ imagee: 'x' }), sdk.InvalidInputError);
    for (const sandbox of taken) yield sandbox.stop();
  },

  *'exec: folder, environment, user, check, time-out, input, signal'(sdk) {
    const sandbox = sdk.Sandbox.run({ ...quick, env: { A: 'one', B: 'two' }, cwd: '/tmp' });
    const said = yield sandbox.exec(shell('echo $A $B; pwd; id -u'), {
      env: { B: 'own' },
      cwd: '/etc',
      user: 'nobody',
    });
    assert.equal(said.stdout, 'one own\n/etc\n65534\n');
    const failed = yield* fails(
      sandbox.exec(shell('echo out; echo why >&2; exit 4'), { check: true }),
      sdk.SandboxExecutionError,
    );
    assert.deepEqual([failed.result.returncode, failed.result.stdout, failed.code], [4, 'out\n', 'execution_failed']);
    assert.match(failed.message, /why/);
    const late = yield* fails(
      sandbox.exec(shell('echo part; sleep 41772 & sleep 41772'), { timeoutMs: 400 }),
      sdk.SandboxTimeoutError,
    );
    assert.deepEqual([late.result.stdout, late.code], ['part\n', 'timeout']);
    // The first of these has gone, or nothing would be killed; the search itself is one.
    assert.equal((yield sandbox.exec(shell('ps | grep -c "[s]leep 41772"'))).stdout, '0\n');
    const slow = sdk.Sandbox.run(quick);
    assert.equal((yield slow.exec(['echo', 'in time'], { timeoutMs: 5000 })).stdout, 'in time\n');
    for (const stdin of ['text é', Buffer.from('text é'), ['te', Buffer.from('xt '), 'é']])
      assert.equal((yield sandbox.exec(['cat'], { stdin })).stdout, 'text é');
    assert.equal((yield sandbox.exec(['true'], { stdin: 'never read'.repeat(100_000) })).returncode, 0);
    const controller = new AbortController();
    const aborted = sandbox.exec(['sleep', '41773'], { signal: controller.signal });
    controller.abort();
    yield* fails(aborted, sdk.OperationCancelledError);
    yield* fails(sandbox.exec(['/no/such/program']), sdk.CommandNotStartedError);
    assert.throws(() => sandbox.exec('ls -l'), sdk.InvalidInputError);
    const told = [];
    yield sandbox.exec(shell('echo a; echo b >&2'), {
      onStdout: text => told.push(text),
      onStderr: text => told.push(text),
    });
    assert.deepEqual(told.sort(), ['a\n', 'b\n']);
    yield sandbox.stop();
    yield slow.stop();
  },

  *'files: of nothing, of every byte, in pieces, and all that is done with them'(sdk) {
    const sandbox = sdk.Sandbox.run(quick);
    const { files } = sandbox;
    yield sandbox.writeFile('/work/empty', '');
    assert.equal((yield sandbox.readFile('/work/empty')).byteLength, 0);
    const every = Uint8Array.from({ length: 70_000 }, (_, n) => n % 256);
    yield sandbox.writeFile('/work/every', every, { mode: 0o600 });
    assert.deepEqual(Buffer.from(yield sandbox.readFile('/work/every')), Buffer.from(every));
    yield sandbox.writeFile('/work/text', 'é\n');
    assert.equal(yield sandbox.readFile('/work/text', { encoding: 'utf8' }), 'é\n');
    const large = Buffer.alloc(9_000_001, 'large');
    const writing = sandbox.writeFile('/work/large', large);
    large[0] = 0;
    yield writing;
    large[0] = 'l'.charCodeAt(0);
    assert.ok(Buffer.from(yield sandbox.readFile('/work/large')).equals(large));
    assert.deepEqual(
      (yield files.list('/work')).map(each => each.name),
      ['empty', 'every', 'large', 'text'],
    );
    const stat = yield files.stat('/work/every');
    assert.deepEqual([stat.type, stat.size, stat.mode, stat.modified instanceof Date], ['file', 70_000, 0o600, true]);
    yield files.mkdir('/work/a/b', { mode: 0o750 });
    yield files.rename('/work/text', '/work/a/b/text');
    yield* fails(files.remove('/work/a'), sdk.SandboxConflictError);
    assert.equal(yield files.read('/work/a/b/text', { encoding: 'utf8' }), 'é\n');
    yield files.remove('/work/a', { recursive: true });
    yield* fails(files.stat('/work/a'), sdk.SandboxFileError);
    const pieces = yield { each: files.readStream('/work/large').bytes() };
    assert.ok(pieces.length > 1 && Buffer.concat(pieces).equals(large));
    const writer = files.writeStream('/work/stream');
    writer.write('one ');
    writer.write('two ');
    yield writer.end('three');
    yield files.write('/work/iterable', ['a', 'b', Buffer.from('c')]);
    yield files.write('/work/iterable', 'd', { append: true });
    assert.equal((yield sandbox.exec(['cat', '/work/stream', '/work/iterable'])).stdout, 'one two threeabcd');
    assert.deepEqual(yield { each: files.readStream('/work/stream') }, ['one two three']);
    yield sandbox.stop();
  },

  *'stop, wait, waitUntilComplete, getStatus: one stop, and no status goes back'(sdk) {
    const idle = sdk.Sandbox.run(quick);
    yield idle.wait();
    assert.equal(yield idle.getStatus(), 'running');
    assert.equal(idle.stop(), idle.stop());
    yield idle.stop();
    assert.deepEqual([yield idle.getStatus(), idle.status], ['terminated', 'terminated']);
    yield idle.stop();
    yield* fails(idle.exec(['true']), sdk.SandboxConflictError);
    assert.equal(yield idle.waitUntilComplete(), null);
    for (const [code, status] of [
      [0, 'completed'],
      [5, 'failed'],
    ]) {
      const own = sdk.Sandbox.run('/bin/sh', '-c', `echo own; exit ${code}`, quick);
      assert.equal(yield own.waitUntilComplete(), code);
      assert.equal(yield own.getStatus(), status);
      yield own.wait();
      assert.deepEqual(yield { each: own.streamLogs() }, ['own']);
    }
    const brief = sdk.Sandbox.run({ ...quick, lifetimeMs: 300 });
    yield brief.waitUntilComplete();
    assert.equal(yield brief.getStatus(), 'terminated');
    const order = ['pending', 'creating', 'running', 'terminating', 'terminated'];
    const watched = sdk.Sandbox.run(quick);
    const told = [watched.status, yield watched.getStatus()];
    yield watched.wait();
    told.push(watched.status);
    const [before, stopping, during] = [watched.getStatus(), watched.stop(), watched.getStatus()];
    told.push(yield before, yield during);
    yield stopping;
    told.push(watched.status, yield watched.getStatus());
    assert.deepEqual(
      told,
      told.toSorted((a, b) => order.indexOf(a) - order.indexOf(b)),
    );
  },

  *'snapshot: an image with the files as they are now'(sdk, { report }) {
    const sandbox = sdk.Sandbox.run(quick);
    yield sandbox.writeFile('/kept', 'kept');
    const image = yield sandbox.snapshot({ tag: `row-${sandbox.id}` });
    yield sandbox.writeFile('/kept', 'later');
    const other = sdk.Sandbox.run({ ...quick, image: `tag:row-${sandbox.id}` });
    assert.equal(yield other.readFile('/kept', { encoding: 'utf8' }), 'kept');
    report({ image });
    yield other.stop();
    yield sandbox.stop();
  },

  *'Session: owns, adopts, releases, closes'(sdk, { foreign }) {
    const tag = `session-${process.pid}-${Math.random()}`;
    const session = new sdk.Session({ ...quick, tags: [tag], env: { FROM: 'session' } });
    const [a, b] = [session.sandbox(), session.sandbox({ tags: ['own'], env: { MORE: 'too' } })];
    assert.equal((yield b.exec(shell('echo $FROM $MORE'))).stdout, 'session too\n');
    assert.deepEqual(b.tags, [tag, 'own']);
    assert.equal((yield session.list()).length, 2);
    assert.ok((yield session.list())[0] instanceof sdk.Sandbox);
    const loose = sdk.Sandbox.run({ ...quick, tags: [tag] });
    yield loose.wait();
    const other = new sdk.Session({ tags: [tag] });
    yield* fails(other.fromId(a.id), sdk.SandboxInUseError);
    yield* fails(other.list({ adopt: true }), sdk.SandboxInUseError);
    assert.equal((yield other.fromId(a.id, { adopt: false })).id, a.id);
    assert.equal((yield other.fromId(loose.id)).id, loose.id);
    yield other.fromId(a.id, { steal: true });
    assert.throws(() => new sdk.Session().list({ adopt: true }), sdk.InvalidInputError);
    yield other.release(loose);
    yield other.close();
    assert.deepEqual([yield a.getStatus(), yield loose.getStatus()], ['terminated', 'running']);
    assert.equal((yield session.list({ adopt: true })).length, 2);
    yield session.close();
    assert.deepEqual([yield b.getStatus(), yield loose.getStatus()], ['terminated', 'terminated']);
    yield* fails(session.sandbox().exec(['true']), sdk.SessionNotFoundError);
    assert.equal(yield (yield sdk.Sandbox.fromId(foreign)).getStatus(), 'running');
  },

  *'with: the body’s error is the one that is told, dispose never throws'(sdk) {
    let kept;
    const value = yield {
      value: sdk.Sandbox.with(quick, async sandbox => {
        kept = sandbox;
        return (await sandbox.exec(['echo', 'in'])).stdout;
      }),
    };
    assert.equal(value, 'in\n');
    assert.equal(yield kept.getStatus(), 'terminated');
    const mine = new Error('mine');
    const failing = sdk.Sandbox.with(quick, async sandbox => {
      kept = sandbox;
      await sandbox.wait();
      throw mine;
    });
    const caught = yield { value: failing.catch(error => error) };
    assert.equal(caught, mine);
    assert.equal(yield kept.getStatus(), 'terminated');
    const gone = sdk.Sandbox.run({ image: 'tag:no-such-image' });
    gone[Symbol.dispose]();
    yield { value: gone[Symbol.asyncDispose]() };
    assert.throws(
      () =>
        sdk.Sandbox.with(quick, () => {
          throw mine;
        }),
      mine,
    );
  },

  *'results and wait: side by side without async code'(sdk, { results, wait }) {
    const one = performance.now();
    const alone = sdk.Sandbox.run(quick);
    yield alone.exec(['sleep', '0.3']);
    const single = performance.now() - one;
    const begun = performance.now();
    const sandboxes = [1, 2, 3].map(() => sdk.Sandbox.run(quick));
    const refs = sandboxes.map((sandbox, n) => sandbox.exec(shell(`sleep 0.3; echo ${n}`)));
    assert.deepEqual(
      (yield { value: results(refs) }).map(result => result.stdout),
      ['0\n', '1\n', '2\n'],
    );
    const all = performance.now() - begun;
    // The machine may be busy; one after the other would take three times as long.
    assert.ok(all < 2.5 * single, `three took ${all} ms, one ${single} ms`);
    const [fast, slow] = [alone.exec(['true']), alone.exec(['sleep', '41774'])];
    const first = yield { value: wait([slow, fast], { numReturns: 1 }) };
    assert.deepEqual([first.done, first.pending], [[fast], [slow]]);
    const none = yield { value: wait([slow], { timeoutMs: 50 }) };
    assert.deepEqual(none, { done: [], pending: [slow] });
    slow.cancel();
    const ends = yield { value: results.settled([fast, slow, alone.readFile('/no')]) };
    assert.deepEqual(
      ends.map(end => end.status),
      ['fulfilled', 'rejected', 'rejected'],
    );
    for (const sandbox of [alone, ...sandboxes]) yield sandbox.stop();
  },

  *'shell and logs: a terminal of its size, lines as they come'(sdk) {
    const sandbox = sdk.Sandbox.run('/bin/sh', '-c', 'seq 1 5; echo bad >&2; sleep 0.3; echo end', quick);
    assert.deepEqual((yield { each: sandbox.streamLogs({ follow: true }) }).sort(), [
      '1',
      '2',
      '3',
      '4',
      '5',
      'bad',
      'end',
    ]);
    assert.deepEqual(yield { each: sandbox.streamLogs({ tail: 2 }) }, ['5', 'end', 'bad']);
    const idle = sdk.Sandbox.run(quick);
    const terminal = idle.shell({ cols: 97, rows: 31 });
    yield terminal.stdin.write('stty size\n');
    yield { until: () => terminal.output.chunks(), text: '31 97' };
    yield terminal.resize({ cols: 60, rows: 20 });
    yield terminal.stdin.write('stty size; exit 7\n');
    const ended = yield terminal;
    assert.equal(ended.returncode, 7);
    assert.match(ended.stdout, /20 60/);
    yield idle.stop();
  },

  *'build: a Dockerfile is an image, or why not'(sdk, { context, builds }) {
    assert.throws(() => sdk.Sandbox.build({ contxt: '.' }), sdk.InvalidInputError);
    const missing = yield* fails(
      sdk.Sandbox.build({ context: '/no/such/folder', runtime: 'docker' }),
      sdk.InvalidInputError,
    );
    assert.equal(missing.field, 'context');
    if (!builds) {
      const { code, fix } = yield* fails(sdk.Sandbox.build({ context, runtime: 'native' }), sdk.SandboxError);
      assert.equal(code, 'unsupported');
      assert.match(fix, /--runtime docker/);
      return;
    }
    const options = { context, buildArgs: { WHO: 'me' } };
    const { image, parent, steps } = yield sdk.Sandbox.build({ ...options, target: 'good' });
    assert.deepEqual([typeof parent, steps.length], ['string', 3]);
    const sandbox = sdk.Sandbox.run({ ...quick, image });
    assert.equal((yield sandbox.exec(['cat', '/who'])).stdout, 'me\n');
    const failed = yield* fails(sdk.Sandbox.build(options), sdk.BuildFailedError);
    assert.deepEqual([failed.data.exit_code, failed.data.output], [5, 'no']);
    yield sandbox.stop();
  },

  *'function: runs in a sandbox what it is given, and brings back what it returns'(sdk, { node }) {
    if (!node) return;
    const session = new sdk.Session({ image: 'host:', network: 'none' });
    const add = session.function((a, b) => ({
      sum: a.n + b,
      at: new Date(0),
      map: new Map([[1, /x/]]),
      where: process.cwd(),
    }));
    const back = yield add.remote({ n: 1n }, 2n);
    assert.deepEqual(back, { sum: 3n, at: new Date(0), map: new Map([[1, /x/]]), where: '/' });
    const square = session.function(async function square(n) {
      process.stderr.write('noise');
      return n * n;
    });
    const squares = [];
    for (const ref of square.map([1, 2, 3])) squares.push(yield ref);
    assert.deepEqual([squares, add.local({ n: 1n }, 2n).sum === 3n], [[1, 4, 9], true]);
    const thrown = yield* fails(
      session
        .function(() => {
          throw new RangeError('too far');
        })
        .remote(),
      sdk.RemoteFunctionError,
    );
    assert.deepEqual([thrown.message, thrown.remoteName], ['too far', 'RangeError']);
    const outside = 1;
    yield* fails(session.function(() => outside).remote(), sdk.RemoteFunctionError);
    assert.throws(() => session.function(Math.max), sdk.InvalidInputError);
    assert.throws(() => square.remote(() => 1), sdk.InvalidInputError);
    yield* fails(session.function(() => process.exit(9)).remote(), sdk.SandboxError);
    const without = new sdk.Session(quick).function(() => 1);
    assert.match((yield* fails(without.remote(), sdk.CommandNotStartedError)).message, /Node/);
    yield session.close();
  },
};
