import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Sandbox, wait } from 'coppice';

// What takes long, each by its name.

const say = (...words) => console.log(...words);
const sandbox = Sandbox.run({ network: 'none' });
sandbox.wait().get();
const sh = line => ['/bin/sh', '-c', line];
function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

const ways = {
  /** 10,000 times get, await or iterate on refs that are shared: each settles once, with the same for all. */
  async mixed() {
    const random = randomFrom(Number(process.argv[3]));
    const refs = Array.from({ length: 50 }, (_, n) => sandbox.exec(sh(`sleep 0.${n % 10}; echo ${n}`)));
    refs.push(...Array.from({ length: 50 }, (_, n) => sandbox.readFile(n % 2 ? '/etc/passwd' : '/no/such/file')));
    const seen = refs.map(() => new Set());
    const later = [];
    const take = (n, work) => {
      try {
        seen[n].add(work());
      } catch (error) {
        seen[n].add(error);
      }
    };
    for (let turn = 0; turn < 10_000; turn++) {
      const n = Math.floor(random() * refs.length);
      const way = random();
      if (way < 0.3) take(n, () => refs[n].get());
      else if (way < 0.6)
        later.push(
          refs[n].then(
            value => seen[n].add(value),
            error => seen[n].add(error),
          ),
        );
      else if (way < 0.7 && n < 50) assert.deepEqual([...refs[n].stdout], [String(n)]);
      else if (way < 0.8 && n < 50) later.push(readsOnly(refs[n].stdout, String(n)));
      else if (way < 0.9) void refs[n].done;
      else if (later.length > 0) await later[Math.floor(random() * later.length)];
    }
    await Promise.all(later);
    for (const [n, ref] of refs.entries()) take(n, () => ref.get());
    assert.ok(seen.every(each => each.size === 1));
    say('settled', refs.length);
  },

  /** A megabyte a second on stdout while stderr is silent: both are read, and neither waits for the other. */
  async talkative() {
    let bytes = 0;
    let errors = '';
    const line = 'i=0; while [ $i -lt 50 ]; do head -c 100000 /dev/zero; sleep 0.1; i=$((i + 1)); done';
    const process = sandbox.exec(sh(line), {
      onStdout: text => (bytes += text.length),
      onStderr: text => (errors += text),
    });
    let read = 0;
    for (const piece of process.stdout.bytes()) read += piece.byteLength;
    assert.deepEqual([...process.stderr], []);
    assert.equal((await process).stdoutBytes.byteLength, 5_000_000);
    assert.deepEqual([bytes, read, errors], [5_000_000, 5_000_000, '']);
    say('read', read);
  },

  /** 300 MB that nobody reads hold nobody up and fill no memory; the result says that it has not all of it. */
  flood() {
    const before = process.memoryUsage.rss();
    const flood = sandbox.exec(sh('head -c 300000000 /dev/zero; echo done >&2'));
    const { done } = wait([flood], { timeoutMs: 120_000 });
    assert.equal(done.length, 1);
    const result = flood.get();
    assert.deepEqual([result.truncated, result.stdoutBytes.byteLength, result.stderr], [true, 67_108_864, 'done\n']);
    let bytes = 0;
    for (const piece of flood.stdout.bytes()) bytes += piece.byteLength;
    assert.equal(bytes, 300_000_000);
    const grown = (process.memoryUsage.rss() - before) / 1e6;
    assert.ok(grown < 1000, `${grown} MB more`);
    say('flooded', bytes);
  },

  /** A file of 300 MiB goes in and comes back, whole and in pieces. */
  large() {
    const bytes = Buffer.alloc(300 * 1024 * 1024);
    for (let at = 0; at < bytes.length; at += 4096) bytes.writeUInt32LE(at, at);
    const hash = data => createHash('sha256').update(data).digest('hex');
    sandbox.writeFile('/large', bytes).get();
    assert.equal(sandbox.exec(['sha256sum', '/large']).get().stdout.split(' ')[0], hash(bytes));
    assert.equal(hash(sandbox.readFile('/large').get()), hash(bytes));
    const pieces = createHash('sha256');
    for (const piece of sandbox.files.readStream('/large').bytes()) pieces.update(piece);
    assert.equal(pieces.digest('hex'), hash(bytes));
    say('came back', bytes.length);
  },
};

async function readsOnly(stream, line) {
  const lines = [];
  for await (const each of stream) lines.push(each);
  assert.deepEqual(lines, [line]);
}

await ways[process.argv[2]]();
sandbox.stop().get();
